"""Law 4: a network cut among devices does what it does on one. Its devices are the CPU's, see `conftest`."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import structural
from structural import CLOCKS, COUNT, KINDS, NEURONS, Net, built, draw, growth, some
from test_lazy_laws import RATE, TICKS, advance, alike, different

from retrojax.engine.lazy.assemble import CAN_CUT
from retrojax.engine.lazy.cut import Cut, mesh
from retrojax.engine.lazy.network import run_chunk
from retrojax.engine.lazy.readout import up_to_date
from retrojax.engine.lazy.structure import grow, prune
from retrojax.engine.schedules import Lazy
from retrojax.errors import ErrorBit, InputError
from retrojax.space import Grid

pytestmark = [pytest.mark.optimised, pytest.mark.skipif(not CAN_CUT,
                                                  reason="XLA of JAX 0.11 crashes on networks that are cut")]


@pytest.fixture(scope="module", params=KINDS)
def case(request):
    """Kind, synapses, the network on one device, and where it stands after `TICKS` ticks."""
    drawn = draw(request.param)
    net = built(request.param, drawn, rate=RATE)
    return request.param, drawn, net, advance(net, 10, TICKS - 10)


@pytest.fixture(scope="module")
def halves(case):
    """The network on two devices, and where it stands then."""
    kind, drawn, *_ = case
    net = built(kind, drawn, rate=RATE, devices=2)
    return net, advance(net, 10, TICKS - 10)


def spread(net: Net) -> int:
    """On how many devices the rows are, each on one."""
    rows = net.state.cells.sharding
    assert not rows.is_fully_replicated
    return len(rows.device_set)


def test_law4_two_devices_change_no_bit_of_spikes_synapses_and_fields(case, halves):
    alike(case[3], halves[1])
    assert spread(halves[1][0]) == 2


def test_law4_nor_do_four(case):
    kind, drawn, _, whole = case
    if kind != "sparse":
        pytest.skip("compiled once, for the kind that has a messenger")
    cut = advance(built(kind, drawn, rate=RATE, devices=4), 10, TICKS - 10)
    alike(whole, cut)
    assert spread(cut[0]) == 4


def test_law4_nor_does_a_step_of_the_field_that_devices_share(case, monkeypatch):
    kind, drawn, *_ = case
    if kind != "sparse":
        pytest.skip("compiled once, for the kind that has a messenger")
    monkeypatch.setattr(structural, "GRID", Grid((64, 4, 4), (0.25, 4.0, 4.0)))
    one, two = (advance(built(kind, drawn, rate=RATE, devices=devices), 10, 10) for devices in (1, 2))
    alike(one, two)
    assert float(jnp.max(one[0].state.fields[0])) > 0
    for (net, *_), gathered in ((one, False), (two, True)):  # halves of the field from both devices
        program = eqx.filter_make_jaxpr(run_chunk)(net.model, net.tissue, net.state, net.times, jnp.asarray(1))[0]
        assert ("f32[2,32,4,4]" in str(program)) == gathered


def test_a_cut_network_obeys_law3_and_reads_like_a_whole_one(case, halves):
    _, _, net, whole = case
    cut, once = halves
    pieces = advance(cut, 1, 9, 3, 5)
    assert different(once[0], pieces[0]) == []
    before = jax.tree.map(jnp.copy, once[0].state)
    schedule = Lazy(None, cut.times)
    read = schedule.strengths(cut.model, cut.tissue, once[0].state)
    expected = schedule.strengths(net.model, net.tissue, whole[0].state)
    for name, values in expected._asdict().items():
        assert np.array_equal(getattr(read, name), values), name
    assert different(once[0]._replace(state=before), once[0]) == []
    settled = up_to_date(cut.model, cut.tissue, once[0].state, cut.times)
    alike((once[0]._replace(state=settled), *once[1:]),
          (whole[0]._replace(state=up_to_date(net.model, net.tissue, whole[0].state, net.times)), *whole[1:]))
    for one, other in zip(schedule.neurons(cut.tissue, once[0].state), whole[0].state.neurons, strict=True):
        assert np.array_equal(one, other)


def test_an_early_sync_of_one_part_changes_no_spike(case):
    kind, drawn, _, whole = case
    if kind != "traces":
        pytest.skip("the others bring everything up to date before a ring is full")
    short = advance(built(kind, drawn, rate=RATE, devices=2, ring=12), 10, 8)
    assert short[3][:, 3].sum() > 0 == whole[3][:, 3].sum()
    assert np.array_equal(short[1], whole[1])


def test_a_value_that_is_not_finite_is_named_by_the_neuron_of_the_whole_network(case, halves):
    _, drawn, net, _ = case
    cut, schedule = halves[0], Lazy(None, net.times)
    spoilt = []
    for one in (net, cut):
        post, index = np.asarray(one.tissue.plastic.post), np.asarray(one.tissue.plastic.index)
        block, place = (int(x[0]) for x in np.nonzero((index == 777) & (post >= 0)))
        state = one.state.__class__(**{**vars(one.state), "cells": one.state.cells.at[block, 0, place].set(jnp.nan)})
        spoilt.append(schedule.unfit(one.model, one.tissue, state))
    assert spoilt[0] == spoilt[1] and f"to {drawn['post'][777]})" in spoilt[0]


def test_spikes_heard_late_by_the_own_dendrites_are_those_of_the_own_neurons(case):
    kind, drawn, _, whole = case
    if kind != "traces":
        pytest.skip("compiled once, for the kind that pairs spikes")
    one, two = (advance(built(kind, drawn, rate=RATE, backward=16, devices=devices), 10) for devices in (1, 2))
    alike(one, two)
    assert not np.array_equal(one[1], whole[1][: len(one[1])])


def test_an_error_in_any_part_is_one_of_the_network(case, halves):
    _, drawn, _, _ = case
    cut = halves[0]
    for part in range(2):
        one = int(np.flatnonzero(drawn["post"] % 2 == part)[0])
        model = eqx.tree_at(lambda m: m.weight, cut.model, cut.model.weight.at[one].set(1e9))
        state, _ = Lazy(CLOCKS, cut.times).run(model, cut.tissue, jax.tree.map(jnp.copy, cut.state), 10)
        assert ErrorBit(int(state.errors)) == ErrorBit.INPUT_OVERFLOW


@pytest.mark.parametrize("devices, neurons", [(2, 7), (3, 7), (4, 4), (1, 5)])
def test_every_neuron_has_one_place(devices, neurons):
    cut = Cut(devices, neurons, True)
    members = cut.members()
    assert members.shape == (devices, cut.each) and np.array_equal(np.unique(members), np.arange(neurons))
    assert np.array_equal(cut.in_order(members.reshape(1, -1))[0], np.arange(neurons))


def test_what_cannot_be_cut_is_refused(case):
    kind, drawn, _, _ = case
    for devices, field in ((0, "1 to 60"), (NEURONS + 1, "1 to 60"), (8, "1 to 7, as this process has")):
        with pytest.raises(InputError, match=f"devices.*{devices}.*{field}"):
            built(kind, drawn, devices=devices)
    assert len(mesh(3).devices) == 3
    few = np.arange(COUNT) < 100
    cut = built(kind, some(drawn, few), devices=2)
    with pytest.raises(InputError, match="devices.*1 where synapses come and go"):
        grow(cut.model, cut.tissue, cut.state, cut.times, growth(kind, cut.model, some(drawn, ~few)))
    with pytest.raises(InputError, match="devices.*1 where synapses come and go"):
        prune(cut.model, cut.tissue, cut.state, drawn["ids"][:3])
