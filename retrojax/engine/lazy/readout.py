"""Reading rows that are behind: a copy is brought up to date, the run goes on from the rows as they were."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int, Shaped, UInt

from retrojax.engine.lazy import cut
from retrojax.engine.lazy.block import touch
from retrojax.engine.lazy.state import LazyState, LazyTissue, Times
from retrojax.engine.model import Model


@eqx.filter_jit
def up_to_date(model: Model, tissue: LazyTissue, state: LazyState, times: Times) -> LazyState:
    """The same state with every row as it is now; what it is a copy of stays as it is.

    The pending events are those since a row was touched, so it is as if an idle block ended at the present.
    """
    return cut.on_each(lambda m, t, s: (flushed(m, t, s, times), ()), model, tissue, state, ())[0]


def flushed(model: Model, tissue: LazyTissue, state: LazyState, times: Times) -> LazyState:
    """The same for one part, inside a traced function."""
    traces, neurons = state.post.shape
    seen = jnp.zeros((times.block, traces, neurons), state.post.dtype)  # no spike is delivered, so none is read
    before = eqx.tree_at(lambda s: s.step, state, state.step - times.block)
    none = jnp.zeros_like(state.history[0])
    after, _ = touch(model, tissue, before, times, seen, none, jnp.zeros((), jnp.int32), jnp.asarray(True))
    return eqx.tree_at(lambda s: s.step, after, state.step)


def in_order(tissue: LazyTissue, values: Shaped[np.ndarray, "B slot"]) -> Shaped[np.ndarray, " S"]:
    """`values` by slot in the caller's order of synapses; of one that is pruned, whatever 0 is of that type."""
    live = np.asarray(tissue.plastic.post).ravel() >= 0
    found = np.zeros(tissue.ids.size, values.dtype)
    found[np.asarray(tissue.plastic.index).ravel()[live]] = values.ravel()[live]
    return found


def spike_list(words: UInt[np.ndarray, "T N"], block: int) -> tuple[Int[np.ndarray, " K"], Int[np.ndarray, " K"]]:
    """Step (from 0) and neuron of every spike, by step and then by neuron.

    - `words`: of every block, a bit per step and neuron. `block`: steps in one.
    """
    row, column = np.nonzero(words)
    word = words[row, column]
    found = [np.flatnonzero((word >> np.uint32(bit)) & np.uint32(1)) for bit in range(block)]
    step = np.concatenate([row[on] * block + bit for bit, on in enumerate(found)])
    neuron = np.concatenate([column[on] for on in found])
    order = np.lexsort((neuron, step))
    return step[order], neuron[order]
