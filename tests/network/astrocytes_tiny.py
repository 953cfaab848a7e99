"""A small network with astrocytes, on either schedule, and the same numbers by direct calls of the parts."""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from retrojax.engine.assemble import Wiring, build_clocks, build_tissue, initial_state
from retrojax.engine.lazy.assemble import Options, Space, build_lazy, plan_times
from retrojax.engine.model import Astrocytes, Cells, Messenger, Model, Secretion, Sensor
from retrojax.engine.rows import Synapse
from retrojax.engine.schedules import Clocked, Lazy
from retrojax.io.astrocytes import Placed
from retrojax.parts import (
    Astrocyte,
    DeltaLIF,
    GapJunctions,
    Gliorelease,
    Gliotransmission,
    HillSynthesis,
    SpilloverSynthesis,
    TsodyksMarkram,
    calcium_rule,
)
from retrojax.parts.astrocyte import NEST
from retrojax.parts.drive import Poisson
from retrojax.parts.gliorelease import GlioreleaseState
from retrojax.space import Grid, steps_needed

NEURONS, SOURCES, COUNT, DT, TICK, P = 20, 10, 240, 1.0, 50.0, 0.6
GRID = Grid((8, 3, 3), (10.0,) * 3)
SECRETIONS = ((0.3, 1e6), (0.2, 1e5))
"""Calcium at which each gliotransmitter leaves [uM], and what vesicles hold [nM]."""


class Net(NamedTuple):
    """Everything a chunk needs; `placed`: the astrocytes; `voxel`: of every synapse."""

    schedule: Any
    model: Model
    tissue: Any
    state: Any
    placed: Placed
    voxel: np.ndarray


def glia() -> Astrocytes:
    """Cells much faster than real ones, so that a second shows everything; they step at every second tick."""
    number = lambda x: jnp.asarray(x, float)  # noqa: E731
    fast = {**NEST, "Omega_C": 40e-3, "O_2": 2e-3, "O_beta": 5e-3, "O_N": 3e-3}
    secretions = tuple(Secretion(2, Gliorelease(C_theta=theta, G_T=stock)) for theta, stock in SECRETIONS)
    sensor = Sensor(1, number(8e-3), number(3.0), number(2.0))
    return Astrocytes(Astrocyte(**fast), GapJunctions(F=2e-3, I_theta=0.01), (sensor,), secretions, 0, 2, 9)


def network(kind: str, alpha: np.ndarray) -> Net:
    """The network at rest; gliotransmission of every synapse pulls its release towards `alpha`."""
    rng, number = np.random.default_rng(3), lambda x: jnp.asarray(x, float)
    spines = rng.uniform(1, (79, 29, 29), (COUNT, 3))
    none = np.zeros(0, int)
    wiring = Wiring(np.arange(COUNT), rng.integers(NEURONS + SOURCES, size=COUNT), rng.integers(NEURONS, size=COUNT),
                    rng.integers(5, 12, COUNT), rng.uniform(4, 10, COUNT), none, none, none, np.zeros(0),
                    neurons=NEURONS, sources=SOURCES)
    messengers = tuple(Messenger(name, number(d), number(k), number(0.2)) for name, d, k in
                       (("glutamate", 0.13, 0.04), ("2-AG", 0.035, 5e-4), ("glio-glutamate", 0.13, 0.0)))
    spine, _ = calcium_rule("cortical_slices")
    rules = (SpilloverSynthesis("glutamate", 3000.0), HillSynthesis("2-AG", 20.0, 1.0, 2.0, 50.0),
             Gliotransmission("glio-glutamate", number(alpha)))
    cells = glia()
    placed = Placed.of_centres(GRID, np.array([[12.0, 15.0, 15.0], [40.0, 15.0, 15.0], [68.0, 15.0, 15.0]]), cells)
    model = Model(number(DT), Synapse(spine, TsodyksMarkram(), rules, P), number(wiring.weight), jnp.zeros(0),
                  number(1.0), DeltaLIF(20.0, 0.0, 15.0, 0.0, 2.0), Poisson(np.full(SOURCES, 0.03), DT), messengers,
                  astrocytes=cells)
    clocks = build_clocks(DT, {"glutamate": 50.0, "2-AG": 100.0, "glio-glutamate": 50.0}, 1000.0, 1000.0)
    near = [steps_needed(GRID, float(m.diffusion), float(m.loss), step, 0.1)
            for m, step in zip(messengers, (50.0, 100.0, 50.0), strict=True)]
    most = [3000.0 * 26, 2000.0, 0.0]
    if kind == "lazy":
        schedule = Lazy(clocks, plan_times(wiring, clocks))
        space = Space(GRID, spines, spines, 0.1, most, near)
        options = Options(slot=16, lanes=512, tile=64, rate=0.03)
        tissue, state = build_lazy(model, wiring, schedule.times, space, 2.0, 16.0, 0, options)
    else:
        schedule = Clocked(clocks)
        tissue = build_tissue(wiring, GRID, spines, spines, 0.1, 2.0, 16.0, most)
        state = initial_state(model, tissue, near, 0)
    tissue, state = placed.put(model, tissue, state)
    return Net(schedule, model, tissue, state, placed, GRID.voxel_of(spines, "spine"))


def by_hand(net: Net, cells: Cells, fields: list[np.ndarray]) -> tuple[Cells, np.ndarray]:
    """One step of the cells by direct calls of the parts, at those fields; and the rise of concentration they leave."""
    label = net.placed.label.ravel()
    mean = [np.bincount(label, f.ravel() / 0.2) / np.bincount(label) for f in fields[:2]]
    drive = 8e-3 * mean[1] ** 2 / (3.0**2 + mean[1] ** 2)
    left = np.zeros(3)
    for _ in range(9):
        cells, rise = _substep(net.model.astrocytes, cells, jnp.asarray(mean[0] / 1000), jnp.asarray(drive))
        left = left + np.asarray(rise)
    return cells, left


@eqx.filter_jit
def _substep(astrocytes: Astrocytes, cells: Cells, transmitter, drive):
    """A ninth of a step of three cells in a row."""
    flux, (one, ready), step = astrocytes.junctions.flux, cells, jnp.asarray(2 * TICK / 9)

    def exchange(ip3):
        ends, middle = flux(ip3[jnp.array([0, 2])] - ip3[1]), ip3[1]
        return drive + jnp.stack([ends[0], flux(middle - ip3[0]) + flux(middle - ip3[2]), ends[1]])

    after = astrocytes.cell.step(one, step, transmitter, exchange)
    stores = [Gliorelease(C_theta=theta, G_T=stock).step(GlioreleaseState(0 * x, x), step, one.C, after.C)
              for (theta, stock), x in zip(SECRETIONS, ready, strict=True)]
    return Cells(after, tuple(s.x_A for s in stores)), sum(s.G for s in stores)
