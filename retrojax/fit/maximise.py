"""Maximum likelihood: many starts at once, with its uncertainty and the score of what was left out."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix
from jaxtyping import Array, Float, Int

from retrojax.errors import InputError
from retrojax.fit import likelihoods
from retrojax.fit.identify import identify_information, spread_of_good_starts
from retrojax.fit.pieces import part_of, pieces_of
from retrojax.fit.problem import Problem, check_problem
from retrojax.fit.result import ParameterResult, Starts, parameter_results
from retrojax.fit.spec import (
    Spec,
    check_spec,
    double,
    draw_starts,
    natural,
    prior_coordinates,
    prior_misfit,
    set_coordinates,
    without_priors,
)
from retrojax.types import SeedKey


class Likelihood(NamedTuple):
    """Observations to be explained, as data.

    - `log_density`: model -> ln p of each of n observations [n]; an `equinox.Module`, so that its arrays are data of
      the compiled solve and other data of the same shape use it again. Never -inf or not-a-number near a start.
    - `groups`: observations with the same group are left out together. `weight`: 0 leaves an observation out.
    """

    log_density: Callable[[Any], Float[Array, " n"]]
    groups: tuple[str, ...]
    weight: np.ndarray | None = None

    @property
    def weights(self) -> np.ndarray:
        """Weight of each observation [n]."""
        return np.ones(len(self.groups)) if self.weight is None else np.asarray(self.weight, float)


class _Points(eqx.Module):
    """ln N(mean; prediction, SEM^2) of every point."""

    predict: Any
    mean: Float[Array, " n"] = eqx.field(converter=jnp.asarray)
    sem: Float[Array, " n"] = eqx.field(converter=jnp.asarray)

    def __call__(self, model: Any) -> Float[Array, " n"]:
        return likelihoods.gaussian(self.mean, self.predict(model), self.sem)

    def take(self, rows: Int[np.ndarray, " b"]) -> "_Points":
        """These points alone."""
        return _Points(part_of(self.predict, rows), self.mean[rows], self.sem[rows])


def least_squares_likelihood(problem: Problem) -> Likelihood:
    """The points of a least-squares problem as normal observations with their SEM.

    Minus twice its log-likelihood is the sum of squares that `fit` minimises, plus sum ln(2 pi SEM^2).

    **Raises** `InputError` for points that cannot be used.
    """
    check_problem(problem)
    with jax.enable_x64(True):
        points = _Points(problem.predict, jnp.asarray(problem.mean, float), jnp.asarray(problem.sem, float))
    return Likelihood(points, problem.groups)


class MaximumLikelihood(NamedTuple):
    """A maximum-likelihood fit.

    - `model`: the model at the optimum; `coordinates`: there [P].
    - `log_likelihood`: of the observations; `log_posterior`: plus the log priors. `n`: observations that count.
    - `log_density`: of each observation at the optimum [n].
    - `parameters`, `undetermined`, `starts`: as of `FitResult`; `starts.loss` is minus the log posterior.
    - `information`: minus the Hessian of the log posterior in the coordinates [P, P].
    - `heldout`: group -> log-likelihood of that group under the fit to the others; empty without folds.
    - `wall_s`: seconds.
    """

    model: Any
    coordinates: np.ndarray
    log_likelihood: float
    log_posterior: float
    log_density: np.ndarray
    n: int
    parameters: dict[str, ParameterResult]
    undetermined: tuple[str, ...]
    starts: Starts
    information: np.ndarray
    heldout: dict[str, float]
    wall_s: float

    @property
    def heldout_total(self) -> float:
        """Sum of the held-out log-likelihoods; not-a-number without folds."""
        return sum(self.heldout.values()) if self.heldout else float("nan")

    def summary(self) -> str:
        """The fit in words, for the terminal."""
        count, best = self.starts.loss.size, np.min(self.starts.loss)
        lines = [f"log-likelihood {self.log_likelihood:.3f}, {self.n} observations, {len(self.parameters)} parameters",
                 f"{int(np.sum(self.starts.converged))} of {count} starts converged, "
                 f"{int(np.sum(self.starts.loss < best + 0.05))} to within 0.05 of the best"]
        for path, p in self.parameters.items():
            note = f"  (at its {p.bound} bound)" if p.bound else "" if p.identified else "  (not identified)"
            sd = "unknown" if p.sd is None else f"{p.sd:.2g}"
            lines.append(f"  {path} = {p.value:.4g} +- {sd}{'' if p.unit == '1' else ' ' + p.unit}{note}")
        lines += [f"  {text}" for text in self.undetermined]
        if self.heldout:
            lines.append(f"held-out log-likelihood {self.heldout_total:.2f}")
        return "\n".join(lines)


def maximise(
    likelihood: Likelihood, model: Any, spec: Spec, *, starts: int, key: SeedKey, folds: bool = False,
    max_steps: int = 200, tolerance: float = 1e-6,
) -> MaximumLikelihood:
    """Maximise the log-likelihood plus log priors over the parameters in `spec`, in float64.

    BFGS with a forward-mode gradient from all starts at once; the optimum is the best of them. Standard deviations are
    Laplace's: the inverse of minus the Hessian of the log posterior, in the unbounded coordinates.

    **Arguments**

    - `likelihood`: the observations. `model`: any pytree. `spec`: dotted path -> `Parameter`.
    - `starts`: number of starts; the first stands at the centres of `spec`. `key`: typed key of the others.
    - `folds`: also fit without each group in turn, from the same starts, and score that group.
    - `max_steps`, `tolerance`: of each solve; relative and absolute, on coordinates and log posterior.

    **Returns** `MaximumLikelihood`. **Raises** `InputError` for a spec that cannot be used, or if no start has a finite
    log-likelihood.

    The optimum is as good as the starts; the report says how many of them ended there.
    """
    began = time.perf_counter()
    check_spec(model, spec)
    if starts < 1:
        raise InputError("starts", starts, "1 or more", "give the number of first guesses")
    with jax.enable_x64(True):
        model, likelihood = double(model), likelihood._replace(log_density=double(likelihood.log_density))
        weight = likelihood.weights
        rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel())
        u0 = draw_starts(spec, starts, rng)
        solved = solve_all(likelihood, model, spec, u0, weight, max_steps=max_steps, tolerance=tolerance)
        found = summarise(likelihood, model, spec, u0, solved, began)
        heldout = _leave_out(likelihood, model, spec, u0, weight, max_steps, tolerance) if folds else {}
        return found._replace(heldout=heldout, wall_s=time.perf_counter() - began)


class Solves(NamedTuple):
    """Where solves ended: coordinates `u` [B, P], minus the log posterior `loss` [B], `converged` [B], `steps` [B]."""

    u: np.ndarray
    loss: np.ndarray
    converged: np.ndarray
    steps: np.ndarray


def summarise(
    likelihood: Likelihood, model: Any, spec: Spec, u0: np.ndarray, solved: Solves, began: float,
    batch: int | None = None,
) -> MaximumLikelihood:
    """The best of the solves as a fit, without folds; under `jax.enable_x64(True)`, with likelihood and model double.

    **Arguments**

    - `u0`: where the solves started [S, P]. `began`: `time.perf_counter()` then. `batch`: observations looked at in
      one go; all by default.

    **Raises** `InputError` if none has a finite log-likelihood.
    """
    best = int(np.argmin(solved.loss))
    if not np.isfinite(solved.loss[best]):
        raise InputError("parameters", "all starts", "a start with a finite log-likelihood", "narrow the starts")
    u, weight = solved.u[best], likelihood.weights
    density, information = _curvature_in_pieces(likelihood.log_density, model, spec, jnp.asarray(u), weight, batch)
    values = np.asarray(natural(spec, jnp.asarray(solved.u)))
    local = identify_information(spec, values[best], information)
    others = spread_of_good_starts(spec, values, 2 * solved.loss)
    return MaximumLikelihood(
        model=set_coordinates(model, spec, jnp.asarray(u)),
        coordinates=u,
        log_likelihood=float(np.sum(np.where(weight > 0, weight * density, 0.0))),
        log_posterior=-float(solved.loss[best]),
        log_density=density,
        n=int(np.sum(weight > 0)),
        parameters=parameter_results(spec, values[best], np.maximum(local.log_sd, others.log_sd)),
        undetermined=local.undetermined + others.undetermined,
        starts=Starts(solved.loss, solved.converged, solved.steps, np.asarray(natural(spec, jnp.asarray(u0))), values),
        information=information,
        heldout={},
        wall_s=time.perf_counter() - began,
    )


def solve_all(
    likelihood: Likelihood, model: Any, spec: Spec, u0: np.ndarray, weight: np.ndarray, held: np.ndarray | None = None,
    prior: np.ndarray | None = None, *, max_steps: int = 200, tolerance: float = 1e-6,
) -> Solves:
    """Independent solves as one batch; with the same shapes a second call compiles nothing.

    **Arguments**

    - `u0`: starts [B, P]. `weight`: of each observation [n] or [B, n]. `held`: True where a coordinate stays [P].
    - `prior`: means of the priors of every solve [B, P], by default those of the spec.
    """
    weights = jnp.asarray(np.broadcast_to(weight, (len(u0), np.shape(weight)[-1])), float)
    held = np.zeros(len(spec), bool) if held is None else held
    priors = jnp.asarray(np.broadcast_to(prior_coordinates(spec)[0] if prior is None else prior, np.shape(u0)), float)
    # as items: a dict that passes through jit comes out in the order of its keys
    out = _solve(likelihood.log_density, model, tuple(spec.items()), jnp.asarray(u0, float), weights,
                 priors, jnp.asarray(held), max_steps, tolerance)
    u, loss, converged, steps = (np.asarray(field) for field in out)
    return Solves(u, np.where(np.isfinite(loss), loss, np.inf), converged, steps)


def log_posterior(
    log_density: Callable[[Any], Array], model: Any, spec: Spec, u: Array, weight: Any, prior: Any = None
) -> Array:
    """Log-likelihood of the weighted observations plus the log priors up to a constant, at coordinates `u` [P].

    `prior`: means of the priors in coordinates [P], by default those of the spec.
    """
    density = log_density(set_coordinates(model, spec, u))
    # 0 x -inf: an observation that is left out must not poison the sum
    return jnp.sum(jnp.where(weight > 0, weight * density, 0.0)) - 0.5 * prior_misfit(spec, u, prior)


@eqx.filter_jit
def _solve(log_density, model, items, u0, weights, priors, held, max_steps, tolerance):
    spec = dict(items)
    method = optimistix.BFGS(rtol=tolerance, atol=tolerance)

    def one(start, weight, prior):
        def loss(u, _):
            value = -log_posterior(log_density, model, spec, jnp.where(held, start, u), weight, prior)
            return jnp.where(jnp.isfinite(value), value, 1e12)

        found = optimistix.minimise(
            loss, method, start, options={"autodiff_mode": "fwd"}, max_steps=max_steps, throw=False)
        u = jnp.where(held, start, found.value)
        flat = jnp.max(jnp.abs(jax.jacfwd(loss)(u, None))) < 1e-2
        return u, loss(u, None), (found.result == optimistix.RESULTS.successful) | flat, found.stats["num_steps"]

    return jax.vmap(one)(u0, weights, priors)


def _curvature_in_pieces(log_density, model, spec, u, weight, size) -> tuple[np.ndarray, np.ndarray]:
    """Log densities at u [n], and minus the second derivatives of the log posterior [P, P]."""
    items, information = tuple(spec.items()), np.diag(prior_coordinates(spec)[1] ** 2)
    densities = []
    for part, rows, new in pieces_of(log_density, weight.size, size):
        density, bent = _curvature(part, model, items, u, jnp.asarray(weight[rows] * (np.arange(rows.size) < new)))
        densities.append(np.asarray(density)[:new])
        information = information + np.asarray(bent)
    return np.concatenate(densities), information


@eqx.filter_jit
def _curvature(log_density, model, items, u, weight):
    bare = without_priors(dict(items))

    def minus(u):
        return -log_posterior(log_density, model, bare, u, weight)

    return log_density(set_coordinates(model, bare, u)), jax.jacfwd(jax.jacfwd(minus))(u)


def _leave_out(likelihood, model, spec, u0, weight, max_steps, tolerance) -> dict[str, float]:
    """Group -> its log-likelihood under the best of the solves without it."""
    groups = np.asarray(likelihood.groups)
    names = list(dict.fromkeys(groups[weight > 0].tolist()))
    if len(names) < 2:
        raise InputError("likelihood.groups", names, "at least two groups", "name what is to be left out together")
    kept = np.stack([weight * (groups != name) for name in names])
    scores = {}
    for name, row in zip(names, kept, strict=True):
        solved = solve_all(likelihood, model, spec, u0, row, max_steps=max_steps, tolerance=tolerance)
        u = jnp.asarray(solved.u[np.argmin(solved.loss)])
        density = np.asarray(eqx.filter_jit(likelihood.log_density)(set_coordinates(model, spec, u)))
        scores[name] = float(np.sum((weight * density)[groups == name]))
    return scores
