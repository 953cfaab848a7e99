"""One flow of the calcium-threshold rule against fine Runge-Kutta steps: near and far above both thresholds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrojax.numerics import Draws
from retrojax.parts import CalciumPath, GraupnerBrunel, calcium_rule

DECAY = 20.0
DRAWS = lambda: Draws(jax.random.key(0), jnp.zeros((), jnp.int32))  # noqa: E731
STARTS = [0.4, 1.0 - 1e-9, 1.0 + 1e-9, 1.0001, 1.05, 1.3 - 1e-9, 1.3 + 1e-9, 1.3001, 1.5, 4.0, 60.0]
"""Calcium at the start of the flow; the thresholds are 1 and 1.3, in either order."""


def fine(rho, start, elapsed, rule, steps=500):
    """rho after the flow: classical Runge-Kutta steps between the instants at which calcium crosses a threshold."""
    tau, up, down = (float(x) for x in (rule.tau, rule.gamma_p, rule.gamma_d))
    limits = [float(rule.theta_p), float(rule.theta_d)]
    cross = [np.clip(DECAY * np.log(start / theta), 0.0, elapsed) for theta in limits]
    edges = [0.0, *sorted(cross), elapsed]
    for first, last in zip(edges[:-1], edges[1:], strict=True):
        p, d = ((first < at) * gamma for at, gamma in zip(cross, (up, down), strict=True))
        slope = lambda r, p=p, d=d: (-r * (1 - r) * (0.5 - r) + p * (1 - r) - d * r) / tau  # noqa: E731
        h = (last - first) / steps
        for _ in range(steps if h > 0 else 0):
            a = slope(rho)
            b = slope(rho + h / 2 * a)
            c = slope(rho + h / 2 * b)
            rho = rho + h / 6 * (a + 2 * b + 2 * c + slope(rho + h * c))
    return rho


@jax.jit
def _flow(rule, rho, start, elapsed):
    state = rule.init(rho.shape)._replace(rho=rho)
    return rule.flow(state, elapsed, CalciumPath(start, jnp.asarray(DECAY), elapsed), (), DRAWS())


def flowed(rule, rho, start, elapsed):
    """rho after the part's flow."""
    after = _flow(rule, jnp.asarray(rho), jnp.asarray(start), jnp.asarray(elapsed))
    return np.asarray(after.rho) + np.asarray(after.carry)


@pytest.mark.parametrize("name", ["DP", "cortical_slices"])
@pytest.mark.parametrize("thetas", [(1.0, 1.3), (1.3, 1.0)], ids=["depression first", "potentiation first"])
def test_a_flow_of_the_published_sets_errs_by_the_splitting_alone(x64, name, thetas):
    """A symmetric split of drift d = -k (rho - g) and well w errs by a twelfth of their double commutator,

        k^2 [(rho - g)^2 w'' - (rho - g) w' + w] stretch^3 / tau^3, where the bracket is 2.5 at most.
    """
    published, rho = calcium_rule(name)[1], np.array([0.0, 0.02, 0.5, 0.77, 1.0])
    rule = GraupnerBrunel(*thetas, published.gamma_d, published.gamma_p, published.tau)
    total, tau = float(rule.gamma_d + rule.gamma_p), float(rule.tau)
    for start in STARTS:
        for elapsed in (0.1, 30.0, 1000.0):
            stretch = np.clip(DECAY * np.log(start), 0.0, elapsed)
            within = 1e-12 + (total * stretch / tau) ** 2 * stretch / tau * 2.5 / 12
            error = flowed(rule, rho, start, elapsed) - fine(rho, start, elapsed, rule)
            assert np.abs(error).max() < within, (start, elapsed, error)
            assert np.abs(error).max() < 1e-7 or start > 4  # a pair of spikes leaves 3 at most


def test_below_both_thresholds_the_well_is_exact(x64):
    rule = GraupnerBrunel(tau=100.0)
    rho = np.array([0.1, 0.49, 0.5, 0.8])
    after = fine(rho, 0.9, 500.0, rule, steps=5000)
    assert np.abs(after - rho).max() > 0.1
    np.testing.assert_allclose(flowed(rule, rho, 0.9, 500.0), after, rtol=0, atol=1e-12)


@pytest.mark.parametrize("start", [2.0, 1.2], ids=["above both", "above one"])
def test_the_splitting_error_falls_with_the_third_power_of_the_stretch(x64, start):
    error = []
    for tau in (200.0, 400.0, 800.0, 1600.0):
        rule = GraupnerBrunel(gamma_d=20.0, gamma_p=10.0, tau=tau)  # everything scales with duration / tau
        stretch = DECAY * np.log(start)
        error.append(abs(flowed(rule, 0.2, start, stretch) - fine(0.2, start, stretch, rule)))
    orders = np.log2(np.array(error[:-1]) / error[1:])
    assert error[-1] > 1e-10 and np.all(np.abs(orders[1:] - 3) < 0.4), (error, orders)
