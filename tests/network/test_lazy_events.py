"""The lazy network against the events schedule, synapse by synapse, and against two neurons worked out by hand."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from structural import CLOCKS, DT, NEURONS, SOURCES, Net, built, draw, ran, some

from retrojax.engine.assemble import Wiring
from retrojax.engine.events import run_events, stack_tables
from retrojax.engine.lazy.assemble import Options, build_lazy, check_parts, plan_times
from retrojax.engine.lazy.field import unpacked
from retrojax.engine.lazy.network import run_chunk
from retrojax.engine.lazy.readout import in_order, up_to_date
from retrojax.engine.lazy.state import record_type
from retrojax.engine.model import Model
from retrojax.engine.rows import Bounds, Synapse, channels, init_state
from retrojax.errors import ErrorBit, InputError
from retrojax.numerics import Draws
from retrojax.parts import CalciumSpine, DeltaLIF, PairSTDP, SilentSpine, TsodyksMarkram, calcium_rule
from retrojax.parts.base import AbstractRule, NoState
from retrojax.parts.drive import Replay
from retrojax.readouts import spike_times

TICKS = 10
STEPS = TICKS * CLOCKS.steps
BURST, LANDING = 9, 46
"""Spikes of a burst, one in every step; steps from a spike to its calcium."""


def bursts():
    """Sources that fire now and then, singly or in bursts; one burst at a time within the calcium delay."""
    rng = np.random.default_rng(11)
    raster = np.zeros((STEPS, SOURCES), bool)
    for source in range(SOURCES):
        for start in np.cumsum(rng.exponential(60, 200) + LANDING).astype(int) - LANDING + 3:
            raster[start : start + (BURST if rng.random() < 0.2 else 1), source] = True
    return raster


def driven_by(net: Net, raster) -> Net:
    """The network with that raster as its sources."""
    return net._replace(model=eqx.tree_at(lambda m: m.drive, net.model, Replay(raster)))


def held(net: Net):
    """Leaves of the state, without traces, of every synapse in the caller's order, brought up to date in a copy."""
    state = up_to_date(net.model, net.tissue, net.state, net.times)
    _, now = unpacked(net.model, net.tissue, state)
    slots = net.tissue.plastic.post.shape
    return [in_order(net.tissue, np.asarray(jnp.broadcast_to(leaf, slots)))
            for leaf in jax.tree.leaves(now._replace(traces=()))]


def leaf_names(net: Net) -> list[str]:
    """Names of the leaves of `held`."""
    return [name for name in channels(net.model.synapse) if ".pre[" not in name and ".post[" not in name]


def agree(net: Net, ours, theirs) -> None:
    """To rounding; the efficacy, whose splitting depends on where flows end, to 1e-7."""
    for name, one, other in zip(leaf_names(net), ours, theirs, strict=True):
        within = 1e-7 if name.startswith("GraupnerBrunel") else 1e-11
        np.testing.assert_allclose(one, other, rtol=within, atol=within, err_msg=name)


def replayed(net: Net, drawn, raster, spikes, axonal):
    """The same leaves from the events schedule, for the spikes that the network had."""
    neuron, step = spike_times(spikes, net.times.block)
    fired = np.concatenate([np.zeros((STEPS, NEURONS), bool), raster], axis=1)
    fired[step, neuron] = True
    at = [(np.flatnonzero(column) + 1) * DT for column in fired.T]
    end = STEPS * DT
    arrives = lambda times: times[times + axonal * DT <= end + DT / 2] + axonal * DT  # noqa: E731
    tables = stack_tables([(arrives(at[a]), at[n], end) for a, n in zip(drawn["pre"], drawn["post"], strict=True)])
    synapse = eqx.tree_at(lambda s: s.rules[0].rho, net.model.synapse, jnp.asarray(0.0))

    def one(table, rho, number):
        start = init_state(synapse, ())
        start = start._replace(rules=(start.rules[0]._replace(rho=rho), *start.rules[1:]))
        return run_events(synapse, start, table, Draws(net.state.key, number))[0]._replace(traces=())

    ends = jax.jit(jax.vmap(one))(tables, jnp.asarray(drawn["rho"]), jnp.asarray(drawn["ids"], jnp.int32))
    return [np.asarray(leaf) for leaf in jax.tree.leaves(ends)]


