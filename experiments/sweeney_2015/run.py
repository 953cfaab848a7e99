"""Diffusive homeostasis: nitric oxide conserves its mean, and as a homeostatic signal it keeps rates diverse.

Sweeney, Hellgren Kotaleski & Hennig (2015) PLoS Comput Biol 11:e1004389; network and parameters of the minimal example
in the authors' code (ModelDB 183371) in its units: mm, ms, mV, nS, pF, and nitric oxide in units of a neuron's output.
The grid is 5 times coarser than theirs, so its concentrations and the target are 25 times theirs. The control without
diffusion reads the nitric oxide that a neuron makes itself, lost 5 times faster as in the authors' control; its target
is set so that it fires at the mean rate of the network with diffusion. Nitric oxide starts at its target and thresholds
move `SPEED` times faster than in the example: both shorten the approach to the stationary state, not the state.

As in the example, thresholds have no bounds. With those of the authors' plasticity runs, -58 to -40 mV, 47 % of the
local network's thresholds stand at a bound after 140 s, and the CV of rates is 0.67 with diffusion and 0.43 without.
Between 120 s and 140 s both networks still drift a little: the CV by 0.02 with diffusion, by 0.01 without.
"""

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from retrojax.space import Grid, Propagator, advance, plan
from retrojax.testing import Target, holds, targets, write_targets

NEURONS, EXCITATORY, IN_DEGREE, VOXELS = 1000, 800, 50, 100
DIFFUSION, LOSS, LOCAL_LOSS, TARGET, SPEED = 1e-6, 1e-4, 5e-4, 0.5 * 25, 4.0
TAU_M, C_M, E_L, V_RESET, V_TH, T_REF = 20.0, 200.0, -80.0, -60.0, -50.0, 5.0
TAU_EX, TAU_IN, G_EX, G_IN, G_EXT = 3.0, 7.0, 5.5, 64.0, 80.0
TAU_CA, TAU_NNOS, TAU_MOD = 10.0, 100.0, 1500.0
STEP, CONTROL, SETTLE_S, SAMPLE_S, MOST = 0.2, 5.0, 120, 20, 64
"""Steps of the membranes and of the control [ms]; time before and during which rates are counted [s]; most spikes in a
step."""


class Cells(NamedTuple):
    """State of all neurons, [N] each: potential, conductances, refractory time, threshold, calcium, active synthase,
    and nitric oxide: own, and on the grid [X, Y, 1]."""

    v: jax.Array
    ex: jax.Array
    inh: jax.Array
    wait: jax.Array
    threshold: jax.Array
    calcium: jax.Array
    synthase: jax.Array
    own: jax.Array
    field: jax.Array


def conservation() -> list[Target]:
    """Mean nitric oxide after 1000 steps of the minimal example, for two spreads and patterns of sources."""
    grid = Grid((40, 40, 1), (0.005, 0.005, 1.0), boundary=("periodic", "periodic", "no-flux"))
    dt, steps, rng, means = 6.25e-5, 1000, np.random.default_rng(0), []
    for diffusion, power in ((0.1, 1), (0.01, 6)):
        source = rng.uniform(size=grid.shape) ** power
        source = jnp.asarray(0.18 * source / source.mean())
        means.append(spread(plan(grid, diffusion, 0.9, dt), source, steps))
        if power == 1:
            euler = explicit(np.asarray(source), diffusion, dt, steps)
    exact, stepped = 0.2 * -np.expm1(-0.9 * dt * steps), 0.2 * (1 - (1 - 0.9 * dt) ** steps)
    where = "Sweeney et al. 2015, diffusion_minimal_example"
    return [
        *targets(["mean after 1000 steps against its closed form", "the same, other spread and sources"], where,
                 [exact, exact], means, relative=1e-9),
        *targets(["mean after 1000 steps of the authors' scheme"], where, [0.010940], [euler], absolute=5e-7),
        *targets(["the same against its closed form"], where, [stepped], [euler], relative=1e-9),
    ]


def spread(propagator: Propagator, source: jax.Array, steps: int) -> float:
    """Mean after so many exact steps from nothing."""
    step = lambda field, _: (advance(propagator, field, source), None)  # noqa: E731
    return float(jax.lax.scan(step, jnp.zeros_like(source), None, length=steps)[0].mean())


def explicit(source: np.ndarray, diffusion: float, dt: float, steps: int) -> float:
    """Mean after so many steps of the authors' explicit scheme, at its limit of stability."""
    c = np.zeros_like(source)
    for _ in range(steps):
        around = sum(np.roll(c, shift, axis) for shift in (1, -1) for axis in (0, 1))
        c = c + dt * (diffusion * (around - 4 * c) / 0.005**2 + source - 0.9 * c)
    return float(c.mean())


def network(seed: int):
    """Sources of every neuron's synapses [N, K], its place on the grid, and rates of its input [1/ms]."""
    rng = np.random.default_rng(seed)
    source = np.stack([rng.choice(NEURONS, IN_DEGREE, replace=False) for _ in range(NEURONS)])
    place = rng.choice(VOXELS**2, NEURONS, replace=False)
    rate = rng.normal(10.0, 10.0, 4 * NEURONS)
    return source, place, rate[rate > 0][:NEURONS] / 1000


