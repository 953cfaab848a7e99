"""A cluster of synapses that share a messenger on the grid: gradients by everything between spine and bouton.

Four sources, three neurons, twelve synapses in a box of 4 x 4 x 4 voxels; clocked, with field steps every 5 ms.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrojax.engine import assemble
from retrojax.engine.assemble import Wiring
from retrojax.engine.given import run_given
from retrojax.engine.model import Clocks, Maps, Messenger, Model, Saturable
from retrojax.engine.network import run_chunk
from retrojax.engine.rows import Synapse, unpack
from retrojax.errors import InputError
from retrojax.fit import NetworkOutcome
from retrojax.parts import DeltaLIF, HillSynthesis, MessengerFacilitation, TsodyksMarkram, calcium_rule
from retrojax.parts.drive import Replay
from retrojax.space import Grid

GRID, DT, STEPS, TICKS, NEURONS, SOURCES, COUNT = Grid((4, 4, 4), (2.0,) * 3), 1.0, 5, 30, 3, 4, 12
AT = {"D_free": 0.8, "tortuosity": 1.6, "loss": 0.02, "volume_fraction": 0.2, "vmax": 0.5, "km": 60.0, "rate": 40.0,
      "half_activation": 1.0, "ca_scale": 1.1, "gain": 0.8, "half": 40.0, "tau": 200.0, "tau_rec": 200.0,
      "p_release": 0.5}
U = np.log(np.array(list(AT.values())))
CLOCKS = Clocks(STEPS, (1,), 4, TICKS)


def cluster(u, maps=None, saturable=True):
    """Model with parameters e^u in the order of `AT`; saturable loss only where asked for, and not on maps."""
    p = dict(zip(AT, jnp.exp(u), strict=True))
    spine, efficacy = calcium_rule("cortical_slices")
    makes = HillSynthesis("NO", p["half_activation"], 3.0, p["rate"], 0.0, p["ca_scale"])
    senses = MessengerFacilitation("NO", p["gain"], p["half"], p["tau"])
    synapse = Synapse(spine, TsodyksMarkram(p["tau_rec"], 50.0), (efficacy, makes, senses), p["p_release"])
    lost = Saturable(p["vmax"], p["km"], jnp.asarray(0.0)) if saturable and maps is None else None
    messenger = Messenger("NO", p["D_free"] / p["tortuosity"] ** 2, p["loss"], p["volume_fraction"], None, lost,
                          maps)
    raster = np.random.default_rng(2).random((STEPS * TICKS, SOURCES)) < 0.08
    return Model(jnp.asarray(DT), synapse, jnp.full(COUNT, 25.0), jnp.zeros(0), jnp.asarray(1.0),
                 DeltaLIF(20.0, 0.0, 15.0, 5.0, 2.0), Replay(raster), (messenger,))


def circuit(model):
    """Tissue and resting state."""
    rng, none = np.random.default_rng(1), np.zeros(0, int)
    wiring = Wiring(np.arange(COUNT), NEURONS + np.arange(COUNT) % SOURCES, np.arange(COUNT) % NEURONS,
                    np.ones(COUNT, int), np.full(COUNT, 25.0), none, none, none, none + 0.0, neurons=NEURONS,
                    sources=SOURCES)
    spines = rng.uniform(1, 7, (COUNT, 3))
    tissue = assemble.build_tissue(wiring, GRID, spines, spines + 0.05, 0.0866, 6.0, 16.0, [1000.0])
    return tissue, assemble.initial_state(model, tissue, [4], 1)


@pytest.fixture(scope="module")
def recorded():
    """Tissue, start, the end of the network's own run, and who spiked in it."""
    with jax.enable_x64(True):
        model = cluster(U)
        tissue, start = circuit(model)
        final, record = run_chunk(model, tissue, start, CLOCKS, jnp.asarray(TICKS, jnp.int32))
        sources = model.drive.raster.reshape(TICKS, STEPS, SOURCES)
        return tissue, start, final, jnp.concatenate([record.spikes, sources], -1)


def test_given_spikes_repeat_the_run(recorded):
    tissue, start, final, fired = recorded
    with jax.enable_x64(True):
        again = run_given(cluster(U), tissue, start, CLOCKS, fired)
        assert int(final.errors) == 0
        assert int(fired[..., :NEURONS].sum()) > 10
        np.testing.assert_allclose(again.rows, final.rows, rtol=1e-5)
        np.testing.assert_allclose(again.fields[0], final.fields[0], rtol=1e-5)
        assert int(again.tick) == int(final.tick) == TICKS
        assert float(final.levels[0, 1]) > 5.0


