"""Where synapses lie: blocks of slots, each block owned by one axon. Host only; this is where shapes are made.

An axon owns as many consecutive blocks as its synapses need; the last is padded with free slots. A free slot has no
target (-1): it is never read, transmits nothing and counts nowhere, so pruning frees a slot and growth takes one
without any array changing its shape.
"""

import dataclasses

import numpy as np
from jaxtyping import Int

from retrojax.errors import InputError

FREE = -1
"""Target of a slot that holds no synapse."""


@dataclasses.dataclass(frozen=True)
class Blocks:
    """Synapses sorted into blocks.

    - `first`: axon a owns blocks first[a] to first[a + 1], [A + 1]. `owner`: axon of every block, [B].
    - `post`: target neuron of every slot, or `FREE`, [B, slot].
    - `index`: position of the synapse in the caller's own order; 0 in free slots, [B, slot].
    """

    first: Int[np.ndarray, " A1"]
    owner: Int[np.ndarray, " B"]
    post: Int[np.ndarray, "B slot"]
    index: Int[np.ndarray, "B slot"]


def lay_out(
    pre: Int[np.ndarray, " S"], post: Int[np.ndarray, " S"], axons: int, slot: int, spare: float | int = 0.0
) -> Blocks:
    """Blocks of `slot` synapses for S synapses, sorted by axon and, within one, by target.

    **Arguments**

    - `pre`, `post`: axon and target neuron of every synapse.
    - `axons`: how many axons there are; one without synapses owns no block.
    - `slot`: synapses of one axon that share a block.
    - `spare`: free slots to keep for growth, as a share of an axon's synapses.

    **Raises** `InputError` naming the first synapse whose axon does not exist.
    """
    check_axons(pre, axons)
    counts, owned = np.bincount(pre, minlength=axons), owned_blocks(pre, axons, slot, spare)
    first = np.concatenate([[0], np.cumsum(owned)])
    blocks = max(int(first[-1]), 1)  # arrays without an element are a nuisance on every device
    order = np.lexsort((post, pre))
    rank = np.arange(pre.size) - np.repeat(np.cumsum(counts) - counts, counts)
    place = first[pre[order]] * slot + rank
    target, index = np.full(blocks * slot, FREE, np.int32), np.zeros(blocks * slot, np.int32)
    target[place], index[place] = post[order], order
    owner = np.zeros(blocks, np.int32)
    owner[: first[-1]] = np.repeat(np.arange(axons), owned)
    return Blocks(first.astype(np.int32), owner, target.reshape(blocks, slot), index.reshape(blocks, slot))


def lay_out_parts(
    pre: Int[np.ndarray, " S"], post: Int[np.ndarray, " S"], axons: int, slot: int, spare: float | int, parts: int
) -> Blocks:
    """The same cut into parts by target (`cut`), one after another: neuron i is number i // parts of part i % parts.

    Every part has blocks of its own for every axon and its own `first`, [A + 1]; the shorter ones are padded with
    blocks that no axon owns.
    """
    check_axons(pre, axons)
    found = []
    for part in range(parts):
        mine = np.flatnonzero(post % parts == part)
        one = lay_out(pre[mine], post[mine] // parts, axons, slot, spare)
        index = mine[one.index].astype(np.int32) if mine.size else one.index
        found.append(dataclasses.replace(one, index=np.where(one.post == FREE, 0, index)))
    most = max(one.owner.size for one in found)
    padded = lambda values, fill: np.concatenate([  # noqa: E731
        np.pad(x, [(0, most - len(x))] + [(0, 0)] * (x.ndim - 1), constant_values=fill) for x in values])
    return Blocks(np.concatenate([one.first for one in found]), padded([one.owner for one in found], 0),
                  padded([one.post for one in found], FREE), padded([one.index for one in found], 0))


def check_axons(pre: Int[np.ndarray, " S"], axons: int) -> None:
    """**Raises** `InputError` naming the first synapse whose axon does not exist."""
    wrong = np.flatnonzero((pre < 0) | (pre >= axons))
    if wrong.size:
        raise InputError(f"pre[{wrong[0]}]", int(pre[wrong[0]]), f"0 to {axons - 1}", "number axons from 0")


def owned_blocks(pre: Int[np.ndarray, " S"], axons: int, slot: int, spare: float | int = 0.0) -> Int[np.ndarray, " A"]:
    """Blocks that every axon needs."""
    counts = np.bincount(pre, minlength=axons)
    return -(-np.ceil(counts * (1 + spare)).astype(np.int64) // slot)


def spread(blocks: Blocks, values: np.ndarray, empty: object = 0) -> np.ndarray:
    """`values`, one per synapse in the caller's order, at their slots; `empty` in free slots; [B, slot, ...]."""
    filled = values[blocks.index] if values.size else np.full(blocks.index.shape, empty, values.dtype)
    filled[blocks.post == FREE] = empty
    return filled
