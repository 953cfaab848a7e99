"""Messengers of the own spine inside the events schedule against plain NumPy in small steps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrojax.engine.events import spike_table
from retrojax.engine.own_spine import OwnSpine, run_own_spine, ticks_between
from retrojax.engine.rows import Synapse, init_state
from retrojax.numerics import Draws
from retrojax.parts import (
    CalciumSpine,
    CannabinoidDepression,
    HillSynthesis,
    NitricOxidePotentiation,
    TsodyksMarkram,
)

PRE, POST, END = np.array([20.0, 70.0, 600.0]), np.array([10.0, 75.0, 130.0, 594.0]), 1500.0
FINE = np.arange(0.5, END, 0.5)


def synapse(**changes):
    """2-AG lowers and nitric oxide raises the release probability of one synapse."""
    settings = {"eta": 0.3, "pre_nmda": 1.0, "eta_NO": 4e-3} | changes
    rules = (HillSynthesis("NO", 1.0, 3.0, 0.5), NitricOxidePotentiation(eta_NO=settings["eta_NO"], tau_x_pre=100.0),
             HillSynthesis("2-AG", 0.9, 4.0, 2.0),
             CannabinoidDepression(80.0, settings["eta"], 0.05, settings["pre_nmda"]))
    return Synapse(CalciumSpine(20.0, 0.8, 1.0, 5.0), TsodyksMarkram(), rules, 0.5)


MEDIUM = (OwnSpine("NO", 40.0), OwnSpine("2-AG", 900.0, 60.0))


def release_probability(model, ticks):
    """P at the end."""
    table = spike_table(PRE, POST, END, ticks_ms=ticks)
    draws = Draws(jax.random.key(0), jnp.zeros((), jnp.int32))
    run = jax.jit(lambda m, t: run_own_spine(m, MEDIUM, init_state(m, ()), t, draws))
    return float(run(model, table).expression.p_release)


def oracle(model, dt=0.01):
    """All equations by forward Euler; jumps at their steps."""
    _, no, _, cb = model.rules
    calcium = lag = cyclase = cGMP = x = 0.0
    p, steps = 0.5, round(END / dt)
    pre, post = (set(np.rint(t / dt).astype(int)) for t in (PRE, POST))
    landing = {k + round(5.0 / dt) for k in pre}
    gate = lambda c, half, n: c**n / (half**n + c**n)  # noqa: E731
    for k in range(1, steps + 1):
        level = 40.0 * 0.5 * gate(calcium, 1.0, 3.0)
        lag += dt / 60.0 * (900.0 * 2.0 * gate(calcium, 0.9, 4.0) - lag)
        kinase = cGMP / (cGMP + float(no.K_PKG))
        p += dt * float(no.eta_NO) * kinase * x * (float(no.P_max) - p)
        cGMP += dt * (float(no.V_GC) * cyclase - float(no.k_PDE) * cGMP)
        cyclase += dt * float(no.k_off) * (level / float(no.ec50) * (1 - cyclase) - cyclase)
        calcium -= dt / 20.0 * calcium
        x -= dt / 100.0 * x
        calcium += 0.8 * (k in landing) + 1.0 * (k in post)
        if k in pre:
            p -= float(cb.eta) * float(cb.pre_nmda) * lag / (lag + 80.0) * max(p - 0.05, 0.0)
            x += 1.0
    return p


@pytest.mark.parametrize("changes", [{"eta_NO": 0.0}, {"eta": 0.0}, {"pre_nmda": 0.0}, {}])
def test_messengers_of_the_own_spine_follow_their_equations(x64, changes):
    model = synapse(**changes)
    expected = oracle(model)
    value = release_probability(model, FINE)
    np.testing.assert_allclose(value, expected, rtol=2e-3)
    assert abs(expected - 0.5) > 0.02


def test_few_ticks_are_enough(x64):
    few = release_probability(synapse(), ticks_between((PRE, POST, END)))
    np.testing.assert_allclose(few, release_probability(synapse(), FINE), rtol=0.03)


def test_blocking_presynaptic_receptors_removes_depression_only(x64):
    no_ltp, blocked = synapse(eta_NO=0.0), synapse(eta_NO=0.0, pre_nmda=0.0)
    assert release_probability(no_ltp, FINE) < 0.48 and release_probability(blocked, FINE) == 0.5


def test_ticks_stand_where_there_is_room():
    ticks = ticks_between((np.array([0.0, 100.0]), np.array([10.0]), 1000.0))
    np.testing.assert_allclose(np.sort(ticks), [30.0, 120.0, 200.0, 600.0])


def test_a_gas_follows_its_source_and_a_filter_forgets_exactly(x64):
    one = jnp.asarray(2.0)
    assert float(OwnSpine("NO", 30.0).concentration(one, one, jnp.asarray(10.0))) == pytest.approx(6.0)
    slow = OwnSpine("2-AG", 30.0, 50.0).concentration(one, one * 0, jnp.asarray(25.0))
    assert float(slow) == pytest.approx(2 * np.exp(-0.5), rel=1e-12)