def test_outcome_of_a_recording_shows_every_synapse_at_every_reading(recorded):
    tissue, start, _, fired = recorded
    with jax.enable_x64(True):
        model = cluster(U)
        outcome = NetworkOutcome(tissue, start, fired.reshape(2, TICKS // 2, STEPS, -1), CLOCKS)
        shown = np.asarray(eqx.filter_jit(outcome)(model)).reshape(2, COUNT)
        final = run_given(model, tissue, start, CLOCKS, fired)
        factor = unpack(model.synapse, final.rows).rules[2].on_p
    np.testing.assert_allclose(shown[1], factor, rtol=1e-12)
    assert np.all(shown[1] > shown[0]) and np.all(shown[0] > 1)


def test_outcome_refuses_a_recording_of_another_network(recorded):
    tissue, start, _, fired = recorded
    with pytest.raises(InputError, match="fired.*5 steps of a tick, 7 neurons"):
        NetworkOutcome(tissue, start, fired[None, ..., :-1], CLOCKS)
    with pytest.raises(InputError, match="quantity.*P or w"):
        NetworkOutcome(tissue, start, fired[None], CLOCKS, "q")


def reading(u, recorded, maps=None, saturable=True):
    """What a recording would see: release probability as the messenger moved it, efficacy, and the level [log nM]."""
    tissue, start, _, fired = recorded
    model = cluster(u, maps, saturable)
    final = run_given(model, tissue, start, CLOCKS, fired)
    state, weight = unpack(model.synapse, final.rows), jnp.linspace(0.5, 1.5, COUNT)
    p = model.synapse.p_release * state.rules[2].on_p
    return jnp.sum(weight * (p + state.rules[0].rho + state.release.r)) + jnp.sum(jnp.log(final.levels[0]))


def difference(value):
    step = 1e-5 * np.eye(U.size)
    many = jax.jit(jax.vmap(value))(jnp.asarray(np.concatenate([U + step, U - step])))
    return np.asarray(many[: U.size] - many[U.size :]) / 2e-5


def test_forward_mode_against_finite_differences(recorded):
    with jax.enable_x64(True):
        value = lambda u: reading(u, recorded)  # noqa: E731
        forward = np.asarray(jax.jit(jax.jacfwd(value))(jnp.asarray(U)))
        np.testing.assert_allclose(forward, difference(value), rtol=1e-5, atol=1e-8)
    # a parameter that moves nothing would pass the comparison above
    assert np.all(np.abs(forward) > 1e-4), dict(zip(AT, forward, strict=True))


def test_reverse_mode_is_forward_mode_where_nothing_is_split(recorded):
    """Saturable loss is split from transport in a number of parts that only the run knows: no reverse mode."""
    with jax.enable_x64(True):
        value = lambda u: reading(u, recorded, saturable=False)  # noqa: E731
        reverse = np.asarray(jax.jit(jax.grad(value))(jnp.asarray(U)))
        np.testing.assert_allclose(jax.jit(jax.jacfwd(value))(jnp.asarray(U)), reverse, rtol=1e-8, atol=1e-11)
    moved = {name for name, slope in zip(AT, reverse, strict=True) if abs(slope) > 1e-4}
    assert set(AT) - moved == {"vmax", "km"}


@pytest.mark.repro
def test_forward_mode_passes_maps_of_the_medium(recorded):
    rng = np.random.default_rng(5)
    fraction, tortuosity, sink = (jnp.asarray(rng.uniform(0.8, 1.2, GRID.shape)) for _ in range(3))
    with jax.enable_x64(True):
        value = lambda u: reading(u, recorded, Maps(fraction / fraction.mean(), tortuosity, sink))  # noqa: E731
        forward = np.asarray(jax.jit(jax.jacfwd(value))(jnp.asarray(U)))
        np.testing.assert_allclose(forward, difference(value), rtol=1e-4, atol=1e-7)
    moved = [name for name, slope in zip(AT, forward, strict=True) if abs(slope) > 1e-4]
    assert set(AT) - set(moved) == {"vmax", "km"}
