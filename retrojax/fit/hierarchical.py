"""A population of cells: its mean and spread, and every cell's own parameters drawn towards it.

Cell c has coordinates u_c (the unbounded ones of the spec), normal over the population: u_c ~ N(m, S), with S diagonal
or full (`retrojax.fit.population_law`). Its data y_c enter through ln p(y_c | u_c). The population is found by maximum
marginal likelihood, with the integral over the cells by Laplace's method:

    ln p(y | m, S) = sum_c [ ln p(y_c | u_c*) + ln N(u_c*; m, S) + P/2 ln 2 pi - 1/2 ln det H_c ]

with u_c* the most probable coordinates of the cell given m and S, and H_c minus the Hessian of the terms in u_c there.
It is exact where the responses are linear in u and the noise is normal.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix
from jaxtyping import Array, Float

from retrojax.errors import InputError
from retrojax.fit.population_law import correlation_of, law
from retrojax.fit.spec import Spec, centres, check_spec, double, natural, set_coordinates

TRIALS, STEP_LIMIT, DIFFERENCE = 40, 3.0, 1e-4
"""Newton trials of a cell; the longest step of one in a coordinate; the step of the outer Hessian's differences."""


class Population(NamedTuple):
    """A population fit of C cells with P parameters. Coordinates are those of the transforms in the spec.

    - `paths`: names. `median`: of the population, in the parameters' units [P].
    - `mean`, `spread`: m and s, the roots of the diagonal of S [P]. `mean_sd`, `log_spread_sd`: standard deviations of
      m and of ln s; infinite where the data say nothing.
    - `correlation`: of the coordinates over the population [P, P]; the identity where they are independent.
      `correlation_sd`: its standard deviations; 0 where they are independent.
    - `cells`: most probable coordinates of every cell [C, P], drawn towards m. `cells_sd`: given m and s [C, P].
    - `cell_values`: the cells in the parameters' units [C, P].
    - `log_marginal`: ln p(y | m, S) at the optimum. `converged`: the solve of m and S, and every cell at it.
    - `theta`, `information`: hyperparameters there, and minus the Hessian of ln p(y | m, S) in them [H], [H, H].
    - `wall_s`: seconds.
    """

    paths: tuple[str, ...]
    median: np.ndarray
    mean: np.ndarray
    mean_sd: np.ndarray
    spread: np.ndarray
    log_spread_sd: np.ndarray
    correlation: np.ndarray
    correlation_sd: np.ndarray
    cells: np.ndarray
    cells_sd: np.ndarray
    cell_values: np.ndarray
    log_marginal: float
    converged: bool
    theta: np.ndarray
    information: np.ndarray
    wall_s: float

    @property
    def aic(self) -> float:
        """2 H - 2 ln p(y | m, S), to compare independent with correlated coordinates."""
        return 2 * self.theta.size - 2 * self.log_marginal


def fit_population(
    log_density: Callable[[Any, Any], Float[Array, ""]], cells: Any, model: Any, spec: Spec, *, spread: float = 0.5,
    correlated: bool = False, max_steps: int = 200, tolerance: float = 1e-6,
) -> Population:
    """Population mean and spread of the parameters in `spec`, and every cell's own, in float64.

    The cells are solved together by damped Newton steps; the hyperparameters by BFGS. One more Newton step at the
    optimum carries the derivative of u_c* by them, which is that of the implicit function theorem.

    **Arguments**

    - `log_density`: (model, data of one cell) -> ln p of the cell's data. Twice differentiable in the parameters.
    - `cells`: pytree of arrays with the cells along the first axis; give cells of unequal size weights of 0.
    - `model`: any pytree. `spec`: dotted path -> `Parameter`; centres are the first m, priors and spreads are not used.
    - `spread`: first s, in every coordinate. `max_steps`, `tolerance`: of the solve of the hyperparameters.
    - `correlated`: fit the P (P - 1)/2 correlations of the coordinates too, from those of the independent fit's cells.

    **Returns** `Population`. **Raises** `InputError` for a spec that cannot be used, fewer than two cells, correlations
    of one parameter or of fewer cells than would determine them, or a start whose marginal likelihood is not finite.

    **Limits** All parameters of the spec vary over the population. Laplace's method needs cells with one optimum each.
    With few cells the spread is underestimated, as by any maximum likelihood: by a factor of sqrt((C - 1)/C) for exact
    data. A spread may go to 0, where its standard deviation and its correlations mean nothing.

    References: Kristensen, Nielsen, Berg, Skaug & Bell (2016) J Stat Softw 70(5):1; Skaug & Fournier (2006) Comput Stat
    Data Anal 51:699.
    """
    began = time.perf_counter()
    check_population(cells, model, spec, correlated)
    if not spread > 0:
        raise InputError("spread", spread, "a positive number", "give a first standard deviation, for example 0.5")
    with jax.enable_x64(True):
        data = (log_density, double(jax.tree.map(jnp.asarray, cells)), double(model), tuple(spec.items()))
        start = np.concatenate([centres(spec), np.full(len(spec), np.log(spread))])
        theta, settled = _optimum(*data, jnp.asarray(start), max_steps, tolerance)
        if correlated:
            cells_at = np.asarray(_at(*data, jnp.asarray(theta)[None])[2][0])
            theta = jnp.concatenate([theta, jnp.asarray(_first_correlations(cells_at))])
            theta, settled = _optimum(*data, theta, max_steps, tolerance)
        return _summary(data, spec, theta, bool(settled), began)


