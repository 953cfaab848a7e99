"""Law 9: a new parameter value, protocol or seed of the same shape does not recompile."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrojax.engine.clocked import raster, run_clocked
from retrojax.engine.events import run_events, spike_table
from retrojax.engine.rows import Bounds, Synapse, init_state
from retrojax.numerics import Draws
from retrojax.parts import CB1, QuantalRelease, TsodyksMarkram, calcium_rule, unified_rule
from retrojax.protocols import pairs

TRANSFORMS = {"jax.jit": jax.jit, "eqx.filter_jit": eqx.filter_jit}


def synapse(release, preset, scale):
    """One structure, other values."""
    spine, efficacy = calcium_rule(preset)
    rules = (efficacy, unified_rule("sjostrom_refit", tau_x_plus=40.0 * scale), CB1(phi=0.4 * scale))
    return Synapse(spine, release, rules, p_release=0.4 * scale, bounds=Bounds(p_max=0.9 * scale))


def draws(seed):
    return Draws(jax.random.key(seed), jnp.arange(2))


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_events_trace_once(transform):
    traces = []

    @transform
    def run(model, table, source):
        traces.append(1)
        return run_events(model, init_state(model, (2,)), table, source)[0]

    first = run(synapse(TsodyksMarkram(), "DP", 1.0), spike_table(*pairs(5, 1.0, 10.0)), draws(0))
    other = run(synapse(TsodyksMarkram(150, 0), "D", 0.9), spike_table(*pairs(5, 20.0, -7.3)), draws(1))
    assert len(traces) == 1
    assert not np.array_equal(first.expression.p_release, other.expression.p_release)


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_clocked_traces_once(transform):
    traces = []

    @transform
    def run(model, pre, post, dt, source):
        traces.append(1)
        return run_clocked(model, init_state(model, (2,)), pre, post, dt, source)[0]

    trains = jnp.asarray(raster([3.0, 9.0], 20.0, 1.0)), jnp.asarray(raster([5.0, 12.0], 20.0, 1.0))
    first = run(synapse(QuantalRelease(5), "DP", 1.0), *trains, jnp.asarray(1.0), draws(0))
    other = run(synapse(QuantalRelease(3), "P", 0.8), *trains[::-1], jnp.asarray(0.5), draws(9))
    assert len(traces) == 1
    assert not np.array_equal(first.spine.calcium, other.spine.calcium)


def test_another_structure_does_recompile():
    traces = []

    @jax.jit
    def run(model, table):
        traces.append(1)
        return run_events(model, init_state(model, ()), table, Draws(jax.random.key(0), jnp.zeros((), jnp.int32)))[0]

    table = spike_table(*pairs(3, 1.0, 10.0))
    run(synapse(TsodyksMarkram(), "DP", 1.0), table)
    run(synapse(QuantalRelease(), "DP", 1.0), table)
    assert len(traces) == 2
