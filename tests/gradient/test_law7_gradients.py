"""Law 7: forward = reverse = finite difference for every parameter of every differentiable part."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from retrojax.engine.events import run_events, spike_table
from retrojax.engine.rows import Bounds, Synapse, init_state
from retrojax.numerics import Draws
from retrojax.parts import (
    CB1,
    CalciumSpine,
    CannabinoidDepression,
    CoincidenceSynthesis,
    ExcessSynthesis,
    Gliotransmission,
    GlycineSite,
    GraupnerBrunel,
    HillSynthesis,
    MessengerFacilitation,
    NearestTripletSTDP,
    NitricOxidePotentiation,
    PairSTDP,
    PowerLawSTDP,
    TrainSynthesis,
    Transduction,
    TripletSTDP,
    TsodyksMarkram,
    VesicularSynthesis,
    unified_rule,
)

TABLE = ([10.0, 60.0, 95.0, 200.0, 207.0], [20.0, 53.0, 99.0, 190.0], 260.0)
LEVEL_NM = {"NO": 0.7, "2-AG": 150.0, "glutamate": 4000.0, "D-serine": 300.0, "BDNF": 0.7}
RULES = {
    "graupner_brunel": lambda: GraupnerBrunel(tau=2000.0, rho=0.3),
    "unified": lambda: unified_rule("sjostrom_refit"),
    "nitric_oxide": lambda: NitricOxidePotentiation(eta_NO=1e-3),
    "cb1": lambda: CB1(x_half=0.2),
    "hill": lambda: HillSynthesis("NO", 1.0, 3.0, 0.019, 100.0),
    "coincidence": lambda: CoincidenceSynthesis("2-AG", ca_scale=0.8, v_receptor=0.01),
    "train": lambda: TrainSynthesis("dynorphin", 2.0, 1.2),
    "vesicular": lambda: VesicularSynthesis("BDNF", 2.0, 0.6, 2.0, tau=300.0, memory_gate=0.05),
    "excess": lambda: ExcessSynthesis("NO", 0.019, 0.9),
    "facilitation": lambda: MessengerFacilitation("NO", 0.8, 0.5, 300.0),
    "pair_stdp": lambda: PairSTDP(),
    "power_law_stdp": lambda: PowerLawSTDP(w0=0.7),
    "gliotransmission": lambda: Gliotransmission("glutamate", 0.9),
    "glycine_site": lambda: GlycineSite("D-serine", ambient=50.0),
    "transduction": lambda: Transduction("BDNF", "TrkB", k_off=5e-3, agonist=0.1, k_des=3e-3, k_res=1e-3, half=0.2,
                                         upper=0.9, tau_rise=200.0, phi=0.3, fast=0.4, gamma=0.5, nu=0.6, kappa=1e-3),
    "cannabinoid_depression": lambda: CannabinoidDepression(),
    "triplet": lambda: TripletSTDP(),
    "triplet_nearest": lambda: NearestTripletSTDP(),
}


def outcome(model):
    """State after the protocol, two field steps, emission and a slow step, with the responses on the way."""
    table = spike_table(*TABLE)
    draws = Draws(jax.random.key(0), jnp.zeros((), jnp.int32))
    state, sent = run_events(model, init_state(model, ()), table, draws, lambda _, response: response)
    rule, s = model.rules[0], state.rules[0]
    extra = [rule.weight(s), *rule.emit(s, jnp.asarray(100.0))]
    for _ in range(2):
        if rule.senses:
            pre = state.traces[0].pre
            s = rule.field(s, jnp.asarray(LEVEL_NM[rule.senses]), jnp.asarray(50.0), state.expression, pre)
            s = rule.flow(s, jnp.asarray(10.0), model.spine.flow(state.spine, jnp.asarray(10.0))[1], pre, draws)
            extra += [rule.factor(s), rule.weight(s), *s, rule.slow(s, state.expression, jnp.asarray(1000.0))]
    return jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves((state, sent, extra))])


@pytest.mark.parametrize("name", RULES)
def test_forward_reverse_and_finite_difference_agree(x64, name):
    spine = CalciumSpine(tau_Ca=20.0, C_pre=1.1, C_post=1.7, delay=4.6)
    bounds = Bounds(-9.0, 9.0, -9.0, 9.0)
    model = Synapse(spine, TsodyksMarkram(), (RULES[name](),), p_release=0.4, q=1.1, bounds=bounds)
    values, rebuild = ravel_pytree(model)
    size = 1.0 / (1.0 + jnp.abs(outcome(model)))
    mix = jnp.asarray(np.random.default_rng(1).uniform(0.5, 1.5, size.size)) * size
    loss = jax.jit(lambda v: jnp.sum(mix * outcome(rebuild(v))))
    scale = np.maximum(np.abs(np.asarray(values)), 1e-3)
    reverse, forward = (np.asarray(jax.jit(d(loss))(values)) * scale for d in (jax.grad, jax.jacfwd))
    steps = np.diag(2e-6 * scale)
    both = jax.jit(jax.vmap(loss))(jnp.concatenate([values + steps, values - steps]))
    difference = np.asarray(both[: scale.size] - both[scale.size :]) / 4e-6
    np.testing.assert_allclose(forward, reverse, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(difference, reverse, rtol=2e-5, atol=2e-8)
    own = {"graupner_brunel": 11, "unified": 9, "nitric_oxide": 8, "cb1": 10, "hill": 4, "excess": 2,
           "coincidence": 14, "train": 6, "vesicular": 4,
           "facilitation": 3, "pair_stdp": 4, "power_law_stdp": 6, "gliotransmission": 3, "glycine_site": 5,
           "transduction": 16, "cannabinoid_depression": 1, "triplet": 6, "triplet_nearest": 6}[name]
    # spine (4), release (2) and the starting strengths (2) always act somewhere; so do the rule's own
    assert np.count_nonzero(np.abs(reverse) > 1e-9) >= own + 6
