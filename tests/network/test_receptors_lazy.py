"""Receptors, the co-agonist site and gliotransmission on a small recurrent network: lazy equals clocked."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import test_law2_lazy as law2

from retrojax.engine.assemble import Wiring
from retrojax.engine.lazy import stock
from retrojax.engine.lazy.layout import plan_layout
from retrojax.engine.model import Clocks, Messenger, Model
from retrojax.engine.rows import Synapse, channels, unpack
from retrojax.parts import (
    DeltaLIF,
    ExcessSynthesis,
    Gliotransmission,
    GlycineSite,
    HillSynthesis,
    NitricOxidePotentiation,
    TsodyksMarkram,
    calcium_rule,
    receptor,
)
from retrojax.parts.drive import Poisson
from retrojax.space import steps_needed

NEURONS, SOURCES, IN_DEGREE, TICKS, DT = 60, 40, 30, 40, 0.5
COUNT = NEURONS * IN_DEGREE
DIFFUSION, LOSS = (0.6, 0.03, 3.0), (0.05, 0.02, 0.01)


@pytest.mark.parametrize("held", ["nothing on other parts", "on other parts"])
def test_lazy_equals_clocked_for_everything_that_senses(x64, monkeypatch, held):
    for name, value in (("NEURONS", NEURONS), ("TICKS", TICKS)):
        monkeypatch.setattr(law2, name, value)
    rng = np.random.default_rng(2)
    none = np.zeros(0, int)
    wiring = Wiring(np.arange(COUNT), rng.integers(NEURONS + SOURCES, size=COUNT),
                    np.repeat(np.arange(NEURONS), IN_DEGREE), rng.integers(2, 7, COUNT), rng.uniform(2, 6, COUNT),
                    none, none, none, np.zeros(0), neurons=NEURONS, sources=SOURCES)
    spine, efficacy = calcium_rule("cortical_slices")
    other = held == "on other parts"
    if other:
        monkeypatch.setattr(stock, "ROOM", 0)  # active synapses in many short lists instead of one
    relief, calcium = ({"rate_relief": 0.02, "tau_x_pre": 300.0}, {"calcium": 0.8}) if other else ({}, {})
    more = {"refill": 2.0, "ltp": 1.5, "ltd": -0.5} if other else {}
    rules = (efficacy, ExcessSynthesis("adenosine", 2.0), receptor("A1", K_d=5.0, k_off=0.02, k_des=0.01, **relief),
             GlycineSite("adenosine", K_gly=5.0, k_off=0.02, **calcium), ExcessSynthesis("BDNF", 2.0),
             receptor("TrkB", K_d=300.0, k_off=0.02, tau_rise=200.0, kappa=1e-4, **more),
             Gliotransmission("BDNF", 0.9, O_G=5e-6), HillSynthesis("NO", 8.0, 6.0, 20.0, 15.0),
             NitricOxidePotentiation(K_PKG=0.05, eta_NO=0.002, tau_x_pre=100.0))
    messengers = tuple(Messenger(name, jnp.asarray(D), jnp.asarray(k), jnp.asarray(0.2))
                       for name, D, k in zip(("adenosine", "BDNF", "NO"), DIFFUSION, LOSS, strict=True))
    model = Model(jnp.asarray(DT), Synapse(spine, TsodyksMarkram(), rules, 0.4), jnp.asarray(wiring.weight),
                  jnp.zeros(0), jnp.asarray(1.0), DeltaLIF(20.0, 0.0, 15.0, 5.0, 2.0),
                  Poisson(np.full(SOURCES, 0.03), DT), messengers)
    # what acts between the spikes of an axon must find every synapse up to date when it changes
    layout = plan_layout(model.synapse)
    assert layout.sparse == (("NO",) if other else ("BDNF", "NO", "adenosine")) and layout.filtered == ("NO",)
    clocks, spines = Clocks(round(10.0 / DT), (1, 2, 1), 20, TICKS), rng.uniform(1, 31, (COUNT, 3))
    near = [steps_needed(law2.GRID, D, k, 10.0 * every, law2.DISTANCE)
            for D, k, every in zip(DIFFUSION, LOSS, clocks.every, strict=True)]
    monkeypatch.setattr(law2, "MOST", 1e4)
    case = (model, wiring, clocks, spines, spines + 0.05, near)
    first, spikes, _ = law2.clocked(*case)
    second, spikes_lazy, _, leaves = law2.lazy(*case)
    assert int(first.errors) == int(second.errors) == 0 and spikes[0].size > 100
    order = np.lexsort((spikes[1], spikes[0]))
    assert np.array_equal(spikes_lazy[0], spikes[0][order]) and np.array_equal(spikes_lazy[1], spikes[1][order])
    names = [name for name in channels(model.synapse) if ".pre[" not in name and ".post[" not in name]
    leaves_clocked = jax.tree.leaves(unpack(model.synapse, first.rows)._replace(traces=()))
    moving = set()
    for name, ours, theirs in zip(names, leaves, leaves_clocked, strict=True):
        within = 1e-7 if name == "GraupnerBrunel.rho" else 1e-9
        np.testing.assert_allclose(ours, theirs, rtol=within, atol=within, err_msg=name)
        moving |= {name} if np.ptp(theirs) > 1e-4 else set()
    mine = {f"Transduction.{name}" for name in ("B", "D", "X")} | {
        "GlycineSite.gly", "Gliotransmission.Gamma_S", "HillSynthesis.enzyme",
        "NitricOxidePotentiation.PKG", "expression.p_release"}
    assert mine <= moving, mine - moving
