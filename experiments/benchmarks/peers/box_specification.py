"""Diffusion in a uniform box, and how a peer is asked to run it. Needs NumPy alone.

A Gaussian of standard deviation 4 um and total 1 starts in the middle of n^3 voxels of 1 um, spreads with 3.3 um^2/ms
and is lost at 1/s; no-flux walls, or a torus. The whole field is there to be read every 10 ms. Truth is the Gaussian of
the medium with its images in the walls.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np

DIFFUSION, LOSS, SIGMA, READ_MS = 3.3, 1e-3, 4.0, 10.0
"""um^2/ms, 1/ms, um, ms between readings."""


def truth(n: int, time_ms: float) -> np.ndarray:
    """The field at the middle of every voxel, float64, [n, n, n]; the box is long enough for walls and torus to agree.

    About a Gaussian in the middle of the box, the images in no-flux walls are those of a torus.
    """
    variance = SIGMA**2 + 2 * DIFFUSION * time_ms
    place = np.arange(n) - (n - 1) / 2
    reach = int(np.ceil(8 * np.sqrt(variance) / n)) + 1
    images = np.exp(-((place - n * np.arange(-reach, reach + 1)[:, None]) ** 2) / (2 * variance))
    line = images.sum(axis=0) / np.sqrt(2 * np.pi * variance)
    return line[:, None, None] * line[:, None] * line * np.exp(-LOSS * time_ms)


def error(field: np.ndarray, time_ms: float) -> float:
    """Largest distance from the truth, relative to its largest value."""
    exact = truth(field.shape[0], time_ms)
    return float(np.abs(np.asarray(field, np.float64) - exact).max() / exact.max())


def arguments(description: str | None) -> argparse.Namespace:
    """The command line of a peer."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", default="box")
    parser.add_argument("--n", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def readings(given: argparse.Namespace) -> int:
    """How often the field is read."""
    return round(given.seconds * 1e3 / READ_MS)


def timed(given: argparse.Namespace, start: Callable[[], None], step: Callable[[], np.ndarray]) -> dict[str, float]:
    """One run: `start` puts the Gaussian back, `step` goes on for 10 ms and returns the field."""
    start()
    count, begin = readings(given), time.perf_counter()
    first = field = step()
    wall = time.perf_counter() - begin
    early = error(np.array(first), READ_MS)
    begin = time.perf_counter()
    for _ in range(count - 1):
        field = step()
    wall += time.perf_counter() - begin
    return {"sim_wall_s": wall, "error": early, "error_end": error(np.array(field), count * READ_MS)}
