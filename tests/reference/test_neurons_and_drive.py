"""The membrane against its closed-form rate, and the sources outside the network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrojax.parts.drive import Poisson, Replay
from retrojax.parts.lif import LIF


@pytest.mark.parametrize("mu", [22.0, 25.0, 30.0, 40.0])
def test_lif_fires_at_the_rate_of_a_constant_drive(x64, mu):
    """1/rate = t_ref + tau ln[(mu - V_reset)/(mu - V_th)] (Brunel 2000), tau 20, theta 20, V_r 10, t_ref 2 ms."""
    neuron = LIF(C_m=200.0, tau_m=20.0, E_L=0.0, V_th=20.0, V_reset=10.0, t_ref=2.0, I_e=mu * 200.0 / 20.0)
    dt, steps = 0.01, 100_000

    def step(state, _):
        return neuron.step(state, jnp.asarray(dt), jnp.zeros(1), jnp.zeros(1))

    fired = np.flatnonzero(np.asarray(jax.lax.scan(step, neuron.init(1), length=steps)[1])[:, 0])
    expected = 2.0 + 20.0 * np.log((mu - 10.0) / (mu - 20.0))
    assert np.diff(fired).mean() * dt == pytest.approx(expected, abs=2 * dt)


def test_poisson_sources_fire_at_their_rate_and_by_step_number():
    drive, key = Poisson(np.array([0.01, 0.05, 0.0])), jax.random.key(1)
    seen = np.asarray(jax.vmap(lambda k: drive.spikes(k, jnp.asarray(1.0), key))(jnp.arange(20_000)))
    expected = 1 - np.exp(-np.array([0.01, 0.05, 0.0]))
    error = np.sqrt(expected * (1 - expected) / 20_000)
    assert np.all(np.abs(seen.mean(axis=0) - expected) <= 4 * error)
    assert np.array_equal(seen[37], drive.spikes(jnp.asarray(37), jnp.asarray(1.0), key))


def test_replay_gives_back_the_raster():
    raster = np.random.default_rng(0).random((7, 4)) < 0.5
    drive = Replay(raster)
    assert drive.period == 7
    assert all(np.array_equal(drive.spikes(jnp.asarray(k), jnp.asarray(1.0), jax.random.key(0)), raster[k])
               for k in range(7))
