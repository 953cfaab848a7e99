"""The network of `peers/hpc_specification.py` on retrojax's lazy schedule."""

import dataclasses

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Int, UInt32
from peers import hpc_specification as spec

from retrojax.engine.assemble import Wiring
from retrojax.engine.lazy.assemble import Options, build_lazy, plan_times
from retrojax.engine.lazy.state import Axons, LazyState, LazyTissue, Times
from retrojax.engine.model import Clocks, Model
from retrojax.engine.rows import Bounds, Synapse
from retrojax.errors import InputError
from retrojax.parts import AlphaLIF, ConstantRelease, PowerLawSTDP, SilentSpine
from retrojax.parts.background import PoissonBackground
from retrojax.parts.drive import Replay
from retrojax.types import SeedKey

TICK_MS, CHUNK_MS = 2 * spec.DELAY_MS, 300.0
STRONGEST = 10.0
"""Most that all plastic weights of a cell together may grow, for the fixed-point sum of its input."""


class Delayed(PoissonBackground):
    """Outside input that takes as long as a spike between cells: in NEST generators connect with that delay.

    When the first volley comes, and how large it is, depends on it.
    """

    def counts(
        self, plan: UInt32[Array, "K _"], cursor: Int[Array, ""], key: SeedKey, neurons: int
    ) -> Int[Array, " N"]:
        """None in the steps of the first delay; a run does not last a lap, so the cursor tells them."""
        return super().counts(plan, cursor, key, neurons) * (cursor >= round(spec.DELAY_MS / spec.DT_MS))


@dataclasses.dataclass
class Network:
    """A network and what it takes to run it."""

    model: Model
    tissue: LazyTissue
    times: Times
    excitatory: int

    @property
    def plastic(self) -> int:
        """Plastic synapses."""
        return self.tissue.ids.size

    @property
    def fixed(self) -> int:
        """The other synapses."""
        assert self.tissue.fixed is not None
        return int((np.asarray(self.tissue.fixed.post) >= 0).sum())

    @property
    def dt_ms(self) -> float:
        """Neuron step [ms]."""
        return spec.DT_MS

    def events(self, spikes: Array) -> tuple[int, int]:
        """Arrivals at plastic synapses, and at all, of that many spikes of every cell."""
        assert self.tissue.fixed is not None
        counts = np.asarray(spikes, np.int64)
        plastic, fixed = (int(counts @ _degrees(axons)) for axons in (self.tissue.plastic, self.tissue.fixed))
        return plastic, plastic + fixed


def _degrees(axons: Axons) -> np.ndarray:
    """Synapses of every axon."""
    degree = np.zeros(axons.first.size - 1, np.int64)
    np.add.at(degree, np.asarray(axons.owner), (np.asarray(axons.post) >= 0).sum(axis=1))
    return degree


def build(scale: float, seed: int, options: Options, heard: float = 1.0) -> tuple[Network, LazyState]:
    """The network, and its state at the start; a cell hears `heard` times as many others as in the benchmark.

    **Raises** `InputError` for a scale that leaves a cell nobody to listen to.
    """
    excitatory, inhibitory = spec.cells(scale)
    if inhibitory < 2:
        raise InputError("scale", scale, f"at least {2 / spec.INHIBITORY:.3g}, two inhibitory cells", "raise it")
    wiring = _wiring(excitatory, inhibitory, spec.sources(heard), np.random.default_rng(seed))
    weight, number = spec.weight_pa(), jnp.asarray
    rule = PowerLawSTDP(spec.LAMBDA, spec.LAMBDA * spec.ALPHA, spec.MU, 1.0, spec.TAU_PLUS, spec.TAU_MINUS)
    synapse = Synapse(SilentSpine(), ConstantRelease(), (rule,), 1.0, weight, Bounds(q_max=STRONGEST * weight))
    cells = AlphaLIF(spec.C_M, spec.TAU_M, 0.0, spec.V_TH, 0.0, spec.T_REF, spec.TAU_SYN, spec.TAU_SYN)
    # q is in pA, so a plastic synapse transmits q itself
    model = Model(number(spec.DT_MS), synapse, number(1.0), number(wiring.fixed_weight), number(1.0), cells,
                  Replay(np.zeros((1000, 0))), (),
                  Delayed(spec.outside_per_ms(), weight, spec.DT_MS))
    ticks = round(CHUNK_MS / TICK_MS)
    # in NEST the delay lies in the dendrite both ways, and volleys make that matter: where pre and post fire together
    # a pairing potentiates
    times = plan_times(wiring, Clocks(round(TICK_MS / spec.DT_MS), (), ticks, ticks), backward=round(
        spec.DELAY_MS / spec.DT_MS))
    tissue, state = build_lazy(model, wiring, times, None, STRONGEST * weight, 1.0, seed, options)
    state = eqx.tree_at(lambda s: s.neurons.v, state, jnp.asarray(spec.potentials(scale, seed), float))
    return Network(model, tissue, times, excitatory), state


def _wiring(excitatory: int, inhibitory: int, heard: tuple[int, int], random: np.random.Generator) -> Wiring:
    """Synapses of all cells, excitatory ones first, sorted by source and then by target."""
    cells, delay = excitatory + inhibitory, round(spec.DELAY_MS / spec.DT_MS)
    plastic = _heard(0, excitatory, range(excitatory), heard[0], random)
    fixed = [_heard(0, excitatory, range(excitatory, cells), heard[0], random),
             _heard(excitatory, cells, range(cells), heard[1], random)]
    pre, post = (np.concatenate(ends) for ends in zip(*fixed, strict=True))
    weight = spec.weight_pa() * np.where(pre < excitatory, 1.0, spec.INHIBITION).astype(np.float32)
    lag = lambda count: np.full(count, delay, np.uint8)  # noqa: E731
    return Wiring(np.arange(plastic[0].size, dtype=np.int32), *plastic, lag(plastic[0].size), np.ones(1, np.float32),
                  pre, post, lag(pre.size), weight, neurons=cells, sources=0)


def _heard(low: int, high: int, targets: range, number: int, random: np.random.Generator):
    """Sources from `low` to below `high` for every target, never itself; source and target of each synapse, sorted."""
    post = np.arange(targets.start, targets.stop, dtype=np.int32)[:, None]
    own = (post >= low) & (post < high)
    pre = random.integers(low, high - own, (post.size, number), np.int32)
    pre += own & (pre >= post)
    key = np.sort((pre.astype(np.int64) * 2**32 + post).ravel())
    return (key >> 32).astype(np.int32), key.astype(np.int32)


def weights(network: Network, state: LazyState) -> np.ndarray:
    """Weights of all plastic synapses as they stand in the rows, which is what each last sent [pA]."""
    live = np.asarray(network.tissue.plastic.post) >= 0
    return np.asarray(state.channels[network.tissue.layout.names.index("expression.q")])[live]
