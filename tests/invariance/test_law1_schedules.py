"""Law 1: the events schedule is the clocked one at dt -> 0, for every rule and release model in the catalogue."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrojax.engine.clocked import raster, run_clocked
from retrojax.engine.events import run_events, spike_table
from retrojax.engine.rows import Synapse, init_state
from retrojax.numerics import Draws
from retrojax.parts import CalciumSpine, ExcessSynthesis, PairSTDP, QuantalRelease, TsodyksMarkram, calcium_rule
from retrojax.parts.catalogue import PARTS

PRE = np.array([10.0, 60.0, 85.0, 200.0, 250.0, 300.0])
POST = np.array([20.0, 55.0, 85.0, 190.0, 260.0, 300.0])
END = 420.0
EXTRA = {"hill_synthesis": {"makes": "NO", "half_activation": 1.0, "hill": 3.0, "rate": 0.019, "tau": 100.0},
         "excess_synthesis": {"makes": "NO", "rate": 0.02}, "coincidence_synthesis": {"makes": "2-AG"},
         "train_synthesis": {"makes": "dynorphin", "rate": 1.0}, "constitutive_synthesis": {"makes": "x", "rate": 1.0},
         "vesicular_synthesis": {"makes": "BDNF", "rate": 1.0}, "messenger_facilitation": {"senses": "NO"},
         "spillover_synthesis": {"makes": "glutamate"},
         "transduction": {"senses": "adenosine", "receptor": "A1"},
         "quantal": {"most_sites": 5}}
RULES = sorted(name for name, part in PARTS.items() if part.kind == "rule")
RELEASES = sorted(name for name, part in PARTS.items() if part.kind == "release")
SPINES = sorted(name for name, part in PARTS.items() if part.kind == "spine")


def synapse(release="tsodyks_markram", rule=None, delay=4.0):
    """A synapse with those parts; the calcium of the set DP, whose transients cross both thresholds."""
    spine, _ = calcium_rule("DP")
    rules = () if rule is None else (PARTS[rule].cls(**EXTRA.get(rule, {})),)
    calcium = CalciumSpine(spine.tau_Ca, spine.C_pre, spine.C_post, delay)
    return Synapse(calcium, PARTS[release].cls(**EXTRA.get(release, {})), rules)


def answers(model, steps, rows=3):
    """State and sum of responses of the events run, and of clocked runs at each step; flat arrays."""
    draws = Draws(jax.random.key(3), jnp.arange(rows))
    start = init_state(model, (rows,))
    see = lambda _, sent: sent  # noqa: E731
    results = [jax.jit(lambda: run_events(model, start, spike_table(PRE, POST, END), draws, see))()]
    for dt in steps:
        trains = [jnp.asarray(raster(times, END, dt)) for times in (PRE, POST)]
        results.append(jax.jit(lambda t, d: run_clocked(model, start, *t, d, draws, see))(trains, jnp.asarray(dt)))
    return [np.concatenate([np.ravel(x) for x in (*jax.tree.leaves(state), sent.sum(0))]) for state, sent in results]


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_agrees_to_rounding_where_the_step_divides_the_delay(x64, rule):
    events, *clocked = answers(synapse(rule=rule), (1.0,))
    assert not np.allclose(events, answers_at_rest(rule))
    # double well and drift together are split: good to (duration/tau)^3. Everything else is exact
    within = 1e-7 if rule == "graupner_brunel" else 1e-11
    for result in clocked:
        np.testing.assert_allclose(result, events, rtol=within, atol=within)


def answers_at_rest(rule):
    """What the same synapse holds before any spike."""
    model = synapse(rule=rule)
    return np.concatenate([np.ravel(leaf) for leaf in (*jax.tree.leaves(init_state(model, (3,))), np.zeros(3))])


@pytest.mark.parametrize("release", RELEASES)
def test_every_release_agrees_to_rounding_and_draws_the_same(x64, release):
    events, clocked = answers(synapse(release), (0.5,))
    np.testing.assert_allclose(clocked, events, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("spine", SPINES)
def test_every_spine_agrees_to_rounding_under_pair_and_calcium_rules(x64, spine):
    rules = (PairSTDP(), ExcessSynthesis("NO", 0.02, 0.3))
    settings = {"delay": 4.0} if "delay" in PARTS[spine].parameters else {}  # whole steps
    events, *clocked = answers(Synapse(PARTS[spine].cls(**settings), TsodyksMarkram(), rules), (1.0, 0.5))
    for result in clocked:
        np.testing.assert_allclose(result, events, rtol=1e-11, atol=1e-11)


def test_stochastic_release_gives_the_same_vesicles_in_both_schedules():
    model = Synapse(CalciumSpine(), QuantalRelease(most_sites=5))
    draws, start = Draws(jax.random.key(3), jnp.arange(50)), init_state(model, (50,))
    trains = [jnp.asarray(raster(times, END, 5.0)) for times in (PRE, POST)]
    events, _ = jax.jit(run_events)(model, start, spike_table(PRE, POST, END), draws)
    clocked, _ = jax.jit(run_clocked)(model, start, *trains, jnp.asarray(5.0), draws)
    np.testing.assert_array_equal(events.release.rrp, clocked.release.rrp)
    assert np.unique(events.release.rrp).size > 2


@pytest.mark.parametrize("rule", ["graupner_brunel", "hill_synthesis"])
def test_a_delay_off_the_grid_converges_at_first_order_or_better(x64, rule):
    # two thirds of a ms above 4 are a third of a step away from the grid at both steps
    events, *clocked = answers(synapse(rule=rule, delay=4.0 + 2.0 / 3.0), (2.0, 1.0))
    error = [np.abs(result - events).max() for result in clocked]
    assert error[0] > 1e-6
    assert error[1] < error[0] / 1.7
