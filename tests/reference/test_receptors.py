"""Receptors of terminals, the co-agonist site and the relief of CB1 against plain NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrojax.engine.field_step import sense
from retrojax.engine.kernel import effective_p, strength
from retrojax.engine.rows import Bounds, Synapse, init_state
from retrojax.errors import InputError
from retrojax.parts import CB1, Expression, GlycineSite, SilentSpine, Transduction, TsodyksMarkram, receptor
from retrojax.parts.receptors import RECEPTORS
from retrojax.protocols import treated
from retrojax.protocols.targets import targets

LEVELS = (3.0, 40.0, 0.5)


def follow(rule, levels=LEVELS, duration=2000.0, step=2.0, p=0.3):
    """State after `duration` ms at each level, in field steps."""
    expression = Expression(jnp.asarray(p), jnp.asarray(1.0))

    def one(s, level):
        return rule.field(s, level, jnp.asarray(step), expression, ()), None

    each = jnp.repeat(jnp.asarray(levels), round(duration / step))
    return jax.jit(lambda s: jax.lax.scan(one, s, each)[0])(rule.init(()))


def test_transduction_follows_fine_euler_steps(x64):
    rule = Transduction("BDNF", "TrkB", K_d=4.0, k_off=2e-3, efficacy=0.9, agonist=1.0, k_des=1e-3, k_res=2e-4,
                        half=0.3, upper=0.8, hill=3.0, tau_rise=1500.0, tau_fall=4000.0, phi=0.4, n_ca=2.5, fast=-0.2,
                        gamma=0.5, nu=0.7, kappa=2e-4)
    s = follow(rule)
    B = D = X = V = 0.0
    dt = 0.05
    for level in LEVELS:
        for _ in range(round(2000 / dt)):
            A = 0.9 * B * (1 - D)
            F = A**3 / (A**3 + 0.3**3) * (1 - A**3 / (A**3 + 0.8**3))
            dX = (F - X) / (1500.0 if F > X else 4000.0)
            dB = 2e-3 * ((level + 1.0) / 4.0 * (1 - B) - B)
            dD = 1e-3 * B * (1 - D) - 2e-4 * D
            B, D, V, X = B + dt * dB, D + dt * dD, V + dt * 2e-4 * X, X + dt * dX
    np.testing.assert_allclose([s.B, s.D], [B, D], rtol=2e-4)
    np.testing.assert_allclose([s.X, s.V], [X, V], rtol=2e-3)
    assert min(B, D, X, V) > 0.05
    A = 0.9 * B * (1 - D)
    released = 1 - 0.7 ** ((1 - 0.4 * A) ** 2.5)
    np.testing.assert_allclose(0.3 * rule.factor(s), released * (1 - 0.2 * A) * (1 + 0.5 * X), rtol=1e-3)
    np.testing.assert_allclose(rule.weight(s), (1 + 0.7 * X) * (1 + V), rtol=1e-3)


def test_occupancy_does_not_depend_on_the_field_step(x64):
    rule = Transduction("BDNF", K_d=4.0, k_off=2e-3)
    fine, coarse = (follow(rule, step=step) for step in (1.0, 2000.0))
    np.testing.assert_allclose(coarse.B, fine.B, rtol=1e-12)
    end = 0.0
    for level in LEVELS:
        at = level / (level + 4.0)
        end = at + (end - at) * np.exp(-2e-3 * (1 + level / 4.0) * 2000)
    np.testing.assert_allclose(fine.B, end, rtol=1e-12)


def test_desensitisation_is_of_second_and_the_slow_variable_of_first_order(x64):
    rule = Transduction("BDNF", K_d=4.0, k_off=2e-3, k_des=1e-3, tau_rise=1500.0, kappa=1e-4)
    best, *errors = (follow(rule, step=step) for step in (2.0, 200.0, 100.0))
    far, near = (abs(float(s.D - best.D)) for s in errors)
    assert far > 1e-6 and far / near > 3  # second order
    far, near = (abs(float(s.X - best.X)) for s in errors)
    assert far > 1e-5 and far / near > 1.7


def test_growth_stops_at_its_bounds(x64):
    grown = follow(Transduction("BDNF", K_d=1.0, tau_rise=10.0, kappa=1.0), (100.0,))
    gone = follow(Transduction("BDNF", K_d=1.0, tau_rise=10.0, kappa=-1.0), (100.0,))
    assert float(grown.V) == 1.0 and float(gone.V) == -1.0
    assert float(Transduction("BDNF").weight(gone)) == 0.0


@pytest.mark.parametrize(("name", "level", "factor"), [("kappa_opioid", 5.0, 0.75), ("kappa_opioid", 1e9, 0.5),
                                                       ("A1", 1e9, 0.2)])
def test_fast_action_at_a_lasting_concentration(x64, name, level, factor):
    expression = Expression(jnp.asarray(1e-3), jnp.asarray(1.0))
    rule = receptor(name)
    s = rule.field(rule.init(()), jnp.asarray(level), jnp.asarray(400e3), expression, ())
    np.testing.assert_allclose(rule.factor(s), factor, rtol=1e-3)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 1.0])
def test_the_sign_follows_the_share_of_uncleaved_BDNF(x64, share):
    total, rules = 5.0, (receptor("TrkB"), receptor("p75"))
    synapse = Synapse(SilentSpine(), TsodyksMarkram(), rules, 0.4, bounds=Bounds(0.0, 1.0))
    amounts = {"BDNF": (1 - share) * total, "proBDNF": share * total}

    def minute(state, _):
        for name, level in amounts.items():
            state = sense(synapse, state, name, jnp.asarray(level), jnp.asarray(1000.0))
        return state, None

    state = jax.jit(lambda: jax.lax.scan(minute, init_state(synapse, ()), None, length=600)[0])()
    change = float(effective_p(synapse, state) * strength(synapse, state)) / 0.4 - 1
    assert {0.0: change > 0.8, 0.3: change > 0.0, 0.9: change > -0.2, 1.0: change < -0.4}[share], change
    persists = float(state.rules[0].X) > 0.5
    assert persists == (share < 1)


def test_parameters_are_found_by_receptor():
    synapse = Synapse(SilentSpine(), TsodyksMarkram(), (receptor("A1"), receptor("A2A"), Transduction("NO"), CB1()))
    found = targets(synapse)
    assert {"rules.A1.efficacy", "rules.A2A.agonist", "rules.transduction.K_d", "rules.cb1.alpha"} <= set(found)
    assert float(found["rules.A2A.phi"](synapse)) == pytest.approx(-0.15)
    assert set(RECEPTORS) == {"TrkB", "p75", "kappa_opioid", "A1", "A2A"}
    with pytest.raises(InputError, match="kappa_opioid"):
        receptor("A3")


def test_co_agonist_site_relaxes_exactly(x64):
    rule = GlycineSite(K_gly=400.0, k_off=2e-3, efficacy=0.8, ambient=100.0, share=0.5)
    s, gly = follow(rule, (50.0, 900.0), step=500.0), 1.0
    for level in (50.0, 900.0):
        relative = (level + 100.0) / 400.0
        goal = relative / (1 + relative)
        gly = goal + (gly - goal) * np.exp(-2e-3 * (1 + relative) * 2000)
    np.testing.assert_allclose(s.gly, gly, rtol=1e-12)
    np.testing.assert_allclose(rule.weight(s), 1 - 0.5 * (1 - 0.8 * gly), rtol=1e-12)


@pytest.mark.parametrize("rate_hz", [0.0, 10.0, 20.0, 60.0])
def test_presynaptic_firing_relieves_suppression_by_CB1(x64, rate_hz):
    rule = CB1()
    x_pre = jnp.asarray(rate_hz / 1000 * 1000.0)  # mean of a trace of 1 s
    expression = Expression(jnp.asarray(0.3), jnp.asarray(1.0))
    s = rule.field(rule.init(()), jnp.asarray(400.0), jnp.asarray(60e3), expression, (x_pre,))
    bound = 0.05 / 0.1 * (1 - np.exp(-0.1 * 60))
    left = 0.5 * bound / (1 + (rate_hz / 20) ** 4)
    np.testing.assert_allclose(rule.factor(s) / s.W_pre, (1 - 0.7 ** ((1 - left) ** 2.5)) / 0.3, rtol=1e-9)


@pytest.mark.parametrize(("drug", "dose", "name", "occupied"), [
    ("DPCPX", "200 nM", "A1", 0.02), ("nor-BNI", "100 nM", "kappa_opioid", 0.01), ("K252a", "200 nM", "TrkB", 0.05),
    ("TAT-pep5", "1 uM", "p75", 0.0), ("CPA", "100 nM", "A1", 50_000 / 50_500)])
def test_a_drug_acts_on_its_receptor_alone(x64, drug, dose, name, occupied):
    rules = tuple(receptor(one) for one in RECEPTORS)
    under = treated(Synapse(SilentSpine(), TsodyksMarkram(), rules), drug, dose).rules
    level, others = (0.0, 0.0) if drug == "CPA" else (1e12, 1.0)
    expression = Expression(jnp.asarray(0.5), jnp.asarray(1.0))
    for one, rule in zip(RECEPTORS, under, strict=True):
        value = rule.activity(rule.field(rule.init(()), jnp.asarray(level), jnp.asarray(400e3), expression, ()))
        np.testing.assert_allclose(value, occupied if one == name else others, rtol=1e-6, atol=1e-12)
