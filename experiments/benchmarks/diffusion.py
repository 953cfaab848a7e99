"""Cost and error of diffusion in a uniform box, alone or in turns with a peer that does the same.

Prints one JSON line. The box is described in `peers/box_specification.py`; README.md says what the numbers mean.

    python experiments/benchmarks/diffusion.py --n 128 --against scipy
"""

import argparse
import functools
import json
import math
import os
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

PEERS = {"rxd": "box-rxd", "numba": "box-numba", "scipy": "box-scipy", "exponax": "box-exponax"}


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=64, help="voxels along an axis")
    parser.add_argument("--seconds", type=float, default=1.0, help="biological time of one run")
    parser.add_argument("--boundary", choices=("no-flux", "periodic"), default="no-flux", help="always periodic with "
                        "--against exponax")
    parser.add_argument("--eigenvalues", choices=("lattice", "spectral"), default="lattice")
    parser.add_argument("--method", choices=("matrix", "modes", "convolution", "fft"),
                        help="what retrojax.space.choose says if not given")
    parser.add_argument("--against", choices=PEERS, help="run this peer in turns with ours")
    parser.add_argument("--peer-python", help="interpreter that has the peer's packages")
    parser.add_argument("--pairs", type=int, default=5, help="runs of each side; the median counts")
    parser.add_argument("--xla-threads", type=int, help="threads of XLA's own; all cores if not given")
    return parser.parse_args()


def main() -> None:
    """Compile, run, compare, print."""
    given = arguments()
    if given.xla_threads:
        os.environ["NPROC"] = str(given.xla_threads)  # read once, when XLA's CPU client starts
    import jax

    import retrojax

    try:
        record = measured(given)
    except retrojax.errors.RetrojaxError as error:
        raise SystemExit(str(error)) from None
    print(json.dumps({"name": "diffusion", "version": retrojax.__version__, "jax": jax.__version__,
                      "device": jax.devices()[0].device_kind, "devices": jax.device_count(), **record}))


def measured(given: argparse.Namespace) -> dict[str, Any]:
    """Everything measured, except what concerns the machine."""
    import jax
    import jax.numpy as jnp
    from peers import box_specification as box

    from retrojax.space import Grid, advance, choose, plan

    boundary = "periodic" if given.against == "exponax" else given.boundary
    grid = Grid((given.n,) * 3, (1.0,) * 3, boundary=(boundary,) * 3)
    spread = (box.DIFFUSION * box.READ_MS,) * 3  # voxels of 1 um
    method = given.method or choose(grid, False, spread, given.eigenvalues).method
    begin = jnp.asarray(box.truth(given.n, 0.0), jnp.float32)
    make = functools.partial(plan, grid, box.DIFFUSION, box.LOSS, box.READ_MS, eigenvalues=given.eigenvalues,
                             method=method)
    start = time.perf_counter()
    propagator = jax.block_until_ready(jax.jit(make)())
    step = jax.jit(advance).lower(propagator, begin).compile()
    compile_s = time.perf_counter() - start
    last = []

    def run() -> float:
        field, start = begin, time.perf_counter()
        for _ in range(box.readings(given)):
            field = jax.block_until_ready(step(propagator, field))  # so that it can be read
        last[:] = [field]
        return time.perf_counter() - start

    run()  # pages and caches are warm from here on
    walls, peer = compared(given, run) if given.against else ([run() for _ in range(given.pairs)], {})
    wall = statistics.median(walls)
    return {
        "compile_s": compile_s, "wall_s": wall, "walls_s": walls,
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, "n": given.n,
        "seconds": given.seconds, "step_ms": box.READ_MS, "boundary": boundary, "eigenvalues": given.eigenvalues,
        "method": method, "error": box.error(step(propagator, begin), box.READ_MS),
        "error_end": box.error(last[0], given.seconds * 1e3), **least(propagator, grid, box.readings(given), wall),
        **peer}


def least(propagator: Any, grid: Any, steps: int, wall: float) -> dict[str, float]:
    """Bytes and flops of the run, and the longer of the times that they take at rates measured here.

    Every step reads the field and writes it once. Flops: products with the matrices in use, convolutions, or two real
    Fourier transforms of 2.5 n^3 log2 n^3 each.
    """
    import jax
    import jax.numpy as jnp

    values, side = jnp.zeros(grid.shape, jnp.float32), jnp.ones((1024, 1024), jnp.float32)
    copy = fastest(jax.jit(lambda x: x + 1), values)
    product = fastest(jax.jit(lambda x: x @ x), side)
    flops = flops_of(propagator, grid)
    moved = 2 * values.nbytes
    seconds = steps * max(flops * product / (2 * side.size * 1024), copy)
    return {"flops": steps * flops, "bytes": steps * moved, "flops_per_s": 2 * side.size * 1024 / product,
            "copy_bytes_per_s": moved / copy, "floor_s": seconds, "floor_ratio": wall / seconds}


def flops_of(propagator: Any, grid: Any) -> float:
    """Of one step: a multiplication and an addition for each entry of a matrix, or of a kernel."""
    import numpy as np

    free = propagator.free
    if free is None:
        return 5 * grid.n_voxels * np.log2(grid.n_voxels)
    flops, shape = sum(2 * grid.n_voxels * (2 * kernel.size - 1) for kernel in free.kernels), list(grid.shape)
    for axes in free.products:
        for axis in (2, 1, 0):  # blocks share the axis between them, each its part of the rows
            rows, columns = (sum(block.shape[k] for block in axes[axis]) for k in (0, 1))
            flops += 2 * rows * math.prod(shape) / len(axes[axis])
            assert columns == shape[axis]
            shape[axis] = rows
    return flops


def fastest(call: Callable, value: Any) -> float:
    """Shortest of ten calls [s], after one that compiles."""
    walls = []
    for _ in range(11):
        start = time.perf_counter()
        call(value).block_until_ready()
        walls.append(time.perf_counter() - start)
    return min(walls[1:])


def compared(given: argparse.Namespace, run: Callable[[], float]) -> tuple[list[float], dict[str, Any]]:
    """Our times, in turns with the peer's, and what the peer says."""
    import against

    options = [f"--n={given.n}", f"--seconds={given.seconds}"]
    peer = against.best_threads(
        lambda threads: against.Peer(PEERS[given.against], given.peer_python, threads, "box", options))
    ours, told, record = against.in_turns(peer, run, given.pairs)
    return ours, {**told, "peer_error": record["error"], "peer_error_end": record["error_end"]}


if __name__ == "__main__":
    main()
