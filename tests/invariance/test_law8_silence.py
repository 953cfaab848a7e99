"""Law 8: a silent synapse does not drift, over one flow of a week nor over 1e5 short ones, in single precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrojax.engine.kernel import flow
from retrojax.engine.rows import Synapse, channels, init_state, pack, unpack
from retrojax.numerics import Draws
from retrojax.parts import (
    CB1,
    ExcessSynthesis,
    Gliotransmission,
    GlycineSite,
    GraupnerBrunel,
    HillSynthesis,
    MessengerFacilitation,
    NitricOxidePotentiation,
    PairSTDP,
    QuantalRelease,
    TsodyksMarkram,
    calcium_rule,
    receptor,
    unified_rule,
)

RHO = np.array([0.0, 1.0, 0.5, 0.1, 0.9])
WEEK_MS = 7 * 24 * 3600 * 1000.0
STEPS, STEP_MS = 100_000, 10.0


def silent(release):
    """Every rule on one synapse, at rest but for the efficacies."""
    spine, efficacy = calcium_rule("DP")
    rules = (efficacy, unified_rule("sjostrom_refit"), NitricOxidePotentiation(), CB1(),
             HillSynthesis("NO", 1.0, 3.0, 0.019, 100.0), PairSTDP(), ExcessSynthesis("NO", 0.02),
             MessengerFacilitation("NO"), receptor("TrkB"), receptor("p75"), Gliotransmission(), GlycineSite())
    model = Synapse(spine, release, rules, p_release=0.3, q=0.7)
    state = init_state(model, RHO.shape)
    efficacies = state.rules[0]._replace(rho=jnp.asarray(RHO, jnp.float32))
    return model, state._replace(rules=(efficacies, *state.rules[1:]))


def double_well(rho, elapsed, tau):
    """Closed form in double precision: y e^{t/4tau} / sqrt(1 + 4 y^2 (e^{t/2tau} - 1)), y = rho - 1/2."""
    y, small = rho - 0.5, np.exp(-elapsed / (2 * tau))
    return np.where(y == 0, 0.5, 0.5 + y / np.sqrt(np.where(y == 0, 1.0, small + 4 * y**2 * (1 - small))))


@pytest.mark.parametrize("release", [TsodyksMarkram(), QuantalRelease(most_sites=5)], ids=["mean", "quantal"])
def test_a_week_in_one_flow_moves_nothing_but_the_double_well(release):
    model, state = silent(release)
    after = flow(model, state, jnp.asarray(WEEK_MS), Draws(jax.random.key(0), jnp.arange(RHO.size)))
    np.testing.assert_array_equal(after.rules[0].rho, double_well(RHO, WEEK_MS, 150e3).astype(np.float32))
    expected = dict(zip(channels(model), pack(state), strict=True))
    for name, value in zip(channels(model), pack(after), strict=True):
        if name == "release.age":
            np.testing.assert_array_equal(value, np.float32(WEEK_MS))
        elif not name.startswith("GraupnerBrunel"):
            np.testing.assert_array_equal(value, expected[name], err_msg=name)


def test_a_hundred_thousand_short_flows_follow_the_exact_double_well():
    model, state = silent(TsodyksMarkram())
    draws = Draws(jax.random.key(0), jnp.arange(RHO.size))

    @jax.jit
    def run(rows):
        step = lambda rows, _: (pack(flow(model, unpack(model, rows), jnp.asarray(STEP_MS), draws)), None)  # noqa: E731
        return jax.lax.scan(step, rows, None, length=STEPS)[0]

    start = pack(state)
    after = run(start)
    rho = channels(model).index("GraupnerBrunel.rho")
    exact = double_well(RHO, STEPS * STEP_MS, 150e3)
    np.testing.assert_allclose(after[rho], exact, rtol=0, atol=2e-6)
    np.testing.assert_array_equal(np.asarray(after[rho])[:3], RHO[:3])
    others = [k for k, name in enumerate(channels(model)) if not name.startswith("GraupnerBrunel")]
    np.testing.assert_array_equal(np.asarray(after)[others], np.asarray(start)[others])


def test_the_slow_double_well_of_another_set_does_not_stall_in_single_precision():
    rule = GraupnerBrunel(tau=688_355.0, rho=0.4999)
    state = rule.init(())
    path = calcium_rule("DP")[0].flow(calcium_rule("DP")[0].init(()), jnp.asarray(1.0))[1]
    draws = Draws(jax.random.key(0), jnp.zeros((), jnp.int32))
    step = lambda s, _: (rule.flow(s, jnp.asarray(1.0), path, (), draws), None)  # noqa: E731
    after = jax.jit(lambda s: jax.lax.scan(step, s, None, length=STEPS)[0])(state)
    # one step moves rho by 4e-11, a thousandth of its rounding: without compensation it would never move
    exact = double_well(np.float32(0.4999), 1.0 * STEPS, 688_355.0)
    np.testing.assert_allclose(after.rho - 0.5, exact - 0.5, rtol=2e-3)
    assert abs(float(after.rho) - 0.4999) > 3e-6
