"""The networks W1-W3 of `peers/specification.py` on retrojax's lazy schedule: built, run for a while, read.

Transmission takes 1 ms at every dt; a rule and its release see what they would in any other network.
"""

import dataclasses
import math
import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from peers import specification as spec

from retrojax.engine.assemble import Wiring
from retrojax.engine.lazy.assemble import DEFAULT, Options, Space, build_lazy, plan_times
from retrojax.engine.lazy.cut import everywhere, placed, state_axes
from retrojax.engine.lazy.layout import from_channels, in_rows, to_calm, to_channels
from retrojax.engine.lazy.network import run_chunk
from retrojax.engine.lazy.readout import up_to_date
from retrojax.engine.lazy.state import LazyRecord, LazyState, LazyTissue, Times, record_type
from retrojax.engine.model import Clocks, Messenger, Model
from retrojax.engine.network import outside_spikes
from retrojax.engine.rows import Bounds, Synapse
from retrojax.errors import ERROR_TEXTS, InputError, RunError
from retrojax.parts import (
    CalciumSpine,
    DeltaLIF,
    ExcessSynthesis,
    GraupnerBrunel,
    MessengerFacilitation,
    PairSTDP,
    SilentSpine,
    TsodyksMarkram,
)
from retrojax.parts.drive import Poisson
from retrojax.space import Grid
from retrojax.units import MOLECULES_PER_NM_UM3

DELAY_MS = 1.0
CHUNK_MS, SHORT_MS = 500.0, 100.0
"""Biological time of one compiled call [ms], and where that would record more than `RECORD_BYTES` of spikes."""

RECORD_BYTES = 2**27

STRONGEST_CALCIUM = 10.0
"""Most calcium above threshold that a synapse may keep up over a field step [units of theta_d]."""


@dataclasses.dataclass
class Network:
    """A network and what it takes to run it."""

    workload: str
    model: Model
    tissue: LazyTissue
    times: Times
    tick_ms: float

    @property
    def synapses(self) -> int:
        """Number of synapses."""
        return self.tissue.ids.size

    @property
    def neurons(self) -> int:
        """Number of neurons, and of sources."""
        return self.synapses // spec.DEGREE

    @property
    def rows(self) -> int:
        """Axons that have synapses."""
        first, cut = np.asarray(self.tissue.plastic.first), self.tissue.cut
        return int((np.diff(first.reshape(1 if cut is None else cut.devices, -1)) > 0).sum())

    def arrays(self, state: LazyState) -> dict[str, int]:
        """Bytes of every persistent array, by name."""
        return stored((self.model, self.tissue, state))


def stored(held: tuple[Model, LazyTissue, LazyState]) -> dict[str, int]:
    """Bytes of every array, by name."""
    kinds = ("model", "tissue", "state")
    found = jax.tree_util.tree_flatten_with_path(held)[0]
    return {kinds[path[0].idx] + jax.tree_util.keystr(path[1:]): leaf.nbytes for path, leaf in found}


def build(
    workload: str, synapses: int, dt: float, seed: int, field_ms: float, options: Options = DEFAULT
) -> tuple[Network, LazyState]:
    """The network, and its state at the start.

    **Arguments**

    - `workload`: w1, w2 or w3. `synapses`: in all, 100 per neuron.
    - `dt`: neuron step [ms]. `field_ms`: field step of w3 [ms], and the length of a tick.

    **Raises** `InputError` for sizes or steps that do not divide.
    """
    if synapses < spec.DEGREE or synapses % spec.DEGREE:
        raise InputError("synapses", synapses, f"a multiple of {spec.DEGREE}", "change it")
    random = np.random.default_rng(seed)
    wires, steps = spec.wiring(synapses, random), whole(DELAY_MS / dt, "dt", dt, "1 ms divided by a whole number")
    none = np.zeros(0, int)
    # sources are numbered on after the neurons
    wiring = Wiring(np.arange(synapses), wires.pre + wires.neurons, wires.post, np.full(synapses, steps),
                    np.asarray(spec.JUMP), none, none, none, np.zeros(0), neurons=wires.neurons, sources=wires.neurons)
    clocks = _clocks(workload, dt, field_ms, wires.neurons)
    synapse, messengers = _synapse(workload, synapses)
    model = Model(jnp.asarray(dt), synapse, jnp.asarray(spec.JUMP, float), jnp.zeros(0), jnp.asarray(1.0),
                  DeltaLIF(spec.TAU_M, 0.0, spec.THRESHOLD, 0.0, 0.0),
                  Poisson(np.full(wires.neurons, spec.RATE_HZ * 1e-3), dt), messengers)
    space = _space(synapses, field_ms, random) if messengers else None
    times = plan_times(wiring, clocks)
    tissue, state = build_lazy(model, wiring, times, space, 1.0, 16.0, seed, options)
    model = everywhere(tissue, model)
    potential = jnp.asarray(random.uniform(0, spec.THRESHOLD, wires.neurons), float)
    return Network(workload, model, tissue, times, clocks.steps * dt), _started(model, tissue, state, potential)


