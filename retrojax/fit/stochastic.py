"""Maximum likelihood or least squares by any optax transformation, on all observations or on mini-batches of them."""

import time
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, PyTree, UInt

from retrojax.errors import InputError
from retrojax.fit.maximise import Likelihood, MaximumLikelihood, Solves, log_posterior, summarise
from retrojax.fit.spec import Spec, check_spec, double, draw_starts
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
        seed = jax.random.key_data(key)
        u = jnp.asarray(draw_starts(spec, starts, np.random.default_rng(np.asarray(seed).ravel())), float)
        high, none = jnp.full(starts, jnp.inf), jnp.zeros(starts, jnp.int32)
        return Descent(u, u, jax.vmap(optimiser.init)(u), high, high, none, none, jnp.zeros((), jnp.int32), seed)


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
      None uses all. Every array of `likelihood.log_density` must then have the observations as its first axis.
    - `patience`: a start stops once its averaged loss has not fallen by `least` for this many steps. The loss of
      mini-batches rises and falls with the draws: give them a patience as long as the schedule of the step size.

    **Returns** where it stands now. **Raises** `InputError` for a spec or a batch that cannot be used.

    A step whose gradient is not finite leaves its start where it is.
    """
    check_spec(model, spec)
    with jax.enable_x64(True):
        density = double(likelihood.log_density)
        if batch is not None:
            _check_batch(density, likelihood, batch)
        return _descend(density, double(model), tuple(spec.items()), optimiser, jnp.asarray(likelihood.weights),
                        descent, jnp.asarray(steps), batch, jnp.asarray(patience), jnp.asarray(least))


def report_descent(likelihood: Likelihood, model: Any, spec: Spec, descent: Descent) -> MaximumLikelihood:
    """The fit as it stands, in the form of `maximise`, with the loss of every start over all observations.

    A start counts as converged where the loss is flat: no coordinate changes it by more than 0.01 per unit.
    """
    began = time.perf_counter()
    with jax.enable_x64(True):
        model, likelihood = double(model), likelihood._replace(log_density=double(likelihood.log_density))
        loss, flat = _standing(likelihood.log_density, model, tuple(spec.items()), descent.u, likelihood.weights)
        loss = np.where(np.isfinite(loss), loss, np.inf)
        solved = Solves(np.asarray(descent.u), loss, np.asarray(flat), np.asarray(descent.steps))
        return summarise(likelihood, model, spec, np.asarray(descent.initial), solved, began)


def _check_batch(density: Any, likelihood: Likelihood, batch: int) -> None:
    count = len(likelihood.groups)
    if not 1 <= batch <= count:
        raise InputError("batch", batch, f"1 to {count} observations", "leave it out to use all of them")
    for leaf in jax.tree.leaves(eqx.filter(density, eqx.is_array)):
        if leaf.ndim == 0 or leaf.shape[0] != count:
            raise InputError("likelihood.log_density", f"an array of shape {leaf.shape}",
                             f"a first axis of {count} observations in every array", "leave batch out")


@eqx.filter_jit
def _descend(density, model, items, optimiser, weight, descent, steps, batch, patience, least):
    spec, count = dict(items), weight.shape[0]
    key = jax.random.wrap_key_data(descent.seed)

    def drawn(iteration):
        if batch is None:
            return density, weight
        rows = jax.random.choice(jax.random.fold_in(key, iteration), count, (batch,), replace=False)
        part = jax.tree.map(lambda x: x[rows] if eqx.is_array(x) else x, density)
        return part, weight[rows] * (count / batch)

    def one(part, share, u, moments, loss, best, still, done):
        value, gradient = _value_and_gradient(part, model, spec, u, share)
        going = still < patience
        fine = going & jnp.isfinite(value) & jnp.all(jnp.isfinite(gradient))
        change, after = optimiser.update(jnp.where(fine, gradient, 0.0), moments, u)
        u = jnp.where(fine, optax.apply_updates(u, change), u)
        moments = jax.tree.map(lambda new, old: jnp.where(fine, new, old), after, moments)
        averaged = jnp.where(jnp.isfinite(loss), loss + (value - loss) / SMOOTHED_OVER, value)
        loss = jnp.where(fine, averaged, loss)
        fell = loss < best - least
        still = jnp.where(going, jnp.where(fell, 0, still + 1), still)
        return u, moments, loss, jnp.where(fell, loss, best), still, done + fine

    def step(d: Descent) -> Descent:
        part = drawn(d.iteration)
        many: Any = jax.vmap(lambda *start: one(*part, *start))
        u, moments, loss, best, still, done = many(d.u, d.moments, d.loss, d.best, d.still, d.steps)
        return Descent(d.initial, u, moments, loss, best, still, done, d.iteration + 1, d.seed)

    last = descent.iteration + steps
    return jax.lax.while_loop(lambda d: (d.iteration < last) & jnp.any(d.still < patience), step, descent)


@eqx.filter_jit
def _standing(density, model, items, u, weight):
    def one(v):
        loss, gradient = _value_and_gradient(density, model, dict(items), v, weight)
        return loss, jnp.max(jnp.abs(gradient)) < 1e-2

    return jax.vmap(one)(u)


def _value_and_gradient(density, model, spec, u, weight):
    """Minus the log posterior at `u` and its slope, from one forward pass."""
    slopes, value = jax.jacfwd(lambda v: (-log_posterior(density, model, spec, v, weight),) * 2, has_aux=True)(u)
    return value, slopes
