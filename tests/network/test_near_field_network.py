"""Close neighbours in a network run: what a bouton sees does not depend on the voxel size, on either schedule."""

from io import StringIO
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from retrojax.cli.checking import print_check
from retrojax.engine.assemble import Wiring, build_tissue, initial_state
from retrojax.engine.lazy.assemble import Space, build_lazy, plan_times
from retrojax.engine.lazy.field import unpacked
from retrojax.engine.lazy.growth import Growth
from retrojax.engine.lazy.readout import in_order
from retrojax.engine.lazy.structure import grow
from retrojax.engine.model import Clocks, Messenger, Model
from retrojax.engine.rows import Synapse, unpack
from retrojax.engine.schedules import Clocked, Lazy
from retrojax.errors import InputError
from retrojax.io.config import load_config
from retrojax.io.plan import make_plan
from retrojax.parts import ConstitutiveSynthesis, DeltaLIF, SilentSpine, TsodyksMarkram
from retrojax.parts.base import AbstractRule
from retrojax.parts.drive import Poisson
from retrojax.space import Grid, count_pairs, find_pairs, point_response

D, LOSS, STEP, TICKS, SIZE, RATE = 2.2, 0.2, 2.0, 4, 20.0, 0.04
"""NO with a fast sink: within 8 ms no wall 10 um away is felt."""
DISTANCES = (0.1, 0.5, 1.0, 2.0)
"""From the spines of the four synapses to the bouton of the first [um]."""


class Seen(NamedTuple):
    """`conc`: concentration at the bouton [nM]."""

    conc: jax.Array


class Probe(AbstractRule):
    """Remembers the concentration at its bouton."""

    senses: str = eqx.field(static=True, default="NO")

    def init(self, shape):
        return Seen(jnp.zeros(shape))

    def field(self, s, concentration, elapsed, expression, pre):
        return Seen(concentration)


def sites(seed):
    """Spines and boutons: the first bouton is 0.1 um from its own spine, `DISTANCES` from the others'."""
    rng = np.random.default_rng(seed)
    away, other = (x / np.linalg.norm(x, axis=1)[:, None] for x in rng.normal(size=(2, 4, 3)))
    bouton = SIZE / 2 + rng.uniform(-1, 1, 3)
    spines = bouton + np.array(DISTANCES)[:, None] * away
    return spines, np.concatenate([bouton[None], spines[1:] + 0.1 * other[1:]])


def network(grid, spines, boutons, paired):
    """Both schedules of four silent synapses, as (schedule, model, tissue, start, concentrations of a state)."""
    none = np.zeros(0, int)
    wiring = Wiring(np.arange(4), np.arange(4), np.zeros(4, int), np.ones(4, int), np.ones(4), none, none, none,
                    np.zeros(0), neurons=1, sources=3)
    synapse = Synapse(SilentSpine(), TsodyksMarkram(), (ConstitutiveSynthesis("NO", np.zeros(4)), Probe()))
    model = Model(jnp.asarray(1.0), synapse, jnp.ones(4), jnp.zeros(0), jnp.asarray(1.0),
                  DeltaLIF(20.0, 0.0, 15.0, 5.0, 2.0), Poisson(np.zeros(3), 1.0),
                  (Messenger("NO", jnp.asarray(D), jnp.asarray(LOSS), jnp.asarray(1.0)),))
    pairs, near, most = find_pairs(grid, spines, boutons) if paired else None, [TICKS], [RATE * STEP]
    clocks = Clocks(2, (1,), 500, TICKS)
    tissue = build_tissue(wiring, grid, spines, boutons, 0.1, 1.0, 16.0, most, pairs)
    times, space = plan_times(wiring, clocks), Space(grid, spines, boutons, 0.1, most, near, pairs)
    slots, _ = build_lazy(model, wiring, times, space, 1.0, 16.0, 0)
    seen = lambda state: in_order(slots, np.asarray(unpacked(model, slots, state)[1].rules[1].conc))  # noqa: E731
    return {"clocked": (Clocked(clocks), model, tissue, lambda: initial_state(model, tissue, near, 0),
                        lambda state: np.asarray(unpack(synapse, state.rows).rules[1].conc)),
            "lazy": (Lazy(clocks, times), model, slots,
                     lambda: build_lazy(model, wiring, times, space, 1.0, 16.0, 0)[1], seen)}


