"""Simulation-based calibration: whether a sampler's posteriors are as wide as they should be."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Num


class Calibration(NamedTuple):
    """Ranks of true parameters among posterior draws.

    - `ranks`: [sets, P], each from 0 to `draws`. `draws`: per set.
    - `chi2`: of the ranks in equal bins, per parameter [P], with `bins - 1` degrees of freedom if calibrated.
    """

    ranks: Int[np.ndarray, "sets P"]
    draws: int
    bins: int
    chi2: Float[np.ndarray, " P"]


def calibrate(
    draw: Callable[[np.random.Generator], np.ndarray],
    posterior: Callable[[np.ndarray, np.random.Generator], Num[np.ndarray, "draws P"]],
    *, sets: int, seed: int, bins: int = 10,
) -> Calibration:
    """Draw parameters from the prior, data from them, and the rank of the truth among draws from the posterior.

    If prior, simulator and posterior agree the rank is uniform on 0..draws (Talts et al. 2018, theorem 1). A hump in
    the middle means posteriors that are too wide, horns at the ends too narrow ones, a slope a bias.

    **Arguments**

    - `draw`: generator -> true parameters [P], from the prior of `posterior`.
    - `posterior`: (true parameters, generator) -> independent draws [draws, P] of the posterior given data simulated
      from them; thin a chain to its effective number first.
    - `sets`: simulated data sets; ten per bin or more for the chi^2. `seed`: of the generator.
    - `bins`: of the chi^2; draws + 1 should be a multiple of it.

    Reference: Talts et al. (2018) arXiv:1804.06788.
    """
    rng = np.random.default_rng(seed)
    rows, count = [], 0
    for _ in range(sets):
        true = draw(rng)
        drawn = posterior(true, rng)
        count = len(drawn)
        rows.append(np.sum(drawn < true, axis=0))
    return judge(np.array(rows), count, bins)


def judge(ranks: Int[np.ndarray, "sets P"], draws: int, bins: int = 10) -> Calibration:
    """How uneven ranks among `draws` draws are: chi^2 over equal bins, per parameter."""
    edges = np.ceil(np.linspace(0, draws + 1, bins + 1)) - 0.5
    expected = len(ranks) * np.diff(edges) / (draws + 1)
    seen = np.stack([np.histogram(column, edges)[0] for column in ranks.T])
    return Calibration(ranks, draws, bins, np.sum((seen - expected) ** 2 / expected, axis=1))
