"""Astrocytes, gap junctions, release of gliotransmitter and its action on a terminal against plain NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrojax.errors import InputError
from retrojax.parts import Astrocyte, Expression, GapJunctions, Gliorelease, Gliotransmission
from retrojax.parts.astrocyte import neighbour_table, slow_inward_current


def chi_slope(y, transmitter, inflow):
    """The G-ChI equations as printed in the paper, in uM and s; y is [C, h, I, Gamma_A] of one cell."""
    C, h, ip3, bound = y
    m = ip3 / (ip3 + 0.13) * C / (C + 0.08)
    Q2 = 1.05 * (ip3 + 0.13) / (ip3 + 0.9434)
    tau_h, h_inf = 1 / (0.2 * (Q2 + C)), Q2 / (Q2 + C)
    dC = (6 * m**3 * h**3 + 0.1) * (2.0 - 1.18 * C) - 0.9 * C**2 / (C**2 + 0.05**2)
    dI = 0.5 * bound + 0.6 / (1 + ip3 / 1.5) * C**2 / (C**2 + 0.1**2)
    dI += inflow - 4.5 * C**4 / (C**4 + 0.7**4) * ip3 / (ip3 + 1.0) - 0.05 * ip3
    dbound = 0.3 * transmitter * (1 - bound) - 0.5 * (1 + 10 * C / (C + 0.5)) * bound
    return np.array([dC, (h_inf - h) / tau_h, dI, dbound])


def junction(difference):
    """J of the paper [uM/s] with F = 0.09 uM/s."""
    return -0.045 * (1 + np.tanh((abs(difference) - 0.3) / 0.05)) * np.sign(difference)


def test_two_coupled_astrocytes_follow_fine_steps_of_the_printed_equations(x64):
    cell, junctions = Astrocyte(), GapJunctions()
    exchange = junctions.network(jnp.asarray(neighbour_table(np.array([[1, 0]]), 2)))
    s = cell.init(2, C=0.1, h=0.85, I=jnp.array([0.9, 0.2]))
    outside = jnp.array([0.5, 0.0])
    step = lambda s, _: (cell.step(s, jnp.asarray(5.0), outside, exchange), None)  # noqa: E731
    s = jax.jit(lambda s: jax.lax.scan(step, s, None, length=1000)[0])(s)
    y, dt = np.array([[0.1, 0.85, 0.9, 0.0], [0.1, 0.85, 0.2, 0.0]]), 5e-4

    def slope(y):
        into = junction(y[0, 2] - y[1, 2])
        return np.stack([chi_slope(y[0], 0.5, into), chi_slope(y[1], 0.0, -into)])

    for _ in range(10_000):  # midpoint rule, second order
        y = y + dt * slope(y + dt / 2 * slope(y))
    np.testing.assert_allclose(np.stack(s).T, y, rtol=2e-5)
    assert np.abs(y[:, 0] - 0.1).min() > 0.01


def test_the_step_is_of_fourth_order(x64):
    cell, ends = Astrocyte(), []
    for dt in (40.0, 20.0, 1.0):
        s = cell.init(1, C=0.3, h=0.8, I=0.6)
        step = lambda s, _, dt=dt: (cell.step(s, jnp.asarray(dt), jnp.ones(1)), None)  # noqa: E731
        end = jax.jit(lambda s, step=step, dt=dt: jax.lax.scan(step, s, None, length=round(2000 / dt))[0])(s)
        ends.append(np.ravel(end))
    coarse, fine = (np.abs(e - ends[-1]).max() for e in ends[:2])
    assert fine > 1e-10 and 12 < coarse / fine < 24


def test_the_astrocyte_of_nest_is_a_set_of_parameters(x64):
    cell = Astrocyte.nest()
    C, h, ip3 = 0.4, 0.6, 0.5
    s = cell.init(1, C, h, ip3)
    slope = cell.slope(s, jnp.zeros(1), jnp.zeros(1))
    stores = (2.0 - C) / 0.185
    gate = (ip3 / (ip3 + 0.13) * C / (C + 0.08234) * h) ** 3
    dC = 0.185 * (0.006 * gate + 1.1e-4) * (stores - C) - 9e-4 * C**2 / (0.1**2 + C**2)
    dh = 2e-4 * 1.049 * (ip3 + 0.13) / (ip3 + 0.9434) * (1 - h) - 2e-4 * C * h
    np.testing.assert_allclose(np.ravel(slope), [dC, dh, (0.16 - ip3) / 7142, 0.0], rtol=1e-12)
    assert float(cell.on_spikes(s, jnp.full(1, 3.0)).I[0]) == pytest.approx(ip3 + 6e-4)
    currents = slow_inward_current(jnp.array([0.1, 0.19669 + 1e-3, 0.19669 + 5e-3]))
    np.testing.assert_allclose(currents, [0.0, 0.0, np.log(5.0)], atol=1e-9)


def test_gap_junctions_conserve_ip3_and_need_a_difference(x64):
    pairs = np.array([[0, 1], [2, 1], [3, 0], [1, 3]])
    table = neighbour_table(pairs, 5)
    assert table.tolist() == [[1, 3, 0], [0, 2, 3], [1, 2, 2], [0, 1, 3], [4, 4, 4]]
    ip3 = np.array([1.0, 0.2, 0.25, 0.7, 3.0])
    flux = np.asarray(GapJunctions().network(jnp.asarray(table))(jnp.asarray(ip3)))
    expected = np.zeros(5)
    for a, b in pairs:
        expected[a] += junction(ip3[a] - ip3[b]) / 1e3
        expected[b] -= junction(ip3[a] - ip3[b]) / 1e3
    np.testing.assert_allclose(flux, expected, rtol=1e-12, atol=1e-18)
    assert abs(flux.sum()) < 1e-18 and flux[4] == 0 and abs(flux[2]) < 1e-8 < abs(flux[0])


@pytest.mark.parametrize(("pairs", "text"), [([[0, 5]], "cells 0 to 4"), ([[1, 1]], "with itself"),
                                             ([[0, 1], [1, 0]], "twice")])
def test_pairs_that_make_no_sense_are_refused(pairs, text):
    with pytest.raises(InputError, match=text):
        neighbour_table(np.array(pairs), 5)


def test_gliorelease_at_every_upward_crossing(x64):
    release = Gliorelease()
    calcium = [0.1, 0.6, 0.7, 0.4, 0.5, 0.2]
    s, G, x = release.init(1), 0.0, 1.0
    for before, after in zip(calcium, calcium[1:], strict=False):
        s = release.step(s, jnp.asarray(40.0), jnp.full(1, before), jnp.full(1, after))
        G, x = G * np.exp(-0.06 * 40), 1 - (1 - x) * np.exp(-0.6e-3 * 40)
        if before < 0.5 <= after:
            G, x = G + 6.5e-4 * 200e6 * 0.6 * x, x - 0.6 * x
        np.testing.assert_allclose([s.G[0], s.x_A[0]], [G, x], rtol=1e-12)
    grid = (np.arange(100_000) + 0.5) * 40 / 100_000
    np.testing.assert_allclose(release.mean(s, jnp.asarray(40.0))[0], (G * np.exp(-0.06 * grid)).mean(), rtol=1e-8)


@pytest.mark.parametrize("alpha", [0.0, 0.9])
def test_gliotransmission_follows_fine_euler_steps(x64, alpha):
    rule = Gliotransmission("glutamate", alpha, Omega_G=1e-3)
    s, expression = rule.init(()), Expression(jnp.asarray(0.6), jnp.asarray(1.0))
    active = 0.0
    for level in (2000.0, 100.0, 0.0):
        s = rule.field(s, jnp.asarray(level), jnp.asarray(200.0), expression, ())
        for _ in range(100_000):
            active += 0.002 * (1.5e-6 * level * (1 - active) - 1e-3 * active)
    np.testing.assert_allclose(s.Gamma_S, active, rtol=1e-5)
    np.testing.assert_allclose(0.6 * rule.factor(s), 0.6 * (1 - active) + alpha * active, rtol=1e-5)
    assert (float(rule.factor(s)) > 1) == (alpha > 0.6)
