"""The points of a fit config as a problem: protocols as tables of spikes, observations as arrays."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from retrojax.engine.events import SpikeTable, stack_tables
from retrojax.errors import InputError
from retrojax.fit.observation import Observation
from retrojax.fit.pathways import PathwayOutcome
from retrojax.fit.problem import QUANTITIES, PairOutcome, Problem
from retrojax.fit.sections import Assumption, Point
from retrojax.protocols import Protocol

Row = Point | Assumption


def points_problem(config: Any, predict: Any) -> Problem:
    """The problem of a `FitConfig` whose n rows `predict` predicts; call it under `jax.enable_x64(True)`."""
    rows: list[Row] = config.rows
    mean, sem = _mean_and_sem(rows)
    quantal = config.likelihood is not None and config.likelihood.n_sites is not None
    return Problem(
        mean=mean, sem=sem, predict=predict,
        labels=tuple(f"{row.rate:g} Hz, {row.delta_t:+g} ms, {_quantity(row)}" for row in rows),
        x=np.array([row.rate for row in rows]),
        series=tuple(_series(row) for row in rows),
        groups=tuple(_group(config.report.leave_one_out, row) for row in rows),
        is_data=np.array([isinstance(row, Point) for row in rows]),
        x_label="pairing rate [Hz]", y_label="response after" if quantal else "strength after / before",
    )


def synapse_outcome(config: Any, beta: Any) -> PairOutcome | Observation:
    """Predictions of the rows by a synapse; with the observation model of the config, where it has one.

    `beta`: fraction of synapses that start DOWN, for a calcium-threshold rule.
    """
    tables, which = _tables(config)
    quantity = jnp.asarray([QUANTITIES.index(_quantity(row)) for row in config.rows])
    outcome = PairOutcome(tables, jnp.asarray(which), quantity, beta)
    return outcome if config.likelihood is None else _observation(config, outcome)


def one_pathway(config: Any) -> PathwayOutcome:
    """Predictions of the rows by a rule of `retrojax.fit.stdp_rules`."""
    tables, which = _tables(config)
    rows = jax.tree.map(lambda leaf: leaf[np.asarray(which)], tables)
    return PathwayOutcome(rows, jnp.zeros(len(which), int), jnp.zeros(len(which), bool))


def _tables(config: Any) -> tuple[SpikeTable, tuple[int, ...]]:
    """Every protocol once, and which of them each row is."""
    conditions = [(row.protocol, row.rate, row.delta_t) for row in config.rows]
    each = list(dict.fromkeys(conditions))
    tables = stack_tables([tuple(_made(config, *condition)) for condition in each])
    return tables, tuple(each.index(condition) for condition in conditions)


def _made(config: Any, name: str, rate: float, lag: float) -> Protocol:
    try:
        return config.protocols[name].make(rate, lag)
    except InputError as error:
        raise InputError(f"protocols.{name}, at {rate:g} Hz and {lag:+g} ms: {error.field}", error.value, error.allowed,
                         error.cure) from None


def _observation(config: Any, outcome: PairOutcome) -> Observation:
    rows: list[Row] = config.rows
    points = [row if isinstance(row, Point) else None for row in rows]
    mean, sem = _mean_and_sem(rows)
    observed = {"mean": mean, "relative": np.abs(sem / np.where(mean == 0, 1, mean)),
                "count": np.array([point.n if point else 2.0 for point in points], float),
                "variance": np.array([point.variance if point and point.variance else 1.0 for point in points])}
    if all(point is None or point.values for point in points):
        observed |= _single(points)
    arrays = {name: jnp.asarray(values)[None] for name, values in observed.items()}
    return Observation(outcome, config.likelihood.kind, config.likelihood.n_sites or 0, arrays, jnp.asarray(sem),
                       jnp.asarray([point is None for point in points]))


def _mean_and_sem(rows: list[Row]) -> tuple[np.ndarray, np.ndarray]:
    pairs = [(row.mean, row.sem) if isinstance(row, Point) else (row.value, row.sd) for row in rows]
    return np.array([mean for mean, _ in pairs]), np.array([sem for _, sem in pairs])


def _single(points: list[Point | None]) -> dict[str, np.ndarray]:
    """Single measurements, padded to one length; an assumption has one that nothing reads."""
    values = [point.values if point else [1.0] for point in points]
    most = max(map(len, values))
    padded = np.array([[*row, *[1.0] * (most - len(row))] for row in values])
    present = np.arange(most) < np.array([len(row) for row in values])[:, None]
    count = present.sum(-1).astype(float)
    mean_log = np.sum(present * np.log(np.maximum(padded, 1e-300)), -1) / count
    return {"values": padded, "present": present, "count": count, "mean_log": mean_log}


def _quantity(row: Row) -> str:
    return row.quantity if isinstance(row, Assumption) else "w"


def _group(leave_out: str, row: Row) -> str:
    if isinstance(row, Assumption):
        return "assumed"
    named = {"rate": f"{row.rate:g} Hz", "delta_t": f"{row.delta_t:+g} ms", "none": "all", "protocol": row.protocol}
    return named.get(leave_out) or row.columns[leave_out]


def _series(row: Row) -> str:
    lag = f"Δt = {row.delta_t:+g} ms".replace("-", "\N{MINUS SIGN}")
    return f"{lag}, {row.quantity} (assumed)" if isinstance(row, Assumption) else lag
