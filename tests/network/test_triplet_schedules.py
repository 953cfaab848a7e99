"""A rule that keeps and resets its own traces is the same on the lazy and the clocked schedule of a network."""

import jax
import numpy as np
import test_law2_lazy as law2

from retrojax.engine.rows import Bounds, Synapse, channels, unpack
from retrojax.parts import NearestTripletSTDP, SilentSpine, TsodyksMarkram


def test_nearest_triplets_lazy_equal_clocked(x64, monkeypatch):
    for name, value in {"NEURONS": 100, "SOURCES": 100, "IN_DEGREE": 40, "COUNT": 4000, "TICKS": 50}.items():
        monkeypatch.setattr(law2, name, value)
    rule = NearestTripletSTDP()
    monkeypatch.setattr(law2, "synapse", lambda kind: Synapse(
        SilentSpine(), TsodyksMarkram(), (rule,), 0.5, 0.5, Bounds(q_max=1.0)))
    model, *rest = law2.network("stdp", 0.5)
    first, (neuron, step), _ = law2.clocked(model, *rest, [])
    _, spikes, _, leaves = law2.lazy(model, *rest, [])
    order = np.lexsort((step, neuron))
    assert neuron.size > 50 and np.array_equal(spikes[0], neuron[order]) and np.array_equal(spikes[1], step[order])
    names = [name for name in channels(model.synapse) if ".pre[" not in name and ".post[" not in name]
    held = dict(zip(names, jax.tree.leaves(unpack(model.synapse, first.rows)._replace(traces=())), strict=True))
    for name, ours in zip(names, leaves, strict=True):
        np.testing.assert_allclose(ours, held[name], rtol=0, atol=1e-12, err_msg=name)
    assert np.ptp(held["expression.q"]) > 0.03 and np.ptp(held["NearestTripletSTDP.o1"]) > 0.03
