"""How measurements scatter around what a model predicts: eight observation models over pairing protocols."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from retrojax.engine.rows import Synapse
from retrojax.fit import likelihoods as law
from retrojax.fit.problem import PairOutcome
from retrojax.types import Scalar

LEAST = 1e-9
"""Least strength that a law of positive numbers is given: one of exactly 0 has no density."""


class Measured(Synapse):
    """A synapse, and how its measurements scatter.

    **Arguments**

    - `synapse`: the synapse. `noise`: name -> value of each argument of the observation model, as `{"dof": 4.0}`; a fit
      may name them as `noise.dof`.
    """

    noise: dict[str, Scalar]

    def __init__(self, synapse: Synapse, noise: dict[str, Any]):
        super().__init__(synapse.spine, synapse.release, synapse.rules, synapse.p_release, synapse.q, synapse.bounds)
        self.noise = {name: jnp.asarray(value, float) for name, value in noise.items()}


class Seen(NamedTuple):
    """What a model says about n points: `value`, the quantity asked for, relative to its start; `p`, `q` after it."""

    value: Any
    p: Any
    q: Any


class Kind(NamedTuple):
    """One observation model.

    - `density`: (observed, seen, noise, sem, sites) -> log density of each point.
    - `draw`: (generator, seen, noise, sem, observed, sites) -> observed, anew.
    - `needs`: arguments without a default. `may`: arguments that may be given. `column`: what a point must carry.
    - `quantal`: measured in the unit of the response, not relative to the start.
    """

    density: Callable[..., Any]
    draw: Callable[..., dict[str, np.ndarray]]
    needs: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    column: str | None = None
    quantal: bool = False


class Observation(eqx.Module):
    """n points with their observation model; called with a model it gives the expected mean of each.

    **Arguments**

    - `outcome`: P, q and strength after every protocol.
    - `kind`: static; a name of `KINDS`. `sites`: static; release sites of the quantal kinds.
    - `observed`: name -> array [sets, n, ...] of data sets that share the protocols; usually one set. Always `mean` and
      `count`; `relative` (sem/mean), `variance`, `values` and `present` (padded), `mean_log` where a law reads them.
    - `sem`: standard error of each point [n]. `assumed`: points that are no data but normal around their mean [n].
    """

    outcome: PairOutcome
    kind: str = eqx.field(static=True)
    sites: int = eqx.field(static=True)
    observed: dict[str, Array] = eqx.field(converter=lambda arrays: jax.tree.map(jnp.asarray, arrays))
    sem: Float[Array, " n"] = eqx.field(converter=jnp.asarray)
    assumed: Bool[Array, " n"] = eqx.field(converter=jnp.asarray)

    def seen(self, model: Measured) -> Seen:
        """What the model says about each point."""
        ratios = self.outcome.outcomes(model)[self.outcome.protocol]
        value = jnp.take_along_axis(ratios, self.outcome.quantity[:, None], 1)[:, 0]
        # a binomial law at p = 0 or 1 has no density for what it excludes
        return Seen(value, jnp.clip(model.p_release * ratios[:, 1], LEAST, 1 - LEAST), model.q * ratios[:, 2])

    def expected(self, seen: Seen, noise: dict[str, Any]) -> Any:
        """Mean of each measurement, in the unit of the data."""
        if not KINDS[self.kind].quantal:
            return seen.value
        return jnp.where(self.assumed, seen.value, self.sites * seen.p * seen.q * noise["quantum"])

    def __call__(self, model: Measured) -> Float[Array, " n"]:
        return self.expected(self.seen(model), model.noise)

    def density(self, observed: dict[str, Any], seen: Seen, noise: dict[str, Any]) -> Any:
        """Log density [..., n] of data sets under what a model says."""
        measured = KINDS[self.kind].density(observed, seen, noise, self.sem, self.sites)
        return jnp.where(self.assumed, law.gaussian(observed["mean"], seen.value, self.sem), measured)

    def take(self, rows: Int[np.ndarray, " b"]) -> "Observation":
        """These points alone."""
        observed = {name: array[:, rows] for name, array in self.observed.items()}
        return Observation(self.outcome.take(rows), self.kind, self.sites, observed, self.sem[rows], self.assumed[rows])

    def draw(self, rng: np.random.Generator, seen: Seen, noise: dict[str, Any]) -> dict[str, np.ndarray]:
        """One data set [n, ...] as a model with these predictions would give it; what is assumed stays as it is."""
        data = {name: np.asarray(array[0]) for name, array in self.observed.items()}
        seen, noise = jax.tree.map(np.asarray, (seen, noise))
        made = KINDS[self.kind].draw(rng, seen, noise, np.asarray(self.sem), data, self.sites)
        assumed = np.asarray(self.assumed)
        return {name: np.where(assumed.reshape((-1,) + (1,) * (array.ndim - 1)), array, made.get(name, array))
                for name, array in data.items()}

    @property
    def count(self) -> int:
        """Number of observations: single measurements where the law is one of these, else points."""
        each = np.asarray(self.observed["count"][0]) if KINDS[self.kind].column == "values" else 1
        return int(np.sum(np.where(self.assumed, 0, each)))


def _positive(seen: Seen) -> Any:
    return jnp.maximum(seen.value, LEAST)


def _relative(noise: dict[str, Any], name: str, o: dict[str, Any]) -> Any:
    """A given coefficient of variation, or that of each point as it was measured: sem/mean."""
    return noise[name] if name in noise else o["relative"]


def _binomial(o, s, noise, sem, sites):
    p, quantum, noise_sd, cv = (jnp.asarray(x)[..., None] for x in (
        s.p, s.q * noise["quantum"], noise["noise_sd"], noise["quantal_cv"]))
    each = law.binomial_release(o["values"], sites, p, quantum, noise_sd, cv)
    return jnp.sum(jnp.where(o["present"], each, 0.0), -1)


def _draw_cells(rng, s, noise, sem, o, sites):
    shape = noise["cv"] ** -2
    values = rng.gamma(shape, np.maximum(s.value, LEAST)[:, None] / shape, o["present"].shape)
    share = o["present"] / np.maximum(o["count"], 1)[:, None]
    return {"mean": np.sum(share * values, -1), "mean_log": np.sum(share * np.log(values), -1)}


def _draw_moments(rng, s, noise, sem, o, sites):
    q, n = s.q * noise["quantum"], o["count"]
    spread = sites * q**2 * s.p * (1 - s.p + noise["quantal_cv"] ** 2)
    mean = rng.normal(sites * s.p * q, np.sqrt(spread / n))
    return {"mean": mean, "variance": rng.gamma((n - 1) / 2, 2 * spread / (n - 1))}


def _draw_trials(rng, s, noise, sem, o, sites):
    released = rng.binomial(sites, np.clip(s.p, 0, 1)[:, None], o["present"].shape)
    q = s.q[:, None] * noise["quantum"]
    values = rng.normal(released * q, np.sqrt(noise["noise_sd"] ** 2 + released * (noise["quantal_cv"] * q) ** 2))
    return {"values": values, "mean": np.sum(values * o["present"], -1) / np.maximum(o["count"], 1)}


KINDS: dict[str, Kind] = {
    "gaussian": Kind(
        lambda o, s, a, sem, _: law.gaussian(o["mean"], s.value, sem),
        lambda rng, s, a, sem, o, _: {"mean": rng.normal(s.value, sem)}),
    "between_cells": Kind(
        lambda o, s, a, sem, _: law.between_cells(o["mean"], s.value, sem, a["between_sd"]),
        lambda rng, s, a, sem, o, _: {"mean": rng.normal(s.value, np.hypot(sem, a["between_sd"]))},
        ("between_sd",)),
    "student_t": Kind(
        lambda o, s, a, sem, _: law.student_t(o["mean"], s.value, sem, a["dof"]),
        lambda rng, s, a, sem, o, _: {"mean": s.value + sem * rng.standard_t(a["dof"], sem.shape)},
        ("dof",)),
    "lognormal": Kind(
        lambda o, s, a, sem, _: law.lognormal(o["mean"], _positive(s), _relative(a, "log_sd", o)),
        lambda rng, s, a, sem, o, _: {"mean": np.maximum(s.value, LEAST) * np.exp(
            _relative(a, "log_sd", o) * rng.standard_normal(sem.shape))},
        (), ("log_sd",)),
    "gamma": Kind(
        lambda o, s, a, sem, _: law.gamma(o["mean"], _positive(s), _relative(a, "cv", o)),
        lambda rng, s, a, sem, o, _: {"mean": rng.gamma(
            _relative(a, "cv", o) ** -2.0, np.maximum(s.value, LEAST) * _relative(a, "cv", o) ** 2)},
        (), ("cv",)),
    "gamma_sum": Kind(
        lambda o, s, a, sem, _: law.gamma_sum(o["count"], o["mean"], o["mean_log"], _positive(s), a["cv"]),
        _draw_cells, ("cv",), (), "values"),
    "quantal_moments": Kind(
        lambda o, s, a, sem, sites: law.quantal_moments(
            o["mean"], o["variance"], o["count"], sites, s.p, s.q * a["quantum"], a["quantal_cv"]),
        _draw_moments, ("quantum",), ("quantal_cv",), "variance", True),
    "binomial_release": Kind(
        _binomial, _draw_trials, ("quantum", "noise_sd"), ("quantal_cv",), "values", True),
}
"""Name -> observation model; the names are those of `retrojax.fit.likelihoods`."""


class Densities(eqx.Module):
    """Log density of every point of an `Observation`, as a function of the model that can be taken in pieces.

    Of one data set [n] given after the model, or of the observation's own, [sets * n].
    """

    observation: Observation

    def __call__(self, model: Measured, data: dict[str, Array] | None = None) -> Float[Array, " n"]:
        observation = self.observation
        observed = observation.observed if data is None else data
        return observation.density(observed, observation.seen(model), model.noise).ravel()

    def take(self, rows: Int[np.ndarray, " b"]) -> "Densities":
        """Of these points alone."""
        return Densities(self.observation.take(rows))
