"""Maximum likelihood or least squares by any optax transformation, on all observations or on mini-batches of them."""

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int, PyTree, UInt

from retrojax.errors import InputError
from retrojax.fit.maximise import Likelihood, MaximumLikelihood, Solves, log_posterior, summarise
from retrojax.fit.pieces import on_host, part_of, pieces_of
from retrojax.fit.spec import Spec, check_spec, double, draw_starts, prior_coordinates, prior_misfit, without_priors
from retrojax.types import SeedKey

SMOOTHED_OVER = 10
"""Steps over which the loss is averaged before a start is judged to stand still; a mini-batch is noisy."""


class Descent(NamedTuple):
    """Where a descent of S starts stands: everything that the next step needs, all arrays.

    Written by `equinox.tree_serialise_leaves` and read back into what `start_descent` gives, it goes on to the bit.

    - `initial`, `u`: coordinates at the beginning and now. `moments`: state of the optax transformation of every start.
    - `loss`: minus the log posterior, averaged over the last steps. `best`: lowest so far.
    - `still`: steps since `best` last fell. `steps`: updates done. `iteration`: of all starts, counts the draws.
    - `seed`: data of the key of the mini-batches.
    """

    initial: Float[Array, "S P"]
    u: Float[Array, "S P"]
    moments: PyTree
    loss: Float[Array, " S"]
    best: Float[Array, " S"]
    still: Int[Array, " S"]
    steps: Int[Array, " S"]
    iteration: Int[Array, ""]
    seed: UInt[Array, "..."]


def start_descent(spec: Spec, optimiser: optax.GradientTransformation, *, starts: int, key: SeedKey) -> Descent:
    """The descent before its first step; the first start stands at the centres of `spec`.

    **Arguments**

    - `optimiser`: any optax transformation, its schedule included. `starts`: number of starts.
    - `key`: typed key of the starts and of the mini-batches.

    **Raises** `InputError` without a start.
    """
    if starts < 1:
        raise InputError("starts", starts, "1 or more", "give the number of first guesses")
    with jax.enable_x64(True):
        rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel())
        return descent_from(draw_starts(spec, starts, rng), optimiser, key)


def descent_from(u0: Float[np.ndarray, "S P"], optimiser: optax.GradientTransformation, key: SeedKey) -> Descent:
    """The descent before its first step from given coordinates, under x64; `key`: of the mini-batches."""
    u = jnp.asarray(u0, float)
    high, none = jnp.full(len(u), jnp.inf), jnp.zeros(len(u), jnp.int32)
    moments = jax.vmap(optimiser.init)(u)
    return Descent(u, u, moments, high, high, none, none, jnp.zeros((), jnp.int32), jax.random.key_data(key))


def descend(
    likelihood: Likelihood, model: Any, spec: Spec, optimiser: optax.GradientTransformation, descent: Descent,
    steps: int, *, batch: int | None = None, patience: int = 200, least: float = 1e-6,
) -> Descent:
    """Go on for `steps` steps, in float64, with a forward-mode gradient of all starts at once.

    A step uses the gradient of minus the log posterior, with a mini-batch standing for all n observations: its
    log-likelihood counts n/batch times. n steps and m more are n + m steps, bit for bit.

    **Arguments**

    - `likelihood`, `model`, `spec`: as for `maximise`. `optimiser`: that of `start_descent`.
    - `steps`: may change without compiling again.
    - `batch`: observations of a mini-batch, drawn anew for every step without replacement, the same for all starts;
      None uses all. The compiled step is given these alone, so that its memory grows with `batch`. Every array of
      `likelihood.log_density` must then have the observations as its first axis, or the density a method `take(rows)`
      that gives the density of these observations alone.
    - `patience`: a start stops once its averaged loss has not fallen by `least` for this many steps. The loss of
      mini-batches rises and falls with the draws: give them a patience as long as the schedule of the step size.

    **Returns** where it stands now. **Raises** `InputError` for a spec or a batch that cannot be used.

    A step whose gradient is not finite leaves its start where it is.
    """
    check_spec(model, spec)
    with jax.enable_x64(True):
        density = double(likelihood.log_density)
        if batch is not None:
            check_batch(density, len(likelihood.groups), batch)
        return descend_each(density, double(model), spec, optimiser, _alike(likelihood, spec, len(descent.u)), descent,
                            steps, batch=batch, patience=patience, least=least)


