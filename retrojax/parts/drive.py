"""Spike sources outside the network: recorded trains, or Poisson processes."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from retrojax.types import Scalar, SeedKey


class AbstractDrive(eqx.Module):
    """Sources that spike on the time grid. `period`: steps after which the cursor starts again."""

    period: eqx.AbstractVar[int]

    @abc.abstractmethod
    def spikes(self, cursor: Int[Array, ""], dt: Scalar, key: SeedKey) -> Bool[Array, " Q"]:
        """Which sources spike in the step numbered `cursor`."""


class Replay(AbstractDrive):
    """Recorded spikes, repeated for ever.

    - `raster`: [steps, sources], which source spikes in which step of the loop.
    """

    raster: Bool[Array, "L Q"]
    period: int = eqx.field(static=True)

    def __init__(self, raster):
        self.raster = jnp.asarray(raster, bool)
        self.period = int(self.raster.shape[0])

    def spikes(self, cursor: Int[Array, ""], dt: Scalar, key: SeedKey) -> Bool[Array, " Q"]:
        return self.raster[cursor]


class Poisson(AbstractDrive):
    """Independent Poisson sources: a spike in a step of dt with probability 1 - exp(-rate dt).

    - `rate`: one per source [1/ms]. Numbers are counted by step, so they do not depend on chunks.
    """

    rate: Float[Array, " Q"]
    period: int = eqx.field(static=True)

    def __init__(self, rate):
        self.rate, self.period = jnp.atleast_1d(jnp.asarray(rate, float)), 2**31 - 1

    def spikes(self, cursor: Int[Array, ""], dt: Scalar, key: SeedKey) -> Bool[Array, " Q"]:
        chance = jax.random.uniform(jax.random.fold_in(key, cursor), self.rate.shape, self.rate.dtype)
        return chance < -jnp.expm1(-self.rate * dt)