@pytest.mark.parametrize(("kind", "axonal", "ring"), [("calcium", 0, None), ("traces", 12, None), ("traces", 7, 6)])
def test_every_synapse_ends_as_on_the_events_schedule(x64, kind, axonal, ring):
    """Bursts put several spikes of an axon into one block of 5 steps; calcium lands 46 steps, nine blocks, later."""
    drawn, raster = draw(kind), bursts()
    net = driven_by(built(kind, drawn, axonal=axonal, ring=ring), raster)
    # a hair below whole steps, so that rounding does not put a landing past the end of the events run
    delay = jnp.asarray(LANDING * DT - 1e-11)
    net = net._replace(model=eqx.tree_at(lambda m: m.synapse.spine.delay, net.model, delay))
    assert net.times.block == 5
    end, record = ran(net, TICKS)
    spikes = np.asarray(record.spikes)[: TICKS * net.times.blocks]
    assert int(end.state.errors) == 0 and np.bitwise_count(spikes).sum() > 300
    assert (int(record.passes[3]) > 5) == (ring is not None)  # a short ring forces early syncs
    which = np.random.default_rng(1).permutation(len(drawn["ids"]))[:300]
    expected = replayed(net, some(drawn, which), raster, spikes, axonal)
    agree(net, [values[which] for values in held(end)], expected)
    moved = dict(zip(leaf_names(net), expected, strict=True))
    assert np.ptp(moved["GraupnerBrunel.rho"] - drawn["rho"][which]) > 0.01
    assert moved["spine.calcium"].max() > 1


def test_a_short_ring_gives_the_spikes_of_a_long_one(x64):
    drawn, raster = draw("traces"), bursts()
    (short, few), (long, many) = (ran(driven_by(built("traces", drawn, ring=ring), raster), TICKS) for ring in (6, 100))
    assert int(few.passes[3]) > 5 and int(many.passes[3]) == 0
    assert np.array_equal(few.spikes, many.spikes)
    agree(long, held(short), held(long))


def test_calcium_that_no_ring_can_hold_is_reported():
    drawn, raster = draw("calcium"), np.zeros((STEPS, SOURCES), bool)
    net = driven_by(built("calcium", drawn), raster)
    raster[10:26, 3] = True
    fits, _ = ran(driven_by(net, raster), TICKS)
    raster[26, 3] = True  # the 17th spike within the calcium delay
    full, _ = ran(driven_by(net, raster), TICKS)
    assert (net.tissue.capacity.landings, int(fits.state.errors), int(full.state.errors)) == (16, 0, ErrorBit.LANDINGS)


def test_an_axonal_delay_is_a_later_spike_to_the_bit():
    drawn, raster, axonal = draw("traces"), bursts(), 7
    raster[-axonal:] = False
    sources = some(drawn, drawn["pre"] >= NEURONS)
    late, record = ran(driven_by(built("traces", sources, axonal=axonal), raster), TICKS)
    moved, other = ran(driven_by(built("traces", sources), np.roll(raster, axonal, axis=0)), TICKS)
    assert np.array_equal(record.spikes, other.spikes) and np.bitwise_count(np.asarray(record.spikes)).sum() > 200
    assert all(np.array_equal(a, b) for a, b in zip(held(late), held(moved), strict=True))


@pytest.mark.parametrize(("axonal", "backward"), [(0, 0), (0, 4), (3, 0), (5, 6), (17, 13)])
def test_two_neurons_by_hand(x64, axonal, backward):
    """A source drives cell 0, cell 0 drives cell 1; every input fires its target at once, weights follow all pairs,
    at the times at which either spike is at the synapse."""
    none, dt, delay = np.zeros(0, int), 0.5, np.array([4, 6])
    wiring = Wiring(np.array([70, 71]), np.array([2, 0]), np.array([0, 1]), delay, np.full(2, 1e3), none, none, none,
                    np.zeros(0), neurons=2, sources=1)
    raster = np.zeros((200, 1), bool)
    given = np.array([3, 9, 10, 31, 60, 61, 62, 120])
    raster[given - 1] = True
    synapse = Synapse(SilentSpine(), TsodyksMarkram(5.0, 0.0), (PairSTDP(0.05, 0.03, 11.0, 23.0),), 0.5, 0.5)
    model = Model(jnp.asarray(dt), synapse, jnp.asarray(1e3), jnp.zeros(0), jnp.asarray(1.0),
                  DeltaLIF(20.0, 0.0, 1.0, 0.0, 0.0), Replay(raster), ())
    times = plan_times(wiring, CLOCKS._replace(steps=20, every=()), axonal, backward)
    tissue, state = build_lazy(model, wiring, times, None, 6.0, 16.0, 1, Options(slot=16, tile=16))
    end, record = run_chunk(model, tissue, state, times, jnp.asarray(10, jnp.int32))
    neuron, step = spike_times(np.asarray(record.spikes), times.block)
    first, second = given + axonal + delay[0], given + 2 * axonal + delay.sum()
    assert np.array_equal(step[neuron == 0] + 1, first[first <= 200])
    assert np.array_equal(step[neuron == 1] + 1, second[second <= 200])
    rows = up_to_date(model, tissue, end, times).channels
    q = in_order(tissue, np.asarray(rows[tissue.layout.names.index("expression.q")]))
    pairs = [(given + axonal, first), (first + axonal, second)]
    for pre, post, ours in zip(*zip(*pairs, strict=True), q, strict=True):
        expected = 0.5
        for p in pre[pre <= 200] * dt:
            heard = post + backward
            late = heard[heard <= 200] * dt - p
            expected += 0.05 * np.exp(-late[late > 0] / 11.0).sum() - 0.03 * np.exp(late[late < 0] / 23.0).sum()
        assert ours == pytest.approx(expected, rel=1e-12) and abs(expected - 0.5) > 0.05


