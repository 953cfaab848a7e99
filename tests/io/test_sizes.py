"""Bytes are known before anything is allocated, and they are the bytes that are then allocated."""

from io import StringIO
from pathlib import Path

import equinox as eqx
import jax
import numpy as np
import pytest
from rich.console import Console

from retrojax.cli.checking import print_check
from retrojax.engine.lazy.assemble import CAN_CUT
from retrojax.errors import InputError
from retrojax.io import sizes
from retrojax.io.build import build
from retrojax.io.config import load_config
from retrojax.io.plan import make_plan
from retrojax.io.sizes import fitting

WORKING = ("spike record of a chunk", "fixed synapses' input in units", "one pass over rows",
           "copy of the rows when results are written")
"""Not part of tissue, state or model."""


@pytest.fixture(scope="module")
def file():
    return Path(__file__).parents[2] / "configs" / "quickstart.yaml"


@pytest.mark.parametrize(
    "keys", [[], ["dt=0.5 ms"], ["messengers={}", "synapse.rules=[]"], *[["network.devices=3"]] * CAN_CUT])
def test_the_estimate_is_what_gets_allocated(file, keys):
    config = load_config(file, ["grid.spacing=8 um", *keys])
    simulation = build(config, file)
    expected = simulation.plan.sizes.arrays
    held = jax.tree.leaves(eqx.filter((simulation.tissue, simulation.state), eqx.is_array))
    actual = sum(shard.data.nbytes for leaf in held for shard in leaf.addressable_shards
                 if not jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key))
    weights = simulation.model.weight.nbytes + simulation.model.fixed_weight.nbytes
    actual += config.network.devices * weights  # where a chunk runs
    counted = sum(size for name, size in expected.items() if name not in WORKING)
    assert counted == pytest.approx(actual, rel=0.03)


def test_maps_sites_and_flow_are_counted(file, tmp_path):
    chosen = ["grid.spacing=16 um", "grid.boundary=[periodic, no-flux, no-flux]", "grid.flow=[1 um/s, 0, 0]",
              "messengers.2-AG.binding.albumin={sites: 1 uM, on_rate: 1 1/(uM*s), off_rate: 1 1/s}"]
    shape = make_plan(load_config(file, chosen), file).grid.shape
    np.savez(tmp_path / "tissue.npz", volume_fraction=np.full(shape, 0.2), tortuosity=np.full(shape, 1.6))
    simulation = build(load_config(file, [*chosen, f"grid.maps={{file: {tmp_path / 'tissue.npz'}}}"]), file)
    counted, messengers = simulation.plan.sizes.arrays, simulation.model.messengers
    held = lambda tree: sum(leaf.nbytes for leaf in jax.tree.leaves(tree))  # noqa: E731
    assert counted["maps of the medium"] == held([m.maps for m in messengers]) > 0
    assert counted["bound amounts"] == held(simulation.state.bound) > 0
    assert counted["flow"] == held([m.flow for m in messengers]) > 0


def test_a_size_that_cannot_fit_is_refused_and_what_would_fit_is_said(file, monkeypatch):
    config = load_config(file, ["grid.spacing=8 um"])
    plan = make_plan(config, file)
    room = plan.sizes.total - plan.sizes.per_synapse // 2
    monkeypatch.setattr(sizes, "available", lambda: room)
    enough = fitting(plan.sizes, plan.wiring.ids.size, room)
    assert 0.45 < enough / plan.wiring.ids.size < 0.55
    with pytest.raises(InputError, match=rf"{enough:,} of the {plan.wiring.ids.size:,} plastic synapses would fit"):
        make_plan(config, file)


def test_check_names_the_schedule_and_bytes_per_synapse(file):
    text = StringIO()
    print_check(load_config(file), file, Console(file=text, width=120))
    assert "schedule: lazy" in text.getvalue() and "synapse rows" in text.getvalue()
    text = StringIO()
    print_check(load_config(file, ["network.schedule=clocked"]), file, Console(file=text, width=120))
    assert "schedule: clocked" in text.getvalue()
