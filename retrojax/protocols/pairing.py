"""Spike-pairing protocols as published: Delta t = t_post - t_pre throughout."""

from typing import NamedTuple

import numpy as np

from retrojax.errors import InputError


class Protocol(NamedTuple):
    """Spike times of one pre/post pair: `pre`, `post` [ms] and the time at which the run ends, `end` [ms]."""

    pre: np.ndarray
    post: np.ndarray
    end: float


def pairs(count: int, rate_hz: float | int, delta_t: float | int, tail: float | int = 1000.0) -> Protocol:
    """`count` regular pairs, 1/rate apart.

    **Arguments**

    - `count`: number of pairs. `rate_hz`: pairs per second [Hz]. `delta_t`: t_post - t_pre [ms].
    - `tail`: silence after the last spike [ms].

    **Raises** `InputError` for no pair, a rate that is not positive, and a lag that is not finite.
    """
    return _shifted(_period(rate_hz) * np.arange(count), [delta_t], tail)


def triplets(
    count: int, rate_hz: float | int, offsets: tuple[float | int, ...], tail: float | int = 1000.0
) -> Protocol:
    """`count` repetitions of one presynaptic spike with postsynaptic spikes at `offsets` from it [ms]."""
    return _shifted(_period(rate_hz) * np.arange(count), list(offsets), tail)


def bursts(
    rate_hz: float | int, delta_t: float | int, per_burst: int = 5, count: int = 15, every: float | int = 10_000.0,
    tail: float | int = 1000.0,
) -> Protocol:
    """Bursts of pairs at `rate_hz`, burst starts `every` ms (Sjostrom et al. 2001: 15 bursts of 5 pairs every 10 s).

    At a rate whose burst would outlast `every` the pairs stand alone: use `pairs` (50 pairs at 0.1 Hz).

    **Raises** `InputError` if a burst is longer than the time between bursts.
    """
    within = _period(rate_hz) * np.arange(per_burst)
    if within.size and within[-1] >= every:
        raise InputError("rate_hz", rate_hz, f"bursts of {per_burst} shorter than {every} ms",
                         "use `pairs` for single pairs at this rate")
    starts = every * np.arange(count)
    return _shifted((starts[:, None] + within).ravel(), [delta_t], tail)


def _shifted(pre: np.ndarray, offsets: list, tail: float | int) -> Protocol:
    if not pre.size or not offsets:
        raise InputError("count", "no spikes", "one pair at least", "give a count of 1 or more")
    for lag in offsets:
        if not np.isfinite(lag):
            raise InputError("delta_t", lag, "a finite time [ms]", "give t_post - t_pre")
    post = np.sort((pre[:, None] + np.asarray(offsets, float)).ravel())
    lead = max(0.0, -float(post.min()))
    pre, post = pre + lead, post + lead
    return Protocol(pre, post, float(max(pre.max(), post.max()) + tail))


def _period(rate_hz: float | int) -> float:
    if not (np.isfinite(rate_hz) and rate_hz > 0):
        raise InputError("rate_hz", rate_hz, "a positive rate [Hz]", "give pairs per second")
    return 1000.0 / rate_hz