class Each(NamedTuple):
    """What may differ between S descents of n observations that run at once.

    - `data`: pytree of arrays [S, n, ...] given to the density after the model; None where it has its own data.
    - `weight`: of each observation [S, n]. `prior`: means of the priors in coordinates [S, P].
    - `held`: True where a coordinate stays where it started [S, P].
    """

    data: PyTree
    weight: Float[Array, "S n"]
    prior: Float[Array, "S P"]
    held: Bool[Array, "S P"]


def descend_each(
    density: Any, model: Any, spec: Spec, optimiser: optax.GradientTransformation, each: Each, descent: Descent,
    steps: int, *, batch: int | None, patience: int, least: float = 1e-6,
) -> Descent:
    """`descend` with data, weights, priors and held coordinates of every start's own; all in double, under x64."""
    fixed, limits = (model, tuple(spec.items()), optimiser), (jnp.asarray(patience), jnp.asarray(least))
    if batch is None:
        return _descend(density, each, descent, fixed, jnp.asarray(steps), limits)
    return _descend_by_batches(density, each, descent, fixed, steps, limits, batch)


def standing(
    density: Any, model: Any, spec: Spec, each: Each, u: Float[Array, "S P"], batch: int | None = None
) -> tuple[Float[np.ndarray, " S"], Bool[np.ndarray, " S"]]:
    """Minus the log posterior of every start over all its observations, `batch` of them at a time, and whether it is
    flat there: no coordinate changes it by more than 0.01 per unit."""
    mean, inverse_sd = np.asarray(each.prior), prior_coordinates(spec)[1]
    loss = 0.5 * np.asarray(prior_misfit(spec, np.asarray(u), mean))
    gradient = np.where(each.held, 0.0, inverse_sd**2 * (np.asarray(u) - mean))
    for part, own in _pieces(density, each, batch):
        value, slope = _of_likelihood(part, model, tuple(spec.items()), own, u)
        loss, gradient = loss + np.asarray(value), gradient + np.asarray(slope)
    return np.where(np.isfinite(loss), loss, np.inf), np.max(np.abs(gradient), -1) < 1e-2


def _alike(likelihood: Likelihood, spec: Spec, starts: int) -> Each:
    weight, prior = jnp.asarray(likelihood.weights), jnp.asarray(prior_coordinates(spec)[0])
    many: Any = lambda row: jnp.broadcast_to(row, (starts, row.size))  # noqa: E731
    return Each(None, many(weight), many(prior), jnp.zeros((starts, len(spec)), bool))


def report_descent(
    likelihood: Likelihood, model: Any, spec: Spec, descent: Descent, *, batch: int | None = None
) -> MaximumLikelihood:
    """The fit as it stands, in the form of `maximise`, with the loss of every start over all observations.

    A start counts as converged where the loss is flat: no coordinate changes it by more than 0.01 per unit. `batch`:
    observations looked at in one go; all by default.
    """
    began = time.perf_counter()
    with jax.enable_x64(True):
        model, likelihood = double(model), likelihood._replace(log_density=double(likelihood.log_density))
        each = _alike(likelihood, spec, len(descent.u))
        loss, flat = standing(likelihood.log_density, model, spec, each, descent.u, batch)
        solved = Solves(np.asarray(descent.u), loss, flat, np.asarray(descent.steps))
        return summarise(likelihood, model, spec, np.asarray(descent.initial), solved, began, batch)


def check_batch(density: Any, count: int, batch: int, field: str = "batch") -> None:
    """**Raises** `InputError` for a mini-batch that cannot be drawn from the `count` observations of a density."""
    if not 1 <= batch <= count:
        raise InputError(field, batch, f"1 to {count} observations", "leave it out to use all of them")
    for leaf in [] if hasattr(density, "take") else jax.tree.leaves(eqx.filter(density, eqx.is_array)):
        if leaf.ndim == 0 or leaf.shape[0] != count:
            raise InputError("likelihood.log_density", f"an array of shape {leaf.shape}",
                             f"a first axis of {count} observations in every array", "leave batch out")