def check_population(cells: Any, model: Any, spec: Spec, correlated: bool) -> None:
    """Refuse what has no population: **raises** `InputError`."""
    check_spec(model, spec)
    counts = {leaf.shape[0] for leaf in jax.tree.leaves(cells)}
    if len(counts) != 1 or min(counts) < 2:
        raise InputError("cells", sorted(counts), "one first axis of at least two cells", "stack the cells")
    if correlated and not 1 < len(spec) < min(counts):
        raise InputError("correlated", f"{len(spec)} parameters of {min(counts)} cells",
                         "two or more parameters, and more cells than parameters", "leave `correlated` out")


def _summary(data: tuple[Any, Any, Any, Any], spec: Spec, theta: Array, settled: bool, began: float) -> Population:
    """The population at the optimum, with Laplace's uncertainties."""
    size, kicks = len(spec), DIFFERENCE * np.eye(theta.size)
    around = jnp.concatenate([theta[None], theta + kicks, theta - kicks])
    minus, slopes, u, curvature, rest = (np.asarray(x) for x in _at(*data, around))
    if not np.isfinite(minus[0]) or minus[0] >= 1e12:
        raise InputError("parameters", "the centres", "a finite marginal likelihood", "move the centres or spread")
    information = (slopes[1 : 1 + theta.size] - slopes[1 + theta.size :]) / (2 * DIFFERENCE)
    information = 0.5 * (information + information.T)
    mean, log_spread, z = np.split(np.asarray(theta), [size, 2 * size])
    sd = _deviations(information)
    correlation, correlation_sd = np.eye(size), np.zeros((size, size))
    if z.size:
        correlation = np.asarray(correlation_of(jnp.asarray(z), size))
        slope = np.asarray(jax.jacfwd(lambda x: correlation_of(x, size))(jnp.asarray(z)))
        covariance = np.linalg.pinv(information, hermitian=True)[2 * size :, 2 * size :]
        correlation_sd = np.sqrt(np.maximum(np.einsum("ijk,kl,ijl->ij", slope, covariance, slope), 0.0))
    return Population(
        paths=tuple(spec), median=np.asarray(natural(spec, jnp.asarray(mean))), mean=mean, mean_sd=sd[:size],
        spread=np.exp(log_spread), log_spread_sd=sd[size : 2 * size], correlation=correlation,
        correlation_sd=correlation_sd, cells=u[0],
        cells_sd=np.sqrt(np.diagonal(np.linalg.inv(curvature[0]), axis1=-2, axis2=-1)),
        cell_values=np.asarray(natural(spec, jnp.asarray(u[0]))), log_marginal=-float(minus[0]),
        converged=settled and bool(rest[0]), theta=np.asarray(theta), information=information,
        wall_s=time.perf_counter() - began,
    )


def _first_correlations(u: np.ndarray) -> np.ndarray:
    """z of the correlation of the cells [C, P], drawn half way to independence so that none starts at a bound."""
    size = u.shape[1]
    found = np.nan_to_num(np.corrcoef(u.T))  # a spread of 0 has no correlation
    np.fill_diagonal(found, 1.0)
    root = np.linalg.cholesky(0.5 * (found + np.eye(size)))
    return (root / np.diag(root)[:, None])[np.tril_indices(size, -1)]


