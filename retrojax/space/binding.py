"""Reversible binding to sites in the matrix or on membranes, and receptors that take up what they bind.

    db/dt = k_on (a/alpha) (B - b) - k_off b,      da/dt = -db/dt          a: free, b: bound, B: sites at the surface

all as amounts per tissue volume. With a + b = T fixed this is a Riccati equation; with b_- its lower root and
Delta = sqrt((kappa (T - B))^2 + 2 kappa k_off (T + B) + k_off^2), kappa = k_on/alpha, the distance y = b - b_- goes to

    y <- y exp(-Delta t) / (1 - kappa y t phi_1(Delta t))

so free and bound amounts stay positive and their sum is kept, for any step. Binding changes the time course, not the
steady reach sqrt(D*/k), which irreversible loss alone sets.

References: Crank (1975) The Mathematics of Diffusion, 2nd ed., chapter 14 (diffusion with reversible binding);
Lauffenburger & Linderman (1993) Receptors, chapters 2 and 3 (binding, internalisation and recycling).
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from retrojax.errors import InputError
from retrojax.numerics import phi1
from retrojax.types import Field


class Binding(eqx.Module):
    """One kind of site. Every field is a number or a map, [X, Y, Z].

    **Fields**

    - `sites`: B_max, at the surface and inside together, per tissue volume [nM].
    - `k_on` [1/(nM ms)], on the concentration in the fluid; `k_off` [1/ms] > 0.
    - `internalisation`: rate at which bound complexes leave the surface, k_int [1/ms]; the messenger is lost.
    - `recycling`: rate at which a site inside returns to the surface, empty [1/ms].
    """

    sites: Float[Array, "..."]
    k_on: Float[Array, "..."]
    k_off: Float[Array, "..."]
    internalisation: Float[Array, "..."]
    recycling: Float[Array, "..."]

    @classmethod
    def build(
        cls, sites: float, k_on: float, k_off: float, internalisation: float = 0.0, recycling: float = 0.0
    ) -> "Binding":
        """A checked site kind (host side). **Raises** `InputError` naming the field that is out of range."""
        given = {"sites": sites, "k_on": k_on, "k_off": k_off, "internalisation": internalisation,
                 "recycling": recycling}
        for name, value in given.items():
            if not (math.isfinite(value) and value >= 0 and (value > 0 or name != "k_off")):
                raise InputError(f"binding.{name}", f"{value:g}", "a finite number " + (
                    "> 0" if name == "k_off" else ">= 0"), "correct the record of the messenger")
        return cls(**{name: jnp.asarray(value, float) for name, value in given.items()})


class Bound(NamedTuple):
    """State of one kind of site, per tissue volume [nM]: `complexes` at the surface; `inside`, sites taken up."""

    complexes: Field
    inside: Field


def bind(
    binding: Binding, field: Field, bound: Bound, fraction: Float[Array, "..."] | float,
    elapsed: Float[Array, ""] | float,
) -> tuple[Field, Bound, Field]:
    """Free amount, bound state and amount lost by internalisation [nM] after `elapsed` ms, without transport.

    **Arguments**

    - `binding`: the sites. `field`: free amount alpha c [nM], [X, Y, Z]. `bound`: their state.
    - `fraction`: alpha. `elapsed`: [ms].

    Exact without internalisation; with it, second order (half of it before binding and half after).
    """
    bound, early = _internalise(binding, bound, elapsed / 2)
    field, complexes = _exchange(binding, field, bound, fraction, elapsed)
    bound, late = _internalise(binding, Bound(complexes, bound.inside), elapsed / 2)
    return field, bound, early + late


def advance_binding(
    transport: Callable[[Field, Field], Field],
    field: Field,
    source: Field,
    bindings: Sequence[Binding],
    bounds: Sequence[Bound],
    fraction: Float[Array, "..."] | float,
    elapsed: Float[Array, ""] | float,
    carriers: Sequence[Callable[[Field], Field] | None] | None = None,
) -> tuple[Field, tuple[Bound, ...]]:
    """Field and bound states one step later: half of each binding, transport, the other halves in reverse order.

    **Arguments**

    - `transport`: field and source to the field after `elapsed`, as for `advance_saturable`.
    - `field` [nM], `source` [nM/ms]: [X, Y, Z]. `bindings`, `bounds`: kinds of sites and their states.
    - `fraction`: alpha. `elapsed`: [ms].
    - `carriers`: per kind, how its complexes move in the step, or None where they are fixed. Mobile sites are taken to
      be so even that only their complexes need moving.

    Second order in `elapsed`.
    """
    states = list(bounds)
    for i, binding in enumerate(bindings):
        field, states[i], _ = bind(binding, field, states[i], fraction, elapsed / 2)
    field = transport(field, source)
    for i, carry in enumerate(carriers or ()):
        if carry is not None:
            states[i] = Bound(carry(states[i].complexes), states[i].inside)
    for i in reversed(range(len(states))):
        field, states[i], _ = bind(bindings[i], field, states[i], fraction, elapsed / 2)
    return field, tuple(states)


def _exchange(
    binding: Binding, field: Field, bound: Bound, fraction: Float[Array, "..."] | float,
    elapsed: Float[Array, ""] | float,
) -> tuple[Field, Field]:
    total, surface = field + bound.complexes, binding.sites - bound.inside
    kappa = binding.k_on / fraction
    spread = jnp.sqrt((kappa * (total - surface)) ** 2 + binding.k_off * (
        2 * kappa * (total + surface) + binding.k_off))
    lower = 2 * kappa * total * surface / (kappa * (total + surface) + binding.k_off + spread)
    away = bound.complexes - lower
    away = away * jnp.exp(-spread * elapsed) / (1 - kappa * away * elapsed * phi1(spread * elapsed))
    # the bounds hold exactly in real numbers; this keeps them in rounded ones
    complexes = jnp.clip(lower + away, 0.0, jnp.minimum(total, surface))
    return total - complexes, complexes


def _internalise(binding: Binding, bound: Bound, elapsed: Float[Array, ""] | float) -> tuple[Bound, Field]:
    taken = -jnp.expm1(-binding.internalisation * elapsed) * bound.complexes
    slower = jnp.minimum(binding.internalisation, binding.recycling)
    apart = jnp.abs(binding.internalisation - binding.recycling)
    arriving = binding.internalisation * elapsed * jnp.exp(-slower * elapsed) * phi1(apart * elapsed)
    inside = bound.inside * jnp.exp(-binding.recycling * elapsed) + arriving * bound.complexes
    return Bound(bound.complexes - taken, inside), taken
