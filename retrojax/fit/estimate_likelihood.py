"""Maximum likelihood of an `Observation`, behind the interface of `Estimate`."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from retrojax.fit import maximise
from retrojax.fit.estimate import Data, Ends, Estimate, LeastSquares
from retrojax.fit.maximise import Likelihood
from retrojax.fit.observation import KINDS, Densities, Observation, Seen
from retrojax.fit.pieces import pieces_of
from retrojax.fit.problem import Problem
from retrojax.fit.saved import Saved
from retrojax.fit.solve import batches
from retrojax.fit.spec import Spec, prior_coordinates, set_coordinates, without_priors


class MostLikely(Estimate):
    """BFGS on the log posterior (`retrojax.fit.maximise`), with the second derivatives for the uncertainty.

    Every solve begins with least squares on mean and SEM: from a start far away BFGS ends at bounds and plateaus that
    Levenberg-Marquardt passes.

    `slots`: data sets that the compiled solve holds at once; each solve weighs all of them but its own with 0, so that
    synthetic data of a recovery test need no second compilation. With `pieces` it only looks, at so many points at a
    time, and solves nothing: another does.
    """

    def __init__(self, problem: Problem, model: Any, spec: Spec, batch: int, max_steps: int | None = None,
                 tolerance: float | None = None, saved: Saved | None = None, slots: int = 1,
                 pieces: int | None = None):
        self.problem, self.model, self.spec, self.batch, self.pieces = problem, model, spec, batch, pieces
        self.observation: Observation = problem.predict  # type: ignore[assignment]
        self.slots, self._steps, self.compile_s = slots, (max_steps or 200, tolerance or 1e-6), math.nan
        self._items = tuple(spec.items())
        self._near = LeastSquares(problem, model, spec, batch, saved=saved, name="approach", pieces=pieces)
        fixed = (model, self.observation, str(spec), self._steps)

        def run(name: str, function: Any) -> Any:
            return function if saved is None else saved.remember(name, function, fixed)

        self._solve, self._curvature, self._look = run("solve", self._solve_batch), run(
            "curvature", self._curvature_batch), run("look", self._look_batch)

    @property
    def data(self) -> Data:
        return self.observation.observed

    def solve(self, u0: np.ndarray, *, keep: np.ndarray | None = None, data: Data | None = None,
              sets: np.ndarray | None = None, held: int | None = None) -> Ends:
        which, names = np.zeros(len(u0), int) if sets is None else sets, list(self.data)
        near, priors = np.zeros(len(u0), int), self._priors(data, which)
        if held is None:
            found = self._near.solve(u0, keep=keep, data=data or self.data, sets=sets)
            u0, near = np.where(np.isfinite(found.loss)[:, None], found.u, u0), found.steps
        fixed = np.arange(len(self.spec)) == (-1 if held is None else held)
        pieces = []
        for rows in batches(len(u0), self.batch):
            filled, place = self._filled(data or self.data, which[rows])
            weight = self._weights(place, None if keep is None else keep[rows])
            pieces.append(self._solve(u0[rows], weight, fixed, priors[rows], *(filled[name] for name in names)))
        u, loss, converged, steps = (np.concatenate(parts)[: len(u0)] for parts in zip(*pieces, strict=True))
        return Ends(u, 2 * loss, converged, steps + near)

    def expected(self, u: np.ndarray) -> np.ndarray:
        return np.asarray(self.observation.expected(*self._seen(u)))

    def density(self, u: np.ndarray, data: Data | None = None) -> np.ndarray:
        return np.asarray(self.observation.density(data or self.data, *self._seen(u)))

    def density_of(self, values: np.ndarray) -> np.ndarray:
        ones, noise = np.ones(values.size), self.model.noise
        p, q = float(self.model.p_release), float(self.model.q) * ones
        if KINDS[self.observation.kind].quantal:
            q = values / (self.observation.sites * p * float(noise["quantum"]))
        one = self.observation.density(self.data, Seen(values, p * ones, q), noise)
        return np.asarray(one)[0]

    def unchanged(self) -> np.ndarray:
        ones = np.ones(self.problem.mean.size)
        seen = Seen(ones, float(self.model.p_release) * ones, float(self.model.q) * ones)
        return np.asarray(self.observation.expected(seen, self.model.noise)) * ones

    def draw(self, u: np.ndarray, rng: np.random.Generator) -> Data:
        seen, noise = self._seen(u)
        each = [self.observation.draw(rng, Seen(*(np.asarray(x)[k] for x in seen)),
                                      {name: float(np.asarray(x)[k, 0]) for name, x in noise.items()})
                for k in range(len(u))]
        return {name: np.stack([one[name] for one in each]) for name in self.data}

    def information(self, ends: Ends, data: Data | None = None, sets: np.ndarray | None = None) -> np.ndarray:
        which, pieces = np.zeros(len(ends.u), int) if sets is None else sets, []
        # second derivatives carry P + 1 times the tangents of the first: so many fewer at once need the same memory
        for rows in batches(len(ends.u), max(1, self.batch // (len(self.spec) + 1))):
            filled, place = self._filled(data or self.data, which[rows])
            pieces.append(self._curvature(ends.u[rows], self._weights(place, None), *(filled[x] for x in self.data))[0])
        return np.concatenate(pieces)[: len(ends.u)]

    def likelihood(self) -> Likelihood:
        return Likelihood(Densities(self.observation), self.problem.groups)

    def _filled(self, data: Data, sets: np.ndarray) -> tuple[Data, np.ndarray]:
        """The data sets that are asked for in the slots, and in which slot that of each row is."""
        used, place = np.unique(sets, return_inverse=True)
        if used.size > self.slots:
            raise AssertionError("a batch of solves is of more data sets than there are slots")
        rows = np.concatenate([used, np.full(self.slots - used.size, used[0])])
        return {name: np.asarray(values)[rows] for name, values in data.items()}, place

    def _weights(self, place: np.ndarray, keep: np.ndarray | None) -> np.ndarray:
        own = (np.arange(self.slots) == place[:, None])[:, :, None]
        each = np.ones((len(place), 1, self.problem.mean.size)) if keep is None else np.asarray(keep, float)[:, None, :]
        return (own * each).reshape(len(place), -1)

    def _priors(self, data: Data | None, sets: np.ndarray) -> np.ndarray:
        """Means of the priors of every solve [K, P]."""
        own = prior_coordinates(self.spec)[0]
        return np.asarray((data or {}).get("prior", np.tile(own, (sets.max() + 1, 1))))[sets]

    def _with(self, arrays: Any) -> Observation:
        observed = dict(zip(self.data, map(jnp.asarray, arrays), strict=True))
        return eqx.tree_at(lambda o: o.observed, self.observation, observed)

    def _solve_batch(self, u0: Any, weight: Any, held: Any, prior: Any, *arrays: Any) -> tuple[Any, ...]:
        likelihood = Likelihood(Densities(self._with(arrays)), self.problem.groups * self.slots)
        most, tolerance = self._steps
        return maximise.solve_all(likelihood, self.model, self.spec, u0, weight, held, prior, max_steps=most,
                                  tolerance=tolerance)

    def _curvature_batch(self, u: Any, weight: Any, *arrays: Any) -> tuple[Any, ...]:
        """Minus the second derivatives of the log-likelihood, and those of the priors, which are normal in u."""
        whole, each = self._with(arrays), np.reshape(weight, (len(u), self.slots, -1))
        found = np.diag(prior_coordinates(self.spec)[1] ** 2)
        for part, rows, new in pieces_of(whole, self.problem.mean.size, self.pieces):
            counts = each[:, :, rows] * (np.arange(rows.size) < new)
            found = found + np.asarray(_curvatures(Densities(part), self.model, self._items, jnp.asarray(u),
                                                   jnp.asarray(counts.reshape(len(u), -1))))
        return (found,)

    def _look_batch(self, u: Any) -> tuple[Any, ...]:
        seen: list[list[np.ndarray]] = []
        noise: dict[str, Any] = {}
        for part, _, new in pieces_of(self.observation, self.problem.mean.size, self.pieces):
            here, noise = _look(part, self.model, self._items, jnp.asarray(u))
            seen.append([np.asarray(x)[:, :new] for x in here])
        return (*(np.concatenate(x, 1) for x in zip(*seen, strict=True)), *(noise[name] for name in sorted(noise)))

    def _seen(self, u: np.ndarray) -> tuple[Seen, dict[str, Any]]:
        pieces = [self._look(u[rows]) for rows in batches(len(u), self.batch)]
        value, p, q, *noise = (np.concatenate(parts)[: len(u)] for parts in zip(*pieces, strict=True))
        named = zip(sorted(self.model.noise), noise, strict=True)
        return Seen(value, p, q), {name: value[:, None] for name, value in named}


@eqx.filter_jit
def _curvatures(log_density: Any, model: Any, items: Any, u: Array, weight: Array) -> Array:
    bare = without_priors(dict(items))

    def minus(u, weight):
        return -maximise.log_posterior(log_density, model, bare, u, weight)

    return jax.vmap(jax.jacfwd(jax.jacfwd(minus)))(u, weight)


@eqx.filter_jit
def _look(observation: Observation, model: Any, items: Any, u: Array) -> tuple[Seen, dict[str, Any]]:
    """What the models at `u` [K, P] say, and their noise."""
    def one(v):
        here = set_coordinates(model, dict(items), v)
        return observation.seen(here), here.noise

    return jax.vmap(one)(u)
