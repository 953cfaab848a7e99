"""The minimal triplet rule against plain NumPy, and against its own arithmetic through 60 regular pairings."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrojax.engine.events import run_events, spike_table, stack_tables
from retrojax.engine.rows import Bounds, Synapse, init_state
from retrojax.numerics import Draws
from retrojax.parts import NearestTripletSTDP, SilentSpine, TripletSTDP, TsodyksMarkram
from retrojax.protocols import pairs

FREE = Bounds(q_min=-1e3, q_max=1e3)
KINDS = {"all": TripletSTDP, "nearest": NearestTripletSTDP}


def after(rule, tables, bounds=FREE):
    """q after every protocol, from 1."""
    synapse = Synapse(SilentSpine(), TsodyksMarkram(), (rule,), bounds=bounds)
    draws = Draws(jax.random.key(0), jnp.zeros((), jnp.int32))
    run = jax.jit(jax.vmap(lambda table: run_events(synapse, init_state(synapse, ()), table, draws)[0].expression.q))
    return np.asarray(run(tables))


def oracle(rule, pre, post, nearest, low=-1e3, high=1e3):
    """q from 1, each spike summed over all earlier spikes of a side, or over the last one."""
    def trace(t, spikes, tau):
        before = spikes[spikes < t]
        return np.exp(-(t - (before[-1:] if nearest else before)) / float(tau)).sum()

    q = 1.0
    for t in np.union1d(pre, post):
        up = down = 0.0
        if t in pre:
            down = float(rule.A2_minus) * trace(t, post, rule.tau_minus)
        if t in post:
            triplets = float(rule.A3_plus) * trace(t, post, rule.tau_y)
            up = trace(t, pre, rule.tau_plus) * (float(rule.A2_plus) + triplets)
        q = min(max(q + up - down, low), high)
    return q


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bounds", [(-1e3, 1e3), (0.95, 1.05)])
def test_rule_is_its_sum_over_spikes(x64, kind, bounds):
    rng = np.random.default_rng(6)
    pre, post = (np.sort(rng.choice(np.arange(1, 900), 60, replace=False)) * 0.5 for _ in range(2))
    assert np.intersect1d(pre, post).size
    rule = KINDS[kind](9e-3, 4e-3, 3e-2, 15.0, 30.0, 80.0)
    table = jax.tree.map(lambda leaf: leaf[None], spike_table(pre, post, 500.0))
    low, high = bounds
    expected = oracle(rule, pre, post, kind == "nearest", low, high)
    other = oracle(rule, pre, post, kind == "all", low, high)
    value = after(rule, table, Bounds(q_min=low, q_max=high))[0]
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    assert abs(expected - 1) > 0.01 and (abs(other - expected) > 1e-3 or high < 2)


@pytest.mark.parametrize("kind", KINDS)
def test_sixty_pairings_are_the_closed_sums_of_the_paper(x64, kind):
    """With a period T and t_post - t_pre = d every trace is a geometric series, so the total is elementary."""
    rule, count = KINDS[kind](), 60
    rates, lags = (0.1, 10.0, 20.0, 40.0, 50.0), (10.0, -10.0)
    tables = stack_tables([pairs(count, rate, lag) for rate in rates for lag in lags])
    n = np.arange(count)

    def sums(first, period, tau, ages):
        """Trace after `ages` earlier spikes, the last one `first` ms ago."""
        terms = np.minimum(ages, 1) if kind == "nearest" else ages
        x = np.exp(-period / tau)
        return np.exp(-first / tau) * (1 - x**terms) / (1 - x)

    expected = []
    for rate in rates:
        for lag in lags:
            T, up_first, down_first = 1000 / rate, lag % (1000 / rate), -lag % (1000 / rate)
            pre_seen, post_seen = (n + 1, n) if lag > 0 else (n, n + 1)
            r1 = sums(up_first, T, float(rule.tau_plus), pre_seen)
            o1 = sums(down_first, T, float(rule.tau_minus), post_seen)
            o2 = sums(T, T, float(rule.tau_y), n)
            expected.append((float(rule.A3_plus) * r1 * o2 - float(rule.A2_minus) * o1).sum())
    np.testing.assert_allclose(after(rule, tables) - 1, expected, rtol=1e-9, atol=1e-12)
    # depression at low rates whatever the rate, potentiation of both orders at 50 Hz (Sjostrom et al. 2001)
    assert expected[1] < -0.2 and expected[8] > 0.5 and expected[9] > 0.5
    assert abs(expected[0]) < 1e-3
