"""The primitives as functions of arrays; what each does is written where its counterpart in plain JAX stands."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt8, UInt32


def _like(*arrays: Array) -> tuple[jax.ShapeDtypeStruct, ...]:
    return tuple(jax.ShapeDtypeStruct(array.shape, array.dtype) for array in arrays)


def collect(
    makers: Float[Array, "B m slot"], cells: Float[Array, "B C slot"], first: Int[Array, " A1"],
    post: Int[Array, "B slot"], ring: Int[Array, "N K"], fired: UInt32[Array, " N"], moment: Int[Array, "5"],
    pending: UInt32[Array, " A"], marks: UInt8[Array, "B slot"],
    touched: Int[Array, " A"], arrived: Int[Array, " A"], arrivals: Int[Array, "A F1"], blocks: int, events: int,
    number: bool,
) -> tuple[Array, ...]:
    """Blocks of pending axons, and their synapses with events, busiest first (`engine.lazy.collect`).

    - `moment`: start, stop, sync, landing, and the axon to begin with. `blocks`, `events`: sizes of what is returned.
    - `number`: whether it is wanted which spike of its neuron is the first pending one.

    **Returns** block, axon, now, touched, quiet; rows, target, last; lane, count, events, first (no element unless
    `number`); [blocks, synapses listed, blocks left, where to go on, whether a landing was lost]; and
    pending, marks, touched, arrived, arrivals after it.
    """
    channels, slot = makers.shape[1] + cells.shape[1], cells.shape[2]
    whole = lambda *shape: jax.ShapeDtypeStruct(shape, jnp.int32)  # noqa: E731
    lanes = blocks * slot
    shapes = (*(whole(blocks) for _ in range(5)), jax.ShapeDtypeStruct((channels, blocks, slot), cells.dtype),
              whole(blocks, slot), jax.ShapeDtypeStruct((blocks, slot), jnp.uint8), whole(lanes), whole(lanes),
              whole(events, lanes), whole(lanes if number else 0), whole(5),
              *_like(pending, marks, touched, arrived, arrivals))
    call = jax.ffi.ffi_call("retrojax_collect", shapes, input_output_aliases={7 + k: 13 + k for k in range(5)})
    return tuple(call(makers, cells, first, post, ring, fired, moment, pending, marks, touched, arrived, arrivals))


def put(
    rows: list[Float[Array, "b slot"]], block: Int[Array, " b"], now: Int[Array, " b"], target: Int[Array, "b slot"],
    units: Int[Array, "b slot"], delay: Array, used: Int[Array, ""], most: Int[Array, ""],
    above: Bool[Array, "b J slot"], makers: Float[Array, "B m slot"], cells: Float[Array, "B C slot"],
    waiting: Int[Array, "D L receptor N"], hot: Bool[Array, "B J slot"],
) -> tuple[Array, ...]:
    """The first `used` blocks into `makers` and `cells`, and their input into `waiting` (`engine.lazy.block`).

    - `rows`: an array per channel: XLA fuses the arithmetic of each into its own loop, but not into one of a stack.

    - `above`: rows of `hot`.

    **Returns** whether one input was beyond `most`, the makers, the cells, the input, and `hot`.
    """
    shapes = (jax.ShapeDtypeStruct((), jnp.bool_), *_like(makers, cells, waiting, hot))
    call = jax.ffi.ffi_call("retrojax_put", shapes, input_output_aliases={8 + k: 1 + k for k in range(4)})
    return tuple(call(block, now, target, units, delay, used, most, above, makers, cells, waiting, hot, *rows))


def note(
    spiked: Bool[Array, "L N"], seen: Float[Array, "L Q N"], read: Int[Array, " R"], step: Int[Array, ""],
    synced: Int[Array, ""], here: Int[Array, ""], fired: UInt32[Array, " N"], ring: Int[Array, "N K"],
    before: Float[Array, "R N K"], waiting: Int[Array, "D L receptor N"],
) -> tuple[Array, ...]:
    """Spikes of a block into the rings, and the input of turn `here` out of its own (`engine.lazy.block`).

    **Returns** whether a ring runs short, the words, the rings, the traces kept with them, and the input.
    """
    shapes = (jax.ShapeDtypeStruct((), jnp.bool_), *_like(fired, ring, before, waiting))
    call = jax.ffi.ffi_call("retrojax_note", shapes, input_output_aliases={6 + k: 1 + k for k in range(4)})
    return tuple(call(spiked, seen, read, step, synced, here, fired, ring, before, waiting))


def send(
    fired: UInt32[Array, " N"], outside: UInt32[Array, " Q"], first: Int[Array, " A1"], turns: Int[Array, "5"],
    history: UInt32[Array, "H A"],
) -> tuple[Array, ...]:
    """A block's spikes into the history, and whose spikes arrive at their synapses (`engine.lazy.block`).

    - `turns`: where to write, the two rows that arrive, how many steps late the first of them is, steps of a block.

    **Returns** the history, the arriving spikes, and the blocks of the axons that have any.
    """
    shapes = (*_like(history), jax.ShapeDtypeStruct((history.shape[1],), jnp.uint32),
              jax.ShapeDtypeStruct((), jnp.int32))
    call = jax.ffi.ffi_call("retrojax_send", shapes, input_output_aliases={4: 0})
    return tuple(call(fired, outside, first, turns, history))


def deliver(
    pending: UInt32[Array, " A"], first: Int[Array, " A1"], post: Int[Array, "B slot"], units: Array, delay: Array,
    start: Int[Array, ""], waiting: Int[Array, "D L receptor N"],
) -> Array:
    """`waiting` with what pending axons send through their fixed synapses (`engine.lazy.fixed`).

    - `units`, `delay`: one for all or by slot. Targets of an axon are in order, free slots last.
    """
    call = jax.ffi.ffi_call("retrojax_deliver", _like(waiting), input_output_aliases={6: 0})
    return call(pending, first, post, units, delay, start, waiting)[0]


def deposit(voxel: Int[Array, "B slot"], units: Int[Array, "B slot"], voxels: int) -> Int[Array, " V"]:
    """Sum of `units` in each of `voxels` voxels (`engine.lazy.field`)."""
    return jax.ffi.ffi_call("retrojax_deposit", jax.ShapeDtypeStruct((voxels,), jnp.int32))(voxel, units)


def lift(cells: Float[Array, "B C slot"], channels: Int[Array, " R"]) -> tuple[Array, ...]:
    """Those channels of all rows, and the cells as they were (`engine.lazy.field`).

    What reads the channels so comes before what writes to the cells, which then need no copy.

    **Returns** the cells, then each channel, [B, slot].
    """
    row = jax.ShapeDtypeStruct((cells.shape[0], cells.shape[2]), cells.dtype)
    call = jax.ffi.ffi_call("retrojax_lift", (*_like(cells), *[row] * channels.size), input_output_aliases={1: 0})
    return tuple(call(channels, cells))


def lower(
    cells: Float[Array, "B C slot"], channels: Int[Array, " R"], values: list[Float[Array, "B slot"]]
) -> Float[Array, "B C slot"]:
    """The cells with those channels replaced by `values` (`engine.lazy.field`)."""
    call = jax.ffi.ffi_call("retrojax_lower", _like(cells), input_output_aliases={1: 0})
    return call(channels, cells, *values)[0]


def stock(
    owner: Int[Array, " B"], post: Int[Array, "B slot"], ring: Int[Array, "N K"], fired: UInt32[Array, " N"],
    touched: Int[Array, " A"], arrived: Int[Array, " A"], arrivals: Int[Array, "A F1"], marks: UInt8[Array, "B slot"],
    hot: Bool[Array, "B J slot"], moment: Int[Array, "5"], makers: Float[Array, "B m slot"],
    channels: Int[Array, " R"], lanes: int, events: int,
) -> tuple[Array, ...]:
    """Synapses that may have made a messenger since `moment[0]`, busiest first (`engine.lazy.stock`).

    - `moment`: start, stop, landing, the block to begin with, and the messenger among those of `hot`.
    - `channels`: which to read. `lanes`, `events`: sizes of what is returned.

    **Returns** lane, since, count, events; [synapses listed, whether blocks are left, where to go on]; the channels.
    """
    whole = lambda *shape: jax.ShapeDtypeStruct(shape, jnp.int32)  # noqa: E731
    shapes = (whole(lanes), whole(lanes), whole(lanes), whole(events, lanes), whole(3),
              jax.ShapeDtypeStruct((channels.size, lanes), makers.dtype))
    call = jax.ffi.ffi_call("retrojax_stock", shapes)
    return tuple(call(owner, post, ring, fired, touched, arrived, arrivals, marks, hot, moment, makers, channels))


def settle(
    lane: Int[Array, " n"], values: Float[Array, "R n"], channels: Int[Array, " R"], still: Bool[Array, " n"],
    units: Int[Array, " n"], molecules: Float[Array, " n"], voxel: Int[Array, "B slot"], numbers: Int[Array, "2"],
    makers: Float[Array, "B m slot"], hot: Bool[Array, "B J slot"], total: Int[Array, " V"],
    own: Float[Array, "b slot"],
) -> tuple[Array, ...]:
    """What listed synapses made, handed over: their channels and `hot` written, `units` added to `total`.

    - `numbers`: synapses listed, and the messenger among those of `hot`. `own`: molecules by synapse, or no element.
      `total`: without elements, nothing is added up.

    **Returns** makers, hot, total, own.
    """
    call = jax.ffi.ffi_call("retrojax_settle", _like(makers, hot, total, own),
                            input_output_aliases={8 + k: k for k in range(4)})
    return tuple(call(lane, values, channels, still, units, molecules, voxel, numbers, makers, hot, total, own))
