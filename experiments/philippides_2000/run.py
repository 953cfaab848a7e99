"""Nitric oxide from extended sources: the reservoir in a hollow sphere, and delay and evenness of a plexus of fibres.

Philippides, Husbands & O'Shea (2000) J Neurosci 20:1199-1207; Philippides et al. (2005) J Neurosci 25:6520-6532. Their
source strengths are not used: a hollow sphere between 50 and 100 um makes 1 uM/s for 1 s, and fibres share 1000
molecules/ms per um of plexus. What must hold are the claims: the core that makes nothing keeps a reservoir, which peaks
after synthesis has stopped, later the farther away; and many weak fibres make an even cloud, with a delay, where one
strong fibre makes a steep one; the bounds of a tenth and of five are ours. The closed forms are checked against the
grid; of the hollow sphere it holds one octant, which its walls mirror.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from retrojax.space import Grid, advance, hollow_sphere, hollow_sphere_burst, line, line_steady, plan
from retrojax.testing import Target, holds, targets, write_targets
from retrojax.units import MOLECULES_PER_NM_UM3

D, K = 3.3, np.log(2) / 5000
"""Diffusion [um^2/ms] and loss at a half-life of 5 s [1/ms]."""
RADII, BURST = (50.0, 100.0), 1000.0
"""Of the hollow sphere [um]; duration of synthesis [ms] at 1 nM/ms."""
SPHERE = "Philippides et al. 2000, hollow sphere; quadrature of the closed form"
FIBRES = "Philippides et al. 2005, plexus; sum of K0 solutions"


def course(r: float, times: np.ndarray) -> np.ndarray:
    """Amount [uM] at distance `r` from the centre, at all times [ms]."""
    return np.asarray(hollow_sphere_burst(r, jnp.asarray(times), RADII, 1.0, BURST, D, K)) / 1e3


def annulus() -> list[Target]:
    """Values at the centre, at 150 and at 300 um; when each place peaks."""
    times = np.array([500.0, 1000.0, 2000.0, 5000.0])
    rows = []
    for r, values, digits in ((0, (0.20605, 0.36716, 0.14544, 0.02204), 1e-5),
                              (150, (0.02296, 0.05990, 0.05639, 0.01546), 1e-5),
                              (300, (4.1e-6, 3.0e-4, 0.00337, 0.00534), (1e-7, 1e-5, 1e-5, 1e-5))):
        for at, expected, value, digit in zip(times, values, course(r, times), np.broadcast_to(digits, 4), strict=True):
            rows.append(Target(f"c at {r} um, {at / 1e3:g} s [uM]", SPHERE, expected, float(digit), float(value)))
    fine = np.arange(5.0, 6000.0, 1.0)
    peaks = {r: (fine[np.argmax(c)] / 1e3, c.max()) for r in (0, 75, 150, 300) for c in [course(r, fine)]}
    for r, when, height, step in ((0, 1.084, 0.3807, 1e-4), (75, 1.00, 0.3691, 1e-4), (150, 1.30, 0.0706, 1e-4),
                                  (300, 3.64, 0.00607, 1e-5)):
        rows += targets([f"peak time at {r} um [s]"], SPHERE, [when], peaks[r][0], absolute=0.01 if r else 0.001)
        rows += targets([f"peak at {r} um [uM]"], SPHERE, [height], peaks[r][1], absolute=step)
    later = [peaks[r][0] for r in (75, 0, 150, 300)]
    return [
        *rows,
        holds("the core peaks after synthesis stopped, and above the wall", SPHERE,
              peaks[0][0] > BURST / 1e3 and peaks[0][1] > peaks[75][1]),
        holds("the farther from the wall, the later the peak", SPHERE, bool(np.all(np.diff(later) > 0))),
    ]


def annulus_on_the_grid() -> list[Target]:
    """Largest error of one octant of 12.5 um voxels, at least two voxels from the surfaces and up to 300 um."""
    grid = Grid((88, 88, 88), (12.5,) * 3)
    volume = 4 / 3 * np.pi * (RADII[1] ** 3 - RADII[0] ** 3)
    source = jnp.asarray(hollow_sphere(grid, (0.0, 0.0, 0.0), *RADII, cut=True) * volume / grid.voxel_volume)
    middle = (np.arange(88) + 0.5) * 12.5
    r = np.sqrt(middle[:, None, None] ** 2 + middle[:, None] ** 2 + middle**2)
    seen = (r < 300) & (np.abs(r - RADII[0]) >= 25) & (np.abs(r - RADII[1]) >= 25)
    step = jax.jit(lambda field, source, elapsed: advance(plan(grid, D, K, elapsed), field, source))
    burst = step(jnp.zeros(grid.shape), source, BURST)
    rows = []
    for after in (0.0, 1000.0, 4000.0):
        field = np.asarray(step(burst, 0 * source, after))[seen]
        exact = 1e3 * course(jnp.asarray(r[seen]), BURST + after)
        rows.append(Target(f"grid against closed form, {(BURST + after) / 1e3:g} s, of the largest", SPHERE, 0.0, 0.01,
                           float(np.abs(field - exact).max() / exact.max())))
        total = field_total(grid, step(burst, 0 * source, after))
        made = float(source.sum()) * grid.voxel_volume * -np.expm1(-K * BURST) / K * np.exp(-K * after)
        rows += targets([f"amount over what was made and not lost, {(BURST + after) / 1e3:g} s"], SPHERE, [1.0],
                        total / made, absolute=1e-9)
    return rows


def field_total(grid: Grid, field: jax.Array) -> float:
    """Amount in the box [nM um^3]."""
    return float(field.sum()) * grid.voxel_volume


def places(count: int) -> np.ndarray:
    """Fibres of a square plexus 64 um wide, in the middle of voxels, [count, 2]."""
    side = round(count**0.5)
    one = (np.arange(side) + 0.5) * 64 / side - 31
    return np.stack(np.meshgrid(one, one), axis=-1).reshape(-1, 2)


def plexus() -> list[Target]:
    """Parallel fibres that share one rate: their sum, how even it is, and when the cloud forms."""
    rate, loss = 1000.0, np.log(2) / 50  # a half-life of 50 ms, reach 15 um, for walls that are not felt
    grid = Grid((128, 128, 1), (2.0, 2.0, 1.0), (-128.0, -128.0, 0.0))
    middle = (np.arange(128) + 0.5) * 2 - 128
    spots = np.stack(np.meshgrid(middle, middle, indexing="ij"), axis=-1)
    step = jax.jit(lambda source, elapsed: advance(plan(grid, D, loss, elapsed), 0 * source, source))
    rows, uneven, least, delay = [], {}, {}, {}
    for count in (1, 4, 16, 64):
        fibres = places(count)
        share = rate / count / (grid.voxel_volume * MOLECULES_PER_NM_UM3)
        single = [jnp.asarray(share * line(grid, (*at, 0.0), (*at, 1.0))) for at in fibres]
        whole = step(sum(single), 1e6)
        apart = sum(step(each, 1e6) for each in single)
        rows.append(Target(f"{count} fibres: sum of their fields", FIBRES, 0.0, 1e-12,
                           float(jnp.abs(whole - apart).max() / whole.max())))
        far = np.linalg.norm(spots[:, :, None] - fibres, axis=-1)
        exact = np.asarray(line_steady(jnp.asarray(far), rate / count, D, loss)).sum(axis=-1)
        seen = (far.min(axis=-1) >= 12) & (np.abs(spots).max(axis=-1) < 60)
        error = np.abs(np.asarray(whole)[:, :, 0] / exact - 1)[seen].max()
        rows.append(Target(f"{count} fibres: grid against K0, six voxels off", FIBRES, 0.0, 0.01, float(error)))
        inside = np.abs(spots).max(axis=-1) < 16  # a reach from the edge, beyond which a cloud of any kind fades
        tissue = exact[inside & (far.min(axis=-1) > 0)]  # K0 is infinite at a fibre itself
        uneven[count] = float(np.std(tissue) / np.mean(tissue))
        least[count] = exact[inside].min()
        # one fibre is seen where it is, a plexus where it is weakest
        there = np.unravel_index(np.argmax(whole) if count == 1 else np.argmin(np.where(inside, exact, np.inf)),
                                 grid.shape)
        times = np.arange(1.0, 400.0)
        rise = np.array([step(sum(single), t)[there] for t in times])
        delay[count] = times[np.argmax(rise > 0.5 * float(whole[there]))]
    alone = float(line_steady(4 * 2**0.5, rate / 64, D, loss))  # one of 64, in the middle between four
    return [
        *rows,
        holds("the more fibres, the more even the cloud", FIBRES, all(np.diff(list(uneven.values())) < 0)),
        holds("64 fibres vary by less than a tenth of what one does", FIBRES, uneven[64] < 0.1 * uneven[1]),
        holds("one of 64 fibres alone gives less than a tenth of the weakest place in the cloud", FIBRES,
              alone < 0.1 * least[64]),
        holds("the cloud of 64 is at half its level over five times later than one fibre at its own place", FIBRES,
              delay[64] > 5 * delay[1]),
    ]


def main() -> None:
    """Compute all targets in double precision."""
    with jax.enable_x64(True):
        rows = annulus() + annulus_on_the_grid() + plexus()
    write_targets(rows, Path(__file__).parent)


if __name__ == "__main__":
    main()
