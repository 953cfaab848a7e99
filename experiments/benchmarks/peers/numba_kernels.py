"""Loops of the Numba peer: what a careful user writes by hand for exactly these networks.

Neurons are split into one part per thread, and synapses sorted by (part, source), so that no two threads write to the
same place. Functions here work on one part; `numba_net` loops over steps and parts.
"""

from typing import NamedTuple

import numba
import numpy as np
import specification as spec

FAST = {"fastmath": True, "nogil": True}
F = np.float32
ONE, ZERO = F(1), F(0)
U0, JUMP, THRESHOLD = F(spec.U0), F(spec.JUMP), F(spec.THRESHOLD)
A_PLUS, A_MINUS = F(spec.A_PLUS), F(spec.A_MINUS)
C_PRE, C_POST, THETA_D, THETA_P, RHO_STAR = (F(x) for x in (spec.C_PRE, spec.C_POST, spec.THETA_D, spec.THETA_P,
                                                            spec.RHO_STAR))
ALPHA, K_M = F(spec.ALPHA), F(spec.K_M)


class Net(NamedTuple):
    """Wiring for P parts.

    - `bounds`: part q owns neurons bounds[q] to bounds[q + 1]; its synapses start at start[q, 0].
    - `start`: synapses of (part, source) are start[q, i] to start[q, i + 1]. `post`: neuron of each.
    - `incoming`, `source`: synapses of neuron j and their sources, entries j K to (j + 1) K.
    """

    bounds: np.ndarray
    start: np.ndarray
    post: np.ndarray
    incoming: np.ndarray
    source: np.ndarray


def parts(wiring: spec.Wiring, count: int) -> Net:
    """The wiring for `count` parts."""
    neurons, pre, post = wiring.neurons, wiring.pre, wiring.post
    bounds = np.linspace(0, neurons, count + 1).astype(np.int64)
    key = (np.searchsorted(bounds, post, side="right") - 1) * neurons + pre
    order = np.argsort(key, kind="stable")
    ends = np.cumsum(np.bincount(key, minlength=count * neurons)).reshape(count, neurons)
    first = np.concatenate([[0], ends[:-1, -1]])
    start = np.concatenate([first[:, None], ends], axis=1)
    incoming = np.empty(pre.size, np.int32)
    incoming[order] = np.arange(pre.size, dtype=np.int32)
    return Net(bounds, start, post[order], incoming, pre)


@numba.njit(**FAST)
def draw(mean, t, last, spiked, stay_u, stay_x):
    """Sources that spike in this step: how many, which, and what each keeps of u and of 1 - x since its last spike."""
    count = np.random.poisson(mean)
    for k in range(count):
        i = np.random.randint(last.size)
        spiked[k] = i
        stay_u[k] = np.exp(-(t - last[i]) / spec.TAU_F)
        stay_x[k] = np.exp(-(t - last[i]) / spec.TAU_D)
        last[i] = t
    return count


@numba.njit(**FAST)
def scale(values, factor):
    """`values` times `factor`, in place."""
    for k in range(values.size):
        values[k] *= factor


@numba.njit(**FAST)
def deliver_stdp(k, first, stop, post, stay_u, stay_x, u, x, w, v, y):
    """The spike of one source at its synapses `first` to `stop`: release, and depression by the trace `y`."""
    keep_u, keep_x = stay_u[k], stay_x[k]
    for s in range(first, stop):
        j = post[s]
        facilitated = u[s] * keep_u
        facilitated += U0 * (ONE - facilitated)
        resources = ONE - (ONE - x[s]) * keep_x
        released = facilitated * resources
        u[s] = facilitated
        x[s] = resources - released
        v[j] += JUMP * w[s] * released
        w[s] = max(ZERO, w[s] - A_MINUS * y[j])


@numba.njit(**FAST)
def fire_stdp(first, stop, v, y, w, incoming, source, trace):
    """Neurons above threshold spike: reset, and potentiation by the sources' traces; how many did."""
    degree, count = incoming.size // v.size, 0
    for j in range(first, stop):
        if v[j] >= THRESHOLD:
            v[j] = ZERO
            count += 1
            for k in range(j * degree, (j + 1) * degree):
                s = incoming[k]
                w[s] = min(ONE, w[s] + A_PLUS * trace[source[k]])
            y[j] += ONE
    return count


