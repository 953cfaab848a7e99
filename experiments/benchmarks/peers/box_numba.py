"""The box by explicit steps of a 7-point stencil at the limit of stability, in Numba."""

import math

import box_specification as box
import numba
import numpy as np
import specification as spec


@numba.njit(parallel=True, fastmath=True)
def sweep(old, new, share, keep):
    """One explicit step; a wall returns what would leave."""
    n = old.shape[0]
    for x in numba.prange(n):
        west, east = old[max(x - 1, 0)], old[min(x + 1, n - 1)]
        for y in range(n):
            here, out = old[x, y], new[x, y]
            south, north = old[x, max(y - 1, 0)], old[x, min(y + 1, n - 1)]
            a, b = west[y], east[y]
            out[0] = keep * here[0] + share * (a[0] + b[0] + south[0] + north[0] + here[0] + here[1])
            for z in range(1, n - 1):
                around = a[z] + b[z] + south[z] + north[z] + here[z - 1] + here[z + 1]
                out[z] = keep * here[z] + share * around
            z = n - 1
            out[z] = keep * here[z] + share * (a[z] + b[z] + south[z] + north[z] + here[z - 1] + here[z])


@numba.njit
def steps(field, other, pairs, share, keep):
    """Two steps at a time, back into `field`."""
    for _ in range(pairs):
        sweep(field, other, share, keep)
        sweep(other, field, share, keep)


def prepare(given):
    """What runs the box from its start, compiled."""
    numba.set_num_threads(given.threads)
    pairs = math.ceil(6 * box.DIFFUSION * box.READ_MS / 2)
    step_ms = box.READ_MS / (2 * pairs)
    left = math.exp(-box.LOSS * step_ms)
    share = np.float32(box.DIFFUSION * step_ms * left)
    keep = np.float32(left - 6 * float(share))
    begin = box.truth(given.n, 0.0).astype(np.float32)
    field, other = begin.copy(), begin.copy()

    def start():
        field[:] = begin

    def step():
        steps(field, other, pairs, share, keep)
        return field

    steps(field, other, 1, share, keep)
    return lambda: box.timed(given, start, step)


if __name__ == "__main__":
    given = box.arguments(__doc__)
    spec.serve("numba", f"numba {numba.__version__}", given, lambda: prepare(given))
