"""The membrane against its closed-form rate, and the sources outside the network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrojax.engine.network import turn
from retrojax.errors import InputError
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


@pytest.mark.parametrize("rate", [[0.01, 0.05, 0.0], [0.02] * 3000], ids=["few", "many"])
def test_poisson_sources_fire_at_their_rate_and_by_step_number(rate):
    drive, key, dt = Poisson(np.array(rate), 1.0), jax.random.key(1), jnp.asarray(1.0)
    plan = drive.plan(dt)
    seen = np.asarray(jax.vmap(lambda k: drive.spikes(plan, k, key))(jnp.arange(20_000)))
    expected = np.array(rate)
    error = np.sqrt(expected * (1 - expected) / 20_000)
    assert np.all(np.abs(seen.mean(axis=0) - expected) <= 4.5 * error)
    # a Poisson process: the number of spikes of all sources in a step varies as their sum
    total, spread = seen.sum(axis=1), (expected * (1 - expected)).sum()
    assert total.var() == pytest.approx(spread, rel=0.05)
    assert np.array_equal(seen[37], drive.spikes(plan, jnp.asarray(37), key))


def test_many_sources_are_drawn_in_groups_and_none_is_left_out():
    drive = Poisson(np.full(5000, 0.3), 1.0)
    assert drive.groups > 1
    plan = drive.plan(jnp.asarray(1.0))
    seen = np.asarray(jax.vmap(lambda k: drive.spikes(plan, k, jax.random.key(2)))(jnp.arange(3000)))
    error = np.sqrt(0.3 * 0.7 / 3000)
    assert np.all(np.abs(seen.mean(axis=0) - 0.3) < 5 * error)


def test_a_rate_at_or_above_one_spike_per_step_is_refused():
    with pytest.raises(InputError, match=r"rate\[1\].*lower the rate, or dt"):
        Poisson(np.array([0.1, 2.0]), 0.5)


def test_replay_gives_back_the_raster():
    raster = np.random.default_rng(0).random((7, 4)) < 0.5
    drive = Replay(raster)
    assert drive.period == 7
    assert all(np.array_equal(drive.spikes(None, jnp.asarray(k), jax.random.key(0)), raster[k])
               for k in range(7))


def test_a_replay_shorter_than_a_block_of_steps_goes_round_more_than_once():
    drive = Replay(np.eye(3, dtype=bool))
    turned = [turn(drive, jnp.asarray(k), jnp.asarray(5)) for k in range(8)]
    assert [(int(cursor), int(lap)) for cursor, lap in turned] == [(k % 3, 5 + k // 3) for k in range(8)]


def test_a_poisson_drive_without_sources_is_refused():
    with pytest.raises(InputError, match=r"Replay\(np.zeros"):
        Poisson(np.zeros(0), 0.1)
