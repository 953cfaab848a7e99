"""Law 5: permuting synapses permutes the answer bit for bit; permuting rules changes it by rounding at most."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrojax.engine.events import run_events, spike_table
from retrojax.engine.kernel import rule_streams
from retrojax.engine.rows import Synapse, init_state
from retrojax.numerics import Draws
from retrojax.parts import (
    CB1,
    ExcessSynthesis,
    HillSynthesis,
    MessengerFacilitation,
    NitricOxidePotentiation,
    PairSTDP,
    QuantalRelease,
    calcium_rule,
    unified_rule,
)
from retrojax.protocols import pairs

pytestmark = pytest.mark.optimised

ROWS = 37  # not a multiple of any vector width: the last rows take another code path
TABLE = spike_table(*pairs(8, 10.0, 7.0))


def noisy(order=(0, 1, 2, 3, 4, 5, 6, 7)):
    """Stochastic release and noisy efficacy, with every other rule beside them, in that order."""
    spine, efficacy = calcium_rule("DP", noise=True)
    rules = (efficacy, unified_rule("sjostrom_refit"), NitricOxidePotentiation(), CB1(),
             HillSynthesis("NO", 1.0, 3.0, 0.019, 100.0), PairSTDP(), ExcessSynthesis("NO", 0.02),
             MessengerFacilitation("NO"))
    return Synapse(spine, QuantalRelease(most_sites=5), tuple(rules[k] for k in order))


def run(synapse, ids):
    state = init_state(synapse, ids.shape)
    draws = Draws(jax.random.key(5), jnp.asarray(ids))
    return jax.jit(lambda s: run_events(synapse, s, TABLE, draws, lambda _, sent: sent))(state)


def test_synapses_in_another_order_give_the_same_bits_in_that_order():
    ids = np.arange(100, 100 + ROWS)
    order = np.random.default_rng(0).permutation(ROWS)
    straight, permuted = run(noisy(), ids), run(noisy(), ids[order])
    for one, other in zip(jax.tree.leaves(straight), jax.tree.leaves(permuted), strict=True):
        np.testing.assert_array_equal(np.asarray(one)[..., order], np.asarray(other))
    assert np.unique(np.asarray(straight[0].rules[0].rho)).size == ROWS  # each synapse has its own noise
    assert np.unique(np.asarray(straight[1]).sum(0)).size > 3


def test_a_synapse_draws_the_same_numbers_alone_as_in_company():
    ids = np.arange(ROWS)
    together, alone = run(noisy(), ids), run(noisy(), ids[11:12])
    np.testing.assert_array_equal(np.asarray(together[0].release.rrp)[11:12], alone[0].release.rrp)
    np.testing.assert_allclose(np.asarray(together[0].rules[0].rho)[11:12], alone[0].rules[0].rho, rtol=1e-6)


def test_rules_in_another_order_change_rounding_at_most(x64):
    ids, order = np.arange(ROWS), (6, 1, 4, 0, 3, 7, 2, 5)
    straight, permuted = run(noisy(), ids), run(noisy(order), ids)
    for place, rule in enumerate(order):
        for one, other in zip(straight[0].rules[rule], permuted[0].rules[place], strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-13, atol=1e-13)
    for one, other in zip(straight[0].expression, permuted[0].expression, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-13)
    np.testing.assert_allclose(straight[1], permuted[1], rtol=1e-12, atol=1e-13)


def test_streams_differ_between_rules_and_from_that_of_release():
    spine, efficacy = calcium_rule("DP", noise=True)
    streams = rule_streams(Synapse(spine, QuantalRelease(), (efficacy, efficacy, *noisy().rules)))
    assert len({0, *streams}) == 1 + len(streams)
    assert all(0 < stream < 2**31 for stream in streams)
