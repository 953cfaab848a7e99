"""Synapses that are not plastic on the lazy schedule: input to the bit, alone and with a background, in any chunks."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrojax import native
from retrojax.engine import assemble
from retrojax.engine.assemble import Wiring
from retrojax.engine.lazy.assemble import build_lazy, plan_times
from retrojax.engine.lazy.fixed import deliver_fixed, fixed_units
from retrojax.engine.lazy.network import run_chunk
from retrojax.engine.model import Clocks, Model
from retrojax.engine.network import run_chunk as run_clocked
from retrojax.engine.rows import Synapse
from retrojax.parts import LIF, DeltaLIF, SilentSpine, TsodyksMarkram
from retrojax.parts.background import PoissonBackground
from retrojax.parts.drive import Replay
from retrojax.readouts import spike_times
from retrojax.space import Grid, to_fixed

pytestmark = pytest.mark.optimised

NONE = np.zeros(0, int)
CLOCKS = Clocks(24, (), 50, 50)


def fixed_wiring(neurons, pre, post, delay, weight):
    return Wiring(NONE, NONE, NONE, NONE, np.zeros(0), pre, post, delay, weight, neurons=neurons, sources=0)


def fixed_model(weight, neurons=None, background=None):
    return Model(jnp.asarray(0.1), Synapse(SilentSpine(), TsodyksMarkram(), ()), jnp.asarray(0.0),
                 jnp.asarray(weight, float), jnp.asarray(2.5), neurons or DeltaLIF(), Replay(np.zeros((1000, 0))), (),
                 background)


@pytest.mark.parametrize("cells", [DeltaLIF(), LIF()], ids=["one sum", "excitation and inhibition apart"])
@pytest.mark.parametrize("alike", [True, False], ids=["one weight and delay", "one per synapse"])
@pytest.mark.parametrize("path", ["native", "plain"])
def test_input_is_the_sum_over_all_spikes_to_the_bit(monkeypatch, cells, alike, path):
    if path == "native" and not native.ready():
        pytest.skip(native.status())
    monkeypatch.setattr(native, "ready", lambda: path == "native")
    rng, neurons, count = np.random.default_rng(3), 300, 60_000
    # some axons have no synapse, and an axon may have several on one neuron
    pre, post = rng.integers(0, neurons - 20, count), rng.integers(0, neurons, count)
    weight = np.asarray(-0.3) if alike else rng.uniform(-2, 1, count)
    delay = np.full(count, 6) if alike else rng.integers(6, 21, count)
    wiring, model = fixed_wiring(neurons, pre, post, delay, weight), fixed_model(weight, cells)
    times = plan_times(wiring, CLOCKS)
    tissue, state = build_lazy(model, wiring, times, None, 1.0, 4.0, 0)
    pending = (rng.integers(0, 2**times.block, neurons) * (rng.random(neurons) < 0.4)).astype(np.uint32)
    start = 7 * times.block
    deliver = jax.jit(lambda waiting: deliver_fixed(
        tissue, waiting, jnp.asarray(pending), jnp.asarray(start, jnp.int32), times, fixed_units(model, tissue)))
    first = np.asarray(state.waiting) + 11
    units = np.broadcast_to(to_fixed(jnp.where(weight < 0, 2.5, 1.0) * jnp.asarray(weight, float),
                                     tissue.input_scale), (count,))
    receptors = cells.receptors
    expected = first.reshape(-1, receptors, neurons).copy()
    for step in range(times.block):
        now = np.flatnonzero(pending[pre] >> step & 1)
        turn = (start + step + delay[now]) % len(expected)
        np.add.at(expected, (turn, (units[now] < 0) * (receptors - 1), post[now]), units[now])
    assert np.array_equal(deliver(jnp.asarray(first)), expected.reshape(first.shape))
    assert first.shape[2] == receptors == (2 if isinstance(cells, LIF) else 1)


@pytest.fixture(scope="module")
def balanced():
    """200 cells that inhibit and excite one another and would be silent without a background."""
    rng, neurons, degree = np.random.default_rng(1), 200, 30
    pre, post = rng.integers(0, neurons, neurons * degree), np.repeat(np.arange(neurons), degree)
    weight = np.where(pre < 150, 60.0, -250.0)
    wiring = fixed_wiring(neurons, pre, post, rng.integers(6, 25, pre.size), weight)
    return wiring, fixed_model(weight, LIF(), PoissonBackground(20.0, 20.0, 0.1))


def lazy_run(wiring, model, *chunks):
    times = plan_times(wiring, CLOCKS)
    tissue, state = build_lazy(model, wiring, times, None, 1.0, 4.0, 5)
    seen = []
    for ticks in chunks:
        state, record = run_chunk(model, tissue, state, times, jnp.asarray(ticks, jnp.int32))
        seen.append(np.asarray(record.spikes)[: ticks * times.blocks])
    return state, spike_times(np.concatenate(seen), times.block)


def test_a_network_without_plastic_synapses_spikes_as_on_the_clocked_schedule(balanced):
    wiring, model = balanced
    _, lazy = lazy_run(wiring, model, 50, 50)
    tissue = assemble.build_tissue(wiring, Grid((1, 1, 1), (1.0,) * 3), np.zeros((0, 3)), np.zeros((0, 3)), 0.1, 1.0,
                                   4.0, [])
    state, seen = assemble.initial_state(model, tissue, [], 5), []
    for _ in range(2):
        state, record = run_clocked(model, tissue, state, CLOCKS, jnp.asarray(50, jnp.int32))
        seen.append(np.asarray(record.spikes).reshape(-1, wiring.neurons))
    step, neuron = np.nonzero(np.concatenate(seen))
    assert neuron.size > 200
    assert sorted(zip(*lazy, strict=True)) == sorted(zip(neuron, step, strict=True))


def test_chunks_change_no_bit(balanced):
    whole, spikes = lazy_run(*balanced, 50)
    parts, same = lazy_run(*balanced, 3, 30, 17)
    assert np.array_equal(spikes, same)
    plain = lambda state: eqx.tree_at(lambda s: s.key, state, jax.random.key_data(state.key))  # noqa: E731
    for one, other in zip(jax.tree.leaves(plain(whole)), jax.tree.leaves(plain(parts)), strict=True):
        assert np.array_equal(one, other)


def test_without_its_background_the_network_is_silent(balanced):
    wiring, model = balanced
    _, (neuron, _) = lazy_run(wiring, eqx.tree_at(lambda m: m.background.rate, model, jnp.asarray(0.0)), 50)
    assert neuron.size == 0