def wiring_with(delay):
    none = np.zeros(0, int)
    return Wiring(np.array([40, 41, 42]), np.zeros(3, int), np.ones(3, int), np.array(delay), np.ones(3), none, none,
                  none, np.zeros(0), neurons=2, sources=0)


def test_a_delay_below_one_step_is_refused_and_the_synapse_named():
    with pytest.raises(InputError, match="delay of plastic synapse 41 = '0 steps' .* at least one neuron step"):
        plan_times(wiring_with([3, 0, 5]), CLOCKS)
    assert plan_times(wiring_with([3, 1, 5]), CLOCKS).block == 1


class Clopath(AbstractRule):
    """A rule that would need the membrane."""

    needs_voltage = True

    def init(self, shape):
        return NoState()


@pytest.mark.parametrize(("synapse", "text"), [
    (lambda: Synapse(SilentSpine(), TsodyksMarkram(), (Clopath(),)), "rule Clopath = 'needs the membrane voltage"),
    (lambda: Synapse(SilentSpine(), TsodyksMarkram(), (PairSTDP(tau_plus=np.full(3, 20.0)),)),
     "rule PairSTDP = 'a trace whose time constant differs between synapses'"),
    (lambda: Synapse(CalciumSpine(delay=np.full(3, 4.6)), TsodyksMarkram(), (calcium_rule("DP")[1],)),
     "spine.delay = 'one value per synapse'"),
])
def test_what_the_schedule_cannot_run_is_refused_by_name(synapse, text):
    with pytest.raises(InputError, match=f"{text}.* network.schedule: clocked"):
        check_parts(synapse())


@pytest.mark.parametrize(("options", "text"), [
    ({"slot": 24}, "slot = 24 .* multiple of 16"), ({"ring": 5}, "ring = 5 .* 6 .* to 127"),
    ({"ring": 128}, "ring = 128 .* 6 .* to 127")])
def test_a_layout_that_cannot_be_is_refused(options, text):
    with pytest.raises(InputError, match=text):
        built("traces", draw("traces"), **options)


def test_bounds_hold_in_a_network(x64):
    """Additive steps far beyond them, clipped at every instant as on the events schedule."""
    drawn, raster = draw("traces"), bursts()
    net = driven_by(built("traces", drawn), raster)
    rule = PairSTDP(0.6, 0.6)
    net = net._replace(model=eqx.tree_at(lambda m: (m.synapse.rules, m.synapse.bounds), net.model, (
        (net.model.synapse.rules[0], rule), Bounds(q_min=0.2, q_max=1.4))))
    end, record = ran(net, TICKS)
    which = np.arange(0, len(drawn["ids"]), 7)
    spikes = np.asarray(record.spikes)[: TICKS * net.times.blocks]
    expected = replayed(net, some(drawn, which), raster, spikes, 0)
    place = leaf_names(net).index("expression.q")
    np.testing.assert_allclose(held(end)[place][which], expected[place], rtol=1e-11)
    assert expected[place].min() == 0.2 and expected[place].max() == 1.4


def test_a_record_has_a_bit_for_every_step_of_a_block_and_no_more_bytes_than_that_takes():
    held = {block: np.iinfo(record_type(block)) for block in range(1, 25)}
    assert all(kind.max >= 2**block - 1 for block, kind in held.items())
    assert [held[block].bits for block in (1, 8, 9, 16, 17, 24)] == [8, 8, 16, 16, 32, 32]
