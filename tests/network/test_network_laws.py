"""Laws 5, 6 and 9 on the whole network, and what happens when a value goes bad."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrojax.engine.assemble import build_tissue, initial_state
from retrojax.engine.driver import drive_chunks
from retrojax.engine.field_step import field_step, plan_fields
from retrojax.engine.network import run_chunk
from retrojax.errors import RunError
from retrojax.io.build import build
from retrojax.units import MOLECULES_PER_NM_UM3

TICKS = 20


@pytest.fixture(scope="module")
def simulation(small_config, config_file):
    return build(small_config, config_file)


def _run(simulation, model, tissue, state, ticks=TICKS):
    return run_chunk(model, tissue, state, simulation.plan.clocks, jnp.asarray(ticks, jnp.int32))


def _permuted(simulation, order):
    """The same network with its plastic synapses in another order."""
    plan, wiring = simulation.plan, simulation.plan.wiring
    moved = dataclasses.replace(wiring, **{name: getattr(wiring, name)[order] for name in
                                           ("ids", "pre", "post", "delay", "weight")})
    rules = tuple(eqx.tree_at(lambda r: r.rho, rule, rule.rho[order]) if hasattr(rule, "rho") else rule
                  for rule in simulation.model.synapse.rules)
    model = eqx.tree_at(lambda m: (m.weight, m.synapse.rules), simulation.model,
                        (simulation.model.weight[order], rules))
    most = [v["rate"] * v["step"] for v in plan.messengers.values()]
    tissue = build_tissue(moved, plan.grid, plan.spines[order], plan.boutons[order], 0.1, 4.0, 16.0, most)
    straight = build_tissue(wiring, plan.grid, plan.spines, plan.boutons, 0.1, 4.0, 16.0, most)
    return model, tissue, straight


def test_law5_permuting_synapses_permutes_the_answer_bit_for_bit(simulation):
    order = np.random.default_rng(3).permutation(simulation.plan.wiring.ids.size)
    model, tissue, straight = _permuted(simulation, order)
    near = simulation.plan.near_steps
    first, seen = _run(simulation, simulation.model, straight, initial_state(simulation.model, straight, near, 1))
    second, seen_again = _run(simulation, model, tissue, initial_state(model, tissue, near, 1))
    assert np.array_equal(np.asarray(first.rows)[:, order], np.asarray(second.rows))
    assert np.array_equal(seen.spikes, seen_again.spikes) and np.asarray(seen.spikes).sum() > 0
    for one, other in zip(first.fields, second.fields, strict=True):
        assert np.array_equal(one, other) and float(one.max()) > 0


def test_law6_field_total_is_deposited_minus_lost(simulation, small_config):
    model, tissue, clocks = simulation.model, simulation.tissue, simulation.plan.clocks
    state, _ = _run(simulation, model, tissue, simulation.state, 30)
    steps = tuple(jnp.asarray(10.0 * every) for every in clocks.every)
    plans = plan_fields(model, tissue, state, steps)
    volume = tissue.grid.voxel_volume * MOLECULES_PER_NM_UM3
    for which, (messenger, elapsed) in enumerate(zip(model.messengers, steps, strict=True)):
        after = field_step(model, tissue, state, which, plans[which])
        made = float(np.asarray(after.emitted[which][0], np.float64).sum())  # molecules per ms
        k, dt = float(messenger.loss), float(elapsed)
        before = float(np.asarray(state.fields[which], np.float64).sum()) * volume
        expected = before * np.exp(-k * dt) + made * -np.expm1(-k * dt) / k
        assert made > 0
        assert float(np.asarray(after.fields[which], np.float64).sum()) * volume == pytest.approx(expected, rel=2e-6)


def test_law9_new_values_do_not_recompile(simulation):
    model = simulation.model
    _run(simulation, model, simulation.tissue, simulation.state, 2)
    before = run_chunk.whole._cached._cache_size()
    rules = jax.tree.map(lambda x: x * 1.01 if eqx.is_inexact_array(x) else x, model.synapse.rules)
    changed = eqx.tree_at(lambda m: (m.synapse.rules, m.inhibition), model, (rules, model.inhibition * 1.3))
    _run(simulation, changed, simulation.tissue, simulation.state, 5)
    assert run_chunk.whole._cached._cache_size() == before


def test_sleep_stage_keeps_amounts_and_scales_concentration(simulation):
    awake, asleep = simulation.model_at(0), simulation.model_at(simulation.end // 2)
    assert simulation.patches.stage_at(simulation.end // 2) in ("N1", "N2")
    ratio = [float(a.volume_fraction / b.volume_fraction)
             for a, b in zip(awake.messengers, asleep.messengers, strict=True)]
    assert ratio == pytest.approx([1.0, 0.14 / 0.23], rel=1e-6)
    u = [float(m.loss * m.volume_fraction) for m in (awake.messengers[1], asleep.messengers[1])]
    assert u[0] == pytest.approx(u[1], rel=1e-6)
    assert float(asleep.inhibition) == pytest.approx(1.15)


def test_a_value_that_is_not_finite_stops_the_run_and_names_it(simulation):
    bad = simulation.state.rows.at[0, 5].set(jnp.nan)
    state = eqx.tree_at(lambda s: s.rows, simulation.state, bad)
    seen = []
    with pytest.raises(RunError, match=r"spine\.calcium of synapse (\d+)") as caught:
        drive_chunks(simulation.schedule, simulation.model_at, simulation.tissue, state, simulation.end,
                     simulation.patches.edges, [], seen.append)
    assert f"synapse {int(simulation.tissue.ids[5])} " in str(caught.value)
    assert not seen