def whole(ratio: float, field: str, value: float, allowed: str) -> int:
    """`ratio` as a whole number.

    **Raises** `InputError` if it is none.
    """
    if not (ratio >= 1 and math.isclose(ratio, round(ratio), rel_tol=1e-6)):
        raise InputError(field, value, allowed, "change it")
    return round(ratio)


def _clocks(workload: str, dt: float, field_ms: float, neurons: int) -> Clocks:
    steps = whole(field_ms / dt, "field-step", field_ms, f"a multiple of dt = {dt:g} ms")
    recorded = record_type(round(DELAY_MS / dt)).itemsize * neurons * CHUNK_MS / DELAY_MS
    chunk_ms = CHUNK_MS if recorded <= RECORD_BYTES else SHORT_MS
    chunk = whole(chunk_ms / field_ms, "field-step", field_ms, f"{SHORT_MS:g} ms divided by a whole number")
    second = whole(1000 / field_ms, "field-step", field_ms, "1000 ms divided by a whole number")
    return Clocks(steps, (1,) if workload == "w3" else (), second, chunk)


def _synapse(workload: str, synapses: int) -> tuple[Synapse, tuple[Messenger, ...]]:
    """The plastic synapse, and what diffuses."""
    release = TsodyksMarkram(spec.TAU_D, spec.TAU_F)
    if workload == "w1":
        stdp = PairSTDP(spec.A_PLUS, spec.A_MINUS, spec.TAU_STDP, spec.TAU_STDP)
        return Synapse(SilentSpine(), release, (stdp,), spec.U0, spec.W_START, Bounds(q_max=1.0)), ()
    spine = CalciumSpine(spec.TAU_CA, spec.C_PRE, spec.C_POST, 0.0)
    # w0 (1 + (b - 1) rho) is rho to rounding where w0 is next to nothing and w0 b = 1: the response grows from 0 to 1
    efficacy = GraupnerBrunel(spec.THETA_D, spec.THETA_P, spec.GAMMA_D, spec.GAMMA_P, spec.TAU_RHO, w0=1e-20, b=1e20,
                              rho=spec.RHO_START)
    if workload == "w2":
        return Synapse(spine, release, (efficacy,), spec.U0), ()
    rules = (efficacy, ExcessSynthesis("M", _molecules(synapses), spec.THETA_D),
             MessengerFacilitation("M", spec.ALPHA, spec.K_M, spec.TAU_U))
    messenger = Messenger("M", jnp.asarray(spec.DIFFUSION), jnp.asarray(spec.LOSS), jnp.asarray(1.0))
    return Synapse(spine, release, rules, spec.U0), (messenger,)


def _molecules(synapses: int) -> float:
    """Molecules per ms and unit of calcium: the peers' level M, per voxel of 1 um^3, is ours in nM."""
    return spec.EMISSION / synapses * MOLECULES_PER_NM_UM3 * spec.VOXEL**3


def _space(synapses: int, field_ms: float, random: np.random.Generator) -> Space:
    """Every synapse in a voxel drawn uniformly, its bouton in the same one, no own-spine term."""
    places = random.uniform(0, spec.SIDE * spec.VOXEL, (synapses, 3))
    most = _molecules(synapses) * STRONGEST_CALCIUM * field_ms
    return Space(Grid((spec.SIDE,) * 3, (spec.VOXEL,) * 3), places, places, None, [most], [0])


def _started(model: Model, tissue: LazyTissue, state: LazyState, potential: jax.Array) -> LazyState:
    """The state with release near its mean and membranes spread out."""
    layout, shape = tissue.layout, tissue.plastic.post.shape
    held = from_channels(layout, model.synapse, state.channels, list(state.calm))
    if tissue.cut is not None:
        potential = potential[tissue.cut.members().ravel()]
    # u before its jump is U + (1 - U) f, so f is u of the form in which a spike first jumps and then releases
    begun = held.release._replace(f=jnp.full(shape, spec.U_START), r=jnp.full(shape, spec.X_START))
    held = held._replace(release=begun)
    return eqx.tree_at(lambda s: (s.makers, s.cells, s.calm, s.neurons.v), state,
                       (*in_rows(layout, to_channels(layout, held)), to_calm(layout, held), potential))


def on_host(state: LazyState) -> LazyState:
    """A copy of the state outside the device, for `on_device`: every run starts from it, and few devices hold two."""
    plain = lambda x: jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x  # noqa: E731
    return jax.tree.map(lambda x: np.array(plain(x)), state)


