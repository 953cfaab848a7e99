"""Two ways to solve for parameters behind one interface: least squares, and maximum likelihood.

Everything a fit reports is made of the same few things: solves from given starts, with some points left out, with one
coordinate held, or of other data; expected values; densities; and data drawn from the model. Each way compiles once for
a fixed batch and uses that for all of them.
"""

import math
from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from retrojax.fit import likelihoods
from retrojax.fit.maximise import Likelihood, least_squares_likelihood
from retrojax.fit.pieces import predicted_in_pieces
from retrojax.fit.problem import Problem
from retrojax.fit.saved import Saved
from retrojax.fit.solve import Solver, compile_solver, loss_of
from retrojax.fit.spec import Spec, model_paths, natural, prior_coordinates, prior_misfit, set_coordinates, slope

Data = dict[str, Any]
"""Data sets as arrays [sets, n, ...]; `mean` is always among them. A prior is a measurement made earlier: `prior`
[sets, P], where given, holds the means of the priors in coordinates that go with each set, else they are the spec's."""

PIN = 1e6
"""Weight that holds a coordinate in a least-squares solve: it moves by 1e-12 of the slope of the loss at most."""


class Ends(NamedTuple):
    """Where K solves ended.

    - `u`: coordinates. `loss`: minus twice the log posterior there, up to a constant of the data.
    - `converged`, `steps`: as of the solver. `jacobian`: d expected / d u of least squares, else None.
    """

    u: Float[np.ndarray, "K P"]
    loss: Float[np.ndarray, " K"]
    converged: Bool[np.ndarray, " K"]
    steps: Int[np.ndarray, " K"]
    jacobian: Float[np.ndarray, "K n P"] | None = None

    def take(self, rows: np.ndarray) -> "Ends":
        """These rows of every field."""
        jacobian = None if self.jacobian is None else self.jacobian[rows]
        return Ends(self.u[rows], self.loss[rows], self.converged[rows], self.steps[rows], jacobian)


class Estimate(ABC):
    """A way to estimate the parameters `spec` of `model` from the n points of `problem`; used under x64.

    `batch`: solves that run at once. `pieces`: points that are looked at in one go, None for all. `compile_s`: time the
    compilation took [s], not-a-number where not known.
    """

    problem: Problem
    model: Any
    spec: Spec
    batch: int
    pieces: int | None
    compile_s: float

    @property
    @abstractmethod
    def data(self) -> Data:
        """What was measured, as one data set."""

    @abstractmethod
    def solve(self, u0: np.ndarray, *, keep: np.ndarray | None = None, data: Data | None = None,
              sets: np.ndarray | None = None, held: int | None = None) -> Ends:
        """Solve from K starts.

        - `u0`: coordinates [K, P]. `keep`: points that count [K, n] (1 or 0); all by default.
        - `data`: data sets, the measured one by default. `sets`: which of them each solve is of [K]; the first.
        - `held`: number of a coordinate that stays where it starts.
        """

    @abstractmethod
    def expected(self, u: np.ndarray) -> np.ndarray:
        """Expected mean of every point [K, n] at coordinates [K, P]."""

    @abstractmethod
    def density(self, u: np.ndarray, data: Data | None = None) -> np.ndarray:
        """Log density [K, n] of data set k (of the measured one for all) at coordinates k."""

    @abstractmethod
    def density_of(self, values: np.ndarray) -> np.ndarray:
        """Log density [n] of what was measured if the expected means were `values` [n]."""

    @abstractmethod
    def unchanged(self) -> np.ndarray:
        """Expected means [n] if no protocol changed anything."""

    @abstractmethod
    def draw(self, u: np.ndarray, rng: np.random.Generator) -> Data:
        """One data set for each of K coordinates, with the scatter of the measurements."""

    @abstractmethod
    def information(self, ends: Ends, data: Data | None = None, sets: np.ndarray | None = None) -> np.ndarray:
        """Curvature of the loss over 2 at every end [K, P, P]: the information on the coordinates."""

    @abstractmethod
    def likelihood(self) -> Likelihood:
        """The measurements as a function of the model alone, for a sampler."""

    def slopes(self, u: np.ndarray) -> np.ndarray | None:
        """d expected / d u [K, n, P] at coordinates [K, P] where `information` is made of it, else None."""
        return None

    def loss(self, u: np.ndarray, data: Data | None = None) -> np.ndarray:
        """Minus twice the log posterior [K] at coordinates [K, P], with the constant that `solve` has."""
        loss = self._misfit(u, data) + prior_misfit(self.spec, u, (data or {}).get("prior"))
        return np.where(np.isfinite(loss), loss, np.inf)

    def _misfit(self, u: np.ndarray, data: Data | None) -> np.ndarray:
        return -2 * np.sum(self.density(u, data), -1)

    def natural(self, u: np.ndarray) -> np.ndarray:
        """Values of the parameters, in their units."""
        return np.asarray(natural(self.spec, jnp.asarray(u)))

    def model_at(self, u: np.ndarray) -> Any:
        """The model at coordinates [P]."""
        return set_coordinates(self.model, self.spec, jnp.asarray(u))


