"""What the CA1 fit reads and predicts: cells, protocols, parameters, strength after repeated pairs or doublets."""

from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from retrojax.engine.events import SpikeTable, run_events, stack_tables
from retrojax.engine.rows import Synapse, init_state
from retrojax.errors import InputError, naming_file
from retrojax.fit.data import Column, column_numbers, column_texts
from retrojax.fit.data_protocols import Labelled, gives_spike_times, protocols_by_label
from retrojax.fit.table import read_table
from retrojax.numerics import Draws
from retrojax.parts import CalciumSpine, GraupnerBrunel, ThresholdClock, TsodyksMarkram, strength_change

PATTERNS = {"fig1d": (200.0, 1), "fig3e": (100.0, 2)}  # repetitions, postsynaptic spikes
PERIOD, DOUBLET = 200.0, 11.5
FEW = (3, 4)
"""Repetitions that are run: calcium of the last is periodic to e^{-600/tau_Ca}, 5e-6 of a peak at 49 ms."""


class Slice(eqx.Module):
    """Spine and rule; `beta`, fraction of synapses that start DOWN; `between`, scatter between cells; and the levels of
    the baseline that ignores timing."""

    spine: CalciumSpine
    rule: GraupnerBrunel
    beta: jax.Array
    between: jax.Array
    level_1: jax.Array
    level_2: jax.Array

    def __init__(self, spine: CalciumSpine, rule: GraupnerBrunel):
        self.spine, self.rule = spine, rule
        self.beta, self.between, self.level_1, self.level_2 = (jnp.asarray(x) for x in (0.7, 0.25, 1.0, 1.0))


class Protocols(NamedTuple):
    """One entry per cell: `dt` from EPSP to the last postsynaptic spike [ms], `count` of repetitions at 5 Hz, whether
    postsynaptic spikes are doublets; `tables` of the first few repetitions."""

    dt: jax.Array
    count: jax.Array
    doublet: jax.Array
    tables: tuple[SpikeTable, ...]

    @classmethod
    def of(cls, dt: np.ndarray, count: np.ndarray, doublet: np.ndarray) -> "Protocols":
        """Protocols from plain arrays."""
        tables = tuple(stack_tables([_spikes(lag, two, n) for lag, two in zip(dt, doublet, strict=True)]) for n in FEW)
        return cls(jnp.asarray(dt), jnp.asarray(count), jnp.asarray(doublet), tables)


def _spikes(dt: float, doublet: bool, repetitions: int) -> tuple[np.ndarray, np.ndarray, float]:
    pre = PERIOD * (1 + np.arange(repetitions))
    post = pre[:, None] + dt - np.array([DOUBLET, 0.0] if doublet else [0.0])
    return pre, post.ravel(), float(PERIOD * (repetitions + 6))


@eqx.filter_jit
def outcome(model: Slice, protocols: Protocols):
    """Mean strength after / before over a population of bistable synapses (Graupner & Brunel 2012, SI eqs 22-29).

    Time above each threshold is that of the first repetitions on the events schedule, plus one period's worth for each
    further repetition.
    """
    clock = ThresholdClock(model.rule.theta_d, model.rule.theta_p)
    synapse = Synapse(model.spine, TsodyksMarkram(), (clock,))
    draws = Draws(jax.random.key(0), jnp.zeros((), jnp.int32))

    def times(table):
        final = run_events(synapse, init_state(synapse, ()), table, draws)[0].rules[0]
        return jnp.stack([final.time_p, final.time_d])

    less, more = (jax.vmap(times)(table) for table in protocols.tables)
    total = more + (protocols.count - FEW[1])[:, None] * (more - less)
    return strength_change(total[:, 0], total[:, 1], model.rule, model.beta)


def read(path: Path, patterns: dict[str, tuple[float, int]]) -> tuple[Protocols, jax.Array, jax.Array]:
    """Protocols, ratios and standard errors of the cells.

    **Raises** `InputError` for a missing column, a value that is no number, and a figure that is not known.
    """
    with naming_file(path.name):
        table = read_table(path, ("figure", "dt_ms", "strength_ratio", "sem"))
        figures = np.array(column_texts(table, "figure", Column("figure")))
        if unknown := sorted(set(figures.tolist()) - set(patterns)):
            raise InputError("figure", ", ".join(unknown), ", ".join(patterns),
                             "say what it means with --protocols FILE (figure,pairs,post_spikes)")
        dt, ratio, sem = (column_numbers(table, name, Column(name))[:, 0]
                          for name in ("dt_ms", "strength_ratio", "sem"))
        if not np.all(sem > 0):
            raise InputError("sem", float(sem.min()), "a positive standard error", "leave the cell out")
    count, spikes = np.array([patterns[figure] for figure in figures]).T
    return Protocols.of(dt, count, spikes == 2), jnp.asarray(ratio), jnp.asarray(sem)


def named_patterns(path: Path | None) -> dict[str, tuple[float, int]]:
    """Figure -> (repetitions, postsynaptic spikes), from a table with columns figure, pairs, post_spikes, or from spike
    times as `protocols_by_label` reads them (repeated at 5 Hz)."""
    if path is None:
        return {}
    if gives_spike_times(path):
        return {label: _labelled(label, known) for label, known in protocols_by_label(path).items()}
    with naming_file(path.name):
        table = read_table(path, ("figure", "pairs", "post_spikes"))
        numbers = [column_numbers(table, name, Column(name))[:, 0] for name in ("pairs", "post_spikes")]
        figures = column_texts(table, "figure", Column("figure"))
        return {figure: _pattern(figure, *row) for figure, *row in zip(figures, *numbers, strict=True)}


def _labelled(label: str, known: Labelled) -> tuple[float, int]:
    """The pattern of spike times, which are one presynaptic spike at 5 Hz and postsynaptic ones as in the recordings;
    the lag of each cell stands in its own row."""
    between = np.diff(known.post)
    if known.pre.size != 1 or not np.allclose(between, DOUBLET) or known.repetitions > 1 and known.every != PERIOD:
        raise InputError(label, f"pre {known.pre.tolist()}, post {known.post.tolist()}, every {known.every:g} ms",
                         f"one pre, one post or two {DOUBLET:g} ms apart, every {PERIOD:g} ms",
                         "other patterns are not those of this fit")
    return _pattern(label, known.repetitions, known.post.size)


def _pattern(label: str, repetitions: float, post_spikes: float) -> tuple[float, int]:
    if post_spikes not in (1, 2) or repetitions < 1:
        raise InputError(label, f"{repetitions:g} x {post_spikes:g} spikes", "1 or 2 postsynaptic spikes, repeated",
                         "other patterns are not those of this fit")
    return float(repetitions), int(post_spikes)
