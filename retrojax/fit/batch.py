"""Many small bounded least-squares problems at once: one compiled Levenberg-Marquardt over a batch."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from retrojax.fit.solve import batches

LARGEST_STEP = 2.0
"""No coordinate moves further than this in one step: a problem that starts flat does not jump to its bound."""

DAMPING_LIMIT = 1e10
"""A problem whose damping exceeds this has no descent left within rounding, and stops."""


class BatchSolved(NamedTuple):
    """Where B problems ended.

    - `u`: coordinates. `loss`: sum of squared residuals there.
    - `converged`: the predicted decrease of the loss is below the tolerance.
    - `steps`: evaluations of residuals and Jacobian. `wall_s`: time of the whole batch [s], without compiling.
    """

    u: Float[np.ndarray, "B P"]
    loss: Float[np.ndarray, " B"]
    converged: Bool[np.ndarray, " B"]
    steps: Int[np.ndarray, " B"]
    wall_s: float


class BatchSolver(NamedTuple):
    """A compiled solve of fixed batch size, and how long compiling took [s]."""

    executable: Callable[..., tuple[jax.Array, ...]]
    batch: int
    max_steps: int
    compile_s: float

    def __call__(self, u0: Any, data: Any, max_steps: int | None = None) -> BatchSolved:
        """Solve any number of problems, a batch at a time; spare rows of the last batch repeat its first.

        **Arguments**

        - `u0`: starts [N, P]. `data`: leaves [N, ...] with the row shapes compiled for.
        - `max_steps`: evaluations a problem may use; by default those given to `compile_batch`.
        """
        started, pieces = time.perf_counter(), []
        most = jnp.asarray(self.max_steps if max_steps is None else max_steps)
        for rows in batches(len(u0), self.batch):
            part = self.executable(*jax.tree.map(lambda leaf, rows=rows: jnp.asarray(leaf[rows]), (u0, data)), most)
            pieces.append([np.asarray(field) for field in part])
        u, loss, converged, steps = (np.concatenate(parts)[: len(u0)] for parts in zip(*pieces, strict=True))
        return BatchSolved(u, loss, converged, steps, time.perf_counter() - started)


class _State(NamedTuple):
    u: Float[Array, " P"]
    loss: Float[Array, ""]
    gradient: Float[Array, " P"]
    curvature: Float[Array, "P P"]
    damping: Float[Array, ""]
    steps: Int[Array, ""]
    converged: Bool[Array, ""]


def compile_batch(
    residuals: Callable[..., Any], u0: Any, data: Any, low: Any, high: Any, *, max_steps: int = 100,
    tolerance: float = 1e-8,
) -> BatchSolver:
    """Compile the minimisation of sum residuals(u, data)^2 within low <= u <= high, for B independent problems.

    Projected Levenberg-Marquardt: a coordinate at its bound whose gradient points outward is held; the others step by
    (J'J + lambda diag J'J)^-1 J'r, cut at the bounds. Residuals and forward-mode Jacobian of a trial come from one
    pass, and only J'J and J'r are kept, so memory is B x P^2 whatever the number of points. The loop ends when every
    problem has converged. A problem whose trial is not finite steps back.

    Why not `optimistix.least_squares` under `vmap`, as in `retrojax.fit.solve`: it has no bounds, and a bound reached
    through a logit is a plateau on which a start stays; and it factorises J by a library call per problem, where here
    the P x P system is unrolled and runs over the whole batch.

    **Arguments**

    - `residuals`: (u [P], one row of data) -> residuals [n]; weights belong inside.
    - `u0`: starts [B, P]. `data`: pytree of arrays with a leading axis B. Both give shapes and kinds only.
    - `low`, `high`: bounds of the coordinates, [P].
    - `max_steps`: evaluations a problem may use. `tolerance`: on the decrease of the loss that the quadratic model
      predicts, relative to the loss.

    **Limits** For few parameters (P up to about 8) in float64: the normal equations square the condition number.

    References: Moré (1978) Lect Notes Math 630:105; Kanzow, Yamashita & Fukushima (2004) J Comput Appl Math 172:375.
    """
    lower, upper = jnp.asarray(low, float), jnp.asarray(high, float)

    def evaluate(u, row):
        def both(v):
            out = residuals(v, row)
            return out, out

        jacobian, value = jax.jacfwd(both, has_aux=True)(u)
        loss = value @ value
        fine = jnp.isfinite(loss) & jnp.all(jnp.isfinite(jacobian))
        return jnp.where(fine, loss, jnp.inf), jacobian.T @ value, jacobian.T @ jacobian

    def step(s: _State, row) -> _State:
        held = ((s.u <= lower) & (s.gradient > 0)) | ((s.u >= upper) & (s.gradient < 0))
        free = 1.0 - held
        gradient = s.gradient * free
        curvature = s.curvature * free[:, None] * free
        scale = jnp.diag(curvature)
        damped = curvature + jnp.diag(s.damping * jnp.maximum(scale, 1e-9 * jnp.max(scale) + 1e-300) + held)
        aimed = s.u + jnp.clip(_solve(damped, -gradient), -LARGEST_STEP, LARGEST_STEP)
        # coordinates that would cross a bound stop there, and the others are solved for again, given that
        stopped = (aimed < lower) | (aimed > upper) | held
        fixed = jnp.where(stopped, jnp.clip(aimed, lower, upper) - s.u, 0.0)
        loose = 1.0 - stopped
        within = damped * loose[:, None] * loose + jnp.diag(1.0 * stopped)
        others = _solve(within, -(gradient + s.curvature @ fixed) * loose)
        trial = jnp.clip(s.u + fixed + jnp.clip(others, -LARGEST_STEP, LARGEST_STEP), lower, upper)
        move = trial - s.u
        decrease = -(2 * s.gradient @ move + move @ s.curvature @ move)
        loss, slope, bend = evaluate(trial, row)
        better = loss < s.loss
        damping = jnp.where(better, s.damping / 5, s.damping * 4)
        # a small predicted decrease says that the optimum is here only where damping does not shorten the step
        at_rest = (decrease <= tolerance * s.loss) & ((s.damping < 1e-2) | (jnp.max(jnp.abs(gradient)) == 0))
        converged = at_rest | (damping > DAMPING_LIMIT) | (s.loss == 0)
        new = _State(trial, loss, slope, bend, s.damping, s.steps, s.converged)
        kept = jax.tree.map(lambda a, b: jnp.where(better, a, b), new, s)
        return kept._replace(damping=jnp.maximum(damping, 1e-12), steps=s.steps + 1, converged=converged)

    def one(start, row, most):
        u = jnp.clip(start, lower, upper)
        first = _State(u, *evaluate(u, row), jnp.asarray(1e-2, float), jnp.asarray(1), jnp.asarray(False))
        first = first._replace(gradient=jnp.nan_to_num(first.gradient), curvature=jnp.nan_to_num(first.curvature))
        last = jax.lax.while_loop(lambda s: ~s.converged & (s.steps < most), lambda s: step(s, row), first)
        return last.u, last.loss, last.converged, last.steps

    started = time.perf_counter()
    example = jax.tree.map(jnp.asarray, (u0, data))
    executable = jax.jit(jax.vmap(one, in_axes=(0, 0, None))).lower(*example, jnp.asarray(max_steps)).compile()
    return BatchSolver(executable, len(u0), max_steps, time.perf_counter() - started)


def _solve(matrix: Float[Array, "P P"], right: Float[Array, " P"]) -> Float[Array, " P"]:
    """Solution of a small positive definite system by an unrolled LDL' factorisation."""
    size = right.shape[0]
    rows = [[matrix[i, j] for j in range(size)] for i in range(size)]
    value = [right[i] for i in range(size)]
    for k in range(size):
        for i in range(k + 1, size):
            factor = rows[i][k] / rows[k][k]
            value[i] = value[i] - factor * value[k]
            for j in range(k + 1, size):
                rows[i][j] = rows[i][j] - factor * rows[k][j]
    for k in reversed(range(size)):
        value[k] = (value[k] - sum(rows[k][j] * value[j] for j in range(k + 1, size))) / rows[k][k]
    return jnp.stack(value)


def best_starts(solved: BatchSolved, starts: int) -> tuple[Float[np.ndarray, "G P"], Float[np.ndarray, " G"]]:
    """Coordinates and loss of the best of each group of `starts` consecutive problems."""
    loss = np.where(np.isfinite(solved.loss), solved.loss, np.inf).reshape(-1, starts)
    winner = np.argmin(loss, -1)
    groups = np.arange(len(loss))
    return solved.u.reshape(len(loss), starts, -1)[groups, winner], loss[groups, winner]


def linear_amplitude(shape: Array, values: Array, weight: Array) -> Array:
    """Amplitude a that minimises sum [weight (values - a shape)]^2 over the last axis; 0 where `shape` vanishes.

    The fit of the other parameters then moves in the reduced problem (variable projection).

    References: Golub & Pereyra (1973) SIAM J Numer Anal 10:413.
    """
    power = jnp.sum((weight * shape) ** 2, -1)
    safe = jnp.where(power > 0, power, 1.0)
    return jnp.where(power > 0, jnp.sum(weight**2 * shape * values, -1) / safe, 0.0)


__all__ = ["BatchSolved", "BatchSolver", "best_starts", "compile_batch", "linear_amplitude"]
