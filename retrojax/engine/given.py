"""The clocked network with given spikes: differentiable in every parameter of synapses, messengers and medium.

The network's own schedules sum deposits in fixed point and let membranes fire, and neither carries a gradient. Here the
spikes are data, deposits are summed in floating point, and the rest is the network's own code: the kernel at every dt,
field steps at each messenger's clock, slow steps. With the spikes that a run recorded it repeats that run's synapses
and fields to the rounding of the fixed-point sums.
"""

import equinox as eqx
import jax
from jaxtyping import Array, Bool

from retrojax.engine.field_step import field_step, plan_fields, slow_step
from retrojax.engine.model import Clocks, Model, NetworkState, Tissue
from retrojax.engine.network import step_rows, when, wrapped


def run_given(
    model: Model, tissue: Tissue, state: NetworkState, clocks: Clocks, fired: Bool[Array, "T steps A"]
) -> NetworkState:
    """Synapses and fields after T ticks in which neurons and sources spike as given; membranes stay as they are.

    Reverse mode keeps the state at the start of every tick and runs each tick again.

    **Arguments**

    - `model`, `tissue`, `state`, `clocks`: as of a network run (`engine.assemble`).
    - `fired`: who spikes at which step of which tick; sources count on after the neurons.

    **Returns** the state; its gradient may be taken in `model`, as in D*, loss, volume fraction, maps of the medium,
    and the parameters of synthesis, receptors, release and rules.

    **Limits** A landing of presynaptic calcium is rounded to a whole step, so the spine's delay has no gradient here
    (`run_events` has one); nor has dt. `state` is a constant: what it holds at rest does not move with the model unless
    it is built from it inside the differentiated function. A concentration that the sum of grid and own-spine term puts
    below 0 is cut to 0, and has no gradient there. Only forward mode passes on maps of the medium, and where
    something is split off transport (`engine.reactions.is_split`): the number of terms or parts of a step follows from
    what is there. Astrocytes do not step.
    """
    tick_ms = model.dt * clocks.steps
    plans = plan_fields(model, tissue, state, tuple(tick_ms * every for every in clocks.every))

    def step(carry: NetworkState, spikes: Array) -> tuple[NetworkState, None]:
        slot = carry.slot + 1
        rows, history, _ = step_rows(model, tissue, carry, slot, spikes)
        return eqx.tree_at(lambda s: (s.rows, s.fired, s.slot), carry, (rows, history, wrapped(carry, slot))), None

    @jax.checkpoint
    def tick(carry: NetworkState, spikes: Array) -> tuple[NetworkState, None]:
        carry = jax.lax.scan(step, carry, spikes)[0]
        carry = eqx.tree_at(lambda s: s.tick, carry, carry.tick + 1)
        for which, (every, plan) in enumerate(zip(clocks.every, plans, strict=True)):
            carry = when(every, carry, lambda s, w=which, p=plan: field_step(model, tissue, s, w, p, exact=False))
        elapsed = model.dt * (clocks.steps * clocks.slow)
        carry = when(clocks.slow, carry,
                      lambda s: eqx.tree_at(lambda t: t.rows, s, slow_step(model.synapse, s.rows, elapsed)))
        return carry, None

    return jax.lax.scan(tick, state, fired)[0]
