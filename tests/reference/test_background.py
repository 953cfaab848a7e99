"""The Poisson background against the distribution it stands for, and spike-train statistics against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from retrojax.errors import InputError
from retrojax.parts.background import MOST_PER_STEP, PoissonBackground
from retrojax.readouts import fano_factor, interval_cv, spike_times

DT, NEURONS = 0.1, 1000


def counts(background, steps, neurons=NEURONS, key=1):
    plan = background.plan(jnp.asarray(DT))
    draw = lambda step: background.counts(plan, step, jax.random.key(key), neurons)  # noqa: E731
    return np.asarray(jax.jit(jax.vmap(draw))(jnp.arange(steps)))


@pytest.mark.parametrize("mean", [1e-4, 0.05, 0.9, 4.0, 30.0, MOST_PER_STEP])
def test_table_is_the_survival_function(mean):
    background = PoissonBackground(mean / DT, 0.1, DT)
    plan = np.asarray(background.plan(jnp.asarray(DT)))[:, 0] / 2.0**32
    number = np.arange(plan.size)
    np.testing.assert_allclose(plan, stats.poisson.sf(number, mean), rtol=2e-6, atol=2.0**-32 + 1e-6 * min(mean, 1))
    # the table ends where a number of 32 bits resolves nothing any more
    assert plan[-1] < 2.0**-31 and stats.poisson.sf(plan.size, mean) < 2.0**-32


@pytest.mark.parametrize("mean", [0.05, 0.9, 4.0])
def test_numbers_are_poisson(mean):
    seen = counts(PoissonBackground(mean / DT, 1.0, DT), 1000).ravel()
    top = int(stats.poisson.isf(1e-4, mean))
    expected = seen.size * np.append(stats.poisson.pmf(np.arange(top), mean), stats.poisson.sf(top - 1, mean))
    observed = np.bincount(np.minimum(seen, top), minlength=top + 1)
    assert stats.chisquare(observed, expected * seen.size / expected.sum()).pvalue > 1e-3


def test_neurons_and_steps_are_independent():
    seen = counts(PoissonBackground(9.0, 1.0, DT), 4000, neurons=50).astype(float)
    assert np.abs(np.corrcoef(seen.T) - np.eye(50)).max() < 5 / np.sqrt(4000)
    lagged = [np.corrcoef(x[:-1], x[1:])[0, 1] for x in seen.T]
    assert np.abs(lagged).max() < 5 / np.sqrt(4000)


def test_every_neuron_may_have_its_rate_and_amplitude():
    rate, amplitude = np.array([0.0, 5.0, 40.0]), np.array([1.0, 2.0, 0.5])
    background = PoissonBackground(rate, amplitude, DT)
    seen = counts(background, 20_000, neurons=3)
    assert np.all(np.abs(seen.mean(axis=0) - rate * DT) <= 4.5 * np.sqrt(rate * DT / 20_000))
    plan, key = background.plan(jnp.asarray(DT)), jax.random.key(1)
    assert np.allclose(background.input(plan, jnp.asarray(7), key, 3), amplitude * seen[7])


def test_rates_out_of_reach_are_refused():
    with pytest.raises(InputError, match=r"rate = '641 1/ms'.*0 to 640 1/ms.*lower the rate, or dt"):
        PoissonBackground(641.0, 0.1, DT)
    with pytest.raises(InputError, match=r"rate\[1\] = '-1"):
        PoissonBackground([1.0, -1.0], 0.1, DT)
    with pytest.raises(InputError, match="nan"):
        PoissonBackground(float("nan"), 0.1, DT)


def test_spikes_of_a_word_and_their_statistics():
    rng, block = np.random.default_rng(0), 6
    raster = rng.random((50 * block, 7)) < [0.0, 0.01, 0.05, 0.1, 0.2, 0.4, 1.0]
    words = (raster.reshape(50, block, 7) << np.arange(block)[:, None]).sum(axis=1).astype(np.uint32)
    neuron, step = spike_times(words, block)
    assert np.array_equal(np.stack([neuron, step]), np.nonzero(raster.T))
    gaps = [np.diff(np.flatnonzero(raster[:, k])) for k in range(7)]
    expected = [gap.std() / gap.mean() if gap.size >= 3 else np.nan for gap in gaps]
    np.testing.assert_allclose(interval_cv(neuron, step, 7), expected)
    total = raster[:299].sum(axis=1)[:290].reshape(29, 10).sum(axis=1)
    assert fano_factor(step, 299, 10) == pytest.approx(total.var() / total.mean())
    assert np.isnan(fano_factor(step[:0], 299, 10))