def at_first_bouton(dx, spines, boutons, kind, paired=True):
    """Concentration [nM] at the first bouton after a run in which each spine in turn releases, alone, [4]."""
    grid, found = Grid((round(SIZE / dx),) * 3, (dx,) * 3), []
    schedule, model, tissue, start, seen = network(grid, spines, boutons, paired)[kind]
    for alone in RATE * np.eye(4):
        turn = eqx.tree_at(lambda m: m.synapse.rules[0].rate, model, jnp.asarray(alone, float))
        state, _ = schedule.run(turn, tissue, start(), TICKS)
        assert int(state.errors) == 0
        found.append(seen(state)[0])
    return np.array(found)


@pytest.mark.parametrize("kind", ["lazy", pytest.param("clocked", marks=pytest.mark.repro)])
def test_own_spine_and_neighbours_do_not_depend_on_the_voxel_size(kind):
    spines, boutons = sites(0)
    seen = np.stack([at_first_bouton(dx, spines, boutons, kind) for dx in (0.5, 1.0, 2.0)])
    expected = np.asarray(point_response(jnp.array(DISTANCES), TICKS * STEP, RATE, D, LOSS))
    np.testing.assert_allclose(seen, np.broadcast_to(expected, seen.shape), rtol=0.05)
    assert np.all(np.ptp(seen, axis=0) < 0.05 * seen.mean(axis=0))


def test_schedules_agree_and_without_pairs_a_neighbour_is_wrong_by_tens_of_per_cent():
    paired, plain = (at_first_bouton(2.0, *sites(0), "clocked", paired) for paired in (True, False))
    np.testing.assert_allclose(paired, at_first_bouton(2.0, *sites(0), "lazy"), rtol=1e-5)
    assert abs(plain[0] / paired[0] - 1) < 1e-4 and plain[1] < 0.8 * paired[1]


def test_a_config_asks_for_pairs_and_check_says_what_they_cost(config_file):
    chosen = ["grid.near_field=pairs", "grid.pairs_within=1"]
    config, text = load_config(config_file, chosen), StringIO()
    plan = make_plan(config, config_file)
    assert plan.pairs is not None and plan.pairs.within == 1
    assert plan.pairs.spine.size == count_pairs(plan.grid, plan.spines, plan.boutons, within=1) > 1e4
    assert plan.sizes.arrays["synapse pairs"] == sum(
        leaf.nbytes for leaf in (plan.pairs.spine, plan.pairs.bouton, plan.pairs.distance, plan.pairs.offset))
    print_check(config, config_file, Console(file=text, width=120))
    assert f"{plan.pairs.spine.size:,} pairs of close neighbours" in text.getvalue()
    assert "kernels of pairs" in text.getvalue()


def test_what_cannot_have_pairs_is_refused_by_name(config_file, tmp_path):
    chosen = ["grid.spacing=16 um", "grid.near_field=pairs"]
    plan = make_plan(load_config(config_file, ["grid.spacing=16 um"]), config_file)
    np.savez(tmp_path / "tissue.npz", volume_fraction=np.full(plan.grid.shape, 0.2),
             tortuosity=np.full(plan.grid.shape, 1.6))
    with pytest.raises(InputError, match="grid.near_field = 'pairs'.*leave out grid.maps"):
        make_plan(load_config(config_file, [*chosen, f"grid.maps={{file: {tmp_path / 'tissue.npz'}}}"]), config_file)
    uptake = "astrocytes={positions: [[0, 0, 0]], uptake: {2-AG: 2}}"
    with pytest.raises(InputError, match="grid.near_field = 'pairs'.*leave out astrocytes.uptake"):
        make_plan(load_config(config_file, [*chosen, uptake]), config_file)
    with pytest.raises(InputError, match="pairs_within"):
        load_config(config_file, [*chosen, "grid.pairs_within=9"])


def test_new_synapses_are_refused_where_the_list_is_fixed():
    spines, boutons = sites(0)
    schedule, model, tissue, start, _ = network(Grid((10, 10, 10), (2.0,) * 3), spines, boutons, True)["lazy"]
    new = Growth(np.array([9]), np.array([0]), np.array([0]), None, np.ones(1), model.synapse, spines[:1], boutons[:1])
    with pytest.raises(InputError, match="12 close neighbours.*grid.near_field: own"):
        grow(model, tissue, start(), schedule.times, new)
