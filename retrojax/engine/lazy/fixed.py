"""Input from synapses that are not plastic: an axon that spikes adds its fixed weights to its targets."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, UInt32

from retrojax import native
from retrojax.engine.lazy.collect import Moment, choose
from retrojax.engine.lazy.state import Axons, LazyTissue, Times
from retrojax.engine.model import Model
from retrojax.space import to_fixed


def fixed_units(model: Model, tissue: LazyTissue) -> Int[Array, "..."]:
    """Fixed-point input per spike, one for all synapses or by slot; call it outside the loop over blocks."""
    if tissue.fixed is None:
        return jnp.zeros((), jnp.int32)
    weight = jnp.where(model.fixed_weight < 0, model.inhibition, 1.0) * model.fixed_weight
    units = to_fixed(weight, tissue.input_scale)
    # by slot, so that a row of weights lies as its targets do
    return units[tissue.fixed.index] if units.ndim else units


def deliver_fixed(
    tissue: LazyTissue, waiting: Int[Array, "D L receptor N"], pending: UInt32[Array, " A"], start: Int[Array, ""],
    times: Times, units: Int[Array, "..."],
) -> Int[Array, "D L receptor N"]:
    """Adds to `waiting` what the axons of a block send through their fixed synapses.

    **Arguments**

    - `pending`: spikes of every axon that reach its synapses in this block, a bit per step. `start`: step before it.
    - `units`: from `fixed_units`.
    """
    axons = tissue.fixed
    if axons is None:
        return waiting
    plain = lambda: _deliver(tissue, axons, waiting, pending, start, times, units)  # noqa: E731
    if not native.ready():
        return plain()
    fast = lambda: native.deliver(pending, axons.first, axons.post, units, axons.delay, start, waiting)  # noqa: E731
    return jax.lax.platform_dependent(cpu=fast, default=plain)


def _deliver(tissue: LazyTissue, axons: Axons, waiting, pending, start, times: Times, units):
    """The same, in passes of as many axons as fit."""
    zero = jnp.zeros((), jnp.int32)
    here = Moment(start, start + times.block, jnp.asarray(False), zero, zero)
    owns = axons.first[1:] > axons.first[:-1]

    def one(carry):
        waiting, pending = carry
        block, axon, now, _, pending = choose(axons, tissue.capacity.blocks, pending, here)
        target = axons.post[block]
        real = (axon < pending.size)[:, None] & (target >= 0)
        sent = jnp.where(real, units[block] if units.ndim else units, 0)
        delay = axons.delay[block].astype(jnp.int32) if axons.delay.ndim else axons.delay
        return add_input(waiting, times, now[:, None] + delay, jnp.maximum(target, 0), sent), pending

    left = (waiting, jnp.where(owns, pending, 0))
    return jax.lax.while_loop(lambda carry: jnp.any(carry[1] != 0), one, left)[0]


def add_input(waiting: Int[Array, "D L receptor N"], times: Times, step, target, units) -> Int[Array, "D L receptor N"]:
    """Fixed-point input of `target` at absolute `step`, from either sign of synapse."""
    block, inside = jnp.divmod(step - 1, times.block)
    receptor = jnp.where(units < 0, waiting.shape[2] - 1, 0)
    return waiting.at[block % times.ahead, inside, receptor, target].add(units)
