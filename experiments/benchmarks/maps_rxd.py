"""Diffusion through a sheath between two media: retrojax against NEURON's rxd.Extracellular, in the same voxels.

Layers [0, 10) um: volume fraction 0.20, tortuosity 1.6; [10, 14): 0.05, 2.2; [14, 30]: 0.25, 1.5. D 88.6 um^2/s, loss
0.5/s, no-flux ends, release of 1 uM/s per tissue volume in 4 < x < 6 um for the first of five seconds. Prints one JSON
line per voxel size: errors are the largest over all voxels and read-outs (0.2, 1, 2, 5 s), relative to the largest
concentration of that time, against retrojax in voxels nine times smaller.

    python experiments/benchmarks/maps_rxd.py [DX ...]
"""

import json
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

import retrojax
from retrojax.space import Grid, Medium, advance_maps, plan_maps

ENDS, ALPHA, TORTUOSITY = [10, 14], np.array([0.2, 0.05, 0.25]), np.array([1.6, 2.2, 1.5])
D, LOSS, LENGTH = 0.0886, 5e-4, 30.0
TIMES = (200, 1000, 2000, 5000)


def ours(dx: float) -> tuple[np.ndarray, float]:
    """Concentrations [uM] at the read-outs, [T, X], and the time of the second call [s]."""
    n = round(LENGTH / dx)
    grid, x = Grid((n, 1, 1), (LENGTH / n, 1.0, 1.0)), (np.arange(n) + 0.5) * LENGTH / n
    layer = np.searchsorted(ENDS, x, side="right")
    medium = Medium.build(grid, *(values[layer].reshape(-1, 1, 1) for values in (ALPHA, TORTUOSITY)), LOSS)
    source = jnp.asarray(((x > 4) & (x < 6)) * 1.0).reshape(-1, 1, 1)
    move = jax.jit(lambda elapsed, *args: advance_maps(plan_maps(grid, medium, D, elapsed), *args))

    def run():
        field, before, read = 0 * source, 0, []
        for now in TIMES:
            field = move(float(now - before), field, source * (before < 1000))
            read.append(np.asarray(field / medium.fraction).ravel() / 1000)
            before = now
        return np.stack(read)

    run()
    start = time.perf_counter()
    return run(), time.perf_counter() - start


def rxd(dx: float, dt: float) -> tuple[np.ndarray, float]:
    """The same from NEURON: implicit alternating directions with step `dt` [ms]."""
    from neuron import h, rxd

    h.load_file("stdrun.hoc")
    section = h.Section(name="unused")  # NEURON runs nothing without one
    def of_layer(values):  # called with a voxel's corner
        return lambda x, y, z: values[np.searchsorted(ENDS, x + dx / 2)]

    ecs = rxd.Extracellular(0, 0, 0, LENGTH, 3 * dx, 3 * dx, dx=dx, volume_fraction=of_layer(ALPHA),
                            tortuosity=of_layer(TORTUOSITY))
    species = rxd.Species(ecs, name="m", d=D, charge=0, initial=0)
    release = rxd.Parameter(ecs, name="release", value=0)
    rates = rxd.Rate(species, release - LOSS * species)
    h.dt = dt
    h.CVode().active(0)
    h.finitialize(-65)
    x = (np.arange(round(LENGTH / dx)) + 0.5) * dx
    made = ((x > 4) & (x < 6)) / ALPHA[np.searchsorted(ENDS, x, side="right")]
    release[ecs].states3d[:] = made[:, None, None]
    read, start = [], time.perf_counter()
    for now in TIMES:
        while h.t < now - dt / 2:
            if h.t > 1000 - dt / 2:
                release[ecs].states3d[:] = 0
            h.fadvance()
        read.append(np.array(species[ecs].states3d)[:, 1, 1] / 1000)
    wall = time.perf_counter() - start
    del rates, release, species, ecs, section
    return np.stack(read), wall


def compare(dx: float) -> dict:
    """One line of the table for voxels of `dx` [um]."""
    fine = ours(dx / 9)[0][:, 4::9]
    most = fine.max(axis=1, keepdims=True)
    mine, wall = ours(dx)
    theirs, rxd_wall = rxd(dx, 5 * dx)
    error = {name: float(np.max(np.abs(a - b) / most)) for name, a, b in (
        ("error", mine, fine), ("rxd_error", theirs, fine), ("difference", mine, theirs))}
    return {"name": "maps_rxd", "version": retrojax.__version__, "jax": jax.__version__, "dx_um": dx,
            "rxd_dt_ms": 5 * dx, **error, "wall_s": wall, "rxd_wall_s": rxd_wall}


def main() -> None:
    """Compare at every voxel size given."""
    with jax.enable_x64(True):
        for dx in [float(text) for text in sys.argv[1:]] or [1.0, 0.5, 0.25]:
            print(json.dumps(compare(dx)), flush=True)


if __name__ == "__main__":
    main()
