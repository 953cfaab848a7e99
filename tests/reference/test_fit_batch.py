"""Batched least squares against SciPy; trains and traces against a NumPy recursion and an ODE solver."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import least_squares

from retrojax.fit.batch import best_starts, compile_batch, linear_amplitude
from retrojax.fit.traces import Points, clamp_current, membrane_response
from retrojax.fit.trains import train_responses
from retrojax.parts import TsodyksMarkram
from retrojax.parts.three_state_release import ThreeStateRelease

TIMES = np.linspace(0.5, 10, 12)
# below b = 0.1 the curve is nearly a line, on which a and b cannot be told apart
LOW, HIGH = np.array([-1.0, 0.1, -2.0]), np.array([2.0, 3.0, 2.0])


def curve(u, x):
    """a exp(-b t) + c: smooth, nonlinear, and at its bounds for some targets."""
    return u[0] * x.exp(-u[1] * TIMES) + u[2]


def test_many_problems_end_where_scipy_does_bounds_included(x64):
    rng = np.random.default_rng(0)
    truth = rng.uniform([-2, 0.05, -1], [4, 2, 1], (20, 3))
    targets = np.stack([curve(u, np) for u in truth]) + 0.02 * rng.normal(size=(20, TIMES.size))
    starts = rng.uniform(LOW, HIGH, (4, 3))
    u0, y0 = np.tile(starts, (20, 1)), np.repeat(targets, 4, 0)
    u, loss = best_starts(compile_batch(lambda u, y: curve(u, jnp) - y, u0, y0, LOW, HIGH)(u0, y0), 4)
    theirs = [min((least_squares(lambda v, y=y: curve(v, np) - y, s, bounds=(LOW, HIGH), xtol=1e-12, ftol=1e-12)
                   for s in np.clip(starts, LOW + 1e-6, HIGH - 1e-6)), key=lambda r: r.cost) for y in targets]
    assert np.all(loss <= 2 * np.array([r.cost for r in theirs]) * (1 + 1e-6))
    assert np.sum(np.any((u == LOW) | (u == HIGH), 1)) >= 5
    assert np.all((u >= LOW) & (u <= HIGH))


def test_spare_rows_and_another_step_limit_change_nothing_else(x64):
    starts = np.random.default_rng(1).uniform(LOW, HIGH, (7, 3))
    y = np.stack([curve(u, np) for u in [(1.0, 0.5, 0.2)] * 7])
    solver = compile_batch(lambda u, y: curve(u, jnp) - y, starts[:3], y[:3], LOW, HIGH)
    all_at_once = compile_batch(lambda u, y: curve(u, jnp) - y, starts, y, LOW, HIGH)(starts, y)
    in_threes = solver(starts, y)
    np.testing.assert_allclose(in_threes.u, all_at_once.u, atol=1e-9)
    assert solver(starts, y, 2).steps.max() == 2 and in_threes.converged.all() and in_threes.loss.min() < 1e-12


def test_linear_amplitude_is_the_weighted_projection():
    shape, y, w = np.array([1.0, 2.0, 3.0]), np.array([2.0, 3.0, 7.0]), np.array([1.0, 0.5, 2.0])
    expected = np.linalg.lstsq((w * shape)[:, None], w * y)[0][0]
    assert linear_amplitude(jnp.asarray(shape), jnp.asarray(y), jnp.asarray(w)) == pytest.approx(expected, rel=1e-6)
    assert linear_amplitude(jnp.zeros(3), jnp.asarray(y), jnp.asarray(w)) == 0


def test_a_train_follows_the_recursion_of_costa(x64):
    times, p, tau_rec, tau_fac = np.array([0.0, 20.0, 60.0, 200.0]), 0.3, 150.0, 400.0
    r, u, expected = 1.0, p, []
    for k in range(times.size):
        if k:
            r = 1 - (1 - r) * np.exp(-(times[k] - times[k - 1]) / tau_rec)
            u = p + (u - p) * np.exp(-(times[k] - times[k - 1]) / tau_fac)
        expected.append(u * r)
        r, u = r - u * r, u + p * (1 - u)
    found = train_responses(TsodyksMarkram(tau_rec, tau_fac), jnp.asarray(p), jnp.asarray(times))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def simulate(times, spikes, p, g, driving, taus, resistance, capacitance):
    """y and v by Runge-Kutta, from spike to spike; y just after a spike that falls on a point."""
    tau_d, tau_r, tau_f = taus
    x, y, u, v, now, out = 1.0, 0.0, 0.0, 0.0, 0.0, []
    rates = lambda _, s: [(1 - s[0] - s[1]) / tau_r, -s[1] / tau_d, -s[2] / tau_f,  # noqa: E731
                          1e3 * -s[3] / (resistance * capacitance) - g * s[1] * (s[3] + driving) / capacitance]
    for t, spike in zip(times, spikes, strict=True):
        if t > now:
            x, y, u, v = solve_ivp(rates, (now, t), [x, y, u, v], rtol=1e-10, atol=1e-12).y[:, -1]
        if spike:
            u = u + p * (1 - u)
            x, y = x - u * x, y + u * x
        now = t
        out.append((y, v))
    return np.array(out).T


@pytest.mark.parametrize(("taus", "resistance"), [
    ((5.0, 300.0, 80.0), 120.0), ((20.0, 20.0, 500.0), 300.0), ((2.0, 1.5, 10.0), 50.0), ((60.0, 900.0, 5.0), 30.0)])
def test_traces_follow_the_differential_equations(x64, taus, resistance):
    times = np.array([0, 3, 12, 30, 33, 41, 60, 63, 75, 400, 404, 420.0])
    spikes = np.arange(12) % 3 == 0
    g, driving, p, capacitance = 6.0, -60.0, 0.35, 110.0
    y, v = simulate(times, spikes, p, g, driving, taus, resistance, capacitance)
    points = Points(jnp.diff(jnp.asarray(times), prepend=0.0), jnp.asarray(spikes))
    release, numbers = ThreeStateRelease(*taus), [jnp.asarray(n) for n in (p, g, driving, resistance, capacitance)]
    np.testing.assert_allclose(clamp_current(release, *numbers[:3], points), driving * g * y, rtol=1e-6, atol=1e-8)
    found = membrane_response(release, *numbers, points)
    assert np.max(np.abs(found - v)) < 0.005 * np.max(np.abs(v))


def test_three_states_release_as_two_where_inactivation_is_fast(x64):
    times = jnp.arange(6) * 40.0
    fast = train_responses(ThreeStateRelease(1e-4, 300.0, 80.0), jnp.asarray(0.4), times)
    np.testing.assert_allclose(fast, train_responses(TsodyksMarkram(300.0, 80.0), jnp.asarray(0.4), times), rtol=1e-5)


def test_gradients_of_a_trace_are_finite_at_equal_time_constants(x64):
    points = Points(jnp.asarray([0.0, 3.0, 9.0, 20.0, 3.0]), jnp.asarray([True, False, False, True, False]))

    def last(tau_r):
        release = ThreeStateRelease(5.0, tau_r, 50.0)
        return membrane_response(release, *map(jnp.asarray, (0.3, 5.0, -60.0, 100.0, 100.0)), points)[-1]

    slope = jax.grad(last)(5.0)
    assert slope == pytest.approx(float(last(5.001) - last(4.999)) / 0.002, rel=1e-3)
