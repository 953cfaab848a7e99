"""Gradient of a loss over protocols: forward mode, or reverse mode with sqrt(T) checkpoints, whichever is cheaper.

Forward mode carries one tangent per parameter through the run: P + 1 runs. Reverse mode costs a few runs whatever P,
but has to keep states: of T events it keeps sqrt(T), and runs each stretch between them again. In both modes spikes and
landings are sorted a stretch at a time, so nothing as long as the run is made and memory grows as sqrt(T). Both sizes
follow from the shapes of the trace, before anything is compiled, within a factor of 1.3 of what XLA counts.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from retrojax.engine.events import instants
from retrojax.errors import InputError
from retrojax.fit.pathways import PathwayOutcome, carried
from retrojax.fit.problem import Problem
from retrojax.fit.spec import Spec, check_spec, prior_misfit, set_coordinates

CARRIED, SORTED, MOVED = 1.25, 68, 20
"""What XLA's counts for five rules gave (CPU, 500 and 4,000 events): copies of what a run carries; bytes per entry of a
stretch and condition while it is sorted; and as many for each tangent that moves landings."""

REVERSE_COST = 6.0
"""Runs that one checkpointed reverse pass costs, between the measured 4 (many conditions) and 8 (few)."""


class GradientPlan(NamedTuple):
    """How a gradient is taken, and what it needs.

    - `mode`: `forward` or `reverse`. `stretch`: events sorted at a time, and between kept states (reverse).
    - `memory_bytes`: predicted for this mode. `forward_bytes`, `reverse_bytes`, `unchecked_bytes`: predicted for
      forward mode, checkpointed reverse mode, and reverse mode that keeps every step.
    """

    mode: str
    stretch: int
    memory_bytes: int
    forward_bytes: int
    reverse_bytes: int
    unchecked_bytes: int

    def describe(self) -> str:
        """One line for the user."""
        mega = [x / 2**20 for x in (self.memory_bytes, self.forward_bytes, self.reverse_bytes, self.unchecked_bytes)]
        kept = f", a state kept every {self.stretch} events" if self.mode == "reverse" else ""
        return (f"gradient: {self.mode} mode{kept}; {mega[0]:.1f} MiB predicted (forward {mega[1]:.1f}, reverse with "
                f"checkpoints {mega[2]:.1f}, without {mega[3]:.1f})")


def plan_gradient(
    problem: Problem, model: Any, spec: Spec, limit_bytes: float | int = 2**31, mode: str | None = None
) -> GradientPlan:
    """The cheaper mode whose predicted memory stays below `limit_bytes`; prints the prediction.

    **Arguments**

    - `problem`: predicted by a `PathwayOutcome`. `model`, `spec`: as for `fit`.
    - `limit_bytes`: memory that the gradient may take.
    - `mode`: `forward` or `reverse` to decide it yourself; None chooses.

    **Raises** `InputError` for a mode that is neither, or a limit below both predictions.
    """
    check_spec(model, spec)
    if mode not in (None, "forward", "reverse"):
        raise InputError("mode", mode, "forward, reverse, or None", "leave it out to let the sizes decide")
    predict: Any = problem.predict
    events = instants(predict.tables)
    stretch = max(1, round(math.sqrt(events)))
    with jax.enable_x64(True):
        everything = _residual_bytes(predict, None, model, spec)
        kept = _residual_bytes(predict, stretch, model, spec) - _table_bytes(predict)
    # the states kept without the table of events, which is there anyway, and the intermediate values of the one
    # stretch that is being sorted and differentiated
    reverse = kept + math.ceil(everything * stretch / events) + _window_bytes(predict, stretch, 0)
    # tangents travel through the sort only if landings move with a parameter
    moved = len(spec) if any(path.endswith("spine.delay") for path in spec) else 0
    state = 8 * carried(model) * predict.block.size
    forward = math.ceil(CARRIED * (1 + len(spec)) * state) + _window_bytes(predict, stretch, moved)
    chosen = mode or ("forward" if 1 + len(spec) <= REVERSE_COST or reverse > limit_bytes else "reverse")
    needed = forward if chosen == "forward" else reverse
    if needed > limit_bytes:
        raise InputError("limit_bytes", limit_bytes, f"at least {min(forward, reverse)} bytes",
                         "raise the limit, or split the conditions over several calls")
    plan = GradientPlan(chosen, stretch, needed, forward, reverse, everything)
    print(plan.describe())
    return plan


def loss_and_gradient(
    problem: Problem, model: Any, spec: Spec, plan: GradientPlan
) -> Callable[[Float[Array, " P"]], tuple[Float[Array, ""], Float[Array, " P"]]]:
    """A compiled function: coordinates u -> (loss, d loss/du), loss = sum [(prediction - mean)/SEM]^2 + priors.

    **Arguments** as for `plan_gradient`, and its `plan`. Call the result under `jax.enable_x64(True)`.
    """
    predict = with_stretch(problem.predict, plan.stretch)

    def loss(u: Array, data: Any) -> Array:
        fixed, outcome, mean, sem = data
        misfit = (outcome(set_coordinates(fixed, spec, u)) - mean) / sem
        return jnp.sum(misfit**2) + prior_misfit(spec, u)

    def forward(u: Array, data: Any) -> tuple[Array, Array]:
        slopes, value = jax.jacfwd(lambda v: (loss(v, data),) * 2, has_aux=True)(u)
        return value, slopes

    data = (model, predict, np.asarray(problem.mean), np.asarray(problem.sem))
    compiled = eqx.filter_jit(forward if plan.mode == "forward" else jax.value_and_grad(loss))
    return lambda u: compiled(u, data)


def with_stretch(predict: Any, stretch: int | None) -> PathwayOutcome:
    """The same prediction, keeping a state every `stretch` events for the reverse pass."""
    return PathwayOutcome(predict.tables, predict.pathway, predict.block, stretch)


def _table_bytes(predict: PathwayOutcome) -> int:
    """Bytes of the spike tables, which are there anyway and are not copied."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(predict.tables))


def _window_bytes(predict: PathwayOutcome, stretch: int, moved: int) -> int:
    """Bytes of one stretch of every condition while it is sorted, with `moved` tangents."""
    return stretch * predict.block.size * (SORTED + MOVED * moved)


def _residual_bytes(predict: PathwayOutcome, stretch: int | None, model: Any, spec: Spec) -> int:
    """Bytes that the forward pass leaves behind for the reverse pass, from shapes alone."""
    outcome = with_stretch(predict, stretch)
    run = lambda u: jax.vjp(lambda v: outcome(set_coordinates(model, spec, v)), u)[1]  # noqa: E731
    left = jax.eval_shape(run, jnp.zeros(len(spec)))
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(left))
