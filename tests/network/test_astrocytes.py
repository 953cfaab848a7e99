"""Astrocytes of a network: as their parts stepped by hand, the same on both schedules, no molecule lost, to the bit."""

import dataclasses
import logging
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astrocytes_tiny import COUNT, GRID, TICK, Net, P, by_hand, glia, network

from retrojax.engine.astrocytes import advance_cells
from retrojax.engine.kernel import jump
from retrojax.engine.model import Messenger
from retrojax.engine.rows import Synapse, init_state
from retrojax.engine.transport import make_plan, spread
from retrojax.io.astrocytes import Placed, with_uptake
from retrojax.io.schema import AstrocyteSection
from retrojax.parts import SilentSpine, SpilloverSynthesis, TsodyksMarkram
from retrojax.protocols.targets import find_target

pytestmark = pytest.mark.optimised

TICKS, GLIO = 24, 2
ALPHA = np.repeat([0.0, P, 1.0], COUNT // 3)


def leaves(state):
    """All numbers of a state."""
    return [np.asarray(jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x)
            for x in jax.tree.leaves(state)]


def advanced(net: Net, state, *chunks: int):
    """State and record after those chunks, on a copy."""
    state = jax.tree.map(jnp.copy, state)
    for ticks in chunks:
        state, record = net.schedule.run(net.model, net.tissue, state, ticks)
    return state, record


class Course(NamedTuple):
    """A network, its states after every tick, and what releases are worth relative to rest at the end."""

    net: Net
    states: list
    calcium: np.ndarray
    release: np.ndarray


@pytest.fixture(scope="module")
def courses():
    """Both schedules, tick by tick, in double precision."""
    found = {}
    with jax.enable_x64(True):
        for kind in ("clocked", "lazy"):
            net = network(kind, ALPHA)
            states, calcium = [net.state], []
            for _ in range(TICKS):
                state, record = advanced(net, states[-1], 1)
                assert int(state.errors) == 0
                states.append(state)
                calcium.append(np.asarray(record.calcium[0]))
            release = net.schedule.strengths(net.model, net.tissue, jax.tree.map(jnp.copy, state)).p_effective
            found[kind] = Course(net, states, np.array(calcium), release)
    return found


@pytest.mark.parametrize("kind", ["lazy", "clocked"])
def test_cells_are_their_parts_stepped_by_hand_and_what_leaves_is_all_there(x64, courses, kind):
    net, states, calcium, _ = courses[kind]
    cells, total = net.state.astrocytes, 0.0
    for tick, state in enumerate(states[1:], 1):
        if tick % 2 == 0:
            cells, rise = by_hand(net, cells, [np.asarray(f) for f in state.fields])
            total += 0.2 * float(np.sum(rise * net.placed.size))
        held = float(state.fields[GLIO].sum() + state.pending[GLIO].sum())
        np.testing.assert_allclose(held, total, rtol=1e-9)  # law 6: this messenger has no loss
        np.testing.assert_array_equal(calcium[tick - 1], state.astrocytes.inside.C)
    for one, other in zip(jax.tree.leaves(state.astrocytes), jax.tree.leaves(cells), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-12)
    ready = np.asarray(state.astrocytes.ready)
    assert total > 1e3 and ready.min() < 0.9 and float(state.astrocytes.inside.Gamma_A.max()) > 1e-3


def test_law2_both_schedules(x64, courses):
    clocked, lazy = courses["clocked"], courses["lazy"]
    np.testing.assert_allclose(clocked.calcium, lazy.calcium, rtol=1e-9)
    np.testing.assert_allclose(clocked.release, lazy.release, rtol=1e-9)
    for one, other in zip(clocked.states[-1].fields, lazy.states[-1].fields, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("kind", ["lazy", "clocked"])
def test_law3_chunks(x64, courses, kind):
    net, states, _, _ = courses[kind]
    whole, _ = advanced(net, net.state, 7, TICKS - 7)
    assert all(np.array_equal(a, b) for a, b in zip(leaves(whole), leaves(states[-1]), strict=True))


def test_terminals_change_sign_with_alpha_as_receptors_stepped_by_hand(x64, courses):
    net, states, _, release = courses["lazy"]
    bound = np.zeros(COUNT)
    for state in states[1:]:
        conc = np.asarray(state.fields[GLIO]).ravel()[net.voxel] / 0.2
        speed = 1.5e-6 * conc + 0.5 / 60e3
        end = 1.5e-6 * conc / speed
        bound = end + (bound - end) * np.exp(-speed * TICK)
    np.testing.assert_allclose(release, (1 - bound) * P + ALPHA * bound, rtol=1e-9)
    assert bound.min() > 0.05
    assert release[ALPHA == 0].max() < P - 0.02 < P + 0.02 < release[ALPHA == 1].min()
    np.testing.assert_allclose(release[ALPHA == P], P, rtol=1e-9)


def test_gap_junctions_carry_ip3(x64, courses):
    net, _, _, _ = courses["lazy"]
    cells = net.state.astrocytes
    uneven = cells._replace(inside=cells.inside._replace(I=jnp.array([2.0, 0.2, 0.2])))
    levels = {0: jnp.zeros(3), 1: jnp.zeros(3)}
    table, apart = net.tissue.domains.neighbours, jnp.arange(3)[:, None]
    ends = [advance_cells(net.model.astrocytes, uneven, jnp.asarray(100.0), levels, t)[0].inside.I
            for t in (table, apart)]
    np.testing.assert_allclose(ends[0].sum(), ends[1].sum(), rtol=2e-3)  # metabolism differs a little
    gained = ends[0] - ends[1]
    assert float(gained[0]) < -0.05 and float(gained[1]) > float(gained[2]) > 0.0
    assert net.placed.pairs.tolist() == [[0, 1], [1, 2]] and net.placed.label.shape == GRID.shape


def test_law9_interventions_reach_the_cells_and_compile_nothing(x64, courses, caplog):
    net, states, _, _ = courses["lazy"]
    where = find_target(net.model, "astrocytes.calcium.Omega_C", "target")
    silent = net._replace(model=eqx.tree_at(where, net.model, jnp.zeros(())))
    with jax.log_compiles(), caplog.at_level(logging.WARNING, "jax"):
        state, record = advanced(silent, net.state, 20, TICKS - 20)
    assert not [line for line in caplog.messages if "run_chunk" in line and "ompil" in line]
    assert float(np.max(record.calcium[0])) < 0.1 and float(state.fields[GLIO].max()) == 0.0


def test_a_run_starts_at_the_rest_of_its_cells(x64, courses):
    net, _, calcium, _ = courses["lazy"]
    cells, cell = net.state.astrocytes, net.model.astrocytes.cell
    np.testing.assert_allclose(cells.inside.I, 0.16, rtol=1e-9)
    slope = cell.slope(cells.inside, jnp.zeros(3), jnp.zeros(3))
    assert max(float(jnp.abs(x).max()) for x in slope) < 1e-9
    np.testing.assert_array_equal(calcium[0], cells.inside.C)  # cells step at every second tick


def test_spillover_follows_release(x64):
    spill = SpilloverSynthesis("glutamate", 2000.0, 0.1)
    kind = Synapse(SilentSpine(), TsodyksMarkram(), (spill,), 0.4)
    state, yes, no = init_state(kind, (2,)), jnp.array([True, False]), jnp.zeros(2, bool)
    for _ in range(3):
        state = jump(kind, state, (no, yes, no))
    after, molecules = spill.emit(state.rules[0], jnp.asarray(50.0))
    np.testing.assert_allclose(molecules, [2400.0, 0.0])
    assert not np.any(after.released) and float(spill.most(jnp.asarray(50.0))) == pytest.approx(12000.0)


def test_uptake_of_a_domain_speeds_the_loss_there_alone(x64):
    placed = Placed.of_centres(GRID, np.array([[12.0, 15.0, 15.0], [60.0, 15.0, 15.0]]), glia())
    label = placed.label.copy()
    label[-1] = -1  # no astrocyte there
    placed = dataclasses.replace(placed, label=label)
    section = AstrocyteSection(density=1e-5, uptake={"glutamate": [0.5, 4.0]})
    values, maps = with_uptake(section, placed, {"glutamate": {"loss": 0.04, "vmax": 0.0}}, {})
    number = lambda x: jnp.asarray(x, float)  # noqa: E731
    messenger = Messenger("glutamate", number(0.0), number(values["glutamate"]["loss"]), number(0.2),
                          maps=maps["glutamate"])
    start = number(np.random.default_rng(0).uniform(1, 2, GRID.shape))
    plan = make_plan(messenger, GRID, messenger.loss, number(20.0), False)
    left = spread(plan, start, jnp.zeros(GRID.shape))
    factor = np.select([label == 0, label == 1], [0.5, 4.0], 1.0)
    np.testing.assert_allclose(left, start * np.exp(-0.04 * factor * 20.0), rtol=1e-6)