@eqx.filter_jit
def _optimum(log_density, cells, model, items, start, max_steps, tolerance):
    def loss(theta, _):
        value = _minus_marginal(log_density, cells, model, dict(items), theta)[0]
        return jnp.where(jnp.isfinite(value), value, 1e12)

    found = optimistix.minimise(loss, optimistix.BFGS(rtol=tolerance, atol=tolerance), start,
                                options={"autodiff_mode": "fwd"}, max_steps=max_steps, throw=False)
    flat = jnp.max(jnp.abs(jax.jacfwd(loss)(found.value, None))) < 1e-2
    return found.value, (found.result == optimistix.RESULTS.successful) | flat


@eqx.filter_jit
def _at(log_density, cells, model, items, thetas):
    """Minus the log marginal, its slope, cells, their curvatures, and whether they rest, at several hyperparameters."""
    def one(theta):
        def both(x):
            value, *others = _minus_marginal(log_density, cells, model, dict(items), x)
            return value, (value, *others)

        slope, (value, u, curvature, rest) = jax.jacfwd(both, has_aux=True)(theta)
        return value, slope, u, curvature, rest

    return jax.lax.map(one, thetas)


def _minus_marginal(log_density, cells, model, spec, theta):
    def minus(u, cell, hyper):
        return -law(hyper, len(spec)).log_density(u) - log_density(set_coordinates(model, spec, u), cell)

    def one(cell):
        fixed = jax.lax.stop_gradient(theta)
        top = jax.lax.stop_gradient(_newton(lambda u: minus(u, cell, fixed), fixed[: len(spec)]))
        slope, curvature = _slope_and_curvature(lambda u: minus(u, cell, theta), top)
        # at the optimum the slope is 0, so the derivative of this step is -H^-1 d slope: that of the optimum itself
        u = top - jnp.linalg.solve(jax.lax.stop_gradient(curvature), slope)
        value = minus(u, cell, theta)
        _, curvature = _slope_and_curvature(lambda v: minus(v, cell, theta), u)
        root = jnp.linalg.cholesky(curvature)
        laplace = jnp.sum(jnp.log(jnp.diagonal(root))) - 0.5 * u.size * jnp.log(2 * jnp.pi)
        return value + laplace, u, curvature, jnp.max(jnp.abs(slope) * jnp.exp(theta[len(spec) : 2 * len(spec)])) < 1e-3

    values, u, curvature, rest = jax.vmap(one)(cells)
    return jnp.sum(values), u, curvature, jnp.all(rest)


def _newton(loss: Callable, start: Array) -> Array:
    """Damped Newton steps from `start`; a step that does not lower the loss is taken back and damped more."""
    def trial(_, held):
        u, value, damping = held
        slope, curvature = _slope_and_curvature(loss, u)
        size, axes = jnp.linalg.eigh(curvature)
        # along an axis that curves the wrong way the step goes downhill all the same
        bent = jnp.maximum(jnp.abs(size), 1e-9 * jnp.max(jnp.abs(size))) * (1 + damping)
        aimed = u - jnp.clip(axes @ ((axes.T @ slope) / bent), -STEP_LIMIT, STEP_LIMIT)
        there = loss(aimed)
        better = there <= value
        return (jnp.where(better, aimed, u), jnp.where(better, there, value),
                jnp.where(better, damping / 10, 10 * damping + 1e-2))

    return jax.lax.fori_loop(0, TRIALS, trial, (start, loss(start), jnp.zeros(())))[0]


def _slope_and_curvature(loss: Callable, u: Array) -> tuple[Array, Array]:
    slope = jax.jacfwd(loss)
    return slope(u), jax.jacfwd(slope)(u)


def _deviations(information: np.ndarray) -> np.ndarray:
    """Standard deviations from an information matrix; infinite along a direction that is flat or curves wrongly."""
    size, vectors = np.linalg.eigh(information)
    variance = np.where(size > 0, 1 / np.where(size > 0, size, 1.0), np.inf)
    weight = vectors**2
    return np.sqrt(np.sum(np.where(weight > 1e-12, weight * variance, 0.0), -1))
