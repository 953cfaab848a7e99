"""What receptors hold on other parts moves by the stated amount, and nothing else does."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrojax.engine.events import run_events, stack_tables
from retrojax.engine.field_step import sense, slow_change
from retrojax.engine.kernel import effective_p, flow, jump, strength
from retrojax.engine.lazy.layout import plan_layout
from retrojax.engine.rows import Synapse, init_state
from retrojax.errors import InputError
from retrojax.numerics import Draws
from retrojax.parts import (
    CalciumSpine,
    ConstitutiveSynthesis,
    ExcessSynthesis,
    Expression,
    GlycineSite,
    GraupnerBrunel,
    HillSynthesis,
    NitricOxidePotentiation,
    PairSTDP,
    Transduction,
    TsodyksMarkram,
    calcium_rule,
    strength_change,
)
from retrojax.parts.choice import PartChoice, make_part
from retrojax.parts.presets import GRAUPNER_BRUNEL
from retrojax.parts.threshold_clock import ThresholdClock

X, GAP = 0.4, 60.0
TARGETS = ("refill", "ltp", "ltd")
DRAWS = Draws(jax.random.key(0), jnp.zeros((), jnp.int32))
YES = jnp.asarray(True)


def outcome(**held):
    """What 60 ms, a spike of either side and a slow step make of a synapse, by target: recovery of resources,
    facilitation, steps of q up and down, drift of rho up and down, slow potentiation of P; and P and the response."""
    rules = (PairSTDP(), GraupnerBrunel(theta_d=1.0, theta_p=2.0), NitricOxidePotentiation(eta_NO=1e-4),
             Transduction("BDNF", **held))
    synapse = Synapse(CalciumSpine(), TsodyksMarkram(), rules, 0.4)
    start = init_state(synapse, ())
    traces = start.traces[0]._replace(pre=(jnp.asarray(0.8),), post=(jnp.asarray(0.5),))
    start = start._replace(
        release=start.release._replace(r=jnp.asarray(0.2), f=jnp.asarray(0.3)), traces=(traces, *start.traces[1:]),
        rules=(*start.rules[:2], start.rules[2]._replace(drive=jnp.asarray(500.0)),
               start.rules[3]._replace(X=jnp.asarray(X))))
    drift = [flow(synapse, start._replace(spine=start.spine._replace(calcium=jnp.asarray(c))), jnp.asarray(1.0),
                  DRAWS).rules[1].rho - 0.5 for c in (1.8, 4.0)]
    after = flow(synapse, start, jnp.asarray(GAP), DRAWS)
    step = lambda pre, post: float(jump(synapse, start, (~YES, pre, post)).expression.q - 1)  # noqa: E731
    slow = slow_change(synapse, start, jnp.asarray(1000.0)).expression.p_release - 0.4
    return {"recovery": np.log((1 - 0.2) / (1 - after.release.r)), "f": after.release.f, "up": step(~YES, YES),
            "down": step(YES, ~YES), "rho down": drift[0], "slow": slow, "P": effective_p(synapse, start),
            "response": strength(synapse, start)}


@pytest.mark.parametrize(("target", "gain", "moves"), [
    ("refill", 1.5, {"recovery"}), ("ltp", 0.5, {"up", "slow"}), ("ltd", -0.75, {"down", "rho down"})])
def test_a_target_moves_by_the_stated_amount_and_no_other_does(x64, target, gain, moves):
    plain, held = outcome(), outcome(**{target: gain})
    for name, value in plain.items():
        factor = 1 + gain * X if name in moves else 1.0
        # P and rho approach their bounds exponentially, so their steps are proportional to first order
        within = {"slow": 2e-2, "rho down": 1e-2}.get(name, 1e-12) if name in moves else 1e-12
        np.testing.assert_allclose(held[name], value * factor, rtol=within, err_msg=name)
        assert float(value) != 0.0


def test_targets_of_the_terminal_itself(x64):
    """Calcium influx, P, vesicles at hand and growth, each alone."""
    expression = Expression(jnp.asarray(1e-3), jnp.asarray(1.0))
    s = Transduction("BDNF").init(())._replace(B=jnp.asarray(0.5), X=jnp.asarray(X), V=jnp.asarray(0.2))
    held = {"phi": (0.4, (1 - 0.4 * 0.5) ** 2.5, 1.2), "fast": (-0.6, 1 - 0.6 * 0.5, 1.2),
            "gamma": (0.5, 1 + 0.5 * X, 1.2), "nu": (0.7, 1.0, (1 + 0.7 * X) * 1.2)}
    for name, (gain, on_p, weight) in held.items():
        rule = Transduction("BDNF", **{name: gain})
        np.testing.assert_allclose(rule.on_release(s, expression.p_release), on_p, rtol=1e-3)
        np.testing.assert_allclose(rule.weight(s), weight, rtol=1e-12)
        assert rule.modulation(s) is None


@pytest.mark.parametrize("rate_hz", [0.0, 20.0, 60.0])
def test_presynaptic_firing_relieves_the_fast_action(x64, rate_hz):
    rule = Transduction("dynorphin", K_d=5.0, fast=-0.5, gamma=0.2, half=0.1, rate_relief=0.02, tau_x_pre=500.0)
    expression, trace = Expression(jnp.asarray(0.3), jnp.asarray(1.0)), jnp.asarray(rate_hz / 1000 * 500.0)
    s = rule.field(rule.init(()), jnp.asarray(5.0), jnp.asarray(400e3), expression, (trace,))
    left = 0.5 * 0.5 / (1 + (rate_hz / 20) ** 4)
    np.testing.assert_allclose(rule.factor(s), (1 - left) * (1 + 0.2 * s.X), rtol=1e-9)
    assert Transduction("dynorphin").pre_traces() == () and len(rule.pre_traces()) == 1


def test_a_config_selects_targets():
    rule = make_part(PartChoice(model="transduction", preset="TrkB", refill=1.5, ltd=-0.5, rate_relief="20 Hz"), "rule",
                     "synapse.rules.0")
    assert (float(rule.refill), rule.ltp, float(rule.ltd)) == (1.5, None, -0.5)
    np.testing.assert_allclose(rule.rate_relief, 0.02, rtol=1e-6)
    with pytest.raises(InputError, match="refil.*refill"):
        make_part(PartChoice(model="transduction", preset="TrkB", refil=1.5), "rule", "synapse.rules.0")


def test_a_lazy_network_knows_what_acts_between_spikes_and_per_synapse():
    made = ExcessSynthesis("NO", 1.0), HillSynthesis("NO", 1.0, 3.0, 0.02, 100.0)
    for number, filtered in ((0, ()), (1, ("NO",))):
        kinase = Synapse(CalciumSpine(), TsodyksMarkram(), (made[number], NitricOxidePotentiation()))
        # PKG is integrated against the presynaptic trace, which the rule makes good; an enzyme is kept by every synapse
        assert plan_layout(kinase).sparse == ("NO",) and plan_layout(kinase).filtered == filtered
    assert plan_layout(Synapse(CalciumSpine(), TsodyksMarkram(), made)).sparse == ()  # one enzyme among two makers
    for rule in (ConstitutiveSynthesis("NO", np.ones(3)), GraupnerBrunel(w0=np.ones(3))):
        assert len(plan_layout(Synapse(CalciumSpine(), TsodyksMarkram(), (rule,))).arrays) == 1


def test_the_co_agonist_decides_between_potentiation_and_depression(x64):
    """100 x (1 pre, 2 post) at 5 Hz, +15 ms (Graupner & Brunel 2012, hippocampal slices), calcium of the presynaptic
    spike in proportion to the occupied share: a half-empty site abolishes potentiation, a partly empty one depresses,
    and D-serine restores. Expected values follow from the paper's equations."""
    spine, rule = calcium_rule("hippocampal_slices")
    clock = ThresholdClock(theta_d=rule.theta_d, theta_p=rule.theta_p)
    synapse = Synapse(spine, TsodyksMarkram(), (clock, GlycineSite(K_gly=400.0, calcium=1.0)))
    occupied = jnp.array([1.0 - 1e-9, 0.8, 0.7, 0.6, 0.5])
    start = jax.vmap(lambda c: sense(synapse, init_state(synapse, ()), "D-serine", c, jnp.asarray(1e7)))(
        400.0 * occupied / (1 - occupied))
    pre = 200.0 + 200.0 * np.arange(14)  # calcium has forgotten its start after two seconds
    post = np.sort((pre[:, None] + [3.5, 15.0]).ravel())
    ends = [pre[-2] - 20.0, pre[-1] - 20.0]
    table = stack_tables([(pre[pre < end], post[post < end], end) for end in ends])
    one = lambda state, table: run_events(synapse, state, table, DRAWS)[0].rules[0]  # noqa: E731
    total = jax.jit(jax.vmap(jax.vmap(one, (None, 0)), (0, None)))(start, table)
    time_p, time_d = (100 * (t[:, 1] - t[:, 0]) for t in total)
    change = strength_change(time_p, time_d, rule, jnp.asarray(GRAUPNER_BRUNEL["hippocampal_slices"].beta))
    np.testing.assert_allclose(change, (1.672, 0.840, 0.910, 0.987, 1.000), atol=1.0001e-3)
    assert change[4] - 1 < 0.05 * (change[0] - 1)
