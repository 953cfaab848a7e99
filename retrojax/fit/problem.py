"""What is fitted to: measured points, and the function that predicts them."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from retrojax.engine.events import SpikeTable, run_events
from retrojax.engine.rows import Synapse, SynapseState, init_state
from retrojax.errors import InputError
from retrojax.numerics import Draws
from retrojax.parts import GraupnerBrunel, strength_change
from retrojax.parts.threshold_clock import ThresholdClock
from retrojax.types import PerRow

QUANTITIES = ("w", "P", "q")
"""What a protocol can be asked for: strength, release probability and amplitude, each relative to its start."""


class Problem(NamedTuple):
    """Points to be explained, as data.

    - `mean`, `sem`: measured mean and standard error of each of n points.
    - `predict`: model -> n predictions; an `equinox.Module`, so that its arrays are data of the compiled fit. None
      where the problem is only shown (`FitResult.from_json`).
    - `labels`: name of each point. `x`, `series`: where and in which curve a figure draws it.
    - `groups`: points with the same group are left out together; none are if all stand in one.
    - `is_data`: False for what was assumed rather than measured: it pulls the fit, but does not count in chi2.
    - `x_label`, `y_label`: axes of the figure.
    """

    mean: np.ndarray
    sem: np.ndarray
    predict: Callable[[Any], Any] | None
    labels: tuple[str, ...]
    x: np.ndarray
    series: tuple[str, ...]
    groups: tuple[str, ...]
    is_data: np.ndarray
    x_label: str = "x"
    y_label: str = "y"


def check_problem(problem: Problem) -> None:
    """Refuse points that cannot be fitted: **raises** `InputError` naming the first."""
    if problem.predict is None:
        raise InputError("problem.predict", None, "a function of the model", "build the problem from its config")
    if not np.any(problem.is_data):
        raise InputError("data.points", 0, "at least one measured point", "add points")
    for label, mean, sem in zip(problem.labels, problem.mean, problem.sem, strict=True):
        if not math.isfinite(mean):
            raise InputError(f"data[{label}].mean", mean, "a finite number", "correct or remove the point")
        if not (math.isfinite(sem) and sem > 0):
            raise InputError(f"data[{label}].sem", sem, "a positive number", "give the standard error of the mean")


class PairOutcome(eqx.Module):
    """Strength after pairing protocols, all at once on the events schedule.

    w = P q/(P0 q0) at the end of each protocol; with `calcium_beta` the strength is instead the population mean of
    bistable synapses (`strength_change`), from the time the synapse's own calcium spent above the rule's thresholds.

    **Arguments**

    - `tables`: protocols, stacked along the first axis.
    - `protocol`, `quantity`: for each of n predictions, which protocol and which of `QUANTITIES`.
    - `calcium_beta`: fraction of synapses that start DOWN, or None for w = P q/(P0 q0).
    """

    tables: SpikeTable
    protocol: Int[Array, " n"] = eqx.field(converter=jnp.asarray)
    quantity: Int[Array, " n"] = eqx.field(converter=jnp.asarray)
    calcium_beta: PerRow | None = None

    def __call__(self, model: Synapse) -> PerRow:
        return self.outcomes(model)[self.protocol, self.quantity]

    def take(self, rows: Int[np.ndarray, " b"]) -> "PairOutcome":
        """These predictions alone, each with a protocol of its own."""
        tables = jax.tree.map(lambda leaf: leaf[self.protocol[rows]], self.tables)
        return PairOutcome(tables, jnp.arange(rows.size), self.quantity[rows], self.calcium_beta)

    def outcomes(self, model: Synapse) -> PerRow:
        """(w, P, q) relative to the start after every protocol; shape [protocols, 3]."""
        rule: Any = model.rules[0]
        if self.calcium_beta is not None:
            clock = ThresholdClock(rule.theta_d, rule.theta_p)
            model = Synapse(model.spine, model.release, (clock,), model.p_release, model.q, model.bounds)
        final = jax.vmap(lambda table: run_events(model, init_state(model, ()), table, _no_draws())[0])(self.tables)
        return self._read(model, rule, final)

    def _read(self, model: Synapse, rule: Any, final: SynapseState) -> PerRow:
        p, q = final.expression.p_release / model.p_release, final.expression.q / model.q
        w = p * q
        if self.calcium_beta is not None:
            clock = final.rules[0]
            w = strength_change(clock.time_p, clock.time_d, rule, self.calcium_beta)
        return jnp.stack([w, p, q], -1)


def uses_calcium(rule: Any) -> bool:
    """True for the rule whose outcome is a population mean over bistable synapses."""
    return isinstance(rule, GraupnerBrunel)


def _no_draws() -> Draws:
    # nothing that is fitted by least squares may draw; the kernel still wants a source
    return Draws(jax.random.key(0), jnp.zeros((), jnp.int32))