class LeastSquares(Estimate):
    """Levenberg-Marquardt on sum [(expected - mean)/SEM]^2 plus the priors (`retrojax.fit.solve`).

    With `pieces` it only looks, at so many points at a time, and solves nothing: another does.
    """

    def __init__(self, problem: Problem, model: Any, spec: Spec, batch: int, max_steps: int | None = None,
                 tolerance: float | None = None, saved: Saved | None = None, name: str = "solve",
                 pieces: int | None = None):
        self.problem, self.model, self.spec, self.batch, self.pieces = problem, model, spec, batch, pieces
        self._how, self._saved = (batch, max_steps or 60, tolerance or 1e-4), saved
        self._solver: Any = None if pieces else self._compiled(problem, name)
        self._pinned: Solver | None = None

    @property
    def compile_s(self) -> float:  # type: ignore[override]
        """Time the compilations took [s]; not-a-number where it only looks."""
        own = self._solver.compile_s if self._solver else math.nan
        return own + (self._pinned.compile_s if self._pinned else 0.0)

    @property
    def data(self) -> Data:
        return {"mean": self.problem.mean[None]}

    def solve(self, u0: np.ndarray, *, keep: np.ndarray | None = None, data: Data | None = None,
              sets: np.ndarray | None = None, held: int | None = None) -> Ends:
        own = _rows(data or self.data, sets, len(u0))
        mean, prior = own["mean"], own.get("prior")
        weight = np.broadcast_to((1.0 if keep is None else keep) / self.problem.sem, mean.shape)
        if held is None:
            solved = self._solver(u0, mean, weight, prior)
        else:
            solved = self._solve_held(u0, mean, weight, prior, held)
        loss = loss_of(self.spec, solved.u, solved.prediction, mean, weight, prior)
        return Ends(solved.u, loss, solved.converged, solved.steps, solved.jacobian)

    def _solve_held(self, u0, mean, weight, prior, held: int):
        n, paths = mean.shape[-1], tuple(self.spec)
        if self._pinned is None:
            more = self.problem._replace(predict=_Pinned(self.problem.predict, paths),
                                         mean=np.concatenate([self.problem.mean, np.zeros(len(paths))]))
            self._pinned = self._compiled(more, "profile")
        place = self.natural(u0)
        pins = np.zeros(place.shape)
        parameter = list(self.spec.values())[held]
        identity = parameter.transform.kind == "identity"
        pins[:, held] = [PIN if identity else PIN / (slope(parameter, x) * abs(x)) for x in place[:, held]]
        targets, weights = np.concatenate([mean, place], -1), np.concatenate([weight, pins], -1)
        solved = self._pinned(u0, targets, weights, prior)
        return solved._replace(prediction=solved.prediction[:, :n], jacobian=solved.jacobian[:, :n])

    def expected(self, u: np.ndarray) -> np.ndarray:
        return self._there(u)[0]

    def slopes(self, u: np.ndarray) -> np.ndarray | None:
        return self._there(u)[1]

    def _there(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Expected means [K, n] and their slopes [K, n, P]."""
        count = self.problem.mean.size
        if self.pieces:
            return predicted_in_pieces(self.problem.predict, self.model, self.spec, u, self.batch, self.pieces, count)
        nothing = np.zeros((len(u), count))
        found = self._solver(u, nothing, nothing, u)
        return found.prediction, found.jacobian

    def density(self, u: np.ndarray, data: Data | None = None) -> np.ndarray:
        return np.asarray(likelihoods.gaussian((data or self.data)["mean"], self.expected(u), self.problem.sem))

    def density_of(self, values: np.ndarray) -> np.ndarray:
        return np.asarray(likelihoods.gaussian(self.problem.mean, values, self.problem.sem))

    def unchanged(self) -> np.ndarray:
        return np.ones(self.problem.mean.size)

    def draw(self, u: np.ndarray, rng: np.random.Generator) -> Data:
        expected = self.expected(u)
        return {"mean": expected + self.problem.sem * rng.standard_normal(expected.shape)}

    def information(self, ends: Ends, data: Data | None = None, sets: np.ndarray | None = None) -> np.ndarray:
        root = ends.jacobian / self.problem.sem[:, None]
        return np.swapaxes(root, -1, -2) @ root + np.diag(prior_coordinates(self.spec)[1] ** 2)

    def likelihood(self) -> Likelihood:
        return least_squares_likelihood(self.problem)

    def _misfit(self, u: np.ndarray, data: Data | None) -> np.ndarray:
        return np.sum((((data or self.data)["mean"] - self.expected(u)) / self.problem.sem) ** 2, -1)

    def _compiled(self, problem: Problem, name: str) -> Solver:
        solver = compile_solver(problem, self.model, self.spec, *self._how)
        if self._saved is None:
            return solver
        fixed = (self.model, problem.predict, str(self.spec), self._how)
        run: Any = self._saved.remember(name, solver.run, fixed)
        return solver._replace(run=run)


class _Pinned(eqx.Module):
    """Predictions, and after them the parameters themselves: a weight on one of these holds it."""

    predict: Any
    paths: tuple[str, ...] = eqx.field(static=True)

    def __call__(self, model: Any) -> Array:
        leaves, places = jax.tree.leaves(model), model_paths(model)
        # one that ran away must not turn a weight of 0 into 0 x inf
        own = [jnp.clip(leaves[places[path]], -1e150, 1e150) for path in self.paths]
        return jnp.concatenate([self.predict(model), jnp.stack(own)])


def _rows(data: Data, sets: np.ndarray | None, count: int) -> Data:
    """Means, and means of the priors if they come with the data, of each of `count` solves."""
    which = np.zeros(count, int) if sets is None else sets
    return {name: np.asarray(data[name])[which] for name in ("mean", "prior") if name in data}
