"""The direct way of a lipid from a spine to its own bouton: nothing lost or made, and the same on both schedules."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from test_near_field_network import Probe

from retrojax.engine.assemble import Wiring, build_tissue, initial_state
from retrojax.engine.lazy.assemble import Space, build_lazy, plan_times
from retrojax.engine.lazy.field import unpacked
from retrojax.engine.lazy.readout import in_order
from retrojax.engine.model import Cis, Clocks, Messenger, Model
from retrojax.engine.near import resting_cis, step_cis
from retrojax.engine.rows import Synapse, unpack
from retrojax.engine.schedules import Clocked, Lazy
from retrojax.errors import InputError
from retrojax.io.build import build
from retrojax.io.config import load_config
from retrojax.parts import CalciumSpine, DeltaLIF, ExcessSynthesis, TsodyksMarkram
from retrojax.parts.drive import Poisson
from retrojax.protocols.targets import targets
from retrojax.space import Grid
from retrojax.units import MOLECULES_PER_NM_UM3

COUNT, TICKS, STEP, FRACTION, VOLUME = 24, 12, 20.0, 0.3, 0.01
GRID = Grid((4, 4, 4), (2.0,) * 3)


def network(kind, fraction, loss):
    """Schedule, model, tissue and state of spines that spikes of sources make a lipid in; nothing in the medium is
    lost."""
    rng, none = np.random.default_rng(3), np.zeros(0, int)
    wiring = Wiring(np.arange(COUNT), 2 + rng.integers(6, size=COUNT), rng.integers(2, size=COUNT),
                    np.full(COUNT, 2), np.ones(COUNT), none, none, none, np.zeros(0), neurons=2, sources=6)
    number = jnp.asarray
    cis = None if fraction is None else Cis(number(fraction), number(VOLUME), number(loss))
    synapse = Synapse(CalciumSpine(), TsodyksMarkram(), (ExcessSynthesis("2-AG", 0.5), Probe("2-AG")))
    model = Model(number(1.0), synapse, jnp.ones(COUNT), jnp.zeros(0), number(1.0),
                  DeltaLIF(20.0, 0.0, 15.0, 5.0, 2.0), Poisson(np.full(6, 0.05), 1.0),
                  (Messenger("2-AG", number(0.0346), number(0.0), number(0.2), cis=cis),))
    spines = rng.uniform(1, 7, (COUNT, 3))
    clocks, near, most = Clocks(round(STEP), (1,), 50, TICKS), [3], [100.0]
    if kind == "clocked":
        tissue = build_tissue(wiring, GRID, spines, spines + 0.05, 0.0866, 1.0, 16.0, most)
        return Clocked(clocks), model, tissue, initial_state(model, tissue, near, 5)
    times = plan_times(wiring, clocks)
    return Lazy(clocks, times), model, *build_lazy(
        model, wiring, times, Space(GRID, spines, spines + 0.05, 0.0866, most, near), 1.0, 16.0, 5)


def by_synapse(kind, model, tissue, state):
    """Pools [molecules] and bouton concentrations [nM]."""
    if kind == "clocked":
        return np.asarray(state.cis[0]), np.asarray(unpack(model.synapse, state.rows).rules[1].conc)
    held = unpacked(model, tissue, state)[1].rules[1].conc
    return tuple(in_order(tissue, np.asarray(x)) for x in (state.cis[0], held))


def test_law6_and_law2_with_a_direct_way(x64):
    ends = {}
    for kind in ("clocked", "lazy"):
        schedule, model, tissue, state = network(kind, FRACTION, 0.0)
        free = 0.0
        for _ in range(TICKS):
            state, _ = schedule.run(model, tissue, state, 1)
            free += float(state.emitted[0][0].sum()) * STEP
        assert int(state.errors) == 0 and free > 5
        pools, conc = ends[kind] = by_synapse(kind, model, tissue, state)
        held = MOLECULES_PER_NM_UM3 * GRID.voxel_volume * float(state.fields[0].sum())
        np.testing.assert_allclose(held, free, rtol=1e-6)  # what enters the medium stays there
        np.testing.assert_allclose(pools.sum(), free * FRACTION / (1 - FRACTION), rtol=1e-9)  # and the rest here
        assert np.all(conc >= pools / (VOLUME * MOLECULES_PER_NM_UM3))
    np.testing.assert_allclose(ends["clocked"], ends["lazy"], rtol=1e-9, atol=1e-12)


def test_the_share_is_data_and_none_of_it_is_no_direct_way(x64):
    schedule, model, tissue, state = network("lazy", FRACTION, 0.01)
    turned_off = eqx.tree_at(targets(model)["messengers.2-AG.f_cis"], model, jnp.asarray(0.0))
    off, _ = schedule.run(turned_off, tissue, state, TICKS)
    schedule, plain, slots, state = network("lazy", None, 0.0)
    none, _ = schedule.run(plain, slots, state, TICKS)
    assert none.cis[0].size == 0 and float(jnp.abs(off.cis[0]).max()) == 0.0
    np.testing.assert_allclose(off.fields[0], none.fields[0], rtol=1e-12)
    np.testing.assert_allclose(by_synapse("lazy", turned_off, tissue, off)[1],
                               in_order(slots, np.asarray(unpacked(plain, slots, none)[1].rules[1].conc)), rtol=1e-12)


def test_a_pool_follows_its_closed_form(x64):
    number = jnp.asarray
    cis = Cis(number(0.4), number(0.01), number(0.02))
    messenger = Messenger("2-AG", number(0.03), number(0.0), number(0.2), cis=cis)
    pool, rate = jnp.zeros(2), jnp.array([1.0, 3.0])
    for _ in range(5):
        pool = step_cis(messenger, pool, rate * 30.0, number(30.0))
    np.testing.assert_allclose(pool, 0.4 * rate / 0.02 * -np.expm1(-0.02 * 150.0), rtol=1e-12)
    np.testing.assert_allclose(resting_cis(messenger, np.array([1.0, 3.0])), 0.4 * rate / 0.02, rtol=1e-12)


def test_a_config_gives_lipids_a_direct_way(config_file):
    chosen = ["grid.spacing=16 um", "messengers.2-AG.f_cis=0.3"]
    simulation = build(load_config(config_file, [*chosen, "messengers.2-AG.cis_volume=0.01 um^3"]), config_file)
    cis = simulation.model.messengers[1].cis
    assert simulation.model.messengers[0].cis is None
    np.testing.assert_allclose([cis.fraction, cis.volume, cis.loss], [0.3, 0.01, simulation.model.messengers[1].loss],
                               rtol=1e-6)
    assert simulation.state.cis[1].size >= simulation.plan.wiring.ids.size
    with pytest.raises(InputError, match="cis_volume.*0.01 um"):
        build(load_config(config_file, chosen), config_file)
    with pytest.raises(InputError, match="membranes hand over lipids"):
        build(load_config(config_file, ['messengers.NO.f_cis=0.3', "messengers.NO.cis_volume=0.01 um^3"]), config_file)
