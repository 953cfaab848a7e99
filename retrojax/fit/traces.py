"""Voltage- and current-clamp traces of a synapse with short-term plasticity, at the times at which they were read."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from retrojax.numerics import Draws
from retrojax.parts.three_state_release import ThreeStateRelease

SUBSTEPS = 8
"""Steps of the membrane between two points of a trace; they grow with the time since the first."""


class Points(NamedTuple):
    """Where a trace was read: `elapsed` since the point before [ms], and whether a presynaptic spike falls on it."""

    elapsed: Float[Array, " K"]
    spike: Bool[Array, " K"]


def clamp_current(
    release: ThreeStateRelease, p: Float[Array, ""], conductance: Float[Array, ""], driving: Float[Array, ""],
    points: Points,
) -> Float[Array, " K"]:
    """Synaptic current [pA] in voltage clamp: I = G y(t) (Vm - Erev), rising at once at a spike.

    **Arguments**

    - `p`: U. `conductance`: G [nS]. `driving`: Vm - Erev [mV].
    - `points`: the current at a point with a spike is that just after it.
    """
    return driving * conductance * _active(release, p, points)[1]


def membrane_response(
    release: ThreeStateRelease, p: Float[Array, ""], conductance: Float[Array, ""], driving: Float[Array, ""],
    resistance: Float[Array, ""], capacitance: Float[Array, ""], points: Points,
) -> Float[Array, " K"]:
    """Deviation of the membrane potential from rest [mV] in current clamp, V - Vm = v.

        C dv/dt = -v/R - G y(t) (v + Vm - Erev)

    Between points y decays exponentially; v is advanced by exponential steps over which the conductance is held at its
    exact mean. Error below 0.5 % of the peak for the published range of time constants.

    **Arguments**

    - `p`: U. `conductance`: G [nS]. `driving`: Vm - Erev [mV].
    - `resistance`: R [MOhm]. `capacitance`: C [pF].
    """
    before = jnp.roll(_active(release, p, points)[1], 1).at[0].set(0.0)
    leak, tau = 1e3 / (resistance * capacitance), release.tau_d

    def point(v, row):
        elapsed, g = row
        edges = tau * jnp.expm1(jnp.arange(SUBSTEPS + 1) / SUBSTEPS * jnp.log1p(elapsed / tau))
        left = jnp.exp(-edges / tau)
        step = jnp.diff(edges)
        # integral of the conductance over each step, in units of the capacitance
        opened = conductance * g * tau * -jnp.diff(left) / capacitance
        rate = leak * step + opened
        kept = jnp.exp(-rate)
        drive = -driving * opened * jnp.where(rate > 1e-8, -jnp.expm1(-rate) / jnp.where(rate > 1e-8, rate, 1.0), 1.0)
        for k in range(SUBSTEPS):
            v = v * kept[k] + drive[k]
        return v, v

    return jax.lax.scan(point, jnp.zeros_like(conductance), (points.elapsed, before))[1]


def _active(release: ThreeStateRelease, p, points: Points):
    """Active fraction just before and just after each point."""
    draws = Draws(jax.random.key(0), jnp.zeros((), jnp.int32))

    def point(state, row):
        elapsed, spike = row
        state = release.flow(state, elapsed)
        jumped, _ = release.on_pre(state, p, draws)
        after = jax.tree.map(lambda a, b: jnp.where(spike, a, b), jumped, state)
        return after, (state.y, after.y)

    return jax.lax.scan(point, release.init(()), points)[1]
