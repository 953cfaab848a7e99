"""W1-W3 by hand in Numba: clock-driven, or with `--lazy` W2 with calcium and efficacy in closed form between spikes.

W3 steps the field by a cosine transform (SciPy) every ms. Random numbers come from one stream whatever the threads.
"""

import time

import numba
import numba_kernels as kernels
import numpy as np
import specification as spec
from numba import prange
from numba_kernels import F


def run_w1(steps, dt, seed, net, u, x, w, v, trace, y, last, counts):
    """`steps` steps of W1; spikes of the sources. `counts`: spikes of every part's neurons."""
    bounds, start, post, incoming, source = net
    sources, many = v.size, bounds.size - 1
    if seed >= 0:
        np.random.seed(seed)
    spiked, stay_u, stay_x = np.empty(sources, np.int64), np.empty(sources, F), np.empty(sources, F)
    leak, fade = F(np.exp(-dt / spec.TAU_M)), F(np.exp(-dt / spec.TAU_STDP))
    mean, total = sources * spec.RATE_HZ * dt * 1e-3, 0
    for step in range(steps):
        kernels.scale(trace, fade)
        count = kernels.draw(mean, step * dt, last, spiked, stay_u, stay_x)
        total += count
        for q in prange(many):
            kernels.scale(v[bounds[q]:bounds[q + 1]], leak)
            kernels.scale(y[bounds[q]:bounds[q + 1]], fade)
            for k in range(count):
                i = spiked[k]
                kernels.deliver_stdp(k, start[q, i], start[q, i + 1], post, stay_u, stay_x, u, x, w, v, y)
        for k in range(count):
            trace[spiked[k]] += kernels.ONE
        for q in prange(many):
            counts[q] += kernels.fire_stdp(bounds[q], bounds[q + 1], v, y, w, incoming, source, trace)
    return total


def run_w2(first, steps, dt, seed, net, u, x, c, rho, since, v, last, counts, lazy, release, voxel, made):
    """`steps` steps of W2 from step `first`, or with `release` per synapse those of W3 up to its field step."""
    bounds, start, post, incoming, _ = net
    sources, many, emits = v.size, bounds.size - 1, release.size > 1
    if seed >= 0:
        np.random.seed(seed)
    spiked, stay_u, stay_x = np.empty(sources, np.int64), np.empty(sources, F), np.empty(sources, F)
    leak, stay = F(np.exp(-dt / spec.TAU_M)), F(np.exp(-dt / spec.TAU_CA))
    well = F(dt / spec.TAU_RHO)
    up, down = F(spec.GAMMA_P) * well, F(spec.GAMMA_D) * well
    share = F(spec.EMISSION / rho.size * spec.FIELD_MS) if emits else F(0)
    mean, total = sources * spec.RATE_HZ * dt * 1e-3, 0
    for step in range(first, first + steps):
        t = step * dt
        count = kernels.draw(mean, t, last, spiked, stay_u, stay_x)
        total += count
        for q in prange(many):
            begin, end = start[q, 0], start[q, sources]
            kernels.scale(v[bounds[q]:bounds[q + 1]], leak)
            if not lazy:
                kernels.step_calcium(c[begin:end], rho[begin:end], stay, up, down, well)
            if emits and step == first + steps - 1:
                kernels.emit(begin, end, c, voxel, made[q], share)
            for k in range(count):
                i = spiked[k]
                left, right = start[q, i], start[q, i + 1]
                if lazy:
                    kernels.deliver_lazy(k, t, left, right, post, stay_u, stay_x, u, x, c, rho, since, v)
                else:
                    kernels.deliver_calcium(k, left, right, post, stay_u, stay_x, u, x, c, rho, v, release)
        for q in prange(many):
            if lazy:
                counts[q] += kernels.fire_lazy(t, bounds[q], bounds[q + 1], v, c, rho, since, incoming)
            else:
                counts[q] += kernels.fire_calcium(bounds[q], bounds[q + 1], v, c, incoming)
    return total


def sense(net, voxel, level, release):
    """Release probabilities of all synapses after a field step."""
    for q in prange(net[0].size - 1):
        kernels.sense(net[1][q, 0], net[1][q, -1], voxel, level, release, F(spec.FIELD_MS / spec.TAU_U))


