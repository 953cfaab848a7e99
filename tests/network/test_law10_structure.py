"""Law 10: a dead slot neither emits, nor changes, nor counts in a mean; what growth puts there is as if built."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from structural import (
    COUNT,
    DT,
    IN_DEGREE,
    KINDS,
    NEURONS,
    SOURCES,
    Net,
    built,
    by_id,
    draw,
    growth,
    ran,
    some,
)

from retrojax.engine.events import run_events, spike_table
from retrojax.engine.lazy.network import _run_chunk
from retrojax.engine.lazy.room import add_places
from retrojax.engine.lazy.structure import catch_up, grow, prune
from retrojax.engine.rows import init_state
from retrojax.errors import InputError
from retrojax.numerics import Draws

TICKS, CHUNKS = 10, 3


def copied(tree):
    return jax.tree.map(jnp.copy, tree)


def pruned(net: Net, ids) -> Net:
    tissue, state = prune(net.model, net.tissue, copied(net.state), ids)
    return net._replace(tissue=tissue, state=state)


def grown(net: Net, new):
    model, tissue, state, report = grow(net.model, net.tissue, copied(net.state), net.times, new)
    return Net(model, tissue, state, net.times), report


def alike(kind: str, one: Net, other: Net, record, record_other) -> None:
    """Both runs agree to the bit; sums over synapses in another order, where the level has one, by rounding."""
    assert np.array_equal(record.spikes, record_other.spikes)
    assert np.bitwise_count(np.asarray(record.spikes)).sum() > 100
    held, held_other = by_id(one), by_id(other)
    assert held.keys() == held_other.keys()
    assert all(np.array_equal(held[k], held_other[k]) for k in held)
    for field, field_other in zip(one.state.fields, other.state.fields, strict=True):
        assert np.array_equal(field, field_other) and float(field.max()) > 0
    if kind != "dense":
        assert np.array_equal(record.levels, record_other.levels)
    np.testing.assert_allclose(record.levels, record_other.levels, rtol=1e-6)
    assert int(one.state.errors) == int(other.state.errors) == 0


@pytest.fixture(scope="module", params=KINDS)
def case(request):
    """Kind, synapses, which of them stay, the whole network and the one built without the others."""
    drawn = draw(request.param)
    keep = np.random.default_rng(2).random(COUNT) < 0.6
    return request.param, drawn, keep, built(request.param, drawn), built(request.param, some(drawn, keep))


@pytest.fixture(scope="module")
def without(case):
    return ran(case[-1], TICKS, CHUNKS)


def test_pruned_network_equals_the_network_built_without(case, without):
    kind, drawn, keep, whole, _ = case
    alike(kind, *_pairs(ran(pruned(whole, drawn["ids"][~keep]), TICKS, CHUNKS), without))


def test_grown_network_equals_the_network_built_with(case):
    kind, drawn, keep, whole, part = case
    expected = ran(whole, TICKS, CHUNKS)
    order = np.random.default_rng(3).permutation(np.flatnonzero(~keep))
    again, report = grown(pruned(whole, drawn["ids"][~keep]), growth(kind, whole.model, some(drawn, order)))
    assert report == (0, 0, False, 0)
    alike(kind, *_pairs(ran(again, TICKS, CHUNKS), expected))
    full, report = grown(part, growth(kind, whole.model, some(drawn, order)))
    assert report.blocks > 0 and report.places > 0 and report.recompiles
    assert int(full.tissue.most_input) == int(whole.tissue.most_input)
    alike(kind, *_pairs(ran(full, TICKS, CHUNKS), expected))


def _pairs(one, other):
    return one[0], other[0], one[1], other[1]


def test_free_slots_are_at_rest_and_do_not_change(case):
    kind, drawn, keep, whole, _ = case
    before, _ = ran(whole, TICKS)
    start = pruned(before, drawn["ids"][~keep])
    end, _ = ran(start, TICKS, CHUNKS)
    dead = np.asarray(start.tissue.plastic.post) < 0
    assert dead.sum() > (~keep).sum()
    assert [_held(net, dead) == _held(whole, dead) for net in (before, start, end)] == [False, True, True]
    assert np.asarray(before.state.hot).any() == np.asarray(end.state.hot).any() == (kind == "sparse")
    assert not np.array_equal(start.state.cells, end.state.cells)
    assert (kind == "sparse") == (not np.array_equal(start.state.makers, end.state.makers))


def _held(net: Net, which: np.ndarray) -> list[bytes]:
    """All that the state keeps of those slots."""
    state = net.state
    by_block = (state.makers, state.cells, state.hot)
    return [np.moveaxis(np.asarray(values), 1, 2)[which].tobytes() for values in by_block] + \
        [np.asarray(values)[which].tobytes() for values in state.calm] + \
        [np.asarray(values)[:, which].tobytes() for values in state.emitted]


def test_pruning_in_mid_run_equals_a_weight_of_zero():
    drawn = draw("traces")
    gone = np.random.default_rng(4).random(COUNT) < 0.3
    start, _ = ran(built("traces", drawn), TICKS)
    silent = start._replace(model=dataclasses.replace(start.model, weight=jnp.where(gone, 0.0, start.model.weight)))
    dead, record = ran(pruned(start, drawn["ids"][gone]), TICKS, CHUNKS)
    mute, record_mute = ran(silent, TICKS, CHUNKS)
    assert np.array_equal(record.spikes, record_mute.spikes)
    assert not np.array_equal(record.spikes, ran(start, TICKS, CHUNKS)[1].spikes)
    held, held_mute = by_id(dead), by_id(mute)
    assert len(held) == (~gone).sum() and all(np.array_equal(held[k], held_mute[k]) for k in held)


def test_a_synapse_born_in_mid_run_follows_the_spikes_since_its_birth():
    drawn = draw("calcium")
    start, _ = ran(built("calcium", drawn, spare=0.5), 7)  # not a slow step: rows of most axons are behind
    behind = np.asarray(start.state.touched) < int(start.state.step)
    assert behind[drawn["pre"]].sum() > COUNT / 2
    stamps = np.asarray(start.state.arrivals)[:NEURONS, 1:].max(axis=1)
    quiet = np.flatnonzero(stamps + round(float(start.model.synapse.spine.delay) / DT) <= int(start.state.step))
    new = some(drawn, np.arange(0, COUNT, IN_DEGREE)[: quiet.size])
    new = {**new, "ids": 10_000 + np.arange(quiet.size), "pre": quiet, "weight": np.zeros(quiet.size)}
    planted, report = grown(start, growth("calcium", start.model, new))
    assert new["ids"].size > 8 and report.early == 0
    end, record = ran(planted, TICKS)
    ticks = TICKS * start.times.block * start.times.blocks
    words = np.asarray(record.spikes)[: TICKS * start.times.blocks]
    spikes = ((words[:, None] >> np.arange(start.times.block)[None, :, None]) & 1).reshape(ticks, NEURONS)
    end_state = catch_up(end.model, end.tissue, end.state, end.times, jnp.ones(NEURONS + SOURCES, bool))
    held, names = by_id(end._replace(state=end_state)), end.tissue.layout.names
    post_spikes = 0
    for k, number in enumerate(new["ids"]):
        times = [DT * (np.flatnonzero(spikes[:, new[side][k]]) + 1) for side in ("pre", "post")]
        post_spikes += times[1].size
        synapse = jax.tree.map(lambda leaf, k=k: leaf[k] if leaf.ndim else leaf,
                               growth("calcium", start.model, new).synapse)
        alone, _ = run_events(synapse, init_state(synapse, ()), spike_table(*times, ticks * DT),
                              Draws(jax.random.key(1), jnp.asarray(number)))[:2]
        expected = {"spine.calcium": alone.spine.calcium, "release.r": alone.release.r,
                    "GraupnerBrunel.rho": alone.rules[0].rho}
        for name, value in expected.items():
            assert held[int(number)][names.index(name)] == pytest.approx(float(value), rel=2e-5, abs=2e-6), name
    assert post_spikes > 20


def test_reused_slots_do_not_recompile_and_a_new_block_does_once():
    drawn = draw("traces")
    net = built("traces", drawn, spare=0.2)
    net = Net(*add_places(net.model, net.tissue), net.state, net.times)
    ran(net, 1)
    compiled = _run_chunk.whole._cached._cache_size()
    ids, gone = drawn["ids"].copy(), np.arange(COUNT)
    for turn in range(4):  # every time others leave, and as many with new ids take their slots
        gone = np.random.default_rng(turn).choice(COUNT, 100 + turn, replace=False)
        net = pruned(net, ids[gone])
        ids[gone] = 100_000 + 1000 * turn + np.arange(gone.size)
        net, report = grown(net, growth("traces", net.model, some({**drawn, "ids": ids}, gone)))
        assert report[:3] == (0, 0, False)
        net, _ = ran(net, 2)
        assert set(by_id(net)) == set(ids.tolist())
    extra = some({**drawn, "ids": ids + 10**6}, np.arange(5))
    net, report = grown(net, growth("traces", net.model, extra))
    assert report[:3] == (0, 0, False)
    net, _ = ran(net, 1)
    assert _run_chunk.whole._cached._cache_size() == compiled
    many = {**some(drawn, np.arange(40)), "ids": np.arange(40) + 10**7, "pre": np.full(40, 3)}
    net, report = grown(net, growth("traces", net.model, many))
    assert report.blocks == 3 - (16 - _used(drawn, 3)) // 16 and report.recompiles
    for _ in range(2):
        net, _ = ran(net, 1)
    assert _run_chunk.whole._cached._cache_size() == compiled + 1


def _used(drawn, axon):
    return int((drawn["pre"] == axon).sum())


@pytest.mark.parametrize(("change", "text"), [
    ({"ids": np.array([1])}, r"ids\[0\] = 1 cannot be used. Allowed: ids that no living synapse has"),
    ({"pre": np.array([NEURONS + SOURCES])}, r"pre\[0\] = 90 .* 0 to 89"),
    ({"post": np.array([-1])}, r"post\[0\] = -1 .* 0 to 59"),
    ({"delay": np.array([3])}, r"delay\[0\] = 3 .* 5 to 30"),
    ({"delay": None}, r"delay = None .* one delay per synapse"),
    ({"weight": None}, "weight = None"),
    ({"synapse": None}, "synapse = None"),
    ({"spines": np.ones((1, 3))}, "spines = 'given' .* no messenger"),
    ({"post": np.array([1, 2])}, "post = '2 values' .* one per new synapse"),
])
def test_what_cannot_grow_is_refused(change, text):
    drawn = draw("traces")
    net = built("traces", drawn)
    new = growth("traces", net.model, {**some(drawn, np.arange(1)), "ids": np.array([7000])})
    with pytest.raises(InputError, match=text):
        grow(net.model, net.tissue, net.state, net.times, new._replace(**change))


def test_what_is_not_alive_cannot_be_pruned():
    drawn = draw("traces")
    net = pruned(built("traces", drawn), drawn["ids"][:2])
    with pytest.raises(InputError, match="ids = 4 .* living synapses"):
        prune(net.model, net.tissue, net.state, drawn["ids"][1:3])
