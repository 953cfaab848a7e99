"""Short-term plasticity with stochastic multi-vesicle release."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp

from retrojax.errors import InputError
from retrojax.numerics import Draws, decay
from retrojax.parts.base import AbstractRelease
from retrojax.types import PerRow

EVENTS_BEFORE_WRAP = 2.0**24
"""A counter kept in a float32 channel is exact up to here; then a synapse starts to reuse its numbers."""


class VesicleState(NamedTuple):
    """`rrp`: docked vesicles; `f`: facilitation; `age`: ms since the last spike; `event`: spikes so far."""

    rrp: PerRow
    f: PerRow
    age: PerRow
    event: PerRow


class QuantalRelease(AbstractRelease):
    """Binomial release from N sites, each refilled at random.

        u  <- U + u (1 - U) exp(-D/tau_fac)
        n  <- n + Binomial(N - n, 1 - exp(-D/tau_rec)),   m ~ Binomial(n, u),   n <- n - m

    with D the time since the last spike; recovery is drawn at the spike. The response is m/N of the full one, and its
    mean over trials is `TsodyksMarkram`'s exactly (given u it is linear in n). Not differentiable: fit with the mean.

    **Arguments**

    - `n_sites`: N, an integer from 1 to `most_sites`.
    - `tau_rec`, `tau_fac`: as in `TsodyksMarkram` [ms].
    - `most_sites`: static bound on N; each spike draws 2 x `most_sites` uniform numbers.

    **Raises** `InputError` if `n_sites` is outside 1..most_sites.

    Reference: Fuhrmann et al. (2002) J Neurophysiol 87:140.
    """

    n_sites: PerRow
    tau_rec: PerRow
    tau_fac: PerRow
    most_sites: int = eqx.field(static=True)

    def __init__(self, n_sites=5, tau_rec=200.0, tau_fac=50.0, most_sites: int = 20):
        if not bool(jnp.all((jnp.asarray(n_sites) >= 1) & (jnp.asarray(n_sites) <= most_sites))):
            raise InputError("n_sites", n_sites, f"1 to {most_sites}", "raise most_sites or lower n_sites")
        self.n_sites, self.most_sites = jnp.asarray(n_sites, float), most_sites
        self.tau_rec, self.tau_fac = jnp.asarray(tau_rec, float), jnp.asarray(tau_fac, float)

    def init(self, shape: tuple[int, ...]) -> VesicleState:
        full = jnp.broadcast_to(self.n_sites, shape)
        return VesicleState(full, jnp.zeros(shape), jnp.zeros(shape), jnp.zeros(shape))

    def flow(self, s: VesicleState, elapsed: PerRow) -> VesicleState:
        return VesicleState(s.rrp, s.f * decay(elapsed, self.tau_fac), s.age + elapsed, s.event)

    def on_pre(self, s: VesicleState, p: PerRow, draws: Draws) -> tuple[VesicleState, PerRow]:
        chance = draws.uniform(s.event, 2 * self.most_sites)
        site = jnp.arange(self.most_sites, dtype=s.rrp.dtype).reshape((-1,) + (1,) * s.rrp.ndim)
        empty = (site >= s.rrp) & (site < self.n_sites)
        refilled = jnp.sum(empty & (chance[: self.most_sites] < 1 - decay(s.age, self.tau_rec)), axis=0)
        rrp = s.rrp + refilled
        u = p + (1 - p) * s.f
        used = jnp.sum((site < rrp) & (chance[self.most_sites :] < u), axis=0).astype(s.rrp.dtype)
        event = jnp.where(s.event + 1 < EVENTS_BEFORE_WRAP, s.event + 1, 0.0)
        return VesicleState(rrp - used, s.f + p * (1 - s.f), jnp.zeros_like(s.age), event), used / self.n_sites