@numba.njit(**FAST)
def step_calcium(c, rho, stay, up, down, well):
    """One step of every synapse's calcium and efficacy; without branches or indices, so that it becomes vector code."""
    for s in range(c.size):
        now = c[s] * stay
        c[s] = now
        r = rho[s]
        rest = ONE - r
        gain = up if now >= THETA_P else ZERO
        lost = down if now >= THETA_D else ZERO
        rho[s] = r + (gain * rest - lost * r - well * r * rest * (RHO_STAR - r))


@numba.njit(**FAST)
def deliver_calcium(k, first, stop, post, stay_u, stay_x, u, x, c, rho, v, release):
    """The spike of one source at its synapses; `release` is U of all synapses, or one number."""
    keep_u, keep_x = stay_u[k], stay_x[k]
    many = release.size > 1
    for s in range(first, stop):
        facilitated = u[s] * keep_u
        facilitated += (release[s] if many else U0) * (ONE - facilitated)
        resources = ONE - (ONE - x[s]) * keep_x
        released = facilitated * resources
        u[s] = facilitated
        x[s] = resources - released
        c[s] += C_PRE
        v[post[s]] += JUMP * rho[s] * released


@numba.njit(**FAST)
def fire_calcium(first, stop, v, c, incoming):
    """Neurons above threshold spike: reset, and calcium in all their synapses; how many did."""
    degree, count = incoming.size // v.size, 0
    for j in range(first, stop):
        if v[j] >= THRESHOLD:
            v[j] = ZERO
            count += 1
            for k in range(j * degree, (j + 1) * degree):
                c[incoming[k]] += C_POST
    return count


@numba.njit(**FAST)
def flow(c, rho, elapsed):
    """Efficacy after `elapsed` ms of decaying calcium: exact above the thresholds, first order in the double well."""
    high = 0.0
    if c > THETA_P:
        high = min(elapsed, spec.TAU_CA * np.log(c / spec.THETA_P))
        rate = spec.GAMMA_P + spec.GAMMA_D
        goal = spec.GAMMA_P / rate
        rho = goal + (rho - goal) * np.exp(-high * rate / spec.TAU_RHO)
    if c > THETA_D:
        low = min(elapsed, spec.TAU_CA * np.log(c / spec.THETA_D)) - high
        rho *= np.exp(-low * spec.GAMMA_D / spec.TAU_RHO)
    return rho - rho * (1 - rho) * (spec.RHO_STAR - rho) * elapsed / spec.TAU_RHO


@numba.njit(**FAST)
def touch(s, t, c, rho, since, rise):
    """Bring one synapse to time `t` and let its calcium rise."""
    elapsed = t - since[s]
    rho[s] = flow(c[s], rho[s], elapsed)
    c[s] = c[s] * np.exp(-elapsed / spec.TAU_CA) + rise
    since[s] = t


@numba.njit(**FAST)
def deliver_lazy(k, t, first, stop, post, stay_u, stay_x, u, x, c, rho, since, v):
    """As `deliver_calcium`, for synapses that are touched at spikes only."""
    keep_u, keep_x = stay_u[k], stay_x[k]
    for s in range(first, stop):
        facilitated = u[s] * keep_u
        facilitated += U0 * (ONE - facilitated)
        resources = ONE - (ONE - x[s]) * keep_x
        released = facilitated * resources
        u[s] = facilitated
        x[s] = resources - released
        touch(s, t, c, rho, since, C_PRE)
        v[post[s]] += JUMP * rho[s] * released


@numba.njit(**FAST)
def fire_lazy(t, first, stop, v, c, rho, since, incoming):
    """As `fire_calcium`, for synapses that are touched at spikes only."""
    degree, count = incoming.size // v.size, 0
    for j in range(first, stop):
        if v[j] >= THRESHOLD:
            v[j] = ZERO
            count += 1
            for k in range(j * degree, (j + 1) * degree):
                touch(incoming[k], t, c, rho, since, C_POST)
    return count


@numba.njit(**FAST)
def emit(first, stop, c, voxel, source, share):
    """What synapses `first` to `stop` make in a field step, added into the part's own copy of the voxels."""
    for s in range(first, stop):
        if c[s] > THETA_D:
            source[voxel[s]] += share * (c[s] - THETA_D)


@numba.njit(**FAST)
def sense(first, stop, voxel, level, release, share):
    """Release probabilities after a field step."""
    for s in range(first, stop):
        m = level[voxel[s]]
        release[s] += share * (U0 * (ONE + ALPHA * m / (m + K_M)) - release[s])
