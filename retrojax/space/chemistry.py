"""Chemistry between messengers, voxel by voxel: what one loses, another gains.

First-order conversion is part of the exact transport step of the messenger that is converted; what it yields follows
from the time integral of its field over the step (`advance_with_exposure`), which is exact too. Second-order reactions
have their own closed forms on arrays of any shape (`bilinear`, `quadratic`). All of them keep a field that is not
negative so, and none makes or loses amount: every function that takes something away returns what it took.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from retrojax.numerics import phi2
from retrojax.space.diffusion import Octants, Propagator, change, from_modes, relax, to_modes
from retrojax.types import Field, Scalar


def exposure_gain(propagator: Propagator) -> Octants:
    """Response of each mode's time integral to a unit source, elapsed^2 phi_2(z) [ms^2]; made once per propagator.

        z = elapsed (D mu + k) = elapsed (1 - decay) / gain,    phi_2(z) = (1 - phi_1(z)) / z
    """
    elapsed = propagator.elapsed
    return tuple(elapsed**2 * phi2(elapsed * (1 - decay) / gain)
                 for decay, gain in zip(propagator.decay, propagator.gain, strict=True))


def advance_with_exposure(
    propagator: Propagator, gain: Octants, field: Field, source: Field
) -> tuple[Field, Field]:
    """One exact step of transport and first-order loss, and the time integral of the field over it.

        a_hat    <- exp(-z) a_hat + elapsed phi_1(z) S_hat
        exposure  = elapsed phi_1(z) a_hat + elapsed^2 phi_2(z) S_hat

    On the lattice from the change A a + S at the start, as in `advance_driven`: the exposure is t a + t^2 phi_2 (A a +
    S).

    **Arguments**

    - `propagator`: from `plan`. `gain`: from `exposure_gain`.
    - `field`: amount per tissue volume [nM]. `source`: constant over the step [nM/ms].

    **Returns** the field after the step [nM] and its integral [nM ms]; loss at rate k has taken k x integral from every
    voxel. Both are positive where field and source are.

    References: Hochbruck & Ostermann (2010) Acta Numer 19:209-286 (phi functions).
    """
    if propagator.coupling is not None:
        rate = to_modes(propagator, change(propagator, field, source))
        grown, more = (from_modes(propagator, tuple(a * b for a, b in zip(each, rate, strict=True)))
                       for each in (propagator.gain, gain))
        return field + grown, propagator.elapsed * field + more
    before, made = to_modes(propagator, field), to_modes(propagator, source)
    spent = tuple(first * a + second * b
                  for first, second, a, b in zip(propagator.gain, gain, before, made, strict=True))
    return from_modes(propagator, relax(propagator, before, made)), from_modes(propagator, spent)


def bilinear(
    amount: Float[Array, "..."], rate: Scalar, partner: Float[Array, "..."], elapsed: Scalar
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """What is left, and what has reacted, of a messenger converted by a partner that is not used up.

        da/dt = -rate partner a,    a <- a exp(-rate partner elapsed)

    **Arguments**

    - `amount`: of the messenger per tissue volume [nM]. `rate`: [1/(nM ms)].
    - `partner`: concentration of the catalyst, held over the step [nM]; below 0 counts as 0.
    """
    gone = -amount * jnp.expm1(-rate * jnp.maximum(partner, 0.0) * elapsed)
    return amount - gone, gone


def quadratic(
    amount: Float[Array, "..."], rate: Scalar, volume_fraction: Float[Array, "..."], elapsed: Scalar
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """What is left, and what has reacted, of a messenger lost in proportion to its concentration squared.

        dc/dt = -rate c^2,    c <- c / (1 + rate c elapsed)

    **Arguments**

    - `amount`: volume fraction x concentration c [nM]. `rate`: [1/(nM ms)].
    - `volume_fraction`: of the space it occupies, one number or a map.
    """
    strength = rate * jnp.maximum(amount, 0.0) / volume_fraction * elapsed
    gone = amount * strength / (1 + strength)
    return amount - gone, gone
