"""Input from thousands of independent outside sources per neuron, drawn as one number per neuron and step."""

import abc
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt32

from retrojax.errors import InputError
from retrojax.types import PerRow, Scalar, SeedKey

MOST_PER_STEP = 64.0
"""Inputs expected per step and neuron at most: beyond, the chance of none leaves the range of a 32-bit float."""

RARE = 2.0**-32
"""Chance that a 32-bit number does not resolve."""


class AbstractBackground(eqx.Module):
    """Input that every neuron receives on the time grid, whatever the network does."""

    @abc.abstractmethod
    def plan(self, dt: Scalar) -> Any:
        """What `input` needs of the parameters; computed once, outside the loop over steps."""

    @abc.abstractmethod
    def input(self, plan: Any, cursor: Int[Array, ""], key: SeedKey, neurons: int) -> Float[Array, " N"]:
        """Input of every neuron in the step numbered `cursor`, in the unit of the weights."""


class PoissonBackground(AbstractBackground):
    """Equal inputs at the times of a Poisson process, independent for every neuron.

    The inputs of C_ext sources at rate nu_ext are one process of rate C_ext nu_ext (Brunel 2000, eq. 3), and those in a
    step of dt a Poisson number of mean rate dt, whatever the step. It is the number of survival probabilities
    P(n > 0), P(n > 1), ... that exceed one uniform number of 32 bits.

    **Arguments**

    - `rate`: of the inputs to a neuron [1/ms]; one number, or one per neuron. `amplitude`: of each, in the unit of the
      weights.
    - `dt`: step [ms]; with the highest rate it fixes how many inputs a step can hold: what goes beyond has a chance
      below 2^-32.

    Numbers are counted by step, so they do not depend on chunks.

    **Raises** `InputError` if a rate is negative or brings more than `MOST_PER_STEP` inputs per step.

    Reference: Brunel (2000) J Comput Neurosci 8:183.
    """

    rate: PerRow
    amplitude: PerRow
    most: int = eqx.field(static=True)

    def __init__(self, rate, amplitude, dt):
        given = np.asarray(rate, np.float64)
        wrong = np.flatnonzero(~((given.ravel() >= 0) & (given.ravel() * dt <= MOST_PER_STEP)))
        if wrong.size:
            name = f"rate[{wrong[0]}]" if given.ndim else "rate"
            raise InputError(name, f"{given.ravel()[wrong[0]]:g} 1/ms", f"0 to {MOST_PER_STEP / dt:g} 1/ms",
                             "lower the rate, or dt")
        self.rate, self.amplitude = jnp.asarray(given, float), jnp.asarray(amplitude, float)
        mean = float(given.max(initial=0.0)) * dt
        self.most = _most(mean)

    def plan(self, dt: Scalar) -> UInt32[Array, "K _"]:
        """P(n > k) for k = 0, 1, ..., in units of 2^-32; one column for all neurons or one each."""
        mean = jnp.atleast_1d(self.rate * dt)
        count = jnp.arange(1, self.most + 1, dtype=mean.dtype)
        terms = jnp.concatenate([jnp.exp(-mean)[None], mean / count[:, None]])
        chance = jnp.cumprod(terms, axis=0)
        # from the far end, so that small probabilities keep their digits
        beyond = jnp.cumsum(chance[:0:-1], axis=0)[::-1]
        return (jnp.minimum(beyond, 1 - 2.0**-24) * 2.0**32).astype(jnp.uint32)

    def input(self, plan: UInt32[Array, "K _"], cursor: Int[Array, ""], key: SeedKey, neurons: int):
        return self.amplitude * self.counts(plan, cursor, key, neurons).astype(self.amplitude.dtype)

    def counts(
        self, plan: UInt32[Array, "K _"], cursor: Int[Array, ""], key: SeedKey, neurons: int
    ) -> Int[Array, " N"]:
        """Number of inputs to every neuron in the step numbered `cursor`."""
        word = jax.random.bits(jax.random.fold_in(key, cursor), (neurons,), jnp.uint32)
        count = jnp.zeros(neurons, jnp.int32)
        for bound in plan:  # written out: a sum over an array [K, N] takes longer than the random numbers
            count = count + (word < bound)
        return count


def _most(mean: float) -> int:
    """One more than the least number that a Poisson number of that mean exceeds with a chance below 2^-32."""
    chance, beyond, number = math.exp(-mean), -math.expm1(-mean), 0
    while beyond >= RARE:
        number += 1
        chance *= mean / number
        beyond -= chance
    return number + 1
