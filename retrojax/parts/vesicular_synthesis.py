"""Messenger release from dense-core vesicles: gated by a memory of calcium events, slow to come out."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp

from retrojax.numerics import Draws, decay, low_pass
from retrojax.parts.base import AbstractRule, CalciumPath
from retrojax.types import PerRow


class VesicularState(NamedTuple):
    """`memory`: leaky count of calcium events; `above`: 1 while calcium is above `theta`; `activated`: integral of the
    fusion drive since the last field step [ms]; `fusing`: low-passed drive, 0 to 1."""

    memory: PerRow
    above: PerRow
    activated: PerRow
    fusing: PerRow


class VesicularSynthesis(AbstractRule):
    """A protein released late and long after repeated calcium events, as BDNF from dendrites.

        dm/dt = -m/tau_memory + memory_step x (upward crossings of theta)
        u = [m > memory_gate] clip((Ca - theta) / (theta_max - theta), 0, 1)
        tau df/dt = u - f,    Q = rate f   [molecules/ms]

    The two-stage reduction of the release of Solinas et al. (2019), who draw for every vesicle a delay of up to 300 s
    and let it discharge for 1500 s: here one low-pass of time constant `tau` stands for both. With their memory a
    single event, or repeats at 0.05 Hz, release nothing; repeats at 0.5 Hz do. Both factors of u close once and for all
    in a flow, so its integral is a closed form; the low-pass is exact for the drive's mean over each field step.

    **Arguments**

    - `makes`: name of the messenger.
    - `rate`: molecules per ms and spine while every vesicle that can fuses.
    - `theta`, `theta_max`: calcium at which fusion begins and saturates [uM], theta < theta_max.
    - `tau`: time constant of release [ms].
    - `tau_memory`: of the memory [ms], > 0. `memory_step`: what one calcium event adds. `memory_gate`: least memory
      that lets vesicles fuse, > 0.
    - `ca_scale`: uM of calcium per unit of the rule's dimensionless calcium.

    References: Solinas et al. (2019) PLoS Comput Biol 15:e1006975; Hartmann et al. (2001) EMBO J 20:5887 (postsynaptic,
    calcium-dependent secretion).
    """

    makes: str = eqx.field(static=True)
    rate: PerRow
    theta: PerRow
    theta_max: PerRow
    tau: PerRow
    tau_memory: PerRow
    memory_step: PerRow
    memory_gate: PerRow
    ca_scale: PerRow

    def __init__(self, makes: str, rate, theta=1.0, theta_max=1.54, tau=2e5, tau_memory=1e4, memory_step=0.1,
                 memory_gate=0.15, ca_scale=1.0):
        self.makes, self.rate = makes, jnp.asarray(rate, float)
        self.theta, self.theta_max = jnp.asarray(theta, float), jnp.asarray(theta_max, float)
        self.tau, self.tau_memory = jnp.asarray(tau, float), jnp.asarray(tau_memory, float)
        self.memory_step, self.memory_gate = jnp.asarray(memory_step, float), jnp.asarray(memory_gate, float)
        self.ca_scale = jnp.asarray(ca_scale, float)

    def init(self, shape: tuple[int, ...]) -> VesicularState:
        return VesicularState(*(jnp.zeros(shape) for _ in VesicularState._fields))

    def flow(
        self, s: VesicularState, elapsed: PerRow, path: CalciumPath, pre: tuple[PerRow, ...], draws: Draws
    ) -> VesicularState:
        low, high = self.theta / self.ca_scale, self.theta_max / self.ca_scale
        over = path.start > low
        memory = s.memory + jnp.where(over & (s.above == 0), self.memory_step, 0.0)
        # log(1e-30) closes the gate of an empty memory
        ratio = jnp.log(jnp.maximum(memory, 1e-30)) - jnp.log(self.memory_gate)
        open_for = jnp.clip(self.tau_memory * ratio, 0.0, elapsed)
        fusing = CalciumPath(path.start, path.tau, open_for)
        drive = (fusing.excess(low) - fusing.excess(high)) / (high - low)
        still = over & (path.time_above(low) >= elapsed)
        above = jnp.where(still, 1.0, 0.0).astype(s.above.dtype)
        return s._replace(memory=memory * decay(elapsed, self.tau_memory), above=above, activated=s.activated + drive)

    def emit(self, s: VesicularState, elapsed: PerRow) -> tuple[VesicularState, PerRow]:
        fusing, active_time = low_pass(s.fusing, s.activated / elapsed, self.tau, elapsed)
        return s._replace(activated=jnp.zeros_like(s.activated), fusing=fusing), self.rate * active_time

    def most(self, elapsed: PerRow) -> PerRow:
        return self.rate * elapsed
