"""One compiled least-squares solve for many starts, targets and weights at once."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix
from jaxtyping import Bool, Float, Int

from retrojax.fit.problem import Problem
from retrojax.fit.spec import Spec, prior_coordinates, prior_misfit, set_coordinates

FLAT = 0.05
"""The loss is flat where no parameter changes it by more than this per unit of its coordinate (an e-fold)."""


class Solved(NamedTuple):
    """Where B solves ended.

    - `u`: coordinates. `prediction`: predictions there. `jacobian`: d prediction / d u.
    - `converged`: steps and loss met the tolerance, or the loss is flat (`FLAT`). A plateau is flat too.
    - `steps`: evaluations of residuals and Jacobian.
    """

    u: Float[np.ndarray, "B P"]
    prediction: Float[np.ndarray, "B n"]
    jacobian: Float[np.ndarray, "B n P"]
    converged: Bool[np.ndarray, " B"]
    steps: Int[np.ndarray, " B"]


class Solver(NamedTuple):
    """A compiled solve of fixed batch size, and how long compiling took [s].

    `run(u0, mean, weight, prior)`: starts [B, P]; targets [B, n]; weights (1/SEM, or 0 for a point left out) [B, n];
    means of the priors in coordinates [B, P]. With all weights 0 and the priors at the starts it evaluates there.
    It returns the fields of `Solved` in their order, on the device. `prior`: means of the priors of the spec [P].
    """

    run: Callable[..., tuple[jax.Array, ...]]
    batch: int
    compile_s: float
    prior: np.ndarray

    def __call__(self, u0: np.ndarray, mean: np.ndarray, weight: np.ndarray, prior: np.ndarray | None = None) -> Solved:
        """Any number of solves, a batch at a time; `prior` by default that of the spec for all."""
        prior = np.broadcast_to(self.prior if prior is None else prior, np.shape(u0))
        pieces = []
        for rows in batches(len(u0), self.batch):
            part = self.run(*(jnp.asarray(values[rows], float) for values in (u0, mean, weight, prior)))
            pieces.append([np.asarray(field) for field in part])
        return Solved(*(np.concatenate(parts)[: len(u0)] for parts in zip(*pieces, strict=True)))


def compile_solver(problem: Problem, model: Any, spec: Spec, batch: int, max_steps: int, tolerance: float) -> Solver:
    """Compile Levenberg-Marquardt for `batch` independent solves.

    Minimises sum [weight (prediction - mean)]^2 plus the priors, with a forward-mode Jacobian: one pass per parameter.
    Targets, weights and prior means are arguments, so held-out folds and synthetic data use the same executable.

    **Arguments**

    - `max_steps`: evaluations a start may use. `tolerance`: relative and absolute, on coordinates and on the loss.
    """
    own_prior, prior_weight = prior_coordinates(spec)
    method: optimistix.LevenbergMarquardt = optimistix.LevenbergMarquardt(rtol=tolerance, atol=tolerance)

    def one(data, u0, mean, weight, prior):
        fixed, predict = data

        def prediction(u):
            value = predict(set_coordinates(fixed, spec, u))
            return value, value

        def residuals(u, _):
            # value and Jacobian come from one forward pass; the line through them is what the solver differentiates, so
            # it neither stores the run for a linear pass nor runs the protocols a second time
            here = jax.lax.stop_gradient(u)
            jacobian, value = jax.jacfwd(prediction, has_aux=True)(here)
            line = value + jacobian @ (u - here)
            out = jnp.concatenate([weight * (line - mean), prior_weight * (u - prior)])
            return out, (value, jacobian)

        found = optimistix.least_squares(
            residuals, method, u0, has_aux=True, options={"jac": "fwd"}, max_steps=max_steps, throw=False)
        # what the solver carries along may lag its answer by one step
        value, jacobian = residuals(found.value, None)[1]
        pull = prior_weight**2 * (found.value - prior)
        gradient = 2 * (jacobian.T @ (weight**2 * (value - mean)) + pull)
        settled = found.result == optimistix.RESULTS.successful
        converged = settled | (jnp.max(jnp.abs(gradient)) < FLAT)
        return found.value, value, jacobian, converged, jnp.asarray(found.stats["num_steps"])

    started = time.perf_counter()
    points = problem.mean.size
    examples = [jnp.zeros((batch, width)) for width in (len(spec), points, points, len(spec))]
    data = (model, problem.predict)
    many: Any = eqx.filter_jit(eqx.filter_vmap(one, in_axes=(None, 0, 0, 0, 0)))
    executable = many.lower(data, *examples).compile()
    return Solver(lambda *arrays: executable(data, *arrays), batch, time.perf_counter() - started, own_prior)


def batches(count: int, size: int) -> list[np.ndarray]:
    """Rows of each batch of `size`; spare rows of the last repeat its first."""
    return [np.where(rows < count, rows, rows[0]) for rows in (first + np.arange(size) for first in
                                                               range(0, count, size))]


def loss_of(
    spec: Spec, u: np.ndarray, prediction: np.ndarray, mean: np.ndarray, weight: np.ndarray,
    prior: np.ndarray | None = None,
) -> np.ndarray:
    """Loss of every row: weighted squares plus priors; infinite where a prediction is not finite."""
    loss = np.sum((weight * (prediction - mean)) ** 2, -1) + prior_misfit(spec, u, prior)
    return np.where(np.isfinite(loss), loss, np.inf)
