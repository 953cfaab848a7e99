"""Every part against plain NumPy in double precision: recursions, fine Euler steps, sums over spikes, quadrature."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrojax.engine.events import run_events, spike_table
from retrojax.engine.rows import Bounds, Synapse, init_state
from retrojax.numerics import Draws
from retrojax.parts import (
    CB1,
    CalciumPath,
    CalciumSpine,
    Expression,
    ExtendedTsodyksMarkram,
    GraupnerBrunel,
    HillSynthesis,
    NitricOxidePotentiation,
    QuantalRelease,
    ResidualCalciumRelease,
    TsodyksMarkram,
    UnifiedRule,
)

PRE = np.array([5.0, 30.0, 48.0, 120.0, 128.0, 260.0])
POST = np.array([15.0, 40.0, 48.0, 110.0, 140.0, 250.0])
END = 330.0


def play(rule=None, release=None, spine=None, rows=(), pre=PRE, post=POST, p=0.45):
    """Final state and responses at presynaptic spikes."""
    model = Synapse(spine or CalciumSpine(delay=4.25), release or TsodyksMarkram(), () if rule is None else (rule,),
                    p_release=p, bounds=Bounds(-50.0, 50.0, -50.0, 50.0))
    draws = Draws(jax.random.key(8), jnp.arange(int(np.prod(rows, dtype=int))).reshape(rows))
    run = jax.jit(lambda m: run_events(m, init_state(m, rows), spike_table(pre, post, END), draws,
                                       lambda _, sent: (sent, m.spine.delay)))
    state, (sent, _) = run(model)
    sent = np.asarray(sent)
    return state, sent[sent.reshape(len(sent), -1).any(axis=1)]


@pytest.mark.parametrize("tau_fac", [0.0, 50.0, 530.0])
def test_mean_release_follows_the_event_recursion(x64, tau_fac):
    _, sent = play(release=TsodyksMarkram(170.0, tau_fac))
    r, u, expected = 1.0, 0.45, []
    for gap in np.append(np.diff(PRE), 0.0):
        expected.append(u * r)
        r = 1 - (1 - r * (1 - u)) * np.exp(-gap / 170.0)
        u = 0.45 + u * (1 - 0.45) * (np.exp(-gap / tau_fac) if tau_fac else 0.0)
    np.testing.assert_allclose(sent, expected, rtol=1e-12)


def test_extended_release_is_tsodyks_markram_with_its_own_step(x64):
    same = play(release=ExtendedTsodyksMarkram(170.0, 50.0, 0.45))[1]
    np.testing.assert_allclose(same, play(release=TsodyksMarkram(170.0, 50.0))[1], rtol=1e-12)
    sent = play(release=ExtendedTsodyksMarkram(170.0, 50.0, 0.1))[1]
    r, u, expected = 1.0, 0.45, []
    for gap in np.append(np.diff(PRE), 0.0):
        expected.append(u * r)
        r = 1 - (1 - r * (1 - u)) * np.exp(-gap / 170.0)
        u = 0.45 + (u + 0.1 * (1 - u) - 0.45) * np.exp(-gap / 50.0)
    np.testing.assert_allclose(sent, expected, rtol=1e-12)


def test_residual_calcium_release_follows_its_recursion(x64):
    sent = play(release=ResidualCalciumRelease(0.3, 90.0, 170.0, 3.5, 0.8), p=0.05)[1]
    r, c, expected = 1.0, 0.0, []
    for gap in np.append(np.diff(PRE), 0.0):
        u = 1 - 0.95 ** ((0.8 + c) ** 3.5)
        expected.append(u * r)
        r = 1 - (1 - r * (1 - u)) * np.exp(-gap / 170.0)
        c = (c + 0.3 * 0.8) * np.exp(-gap / 90.0)
    np.testing.assert_allclose(sent, expected, rtol=1e-12)
    assert expected[1] > 1.5 * expected[0]


def binomial(n, k, p):
    """Probability of k out of n."""
    return math.comb(n, k) * p**k * (1 - p) ** (n - k) if k <= n else 0.0


def test_quantal_release_has_the_mean_and_variance_of_its_chain():
    trials, n, p = 20_000, 3, 0.45
    release = QuantalRelease(n, 170.0, 50.0, most_sites=3)
    _, responses = play(release=release, rows=(trials,), pre=PRE[:4], post=POST[:1])
    u, chain = p, np.eye(n + 1)[n]
    grid = range(n + 1)
    for k, response in enumerate(responses):
        if k:
            gap = PRE[k] - PRE[k - 1]
            u = p + u * (1 - p) * np.exp(-gap / 50.0)
            back = 1 - np.exp(-gap / 170.0)
            filled = np.zeros(n + 1)
            for have in grid:
                for more in range(n - have + 1):
                    filled[have + more] += chain[have] * binomial(n - have, more, back)
            chain = filled
        joint = np.array([[chain[have] * binomial(have, sent, u) for sent in grid] for have in grid])
        fraction = np.arange(n + 1) / n
        mean = joint.sum(0) @ fraction
        variance = joint.sum(0) @ fraction**2 - mean**2
        assert abs(response.mean() - mean) < 4 * np.sqrt(variance / trials)
        assert abs(response.var() / variance - 1) < 0.06
        chain = np.array([sum(joint[left + m, m] for m in range(n - left + 1)) for left in grid])


def calcium(times, spine):
    """Calcium by superposition."""
    result = np.zeros_like(times)
    for jump, starts in ((float(spine.C_pre), PRE + float(spine.delay)), (float(spine.C_post), POST)):
        for start in starts:
            late = times - start
            result += np.where(late >= 0, jump * np.exp(-np.maximum(late, 0) / float(spine.tau_Ca)), 0.0)
    return result


@pytest.mark.parametrize("theta_p", [1.3, 0.6])
def test_calcium_rule_follows_fine_euler_steps(x64, theta_p):
    spine = CalciumSpine(20.0, 1.0, 2.0, 13.5)
    state, _ = play(GraupnerBrunel(1.0, theta_p, 200.0, 321.808, 20e3, rho=0.3), spine=spine)
    dt = 0.002
    c = calcium((np.arange(int(END / dt)) + 0.5) * dt, spine)
    rho = 0.3
    for up, down in zip((c > theta_p).tolist(), (c > 1.0).tolist(), strict=True):
        slope = -rho * (1 - rho) * (0.5 - rho) + up * 321.808 * (1 - rho) - down * 200.0 * rho
        rho += dt / 20e3 * slope
    assert abs(rho - 0.3) > 0.05
    np.testing.assert_allclose(state.rules[0].rho, rho, atol=2e-5)
    np.testing.assert_allclose(state.spine.calcium, calcium(np.array([END]), spine)[0], rtol=1e-12)


def test_unified_rule_is_a_sum_over_spikes(x64):
    rule = UnifiedRule(lr_scale=0.3, nitric_oxide=0.8, endocannabinoid=0.6)
    state, _ = play(rule)
    trace = lambda t, spikes, tau: np.exp(-(t - spikes[spikes < t]) / tau).sum()  # noqa: E731  # strictly before t
    dq = sum(0.3 * 0.0618 * trace(t, PRE, 66.6) * trace(t, POST, 32.7) for t in POST)
    dP = sum(0.3 * 0.8 * trace(t, POST, 230.2) * (0.1548 * trace(t, PRE, 66.6) - 0.6 * 0.1771 * trace(t, POST, 32.7))
             for t in PRE)
    np.testing.assert_allclose(state.expression.p_release - 0.45, dP, rtol=1e-12)
    np.testing.assert_allclose(state.expression.q - 1.0, dq, rtol=1e-12)


def test_nitric_oxide_rule_follows_fine_euler_steps(x64):
    rule, level, p = NitricOxidePotentiation(n_PKG=1.5, eta_NO=2e-3), 0.8, 0.4
    expression = Expression(jnp.asarray(p), jnp.asarray(1.0))
    s = rule.init(())
    path = CalciumPath(jnp.asarray(0.0), jnp.asarray(20.0), jnp.asarray(10.0))
    draws = Draws(jax.random.key(0), jnp.zeros((), jnp.int32))
    step = jax.jit(lambda s, x: rule.flow(rule.field(s, jnp.asarray(level), jnp.asarray(10.0), expression, (x,)),
                                          jnp.asarray(10.0), path, (x,), draws))
    active = cyclic = drive = 0.0
    for k in range(100):
        s = step(s, jnp.exp(-k * 10 / 1000.0))
        for j in range(200):
            trace = np.exp(-(k * 10 + j * 0.05) / 1000.0)
            active += 0.05 * 3.5e-3 * (level / 1.0 * (1 - active) - active)
            cyclic += 0.05 * (5e-3 * active - 2e-3 * cyclic)
            drive += 0.05 * trace * cyclic**1.5 / (cyclic**1.5 + 0.2**1.5)
    np.testing.assert_allclose([s.sGC, s.cGMP], [active, cyclic], rtol=1e-3)
    np.testing.assert_allclose(s.drive, drive, rtol=1e-2)  # the kinase is held over each field step
    change = rule.slow(s, expression, jnp.asarray(1000.0))
    np.testing.assert_allclose(change.p_release, (0.95 - p) * (1 - np.exp(-2e-3 * float(s.drive))), rtol=1e-12)
    np.testing.assert_allclose(s.drive + change.state.drive, 0.0)


@pytest.mark.parametrize(("level", "goal"), [(17.0, 0.35), (700.0, 14.5425)])
def test_cb1_rule_follows_fine_euler_steps(x64, level, goal):
    rule = CB1(x_half=0.5)
    expression = Expression(jnp.asarray(0.4), jnp.asarray(1.0))
    s = rule.init(())
    step = jax.jit(lambda s: rule.field(s, jnp.asarray(level), jnp.asarray(20.0), expression, (jnp.asarray(1.5),)))
    blocked, bound, W, dt = 0.0, 0.0, 1.0, 1.0
    ligand = 2.40195e-7 * level
    for _ in range(100):
        s = step(s)
        for _ in range(20):
            opened = ligand * (1 - blocked) / (ligand + 11.0719e-3 + 416.379e-3)
            y = 3000 * opened + 0.007
            omega = 1 - 0.65 * (0.027 < y < 0.047) + 13.5425 * (y > 0.086)
            tau_W = 1e3 * (1e-9 / (1e-35 + (y - 0.0063) ** 7) + 2)
            W += dt * (omega - W) / tau_W * 1.5 / 2.0
            blocked += dt * (416.379e-3 * opened - 0.0477957e-3 * blocked)
            bound += dt * (1.25e-7 * level * (1 - bound) - 5e-5 * bound)
    assert abs(float(rule.target(jnp.asarray(y))) - goal) < 1e-9
    np.testing.assert_allclose([s.desensitised, s.effector], [blocked, bound], rtol=2e-3)
    np.testing.assert_allclose(s.W_pre, W, rtol=5e-3)
    np.testing.assert_allclose(rule.factor(s), W * (1 - 0.6 ** ((1 - 0.5 * bound) ** 2.5)) / 0.4, rtol=5e-3)


@pytest.mark.parametrize(("start", "elapsed"), [(3.0, 40.0), (1.1, 5.0), (0.4, 500.0), (0.0, 10.0)])
def test_calcium_integrals_equal_quadrature(x64, start, elapsed):
    path = CalciumPath(jnp.asarray(start), jnp.asarray(20.0), jnp.asarray(elapsed))
    n = 1_000_000
    c = start * np.exp(-(np.arange(n) + 0.5) * elapsed / n / 20.0)
    mean = lambda values: values.mean() * elapsed  # noqa: E731
    hill = c**3.5 / (0.9**3.5 + c**3.5)
    got = [path.integral(), path.time_above(jnp.asarray(0.3)), path.excess(jnp.asarray(0.3)),
           path.hill_integral(jnp.asarray(0.9), jnp.asarray(3.5))]
    expected = [mean(c), mean(1.0 * (c > 0.3)), mean(np.maximum(c - 0.3, 0)), mean(hill)]
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=elapsed / n)


def test_synthesis_filters_the_calcium_gate(x64):
    spine, rule = CalciumSpine(20.0, 1.0, 2.0, 13.5), HillSynthesis("NO", 1.2, 3.0, 0.019, 100.0, ca_scale=0.8)
    state, _ = play(rule, spine=spine)
    grid = (np.arange(400_000) + 0.5) * END / 400_000
    c = 0.8 * calcium(grid, spine)
    gate = (c**3 / (1.2**3 + c**3)).mean() * END
    np.testing.assert_allclose(state.rules[0].activated, gate, rtol=1e-4)
    s = state.rules[0]._replace(enzyme=jnp.asarray(0.3))
    after, molecules = rule.emit(s, jnp.asarray(END))
    enzyme, made, dt = 0.3, 0.0, 0.001
    for _ in range(int(END / dt)):
        made += 0.019 * dt * enzyme
        enzyme += dt / 100.0 * (gate / END - enzyme)
    np.testing.assert_allclose([after.enzyme, molecules], [enzyme, made], rtol=2e-4)
    assert float(after.activated) == 0.0
