"""Responses of a release model to a train of spikes: what short-term plasticity experiments measure."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from retrojax.numerics import Draws
from retrojax.parts.base import AbstractRelease


def train_responses(
    release: AbstractRelease, p: Float[Array, ""], times: Float[Array, " K"]
) -> Float[Array, " K"]:
    """Mean response to each spike of a train that starts from rest, per unit of amplitude.

    **Arguments**

    - `release`: a deterministic release part, as `TsodyksMarkram`. `p`: release probability U.
    - `times`: spike times [ms], ascending. Equal times release one after the other.
    """
    draws = Draws(jax.random.key(0), jnp.zeros((), jnp.int32))

    def spike(state, elapsed):
        state, released = release.on_pre(release.flow(state, elapsed), p, draws)
        return state, released

    elapsed = jnp.diff(times, prepend=times[:1])
    return jax.lax.scan(spike, release.init(()), elapsed, unroll=min(8, elapsed.shape[0]))[1]