def on_device(tissue: LazyTissue, kept: LazyState) -> LazyState:
    """A state to give away, from what `on_host` keeps."""
    state = jax.tree.map(jnp.array, kept)
    state = eqx.tree_at(lambda s: s.key, state, jax.random.wrap_key_data(state.key))
    return jax.block_until_ready(placed(tissue, state_axes(state), state))


def advance(network: Network, state: LazyState, ticks: int) -> tuple[LazyState, jax.Array, np.ndarray]:
    """Run for `ticks` ticks; `state` is given away. With no tick, everything is compiled and nothing changes.

    **Returns** the state when it is there, how many spikes each neuron fired, and `LazyRecord.passes`.
    """
    spikes, passes = jnp.zeros(state.fired.shape, jnp.int32), []
    for first in range(0, max(ticks, 1), network.times.chunk):
        here = jnp.asarray(min(network.times.chunk, ticks - first), jnp.int32)
        state, record = run_chunk(network.model, network.tissue, state, network.times, here)
        spikes = _counted(spikes, record, here * network.times.blocks)
        passes.append(record.passes)
    jax.block_until_ready((state, spikes))
    check(state)
    table = np.asarray(passes)
    return state, spikes, np.append(table[:, :4].sum(axis=0), table[:, 4].max())


@jax.jit
def _counted(spikes: jax.Array, record: LazyRecord, blocks: jax.Array) -> jax.Array:
    here = (jnp.arange(record.spikes.shape[0]) < blocks)[:, None]
    return spikes + jnp.sum(jnp.where(here, jax.lax.population_count(record.spikes), 0), axis=0,
                            dtype=jnp.int32)


class Runs:
    """Runs of `ticks` ticks, all from one state, which is given away.

    - `kept`: that state, on the host, so that one state at a time is on the device. `end`: what `advance` gave last.
    """

    def __init__(self, network: Any, state: LazyState, ticks: int):
        self.network, self.ticks, self.kept = network, ticks, on_host(state)
        self.end: list[Any] = [state]

    def __call__(self) -> float:
        """One more run; its wall time [s]."""
        self.end.clear()
        self.end.append(on_device(self.network.tissue, self.kept))
        start = time.perf_counter()
        self.end[:] = advance(self.network, self.end.pop(), self.ticks)
        return time.perf_counter() - start


def check(state: LazyState) -> None:
    """**Raises** `RunError` with the text of the first error a run met."""
    bits = int(state.errors)
    for bit, text in ERROR_TEXTS.items():
        if bits & bit:
            raise RunError(text)


@eqx.filter_jit(donate="all-except-first")
def synced(network: tuple[Model, LazyTissue], state: LazyState, times: Times) -> LazyState:
    """The state with every synapse up to date; `state` is given away."""
    return up_to_date(*network, state, times)


def means(network: Network, state: LazyState) -> dict[str, float]:
    """Means over synapses, and in W3 over the voxels."""
    live = np.asarray(network.tissue.plastic.post) >= 0
    named = dict(zip(network.tissue.layout.names, state.channels, strict=True))
    named |= dict(zip(network.tissue.layout.calm_names, state.calm, strict=True))
    chosen = lambda name: np.asarray(named[name])[live].astype(np.float64)  # noqa: E731
    weight = chosen("expression.q" if network.workload == "w1" else "GraupnerBrunel.rho")
    found = {"w_mean": float(weight.mean()), "w_std": float(weight.std())}
    if network.workload == "w3":
        factor = chosen("MessengerFacilitation.on_p")
        found |= {"M_mean": float(jnp.mean(state.fields[0])), "U_mean": spec.U0 * float(factor.mean())}
    return found


def events(network: Network, state: LazyState, ticks: int) -> int:
    """Spikes of sources times their synapses within `ticks` ticks of `state`, drawn once more from the same key."""
    steps = ticks * network.times.blocks * network.times.block
    spikes = np.asarray(_source_spikes(network.model, state.cursor, state.lap, state.key, steps))
    plastic = network.tissue.plastic
    degree = np.zeros(state.history.shape[1], np.int64)
    np.add.at(degree, np.asarray(plastic.owner), (np.asarray(plastic.post) >= 0).sum(axis=1))
    return int(spikes.astype(np.int64) @ degree[-spikes.size:])


@jax.jit
def _source_spikes(model: Model, cursor: jax.Array, lap: jax.Array, key: jax.Array, steps: Any) -> jax.Array:
    plan = model.drive.plan(model.dt)

    def one(step, count):
        return count + outside_spikes(model.drive, plan, cursor + step, lap, key)

    return jax.lax.fori_loop(0, steps, one, jnp.zeros(model.drive.sources, jnp.int32))
