"""Spike pairing of the corticostriatal synapse by fixed Runge-Kutta steps; nothing but readings is kept."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from retrojax.errors import InputError
from retrojax.numerics import runge_kutta
from retrojax.parts.biochemistry.corticostriatal import CorticostriatalState, CorticostriatalSynapse
from retrojax.types import Index, PerRow, Scalar

GLUTAMATE, TAU_GLUTAMATE = 2000.0, 5e-3
PLATEAU, SPIKE, TAU_SPIKE = 495.0, 7020.0, 1e-3
SPIKE_AFTER, PLATEAU_LASTS = 0.015, 0.030
FIRST_SPIKE = 0.485


class Pairing(NamedTuple):
    """`pairings` of them at `rate` [Hz], with `delta_t` = t_post - t_pre [s]; one number each, or one per condition."""

    delta_t: PerRow
    rate: PerRow
    pairings: PerRow


class Steps(eqx.Module):
    """How time is cut. Stimuli within `fine` of the first one of a pairing start on a step exactly.

    **Arguments**

    - `step`: length of a step during and after the stimuli [s]; `fine`: how many of them follow the first stimulus.
    - `coarse`: steps in the rest of a pairing period. `tail`: steps from the end of the last period to `read_after` [s]
      after its start. They should not be longer than 2e-4 s: the activation of CaL relaxes at 8e3/s, and Runge-Kutta is
      stable up to 2.8/8e3. The defaults are for pairings at 1 Hz and faster; halving all of them moves W_pre by 1e-4.

    **Raises** `InputError` for a step that is not stable, or no steps.
    """

    step: float = eqx.field(static=True, default=2e-5)
    fine: int = eqx.field(static=True, default=5000)
    coarse: int = eqx.field(static=True, default=4500)
    tail: int = eqx.field(static=True, default=750_000)
    read_after: float = eqx.field(static=True, default=150.0)

    def __check_init__(self):
        if not 0 < self.step <= 2e-4:
            raise InputError("step", self.step, "0 < step <= 2e-4 s", "take more, shorter steps")
        for name in ("fine", "coarse", "tail"):
            if getattr(self, name) < 1:
                raise InputError(name, getattr(self, name), "at least 1 step", "see the defaults of Steps")


class Readings(NamedTuple):
    """What was seen along the way and at the end.

    - `peak_Ca`, `peak_2AG` [uM], `peak_y`: largest calcium, 2-AG and plasticity drive.
    - `time_ltp`, `time_ltd`: time with the drive above its LTP threshold, and inside its LTD window [s].
    - `W_pre`, `W_post`: weights at the end.
    """

    peak_Ca: PerRow
    peak_2AG: PerRow
    peak_y: PerRow
    time_ltp: PerRow
    time_ltd: PerRow
    W_pre: PerRow
    W_post: PerRow


class _Carried(NamedTuple):
    synapse: CorticostriatalState
    glutamate: Scalar
    spike: Scalar
    readings: Readings


class _Onsets(NamedTuple):
    pre: Scalar
    plateau: Scalar
    spike: Scalar
    end: Scalar


def pair_by_steps(synapse: CorticostriatalSynapse, pairing: Pairing, steps: Steps, most: Index) -> Readings:
    """Readings of one condition; `vmap` over synapses and pairings for many.

    Each presynaptic spike adds 2000 uM glutamate that decays in 5 ms. The postsynaptic cell gets 495 pA for 30 ms and,
    15 ms in, an action current of 7020 pA that decays in 1 ms; its onset is t_post. The first t_post is 0.485 s.

    **Arguments**

    - `synapse`: from its published resting state at t = 0. `pairing`: what is paired. `steps`: how time is cut.
    - `most`: largest `pairings` of the batch; conditions with fewer pairings wait for it.

    Valid where a pairing fits into its period, and for a period longer than `step * fine`.

    References: Cui et al. (2016) eLife 5:e13185; its code, ModelDB 187605.
    """
    period = 1 / pairing.rate
    fine_lasts = steps.step * steps.fine
    coarse = (period - fine_lasts) / steps.coarse
    pre, plateau = FIRST_SPIKE - pairing.delta_t, jnp.asarray(FIRST_SPIKE - SPIKE_AFTER)
    origin = jnp.minimum(pre, plateau)
    at = lambda t: jnp.round(jnp.where(t < fine_lasts, t / steps.step,  # noqa: E731
                                       steps.fine + (t - fine_lasts) / coarse))
    onsets = _Onsets(*(at(t - origin) for t in (pre, plateau, plateau + SPIKE_AFTER, plateau + PLATEAU_LASTS)))
    last = 2 * most + 1

    def segment(j, carried):
        """The wait for the first stimulus; by turns the fine and the coarse steps of every pairing; the last wait."""
        waiting, fine = (j == 0) | (j == last), j % 2 == 1
        on = ~waiting & ((j - 1) // 2 < pairing.pairings)
        count = jnp.where(j == last, steps.tail, jnp.where(fine, steps.fine, steps.coarse))
        first = jnp.where(waiting | fine, 0, steps.fine)
        wait = jnp.where(j == 0, origin / steps.coarse, (steps.read_after - period) / steps.tail)
        step = jnp.where(waiting, wait, jnp.where(on, jnp.where(fine, steps.step, coarse), 0.0))
        events = _Onsets(*(jnp.where(on, onset, -1.0) for onset in onsets))
        return jax.lax.fori_loop(first, first + count, lambda i, c: _stepped(synapse, c, i, step, events), carried)

    zero = jnp.zeros_like(origin)
    start = _Carried(synapse.init(), zero, zero, Readings(*(zero,) * 7))
    carried = jax.lax.fori_loop(0, last + 1, segment, start)
    end = carried.synapse
    return carried.readings._replace(W_pre=end.weight.W_pre, W_post=synapse.kinase.weight(end.kinase))


def _stepped(
    synapse: CorticostriatalSynapse, c: _Carried, i: Index, step: Scalar, onsets: _Onsets
) -> _Carried:
    glutamate = c.glutamate + jnp.where(i == onsets.pre, GLUTAMATE, 0.0)
    injecting = (i >= onsets.plateau) & (i < onsets.end)
    spike = jnp.where(i == onsets.spike, SPIKE, c.spike)

    def slope(offset, s):
        current = jnp.where(injecting, PLATEAU + spike * jnp.exp(-offset / TAU_SPIKE), 0.0)
        return synapse.slope(s, glutamate * jnp.exp(-offset / TAU_GLUTAMATE), -current)

    after = runge_kutta(slope, c.synapse, step)
    return _Carried(after, glutamate * jnp.exp(-step / TAU_GLUTAMATE), spike * jnp.exp(-step / TAU_SPIKE),
                    _seen(synapse, c.readings, after, step))


def _seen(synapse: CorticostriatalSynapse, r: Readings, s: CorticostriatalState, step: Scalar) -> Readings:
    y, cb1 = synapse.weight.drive(s.weight), synapse.weight.receptor
    return r._replace(
        peak_Ca=jnp.maximum(r.peak_Ca, s.calcium.Ca),
        peak_2AG=jnp.maximum(r.peak_2AG, s.lipids.AG2),
        peak_y=jnp.maximum(r.peak_y, y),
        time_ltp=r.time_ltp + jnp.where(y > cb1.ltp_lo, step, 0.0),
        time_ltd=r.time_ltd + jnp.where((y > cb1.ltd_lo) & (y < cb1.ltd_hi), step, 0.0),
    )
