"""Diffusive homeostasis: nitric oxide conserves its mean, and as a homeostatic signal it keeps rates diverse.

Sweeney, Hellgren Kotaleski & Hennig (2015) PLoS Comput Biol 11:e1004389. Units are those of the authors' code: mm, ms,
mV, nS, pF, concentrations in units of what one neuron makes. The control without diffusion reads the nitric oxide that a
neuron makes itself; its target is the mean over neurons of what they read with diffusion, so that both networks are
asked for the same mean. Thresholds move ten times faster than in the authors' example (`SPEED`), which shortens the
approach to the stationary state, not the state.
"""

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from retrojax.space import Grid, Propagator, advance, plan
from retrojax.testing import Target, holds, targets, write_targets

NEURONS, EXCITATORY, IN_DEGREE, VOXELS = 1000, 800, 50, 100
DIFFUSION, LOSS, SPACING, SPEED = 1e-6, 1e-4, 1.0 / VOXELS, 10.0
TAU_M, C_M, E_L, V_RESET, V_TH, T_REF = 20.0, 200.0, -80.0, -60.0, -50.0, 5.0
TAU_EX, TAU_IN, G_EX, G_IN, G_EXT = 3.0, 7.0, 5.5, 64.0, 80.0
TAU_CA, TAU_NNOS, TAU_MOD, STEP = 10.0, 100.0, 1500.0, 0.1


class Cells(NamedTuple):
    """State of all neurons, [N] each: potential, conductances, refractory time, threshold, calcium, active synthase, and
    nitric oxide: own, and on the grid [X, Y, 1]."""

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
        propagator = plan(grid, diffusion, 0.9, dt)
        field = jax.lax.scan(lambda f, _: (advance(propagator, f, source), None), jnp.zeros(grid.shape), None,
                             length=steps)[0]
        means.append(float(field.mean()))
    exact, euler = 0.2 * -np.expm1(-0.9 * dt * steps), 0.2 * (1 - (1 - 0.9 * dt) ** steps)
    where = "Sweeney et al. 2015, diffusion_minimal_example"
    return [
        *targets(["mean after 1000 steps against its closed form", "the same, other spread and sources"], where,
                 [exact, exact], means, relative=1e-9),
        *targets(["mean after 1000 steps as the authors' Euler scheme has it"], where, [0.010940],
                 [euler], absolute=5e-7),
        *targets(["mean after 1000 steps, exact in time, against that"], where, [0.010940], [means[0]], absolute=1e-6),
    ]


def network(seed: int):
    """Targets of every neuron's synapses [N, K], whether it excites, place on the grid, rates of its input [1/ms]."""
    rng = np.random.default_rng(seed)
    source = np.stack([rng.choice(NEURONS, IN_DEGREE, replace=False) for _ in range(NEURONS)])
    place = rng.choice(VOXELS**2, NEURONS, replace=False)
    rate = rng.normal(10.0, 10.0, 4 * NEURONS)
    return source, place, rate[rate > 0][:NEURONS] / 1000


def make_step(circuit, propagator: Propagator, diffusive: bool, target):
    """One millisecond of the network, and how often every neuron spiked in it."""
    source, place, rate = circuit
    exciting = jnp.asarray(source < EXCITATORY)

    def fast(cells: Cells, key):
        ex, inh = cells.ex, cells.inh
        slope = (E_L - cells.v) / TAU_M + (-ex * cells.v + inh * (-70.0 - cells.v)) / C_M
        v = jnp.where(cells.wait > STEP / 2, V_RESET, cells.v + STEP * slope)
        spiked = v >= cells.threshold
        arrived = spiked[source]
        outside = jax.random.uniform(key, (NEURONS,)) < rate * STEP
        ex = ex * np.exp(-STEP / TAU_EX) + G_EX * jnp.sum(arrived & exciting, 1) + G_EXT * outside
        inh = inh * np.exp(-STEP / TAU_IN) + G_IN * jnp.sum(arrived & ~exciting, 1)
        cubed = cells.calcium**3
        synthase = cells.synthase + STEP / TAU_NNOS * (cubed / (cubed + 1) - cells.synthase)
        wait = jnp.where(spiked, T_REF, jnp.maximum(cells.wait - STEP, 0.0))
        calcium = cells.calcium * np.exp(-STEP / TAU_CA) + spiked
        return cells._replace(v=jnp.where(spiked, V_RESET, v), ex=ex, inh=inh, wait=wait, calcium=calcium,
                              synthase=synthase), spiked

    def step(cells: Cells, key):
        cells, spiked = jax.lax.scan(fast, cells, jax.random.split(key, round(1 / STEP)))
        made = jnp.zeros(VOXELS**2).at[place].set(cells.synthase).reshape(cells.field.shape)
        field = advance(propagator, cells.field, made) if diffusive else cells.field
        own = cells.own + cells.synthase - LOSS * cells.own
        read = field.reshape(-1)[place] if diffusive else own
        moved = SPEED * 0.5 / TAU_MOD / 5.0 * (read - target) / target  # the authors' every 5 ms, spread over them
        threshold = jnp.clip(cells.threshold + moved, -58.0, -40.0)
        return cells._replace(own=own, field=field, threshold=threshold), spiked.sum(0), read
    return step
