"""Events with retrograde messengers: a synapse that hears only its own spine, without a grid.

An isolated pair needs no diffusion solver. What its spine makes reaches its bouton through a medium whose answer is the
near-field closed form, and a first-order filter stands for whatever holds the messenger back (membranes, clearance):

    tau dc/dt = R q(t) - c

with q [molecules/ms] the synthesis and R [nM per molecule/ms] the steady answer of the medium at the bouton,
`space.point_steady(distance, 1, D, k)` divided by the volume fraction. Over the gap between two events the synthesis
counts as uniform and the filter is exact. Everything flows to the instant of an event, the messenger included, before
the hooks read:

    flow -> emit -> filter -> field hooks -> landings, jumps, release -> slow hooks

Gaps that are long against the calcium of a spike are cut by `ticks_between`, instants at which no more than this
happens.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from retrojax.engine.events import Place, SpikeTable, instants, next_instants, with_landings
from retrojax.engine.field_step import emit, sense, slow_change
from retrojax.engine.kernel import flow, instant
from retrojax.engine.rows import Synapse, SynapseState, pack, unpack
from retrojax.numerics import Draws, decay, scan_in_stretches
from retrojax.types import PerRow, Scalar

SHORTEST_MS = 1e-6
"""Length given to the gap between two events of one instant: rates are amounts over gaps."""


class OwnSpine(eqx.Module):
    """A messenger between a spine and its own bouton.

    **Arguments**

    - `name`: static; what the rules make and sense.
    - `resistance`: steady concentration at the bouton per unit of synthesis [nM per molecule/ms].
    - `tau`: time constant of the filter [ms]; 0 where the messenger equilibrates within a gap, as a gas does.
    """

    name: str = eqx.field(static=True)
    resistance: Scalar
    tau: Scalar

    def __init__(self, name: str, resistance, tau=0.0):
        self.name = name
        self.resistance, self.tau = jnp.asarray(resistance, float), jnp.asarray(tau, float)

    def concentration(self, before: PerRow, molecules: PerRow, elapsed: PerRow) -> PerRow:
        """Concentration [nM] at the end of a gap of `elapsed` ms in which `molecules` were made."""
        goal = self.resistance * molecules / elapsed
        return goal + (before - goal) * decay(elapsed, self.tau)


def ticks_between(protocol: Any, after: tuple[float, ...] = (20.0, 100.0, 500.0)) -> np.ndarray:
    """Instants [ms] at those delays after every spike that has no other spike within 1.5 times the delay.

    **Arguments**

    - `protocol`: (pre, post, end) [ms].
    - `after`: increasing delays [ms]; the first is of the order of the decay of calcium.
    """
    pre, post, end = protocol
    times = np.unique(np.concatenate([pre, post, [end]]))
    ticks = times[:-1, None] + np.asarray(after)
    room = np.diff(times)[:, None] >= 1.5 * np.asarray(after)
    return ticks[room]


def run_own_spine(
    synapse: Synapse, messengers: tuple[OwnSpine, ...], state: SynapseState, table: SpikeTable, draws: Draws,
    stretch: int | None = None,
) -> SynapseState:
    """State at the end of one protocol, with messengers that reach only the bouton of their own spine.

    **Arguments**

    - `messengers`: those that the synapse's rules make and sense.
    - `table`: the protocol, best with ticks (`ticks_between`); the rest as in `run_events`.

    Differentiable in every parameter. First order in the length of the gaps where a rule holds what it sensed.
    """
    delay = synapse.spine.delay

    def body(carry, entry):
        rows, levels = carry
        gap, spikes = entry
        held = flow(synapse, unpack(synapse, rows), gap, draws)
        span = jnp.maximum(gap, SHORTEST_MS)
        now = []
        for messenger, level in zip(messengers, levels, strict=True):
            held, molecules = emit(synapse, held, messenger.name, span)
            now.append(messenger.concentration(level, molecules, span))
            held = sense(synapse, held, messenger.name, now[-1], span)
        held, _ = instant(synapse, held, spikes, draws)
        return (pack(slow_change(synapse, held, span)), tuple(now)), None

    silent = tuple(jnp.zeros_like(state.expression.q) for _ in messengers)
    start = (pack(state), silent)
    if stretch is None:
        rows = jax.lax.scan(body, start, with_landings(table, delay))[0][0]
    else:
        rows = scan_in_stretches(body, start, lambda place: next_instants(table, delay, place, stretch),
                                 Place.start(table), instants(table), stretch)[0]
    return unpack(synapse, rows)