def run(circuit, diffusive: bool, target: float) -> tuple[np.ndarray, float]:
    """Spikes of every neuron in every second [T, N], and mean active synthase in the last `SAMPLE_S`."""
    source, place, rate = circuit
    sends = np.zeros((NEURONS + 1, NEURONS), np.float32)  # the last row is that of nobody
    np.add.at(sends, (source, np.arange(NEURONS)[:, None]), 1.0)
    sends, flat = jnp.asarray(sends), jnp.asarray(place)
    grid = Grid((VOXELS, VOXELS, 1), (1 / VOXELS, 1 / VOXELS, 1.0), boundary=("periodic", "periodic", "no-flux"))
    propagator = plan(grid, DIFFUSION, LOSS, CONTROL)

    def fast(cells: Cells, outside):
        slope = (E_L - cells.v) / TAU_M + (-cells.ex * cells.v + cells.inh * (-70.0 - cells.v)) / C_M
        v = jnp.where(cells.wait > STEP / 2, V_RESET, cells.v + STEP * slope)
        spiked = v >= cells.threshold
        (who,) = jnp.nonzero(spiked, size=MOST, fill_value=NEURONS)
        kind = jnp.stack([who < EXCITATORY, who >= EXCITATORY]).astype(float)
        excited, inhibited = jnp.matmul(kind, sends[who], precision="highest")
        cubed = cells.calcium**3
        return cells._replace(
            v=jnp.where(spiked, V_RESET, v),
            ex=cells.ex * np.exp(-STEP / TAU_EX) + G_EX * excited + G_EXT * outside,
            inh=cells.inh * np.exp(-STEP / TAU_IN) + G_IN * inhibited,
            wait=jnp.where(spiked, T_REF, jnp.maximum(cells.wait - STEP, 0.0)),
            calcium=cells.calcium * np.exp(-STEP / TAU_CA) + spiked,
            synthase=cells.synthase + STEP / TAU_NNOS * (cubed / (cubed + 1) - cells.synthase),
        ), spiked

    def control(cells: Cells, key):
        outside = jax.random.uniform(key, (round(CONTROL / STEP), NEURONS)) < rate * STEP
        cells, spiked = jax.lax.scan(fast, cells, outside)
        made = jnp.zeros(VOXELS**2).at[flat].set(cells.synthase).reshape(cells.field.shape)
        field = advance(propagator, cells.field, made) if diffusive else cells.field
        left = float(np.exp(-LOCAL_LOSS * CONTROL))
        own = cells.own * left + cells.synthase * (1 - left) / LOCAL_LOSS
        read = field.reshape(-1)[flat] if diffusive else own
        threshold = cells.threshold + SPEED * 0.5 / TAU_MOD * (read - target) / target
        cells = cells._replace(own=own, field=field, threshold=threshold)
        return cells, (spiked.sum(0), cells.synthase.mean(), spiked.sum(1).max())

    def second(cells: Cells, key):
        cells, (spikes, synthase, most) = jax.lax.scan(control, cells, jax.random.split(key, round(1000 / CONTROL)))
        return cells, (spikes.sum(0), synthase.mean(), most.max())

    zero = jnp.zeros(NEURONS)
    start = Cells(jnp.linspace(E_L, V_TH, NEURONS)[jnp.asarray(np.random.default_rng(1).permutation(NEURONS))], zero,
                  zero, zero, zero + V_TH, zero, zero, zero + target, jnp.full((VOXELS, VOXELS, 1), target))
    keys = jax.random.split(jax.random.key(0), SETTLE_S + SAMPLE_S)
    _, (spikes, synthase, most) = jax.jit(lambda s: jax.lax.scan(second, s, keys))(start)
    assert int(most.max()) <= MOST, "more spikes in one step than are sent"
    return np.asarray(spikes), float(synthase[SETTLE_S:].mean())


def diversity() -> list[Target]:
    """Rates under diffusive and under local homeostasis of the same network."""
    circuit = network(0)
    spread_out, synthase = run(circuit, True, TARGET)
    target = synthase / LOCAL_LOSS
    first, *_ = run(circuit, False, target)
    # synthesis is not linear in the rate, so equal synthesis is not yet an equal rate
    alone, *_ = run(circuit, False, target * spread_out[SETTLE_S:].mean() / first[SETTLE_S:].mean())
    diffusive, local = (spikes[SETTLE_S:].mean(0) for spikes in (spread_out, alone))
    cv = [rates.std() / rates.mean() for rates in (diffusive, local)]
    for name, spikes in (("diffusive", spread_out), ("local", alone)):
        windows = [spikes[k - SAMPLE_S : k].mean(0) for k in (40, 80, SETTLE_S, SETTLE_S + SAMPLE_S)]
        print(name, *(f"{rates.mean():.2f} Hz, CV {rates.std() / rates.mean():.3f};" for rates in windows))
    where = "Sweeney et al. 2015, Fig. 1"
    return [
        holds("CV of rates, diffusive more than twice local", where, cv[0] > 2 * cv[1]),
        *targets(["mean rate, diffusive over local"], where, [1.0], diffusive.mean() / local.mean(), absolute=0.1),
    ]


def main() -> None:
    """Conservation in double precision; the network in single."""
    with jax.enable_x64(True):
        rows = conservation()
    write_targets(rows + diversity(), Path(__file__).parent)


if __name__ == "__main__":
    main()
