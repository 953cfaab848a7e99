"""The step counter starts anew every epoch, and nobody notices; law 8 on the lazy schedule."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from structural import CLOCKS, NEURONS, SOURCES, Net, built, by_id, draw, ran

from retrojax.engine.lazy.epoch import LONGEST_CHUNK, needs_turn, turn_epoch
from retrojax.engine.lazy.network import run_chunk
from retrojax.engine.lazy.state import LONG_AGO, LazyState
from retrojax.engine.lazy.structure import catch_up
from retrojax.errors import InputError

STAMPS = ("step", "touched", "arrived", "synced")
EVERYONE = jnp.ones(NEURONS + SOURCES, bool)


def moved(state: LazyState, by: int) -> LazyState:
    """The same state, with every stamp that is not long ago `by` steps later."""
    later = lambda stamp: jnp.where(stamp == LONG_AGO, LONG_AGO, stamp + by)  # noqa: E731
    state = eqx.tree_at(lambda s: [getattr(s, name) for name in STAMPS] + [s.ring], state,
                        [later(getattr(state, name)) for name in STAMPS] + [later(state.ring)])
    return eqx.tree_at(lambda s: s.arrivals, state, state.arrivals.at[:, 1:].add(by))


def driven(net: Net, chunks: int, ticks: int = 10):
    """As a host loop drives it: spikes of every chunk, and the network after them."""
    state, spikes, turns = jax.tree.map(jnp.copy, net.state), [], 0
    for _ in range(chunks):
        if needs_turn(int(state.step), net.times, ticks):
            state, turns = turn_epoch(state, net.times), turns + 1
        state, record = run_chunk(net.model, net.tissue, state, net.times, jnp.asarray(ticks, jnp.int32))
        spikes.append(np.asarray(record.spikes))
    return net._replace(state=state), np.concatenate(spikes), turns


def plain(leaf):
    return np.asarray(jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf)


def same(one: LazyState, other: LazyState, but: tuple[str, ...] = ()) -> list[str]:
    """Names of what differs."""
    return [name for name in one.__dataclass_fields__ if name not in but and not all(
        np.array_equal(plain(a), plain(b)) for a, b in
        zip(jax.tree.leaves(getattr(one, name)), jax.tree.leaves(getattr(other, name)), strict=True))]


@pytest.mark.parametrize(("kind", "axonal"), [("traces", 7), ("sparse", 0), ("dense", 12)])
def test_a_run_across_the_turn_is_the_same_to_the_bit(kind, axonal):
    net = built(kind, draw(kind), axonal=axonal)
    before = net.times.epoch - 1500  # ticks are 100 steps, chunks 10 ticks: the turn comes after two of them
    first, spikes, turns = driven(net, 4)
    again, spikes_again, turns_again = driven(net._replace(state=moved(net.state, before)), 4)
    assert (turns, turns_again, int(again.state.epoch)) == (0, 1, 1)
    assert int(again.state.step) == 4000 - 1500
    assert np.array_equal(spikes, spikes_again) and np.bitwise_count(spikes).sum() > 500
    turned = ("waiting", "history")  # by block in turn, which is another one
    assert same(first.state, moved(again.state, 1500), (*turned, "step", "epoch", "arrivals", "arrived")) == []
    busy = np.asarray(first.state.arrivals)[:, 0] >= first.state.arrivals.shape[1] - 1
    assert busy.any()
    assert np.array_equal(np.asarray(first.state.arrivals)[busy, 1:].max(1),
                          np.asarray(again.state.arrivals)[busy, 1:].max(1) + 1500)


def test_a_thousand_silent_epochs_leave_no_trace():
    net, _ = ran(built("traces", draw("traces")), 10, 2)
    state = catch_up(net.model, net.tissue, net.state, net.times, EVERYONE)
    assert float(state.pre.max()) > 1 and np.asarray(state.arrived).max() > 0
    rested = eqx.tree_at(lambda s: (s.pre, s.arrivals, s.ring, s.waiting, s.synced), state, (
        jnp.zeros_like(state.pre), jnp.zeros_like(state.arrivals), jnp.full_like(state.ring, LONG_AGO),
        jnp.zeros_like(state.waiting), state.step))
    now = int(state.step)
    late = eqx.tree_at(lambda s: s.waiting, jax.tree.map(jnp.copy, state), jnp.zeros_like(state.waiting))
    for _ in range(1000):  # everything is brought up to date in every epoch, so only spikes are old
        late = eqx.tree_at(lambda s: (s.step, s.touched, s.synced), late, (
            late.step + net.times.epoch, jnp.full_like(late.touched, now + net.times.epoch),
            late.step + net.times.epoch))
        assert needs_turn(int(late.step), net.times, 10)
        late = turn_epoch(late, net.times)
    assert (int(late.step), int(late.epoch)) == (now, 1000)
    assert int(late.epoch) * net.times.epoch + int(late.step) > 2**39
    assert np.asarray(late.arrived).max() == np.asarray(late.ring).max() == LONG_AGO
    assert not np.asarray(late.pre).any()
    late, spikes, _ = driven(net._replace(state=late), 3)
    rested, spikes_rested, _ = driven(net._replace(state=rested), 3)
    assert np.array_equal(spikes, spikes_rested) and np.bitwise_count(spikes).sum() > 500
    assert same(late.state, rested.state, ("epoch", "arrived", "arrivals", "ring", "ring_post")) == []


def test_one_old_spike_is_forgotten_in_one_turn_and_a_recent_one_is_not():
    net = built("traces", draw("traces"))
    half = net.times.epoch // 2 + 1000
    state = eqx.tree_at(lambda s: (s.pre, s.arrived, s.step), net.state, (
        jnp.ones_like(net.state.pre), jnp.zeros_like(net.state.arrived).at[1].set(half),
        net.state.step + net.times.epoch))
    state = turn_epoch(state, net.times)
    assert int(state.arrived[0]) == LONG_AGO and int(state.arrived[1]) == half - net.times.epoch > LONG_AGO
    assert np.array_equal(state.pre[0, :3], [0.0, 1.0, 0.0])


def test_no_chunk_can_leave_int32():
    times = built("traces", draw("traces")).times
    assert not needs_turn(times.epoch - 1, times, 10) and needs_turn(times.epoch, times, 10)
    most = LONGEST_CHUNK // (times.block * times.blocks)
    assert times.epoch + LONGEST_CHUNK - LONG_AGO <= 2**31
    assert not needs_turn(0, times, most)
    with pytest.raises(InputError, match="chunk .* Allowed: at most 536870912 steps"):
        needs_turn(0, times, most + 1)


WEEK_STEPS = 60_480_000
"""A week of steps of 10 ms."""


def test_law8_a_week_in_one_gap_moves_nothing_but_the_double_well():
    drawn = draw("calcium")
    still = np.arange(drawn["ids"].size) % 2 == 0  # these start in a well, the others on their way to one
    net = built("calcium", {**drawn, "rho": np.where(still, np.round(drawn["rho"]), drawn["rho"])}, dt=10.0, rate=0.0)
    start = by_id(net)
    state = eqx.tree_at(lambda s: s.step, jax.tree.map(jnp.copy, net.state), net.state.step + WEEK_STEPS)
    state = catch_up(net.model, net.tissue, state, net.times, EVERYONE)
    end, record = ran(net._replace(state=state), 1)
    assert not np.asarray(record.spikes).any()
    after, rho = by_id(end), net.tissue.layout.names.index("GraupnerBrunel.rho")
    assert net.tissue.layout.names[rho + 1] == "GraupnerBrunel.carry"
    assert all(after[number] == start[number] for number in drawn["ids"][still])
    for number in drawn["ids"][~still]:
        well, found = np.round(start[number][rho]), after[number][rho] + after[number][rho + 1]
        assert found != start[number][rho] and abs(found - well) < np.finfo(np.float32).eps  # of one long way
        assert after[number][:rho] == start[number][:rho] and after[number][rho + 2:] == start[number][rho + 2:]


def test_law8_a_hundred_thousand_field_steps_move_nothing():
    clocks = CLOCKS._replace(steps=5, slow=100, chunk=5000)
    net = built("sparse", draw("sparse"), rate=0.0, clocks=clocks)
    rho = net.tissue.layout.names.index("GraupnerBrunel.rho")
    place = rho - net.tissue.layout.making
    wells = jnp.round(net.state.cells[:, place])  # between the wells it moves, and should
    net = net._replace(state=eqx.tree_at(lambda s: s.cells, net.state, net.state.cells.at[:, place].set(wells)))
    end, _ = ran(net, 5000, 20)
    assert int(end.state.tick) == 100_000 and int(end.state.step) == 500_000
    assert int(end.state.touched.max()) > 0
    assert same(end.state, net.state, ("step", "tick", "cursor", "lap", "touched", "synced")) == []
