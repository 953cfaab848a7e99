"""A small recurrent network on the lazy schedule, built with all of its synapses or with some of them."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from retrojax.engine.assemble import Wiring
from retrojax.engine.lazy.assemble import Options, Space, build_lazy, plan_times
from retrojax.engine.lazy.growth import Growth
from retrojax.engine.lazy.network import run_chunk
from retrojax.engine.lazy.state import LazyRecord, LazyState, LazyTissue, Times
from retrojax.engine.model import Clocks, Messenger, Model
from retrojax.engine.rows import Synapse
from retrojax.parts import (
    CB1,
    DeltaLIF,
    ExcessSynthesis,
    HillSynthesis,
    MessengerFacilitation,
    NitricOxidePotentiation,
    PairSTDP,
    TsodyksMarkram,
    calcium_rule,
)
from retrojax.parts.drive import Poisson
from retrojax.space import Grid, steps_needed

NEURONS, SOURCES, IN_DEGREE, DT = 60, 30, 20, 0.1
COUNT = NEURONS * IN_DEGREE


class Followed(HillSynthesis):
    """A Hill gate that a network follows however little it is open, so that every field step needs every row."""

    def floor(self):
        return None


KINDS = ["traces", "sparse", "dense"]
QUIET = ["calcium", "traces"]
"""Kinds without a messenger."""

GRID = Grid((4, 4, 4), (4.0,) * 3)
CLOCKS = Clocks(100, (1,), 4, 10)
"""Ticks of 10 ms."""


class Net(NamedTuple):
    """Everything a chunk needs."""

    model: Model
    tissue: LazyTissue
    state: LazyState
    times: Times


def synapse(kind: str, rho) -> Synapse:
    """Calcium alone; with pair traces; with a messenger whose step leaves rows alone; with one that needs all of them,
    and an own-spine term."""
    spine, efficacy = calcium_rule("DP")
    rules = {
        "calcium": (),
        "traces": (PairSTDP(),),
        "sparse": (ExcessSynthesis("NO", 0.02), MessengerFacilitation("NO")),
        "dense": (NitricOxidePotentiation(eta_NO=1e-2), CB1(x_half=0.2), Followed("NO", 1.0, 3.0, 0.5, 100.0)),
    }[kind]
    efficacy = eqx.tree_at(lambda r: r.rho, efficacy, jnp.asarray(rho, float))
    return Synapse(spine, TsodyksMarkram(), (efficacy, *rules), 0.5, 1.0)


def draw(kind: str) -> dict[str, np.ndarray]:
    """All synapses of the network, one array entry each."""
    rng = np.random.default_rng(5)
    spines = rng.uniform(1, 15, (COUNT, 3))
    return {"ids": np.arange(COUNT) * 3 + 1, "pre": rng.integers(NEURONS + SOURCES, size=COUNT),
            "post": np.repeat(np.arange(NEURONS), IN_DEGREE), "delay": rng.integers(8, 30, COUNT),
            "weight": rng.uniform(0.5, 1.5, COUNT) * 6.0, "rho": rng.uniform(0, 1, COUNT), "spines": spines}


def built(
    kind: str, drawn: dict[str, np.ndarray], dt: float = DT, rate: float = 0.05, axonal: int = 0,
    clocks: Clocks = CLOCKS, backward: int = 0, **options,
) -> Net:
    """The network of those synapses; sources at `rate` [1/ms], delays of axons and to the own dendrites in steps."""
    none = np.zeros(0, int)
    wiring = Wiring(drawn["ids"], drawn["pre"], drawn["post"], drawn["delay"], drawn["weight"], none, none, none,
                    np.zeros(0), neurons=NEURONS, sources=SOURCES)
    messenger = Messenger("NO", jnp.asarray(3.3), jnp.asarray(1e-3), jnp.asarray(1.0))
    messengers = () if kind in QUIET else (messenger,)
    neurons, drive = DeltaLIF(20.0, 0.0, 15.0, 0.0, 2.0), Poisson(np.full(SOURCES, rate), dt)
    model = Model(jnp.asarray(dt), synapse(kind, drawn["rho"]), jnp.asarray(drawn["weight"], float), jnp.zeros(0),
                  jnp.asarray(1.0), neurons, drive, messengers)
    times, space = plan_times(wiring, clocks if messengers else clocks._replace(every=()), axonal, backward), None
    if messengers:
        distance = 0.0866 if kind == "dense" else None
        near = steps_needed(GRID, 3.3, 1e-3, clocks.steps * dt, 0.0866)
        space = Space(GRID, drawn["spines"], drawn["spines"], distance, [50.0], [near])
    layout = Options(slot=16, lanes=512, tile=64, rate=0.03)._replace(**options)
    return Net(model, *build_lazy(model, wiring, times, space, 6.0, 16.0, 1, layout), times)


def some(drawn: dict[str, np.ndarray], which: np.ndarray) -> dict[str, np.ndarray]:
    """Those synapses alone."""
    return {name: values[which] for name, values in drawn.items()}


def growth(kind: str, model: Model, drawn: dict[str, np.ndarray]) -> Growth:
    """Those synapses as new ones."""
    new = eqx.tree_at(lambda s: s.rules[0].rho, model.synapse, jnp.asarray(drawn["rho"], float))
    return Growth(drawn["ids"], drawn["pre"], drawn["post"], drawn["delay"], drawn["weight"], new,
                  None if kind in QUIET else drawn["spines"])


def ran(net: Net, ticks: int, chunks: int = 1) -> tuple[Net, LazyRecord]:
    """The network after so many ticks of each chunk, on a copy of its state, and the last chunk's record."""
    state = jax.tree.map(jnp.copy, net.state)
    for _ in range(chunks):
        state, record = run_chunk(net.model, net.tissue, state, net.times, jnp.asarray(ticks, jnp.int32))
    return net._replace(state=state), record


def by_id(net: Net) -> dict[int, tuple[np.ndarray, ...]]:
    """What every living synapse holds."""
    post, ids = np.asarray(net.tissue.plastic.post), np.asarray(net.tissue.ids)[np.asarray(net.tissue.plastic.index)]
    rows, slots = np.nonzero(post >= 0)
    values = [np.asarray(x) for x in (*net.state.channels, *net.state.calm)]
    return {int(ids[b, s]): tuple(x[b, s] for x in values) for b, s in zip(rows, slots, strict=True)}
