"""Laws 3, 5 and 9 on the lazy schedule, and layouts and code paths that may not change a bit. Law 8: `test_epoch`."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from structural import COUNT, KINDS, Net, built, by_id, draw, some

from retrojax import native
from retrojax.engine.lazy.network import _run_chunk, run_chunk
from retrojax.engine.lazy.readout import up_to_date

pytestmark = pytest.mark.optimised

TICKS, RATE = 18, 0.15
"""Ticks of 10 ms, 10 in a chunk at most; rate of the sources [1/ms], so high that one pass per block is not enough."""


def advance(net: Net, *chunks: int, run=run_chunk):
    """The network after those chunks, on a copy of its state; its spikes by block, levels by tick, and its passes."""
    state, spikes, levels, passes = jax.tree.map(jnp.copy, net.state), [], [], []
    for ticks in chunks:
        state, record = run(net.model, net.tissue, state, net.times, jnp.asarray(ticks, jnp.int32))
        spikes.append(np.asarray(record.spikes)[: ticks * net.times.blocks])
        levels.append(np.asarray(record.levels)[:ticks])
        passes.append(np.asarray(record.passes))
    assert int(state.errors) == 0
    return net._replace(state=state), np.concatenate(spikes), np.concatenate(levels), np.stack(passes)


def bits(state):
    """Every leaf of a state, by its place in it."""
    state = eqx.tree_at(lambda s: s.key, state, jax.random.key_data(state.key))
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(state)}


def different(one: Net, other: Net) -> list[str]:
    """Names of the leaves of the state that are not equal, bit for bit."""
    first, second = bits(one.state), bits(other.state)
    assert first.keys() == second.keys()
    return [name for name in first if not np.array_equal(first[name], second[name])]


def alike(one: tuple, other: tuple) -> None:
    """Spikes, synapses and fields are the same to the bit; the mean level, a sum over slots, to rounding."""
    assert np.array_equal(one[1], other[1]) and np.bitwise_count(one[1]).sum() > 500
    held, held_other = by_id(one[0]), by_id(other[0])
    assert held.keys() == held_other.keys()
    assert [k for k in held if not np.array_equal(held[k], held_other[k])] == []
    for field, field_other in zip(one[0].state.fields, other[0].state.fields, strict=True):
        assert np.array_equal(field, field_other) and float(field.max()) > 0
    np.testing.assert_allclose(one[2], other[2], rtol=1e-6)


@pytest.fixture(scope="module", params=KINDS)
def case(request):
    """Kind, synapses, the network, and where it stands after `TICKS` ticks."""
    drawn = draw(request.param)
    net = built(request.param, drawn, rate=RATE)
    return request.param, drawn, net, advance(net, 10, TICKS - 10)


def test_law3_chunks_change_no_bit(case):
    _, _, net, whole = case
    parts = advance(net, 1, 9, 3, 5)
    assert different(whole[0], parts[0]) == []
    assert np.array_equal(whole[1], parts[1]) and np.array_equal(whole[2], parts[2])
    assert len(different(whole[0], net)) > 10


def test_law3_reading_does_not_touch_what_runs(case):
    kind, _, net, whole = case
    part = advance(net, 7)[0]
    before = {name: leaf.copy() for name, leaf in bits(part.state).items()}
    read = part._replace(state=up_to_date(part.model, part.tissue, part.state, part.times))
    # a messenger that needs all rows has just brought them up to date; otherwise some are behind
    assert different(read, part) == [] if kind == "dense" else {".cells", ".touched"} <= set(different(read, part))
    assert all(np.array_equal(before[name], leaf) for name, leaf in bits(part.state).items())
    again = part._replace(state=up_to_date(read.model, read.tissue, read.state, read.times))
    assert different(again, read) == []
    rest, spikes, *_ = advance(part, 10, TICKS - 17)
    assert different(rest, whole[0]) == [] and np.array_equal(spikes, whole[1][7 * net.times.blocks:])


def test_law5_permuting_synapses_permutes_the_answer_bit_for_bit(case):
    kind, drawn, _, whole = case
    order = np.random.default_rng(3).permutation(COUNT)
    alike(whole, advance(built(kind, some(drawn, order), rate=RATE), 10, TICKS - 10))


def test_law9_a_new_value_does_not_recompile(case):
    _, _, net, whole = case
    advance(net, 1)
    before = _run_chunk.whole._cached._cache_size()
    scaled = jax.tree.map(lambda x: x * 1.01 if eqx.is_inexact_array(x) else x, net.model)
    model = eqx.tree_at(lambda m: (m.dt, m.synapse.spine.delay), scaled, (net.model.dt, net.model.synapse.spine.delay))
    changed = advance(net._replace(model=model), 10, TICKS - 10)
    other_seed = eqx.tree_at(lambda s: s.key, net.state, jax.random.key(7))
    reseeded = advance(net._replace(state=other_seed), 3)
    assert _run_chunk.whole._cached._cache_size() == before
    assert not np.array_equal(changed[1], whole[1])
    assert not np.array_equal(reseeded[1], whole[1][: 3 * net.times.blocks])


def test_the_layout_changes_no_bit(case):
    kind, drawn, _, whole = case
    wide = built(kind, drawn, rate=RATE, slot=64, spare=0.5, ring=60)
    assert wide.state.cells.shape[2] == 64 and wide.state.ring.shape[1] == 60
    alike(whole, advance(wide, 10, TICKS - 10))


def test_too_few_lanes_cost_passes_and_nothing_else(case):
    kind, drawn, net, whole = case
    roomy = built(kind, drawn, rate=RATE, tile=1024)
    few, most = net.tissue.capacity.blocks, roomy.tissue.capacity.blocks
    assert few == 16 and most == 64
    easy = advance(roomy, 10, TICKS - 10)
    alike(easy, whole)
    blocks, passes, crowded, *_ = whole[3].sum(0)
    assert blocks == TICKS * net.times.blocks and few < whole[3][:, 4].max() < most
    assert crowded > 25 and easy[3].sum(0)[2] < crowded  # several spikes of one axon in a block are passes anyhow
    assert passes > easy[3].sum(0)[1]


@pytest.mark.skipif(not native.ready(), reason=native.status())
def test_plain_arrays_give_the_bits_of_compiled_data_movement(case, monkeypatch):
    _, _, net, whole = case
    calls = []
    monkeypatch.setattr(native, "ready", lambda: bool(calls.append(1)))
    fresh = eqx.filter_jit(lambda model, tissue, state, times, ticks: _run_chunk.__wrapped__(
        (model, tissue, ticks), state, times))
    plain = advance(net, 10, TICKS - 10, run=fresh)
    assert calls
    assert different(plain[0], whole[0]) == []
    assert np.array_equal(plain[1], whole[1]) and np.array_equal(plain[2], whole[2])  # not which axon shares a pass