def prepare_w1(given):
    """W1, compiled; returns what runs it."""
    random = np.random.default_rng(given.seed)
    net = tuple(kernels.parts(spec.wiring(given.synapses, random), given.threads))
    neurons, synapses = given.synapses // spec.DEGREE, given.synapses
    start = random.uniform(0, spec.THRESHOLD, neurons).astype(F)
    loop = numba.njit(parallel=given.threads > 1, **kernels.FAST)(run_w1)

    def fresh():
        rows = [np.full(synapses, value, F) for value in (spec.U_START, spec.X_START, spec.W_START)]
        return [*rows, start.copy(), np.zeros(neurons, F), np.zeros(neurons, F), np.zeros(neurons),
                np.zeros(given.threads, np.int64)]

    def run():
        state = fresh()
        begin = time.perf_counter()
        total = loop(round(given.seconds * 1e3 / given.dt), given.dt, given.seed, net, *state)
        return spec.outcome(time.perf_counter() - begin, given, total, state[-1].sum(), state[2])

    loop(0, given.dt, given.seed, net, *fresh())
    return run


def prepare_w2(given):
    """W2 or W3, compiled; returns what runs it."""
    random = np.random.default_rng(given.seed)
    net = tuple(kernels.parts(spec.wiring(given.synapses, random), given.threads))
    neurons, synapses, field = given.synapses // spec.DEGREE, given.synapses, given.workload == "w3"
    start = random.uniform(0, spec.THRESHOLD, neurons).astype(F)
    voxel = random.integers(spec.SIDE**3, size=synapses if field else 1, dtype=np.int32)
    options = {"parallel": given.threads > 1, **kernels.FAST}
    loop, felt = numba.njit(**options)(run_w2), numba.njit(**options)(sense)

    def fresh():
        rows = [np.full(synapses, value, F) for value in (spec.U_START, spec.X_START, 0.0, spec.RHO_START)]
        return [*rows, np.zeros(synapses if given.lazy else 1), start.copy(), np.zeros(neurons),
                np.zeros(given.threads, np.int64), given.lazy, np.full(synapses if field else 1, spec.U0, F), voxel,
                np.zeros((given.threads, spec.SIDE**3 if field else 1), F)]

    def run():
        state, level = fresh(), np.zeros((spec.SIDE,) * 3, F)
        begin = time.perf_counter()
        if field:
            total, level = run_field(given, loop, felt, net, state, level)
        else:
            total = loop(0, round(given.seconds * 1e3 / given.dt), given.dt, given.seed, net, *state)
        wall = time.perf_counter() - begin
        if given.lazy:
            settle(state[2], state[3], state[4], given.seconds * 1e3)
        return spec.outcome(wall, given, total, state[7].sum(), state[3], *((level, state[9]) if field else ()))

    state = fresh()
    loop(0, 0, given.dt, given.seed, net, *state)
    if field:
        felt(net, voxel, np.zeros(spec.SIDE**3, F), state[9])
    return run


def run_field(given, loop, felt, net, state, level):
    """W3: steps up to every field step, then the field itself."""
    from scipy import fft

    release, voxel, made = state[-3:]
    multiplier, steps, total = spec.propagator(), round(spec.FIELD_MS / given.dt), 0
    for first in range(0, round(given.seconds * 1e3 / given.dt), steps):
        total += loop(first, steps, given.dt, -1 if first else given.seed, net, *state)
        level += made.sum(axis=0).reshape(level.shape)
        made[:] = 0
        modes = fft.dctn(level, workers=given.threads)
        modes *= multiplier
        level = fft.idctn(modes, workers=given.threads, overwrite_x=True)
        felt(net, voxel, level.ravel(), release)
    return total, level


@numba.njit
def settle(c, rho, since, t):
    """Efficacy of all synapses at time `t`."""
    for s in range(rho.size):
        rho[s] = kernels.flow(c[s], rho[s], t - since[s])


def main():
    """Read the command line and serve."""
    given = spec.arguments(__doc__, "--lazy")
    if given.lazy and given.workload != "w2":
        raise SystemExit("--lazy runs w2 alone")
    numba.set_num_threads(given.threads)
    prepare = prepare_w1 if given.workload == "w1" else prepare_w2
    name = "numba" + "-lazy" * given.lazy + "-dct" * (given.workload == "w3")
    spec.serve(name, f"numba {numba.__version__}", given, lambda: prepare(given))


if __name__ == "__main__":
    main()