@eqx.filter_jit
def _descend(density, each, descent, fixed, steps, limits):
    last = descent.iteration + steps
    return jax.lax.while_loop(lambda d: (d.iteration < last) & jnp.any(d.still < limits[0]),
                              lambda d: _step(density, each, d, fixed, limits), descent)


def _descend_by_batches(density, each, descent, fixed, steps, limits, batch):
    """Step by step from the host, so that each compiled step is given its mini-batch alone."""
    density, each, key = on_host(density), on_host(each), jax.random.wrap_key_data(descent.seed)
    count = each.weight.shape[1]
    for _ in range(int(steps)):
        if not np.any(np.asarray(descent.still) < np.asarray(limits[0])):
            break
        rows = np.asarray(_drawn(key, descent.iteration, count, batch))
        own = _of_rows(each, rows)._replace(weight=each.weight[:, rows] * (count / batch))
        descent = _step_compiled(part_of(density, rows), own, descent, fixed, limits)
    return descent


_drawn = jax.jit(lambda key, iteration, count, batch: jax.random.choice(
    jax.random.fold_in(key, iteration), count, (batch,), replace=False), static_argnums=(2, 3))


def _of_rows(each: Each, rows: Int[np.ndarray, " b"]) -> Each:
    return each._replace(data=jax.tree.map(lambda x: x[:, rows], each.data), weight=each.weight[:, rows])


def _pieces(density: Any, each: Each, size: int | None) -> Iterator[tuple[Any, Each]]:
    """All observations, `size` or all at a time; those that repeat in the last piece weigh nothing."""
    each = on_host(each)
    for part, rows, new in pieces_of(density, each.weight.shape[1], size):
        own = _of_rows(each, rows)
        yield part, own._replace(weight=own.weight * (np.arange(rows.size) < new))


def _step(density, each, d: Descent, fixed, limits) -> Descent:
    """One step of every start by these observations. `fixed`: model, spec and optimiser."""
    model, items, optimiser = fixed
    patience, least = limits

    def one(own, u, moments, loss, best, still, done):
        value, gradient = _value_and_gradient(density, model, dict(items), u, own)
        going = still < patience
        fine = going & jnp.isfinite(value) & jnp.all(jnp.isfinite(gradient))
        change, after = optimiser.update(jnp.where(fine, gradient, 0.0), moments, u)
        u = jnp.where(fine & ~own.held, optax.apply_updates(u, change), u)
        moments = jax.tree.map(lambda new, old: jnp.where(fine, new, old), after, moments)
        averaged = jnp.where(jnp.isfinite(loss), loss + (value - loss) / SMOOTHED_OVER, value)
        loss = jnp.where(fine, averaged, loss)
        fell = loss < best - least
        still = jnp.where(going, jnp.where(fell, 0, still + 1), still)
        return u, moments, loss, jnp.where(fell, loss, best), still, done + fine

    u, moments, loss, best, still, done = jax.vmap(one)(each, d.u, d.moments, d.loss, d.best, d.still, d.steps)
    return Descent(d.initial, u, moments, loss, best, still, done, d.iteration + 1, d.seed)


_step_compiled = eqx.filter_jit(_step)


@eqx.filter_jit
def _of_likelihood(density, model, items, each, u):
    """Minus the log-likelihood of these observations for every start, and its slope."""
    bare = without_priors(dict(items))
    return jax.vmap(lambda own, v: _value_and_gradient(density, model, bare, v, own))(each, u)


def _value_and_gradient(density, model, spec, u, own):
    """Minus the log posterior at `u` and its slope, 0 where a coordinate is held, from one forward pass."""
    log_density = density if own.data is None else lambda there: density(there, own.data)
    minus: Any = lambda v: -log_posterior(log_density, model, spec, v, own.weight, own.prior)  # noqa: E731
    slopes, value = jax.jacfwd(lambda v: (minus(v),) * 2, has_aux=True)(u)
    return value, jnp.where(own.held, 0.0, slopes)
