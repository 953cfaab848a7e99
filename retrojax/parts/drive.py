"""Spike sources outside the network: recorded trains, or Poisson processes."""

import abc
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln
from jaxtyping import Array, Bool, Float, Int

from retrojax.errors import InputError
from retrojax.types import Scalar, SeedKey

LAP = 2**30
"""Steps after which a source that draws its spikes starts counting anew, with another key."""

MOST_EXPECTED = 1024
"""Spikes expected per step and group of sources; more sources are drawn in more groups, so that tables stay short."""


class AbstractDrive(eqx.Module):
    """Sources that spike on the time grid. `period`: steps after which the cursor starts again."""

    period: eqx.AbstractVar[int]
    sources: eqx.AbstractVar[int]

    @abc.abstractmethod
    def plan(self, dt: Scalar) -> Any:
        """What `spikes` needs of the parameters; computed once, outside the loop over steps."""

    @abc.abstractmethod
    def spikes(self, plan: Any, cursor: Int[Array, ""], key: SeedKey) -> Bool[Array, " Q"]:
        """Which sources spike in the step numbered `cursor`."""


class Replay(AbstractDrive):
    """Recorded spikes, repeated for ever.

    - `raster`: [steps, sources], which source spikes in which step of the loop.
    """

    raster: Bool[Array, "L Q"]
    period: int = eqx.field(static=True)
    sources: int = eqx.field(static=True)

    def __init__(self, raster):
        self.raster = jnp.asarray(raster, bool)
        self.period, self.sources = self.raster.shape

    def plan(self, dt: Scalar) -> None:
        return None

    def spikes(self, plan: None, cursor: Int[Array, ""], key: SeedKey) -> Bool[Array, " Q"]:
        return self.raster[cursor]


class Poisson(AbstractDrive):
    """Independent sources; each spikes in a step of dt with probability rate dt.

    Drawn as events, not as a number per source: how many candidates this step has (one Poisson number), then whose they
    are and whether that source's rate keeps them. Two candidates of one source in a step are one spike, and the rate of
    candidates makes up for it: -log(1 - rate dt) per step.

    **Arguments**

    - `rate`: one per source [1/ms].
    - `dt`: step [ms]; it fixes how many candidates a step can hold (beyond 10 standard deviations of the mean).

    Numbers are counted by step, so they do not depend on chunks. Sources are picked by a 32-bit remainder, whose bias
    is below Q/2^32.

    **Raises** `InputError` if there is no rate, or one is negative or reaches 1/dt.
    """

    rate: Float[Array, " Q"]
    period: int = eqx.field(static=True)
    sources: int = eqx.field(static=True)
    groups: int = eqx.field(static=True)
    most: int = eqx.field(static=True)

    def __init__(self, rate, dt):
        rate = np.atleast_1d(np.asarray(rate, np.float64))
        if not rate.size:
            raise InputError("rate", "no number", "one rate per source [1/ms]",
                             "for a network without sources use Replay(np.zeros((1, 0)))")
        wrong = np.flatnonzero(~((rate >= 0) & (rate * dt < 1)))
        if wrong.size:
            raise InputError(f"rate[{wrong[0]}]", f"{rate[wrong[0]]:g} 1/ms", f"0 to below 1/dt = {1 / dt:g} 1/ms",
                             "lower the rate, or dt")
        self.rate, self.period, self.sources = jnp.asarray(rate, float), LAP, rate.size
        expected = rate.size * float((-np.log1p(-rate * dt)).max(initial=0.0))
        self.groups = max(1, min(math.ceil(expected / MOST_EXPECTED), rate.size))
        share = expected / self.groups
        self.most = math.ceil(share + 10 * math.sqrt(share) + 10)

    def plan(self, dt: Scalar) -> tuple[Array, Array]:
        """Distribution function of the number of candidates of a group, and how likely each source keeps one."""
        candidates = -jnp.log1p(-self.rate * dt)
        top = jnp.maximum(candidates.max(), 1e-30)
        mean = top * self._group_size
        count = jnp.arange(self.most, dtype=mean.dtype)
        return jnp.cumsum(jnp.exp(count * jnp.log(mean) - mean - gammaln(count + 1))), candidates / top

    @property
    def _group_size(self) -> int:
        return -(-self.sources // self.groups)

    def spikes(self, plan: tuple[Array, Array], cursor: Int[Array, ""], key: SeedKey) -> Bool[Array, " Q"]:
        below, kept = plan
        here = jax.random.fold_in(key, cursor)
        chance = jax.random.uniform(here, (self.groups, 1), below.dtype)
        word = jax.random.bits(jax.random.fold_in(here, 1), (2, self.groups, self.most), jnp.uint32)
        source = (word[0] % self._group_size).astype(jnp.int32) + self._group_size * jnp.arange(self.groups)[:, None]
        sure = (word[1] >> 8).astype(kept.dtype) * 2.0**-24 < kept.at[source].get(mode="fill", fill_value=0)
        fired = sure & (jnp.arange(self.most) < jnp.searchsorted(below, chance, side="right"))
        return jnp.zeros(self.sources, bool).at[source].max(fired, mode="drop")
