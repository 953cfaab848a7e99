"""Pair and power-law STDP, the silent spine, linear synthesis, facilitation by a messenger, delta and alpha neurons
against plain NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrojax.engine.events import run_events, spike_table
from retrojax.engine.field_step import emit, sense
from retrojax.engine.kernel import effective_p
from retrojax.engine.rows import Bounds, Synapse, init_state
from retrojax.numerics import Draws
from retrojax.parts import (
    AlphaLIF,
    CalciumSpine,
    ConstantRelease,
    DeltaLIF,
    ExcessSynthesis,
    GraupnerBrunel,
    MessengerFacilitation,
    PairSTDP,
    PowerLawSTDP,
    SilentSpine,
    TsodyksMarkram,
)

PRE = np.array([5.0, 30.0, 48.0, 120.0, 128.0, 260.0])
POST = np.array([15.0, 40.0, 48.0, 110.0, 140.0, 250.0])
END = 330.0
DRAWS = lambda: Draws(jax.random.key(8), jnp.zeros((), jnp.int32))  # noqa: E731


def play(synapse, pre=PRE, post=POST, start=None, end=END):
    """Final state and responses at presynaptic spikes."""
    start = init_state(synapse, ()) if start is None else start
    run = jax.jit(lambda m, s: run_events(m, s, spike_table(pre, post, end), DRAWS(), lambda _, sent: sent))
    state, sent = run(synapse, start)
    return state, np.asarray(sent)[np.asarray(sent) != 0]


def pair_weight(pre, post, q, low, high, plus, minus, tau_plus, tau_minus):
    """All pairs, in time order, clipped after every instant; coincident spikes do not see each other."""
    kernel = lambda t, spikes, tau: np.exp(-(t - spikes[spikes < t]) / tau).sum()  # noqa: E731
    seen = []
    for t in np.union1d(pre, post):
        up = plus * kernel(t, pre, tau_plus) if t in post else 0.0
        down = minus * kernel(t, post, tau_minus) if t in pre else 0.0
        q = min(max(q + up - down, low), high)
        seen.append(q)
    return q, np.array(seen)


@pytest.mark.parametrize(("plus", "minus", "reaches"), [
    (0.01, 0.004, None), (0.6, 0.01, "high"), (0.01, 0.6, "low"), (0.9, 0.9, "both")])
def test_pair_stdp_is_a_sum_over_pairs_inside_its_bounds(x64, plus, minus, reaches):
    rng = np.random.default_rng(4)
    pre, post = (np.sort(rng.choice(np.arange(1, 600), 40, replace=False)) * 0.5 for _ in range(2))
    assert np.intersect1d(pre, post).size
    rule = PairSTDP(plus, minus, 17.0, 34.0)
    synapse = Synapse(SilentSpine(), TsodyksMarkram(), (rule,), 0.5, 0.5, Bounds(q_min=0.1, q_max=0.9))
    state, _ = play(synapse, pre, post)
    expected, seen = pair_weight(pre, post, 0.5, 0.1, 0.9, plus, minus, 17.0, 34.0)
    assert (seen.min() == 0.1) == (reaches in ("low", "both")) and (seen.max() == 0.9) == (reaches in ("high", "both"))
    np.testing.assert_allclose(state.expression.q, expected, rtol=1e-12)
    assert abs(expected - 0.5) > 1e-3
    assert float(state.expression.p_release) == 0.5


def test_power_law_stdp_follows_its_steps_pair_by_pair(x64):
    """Every spike sees all earlier ones of the other side; what a synapse sends is its weight of that moment."""
    rng = np.random.default_rng(4)
    pre, post = (np.sort(rng.choice(np.arange(1, 600), 40, replace=False)) * 0.5 for _ in range(2))
    start = np.array([45.6, 3.0, 0.0])
    rule = PowerLawSTDP(0.3, 0.02, 0.4, 1.7, 17.0, 34.0)
    synapse = Synapse(SilentSpine(), ConstantRelease(), (rule,), 1.0, start, Bounds(q_max=1e6))
    state, sent = play(synapse, pre, post, init_state(synapse, (3,)))
    q, seen = start, []
    for t in np.union1d(pre, post):
        up = 0.3 * 1.7 * (q / 1.7) ** 0.4 * np.exp(-(t - pre[pre < t]) / 17.0).sum() if t in post else 0.0
        down = 0.02 * q * np.exp(-(t - post[post < t]) / 34.0).sum() if t in pre else 0.0
        q = q + up - down
        seen += [q[:2]] if t in pre else []
    np.testing.assert_allclose(state.expression.q, q, rtol=1e-12)
    np.testing.assert_allclose(sent, np.ravel(seen), rtol=1e-12)
    assert np.all(np.abs(q - start)[:2] > 0.1) and q[2] == 0.0


def test_on_a_silent_spine_calcium_rules_rest_and_only_the_double_well_moves(x64):
    rules = (GraupnerBrunel(1.0, 1.3, 300.0, 700.0, 500.0, w0=1.0, b=1.0, rho=0.3), ExcessSynthesis("NO", 0.02))
    silent, sent = play(Synapse(SilentSpine(), TsodyksMarkram(), rules, 0.45))
    y = -0.2  # the closed form of the double well, from rho = 0.3
    after = y * np.exp(END / 2000.0) / np.sqrt(1 + 4 * y**2 * np.expm1(END / 1000.0))
    np.testing.assert_allclose(silent.rules[0].rho - 0.5, after, rtol=1e-12)
    assert float(silent.rules[1].activated) == 0.0
    loud, same = play(Synapse(CalciumSpine(delay=0.0), TsodyksMarkram(), rules, 0.45))
    assert abs(float(loud.rules[0].rho) - 0.5 - after) > 0.05 and float(loud.rules[1].activated) > 1.0
    np.testing.assert_array_equal(sent, same)


def calcium(times, spine):
    """Calcium by superposition."""
    result = np.zeros_like(times)
    for jump, starts in ((float(spine.C_pre), PRE + float(spine.delay)), (float(spine.C_post), POST)):
        for start in starts:
            late = times - start
            result += np.where(late >= 0, jump * np.exp(-np.maximum(late, 0) / float(spine.tau_Ca)), 0.0)
    return result


@pytest.mark.parametrize("theta", [0.4, 1.0, 2.4])
def test_excess_synthesis_is_calcium_above_threshold(x64, theta):
    spine, rule = CalciumSpine(20.0, 1.0, 2.0, 13.5), ExcessSynthesis("NO", 0.019, theta)
    synapse = Synapse(spine, TsodyksMarkram(), (rule,))
    points = 2_000_000
    grid = (np.arange(points) + 0.5) * END / points
    excess = np.maximum(calcium(grid, spine) - theta, 0.0)
    state, _ = play(synapse)
    state, molecules = emit(synapse, state, "NO", jnp.asarray(END))
    expected = 0.019 * excess.mean() * END
    assert expected > 0.01
    np.testing.assert_allclose(molecules, expected, rtol=1e-5)
    assert float(emit(synapse, state, "NO", jnp.asarray(END))[1]) == 0.0
    first, _ = play(synapse, PRE[PRE < 100], POST[POST < 100], end=100.0)
    _, early = emit(synapse, first, "NO", jnp.asarray(100.0))
    np.testing.assert_allclose(early, 0.019 * excess[grid < 100].mean() * 100.0, rtol=1e-5)
    assert float(early) < float(molecules)


@pytest.mark.parametrize("gain", [0.8, -0.6])
def test_facilitation_follows_fine_steps_and_multiplies_the_release_probability(x64, gain):
    rule = MessengerFacilitation("NO", gain, 0.05, 300.0)
    synapse = Synapse(SilentSpine(), TsodyksMarkram(170.0, 0.0), (rule,), 0.45)
    state, factor, dt = init_state(synapse, ()), 1.0, 0.005
    for level, step in [(0.0, 10.0), (0.02, 10.0), (0.3, 100.0), (0.05, 25.0)]:
        state = sense(synapse, state, "NO", jnp.asarray(level), jnp.asarray(step))
        goal = 1 + gain * level / (level + 0.05)
        for _ in range(round(step / dt)):
            half = factor + dt / 2 * (goal - factor) / 300.0
            factor += dt * (goal - half) / 300.0
    assert abs(factor - 1) > 0.1
    np.testing.assert_allclose(state.rules[0].on_p, factor, rtol=1e-9)
    np.testing.assert_allclose(effective_p(synapse, state), 0.45 * factor, rtol=1e-9)
    _, sent = play(synapse, PRE[:2], POST[:1], state)
    r = 1 - 0.45 * factor * np.exp(-(PRE[1] - PRE[0]) / 170.0)
    np.testing.assert_allclose(sent, [0.45 * factor, 0.45 * factor * r], rtol=1e-9)


def test_delta_neurons_superpose_their_inputs_between_spikes(x64):
    """Spikes and potential from every jump since the last reset, each decayed on its own; input in t_ref is lost."""
    neuron, dt, steps, count = DeltaLIF(20.0, -60.0, -50.0, -65.0, 2.0, 6.0), 0.1, 2000, 3
    rng = np.random.default_rng(2)
    jumps = rng.exponential(4.0, (2, steps, count)) * (rng.random((2, steps, count)) < 0.03)
    jumps[1] *= -0.4
    step = lambda s, x: (lambda s, fired: (s, (fired, s.v)))(*neuron.step(s, jnp.asarray(dt), *x))  # noqa: E731
    _, (fired, v) = jax.lax.scan(step, neuron.init(count), (jnp.asarray(jumps[0]), jnp.asarray(jumps[1])))
    for k in range(count):
        free, start, spikes = 0, -60.0, []  # step from which the membrane is free, its potential there
        for now in range(1, steps + 1):
            since = np.arange(free + 1, now + 1)
            level = -54.0 + (start + 54.0) * np.exp(-(now - free) * dt / 20.0) if now > free else -65.0
            level += (jumps[:, since - 1, k].sum(0) * np.exp(-(now - since) * dt / 20.0)).sum()
            if now > free and level >= -50.0:
                spikes.append(now)
                free, start, level = now + round(2.0 / dt), -65.0, -65.0
            np.testing.assert_allclose(v[now - 1, k], level, rtol=1e-12)
        assert np.array_equal(np.flatnonzero(np.asarray(fired)[:, k]) + 1, spikes) and len(spikes) > 3


def test_alpha_neurons_superpose_closed_form_potentials(x64):
    """Spikes and potential from every input since the last reset, each by the closed form of its alpha function.

    The current of an input made before a reset goes on after it, so its potential starts from there.
    """
    tau_m, C_m, taus, dt, steps = 10.0, 250.0, (0.33, 2.1), 0.1, 1500
    neuron = AlphaLIF(C_m, tau_m, 0.0, 20.0, -3.0, 0.5, *taus)
    rng = np.random.default_rng(2)
    given = rng.exponential(300.0, (2, steps)) * (rng.random((2, steps)) < 0.4)
    given[1] *= -0.02
    step = lambda s, x: (lambda s, fired: (s, (fired, s.v)))(*neuron.step(s, jnp.asarray(dt), *x))  # noqa: E731
    inputs = (jnp.asarray(given[0])[:, None], jnp.asarray(given[1])[:, None])
    _, (fired, v) = jax.lax.scan(step, neuron.init(1), inputs)

    def potential(tau, begin, end):
        """Of an alpha function of height 1 from time 0 on, at `end`, by what flowed since `begin`."""
        rate = 1 / tau - 1 / tau_m
        primitive = lambda t: -np.exp(-rate * t) * (t / rate + 1 / rate**2)  # noqa: E731
        return np.e / (tau * C_m) * np.exp(-end / tau_m) * (primitive(end) - primitive(begin))

    free, start, spikes, times = 0, 0.0, [], dt * np.arange(1, steps + 1)
    for now in range(1, steps + 1):
        level, before = start * np.exp(-(now - free) * dt / tau_m) if now > free else -3.0, times[:now]
        if now > free:
            for tau, weight in zip(taus, given[:, :now], strict=True):
                level += (weight * potential(tau, np.maximum(free * dt - before, 0.0), now * dt - before)).sum()
        if now > free and level >= 20.0:
            spikes.append(now)
            free, start, level = now + 5, -3.0, -3.0
        np.testing.assert_allclose(v[now - 1, 0], level, rtol=1e-9, atol=1e-10)
    assert np.array_equal(np.flatnonzero(np.asarray(fired)[:, 0]) + 1, spikes) and len(spikes) > 3


@pytest.mark.parametrize("mu", [22.0, 25.0, 40.0])
def test_delta_neurons_fire_at_the_rate_of_a_constant_drift(x64, mu):
    """1/rate = t_ref + tau ln[(mu - V_reset)/(mu - V_th)] (Brunel 2000), tau 20, theta 20, V_r 10, t_ref 2 ms."""
    neuron, dt = DeltaLIF(20.0, 0.0, 20.0, 10.0, 2.0, mu), 0.01
    step = lambda s, _: neuron.step(s, jnp.asarray(dt), jnp.zeros(1), jnp.zeros(1))  # noqa: E731
    fired = np.flatnonzero(np.asarray(jax.lax.scan(step, neuron.init(1), length=100_000)[1])[:, 0])
    expected = 2.0 + 20.0 * np.log((mu - 10.0) / (mu - 20.0))
    assert np.diff(fired).mean() * dt == pytest.approx(expected, abs=dt)
