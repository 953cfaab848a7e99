"""Where plasticity happened: how far it reaches, whether it stays at the synapses that were used, how it clusters.

All take positions [um] and a change per synapse (of release probability, or of anything else), on the host.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from retrojax.errors import InputError
from retrojax.space.neighbours import pairs_within


class Spread(NamedTuple):
    """Exponential profile `amplitude` exp(-r / `space_constant`) [um], and the standard error of ln space_constant.

    `at_bound`: the best space constant is an end of the range searched, so the data say only that it lies beyond.
    """

    amplitude: float
    space_constant: float
    log_error: float
    at_bound: bool


class Clusters(NamedTuple):
    """Changed synapses linked by steps of at most a radius: cluster of each, numbered from 0, and their sizes."""

    label: Int[np.ndarray, " K"]
    size: Int[np.ndarray, " G"]


class MoranI(NamedTuple):
    """Moran's I, what it is without spatial order, its p-value (permutations, one-sided), and pairs of neighbours."""

    value: float
    expected: float
    p_value: float
    pairs: int


def spread(distance: Float[np.ndarray, " S"], change: Float[np.ndarray, " S"]) -> Spread:
    """How far plasticity reaches from a source: least squares of change = a exp(-r / L).

    For every L the best amplitude is linear, so only L is searched: from a tenth of the least to ten times the largest
    distance, on a grid of its logarithm and then by a parabola. The error is that of independent residuals.

    **Arguments**

    - `distance`: of every synapse from the source [um], [S]. `change`: of what is measured, [S].

    **Raises** `InputError` for fewer than four synapses, a value that is not finite or distances that do not differ.
    """
    _finite("distance", distance)
    _finite("change", change, len(distance))
    if len(distance) < 4 or np.ptp(distance) == 0:
        raise InputError("distance", f"{len(distance)} synapses", "at least four, at different distances",
                         "a profile needs points along it")
    least, most = 0.1 * max(distance[distance > 0].min(), 1e-6), 10 * distance.max()
    logs = np.linspace(np.log(least), np.log(most), 401)
    losses = np.array([_profile(distance, change, x)[1] for x in logs])
    best = int(np.argmin(losses))
    step, at_bound = logs[1] - logs[0], best in (0, len(logs) - 1)
    if at_bound:
        return Spread(_profile(distance, change, logs[best])[0], float(np.exp(logs[best])), float("inf"), True)
    below, here, above = losses[best - 1 : best + 2]
    curvature = below - 2 * here + above
    centre = logs[best] + (0.5 * step * (below - above) / curvature if curvature > 0 else 0.0)
    amplitude, loss = _profile(distance, change, centre)
    variance = loss / (len(distance) - 2)
    error = np.sqrt(2 * variance * step**2 / curvature) if curvature > 0 else np.inf
    return Spread(amplitude, float(np.exp(centre)), float(error), False)


def _profile(distance: np.ndarray, change: np.ndarray, log_constant: float) -> tuple[float, float]:
    """Best amplitude at that space constant, and the sum of squares left."""
    shape = np.exp(-distance / np.exp(log_constant))
    norm = float(shape @ shape)
    amplitude = float(shape @ change) / norm if norm > 0 else 0.0
    return amplitude, float(np.sum((change - amplitude * shape) ** 2))


def heterosynaptic_fraction(change: Float[np.ndarray, " S"], stimulated: Bool[np.ndarray, " S"]) -> float:
    """Share of all absolute change that lies at synapses which were not stimulated; nan where nothing changed."""
    _finite("change", change)
    if len(stimulated) != len(change):
        raise InputError("stimulated", f"{len(stimulated)} flags", f"one for each of {len(change)} synapses",
                         "give flags in the order of the changes")
    total = np.abs(change).sum()
    return float(np.abs(change[~stimulated]).sum() / total) if total > 0 else float("nan")


def clusters(
    positions: Float[np.ndarray, "S 3"], changed: Bool[np.ndarray, " S"], radius: float
) -> Clusters:
    """Clusters of changed synapses: two belong together if steps of at most `radius` [um] over changed ones join them.

    **Arguments**

    - `positions`: [um], [S, 3]. `changed`: which synapses count, [S].
    """
    chosen = positions[changed]
    first, second = pairs_within(chosen, radius)
    label = np.arange(len(chosen))
    while True:  # every synapse takes the least label next to it, then the label of that label
        lower = label.copy()
        np.minimum.at(lower, first, label[second])
        np.minimum.at(lower, second, label[first])
        lower = lower[lower]
        if np.array_equal(lower, label):
            break
        label = lower
    _, label, size = np.unique(label, return_inverse=True, return_counts=True)
    return Clusters(label, size)


def morans_i(
    positions: Float[np.ndarray, "S 3"], change: Float[np.ndarray, " S"], radius: float, *, permutations: int = 999,
    seed: int,
) -> MoranI:
    """Mosaic index: whether synapses within `radius` [um] of one another changed alike.

        I = (S / W) sum_{i != j} w_ij z_i z_j / sum_i z_i^2,   z = change - mean,   w_ij = 1 within the radius

    1 where neighbours agree, -1/(S - 1) without spatial order, negative where they alternate. The p-value is the share
    of permutations of the changes (the given order counted among them) with an I as high.

    **Arguments**

    - `positions`: [um], [S, 3]. `change`: [S]. `permutations`, `seed`: of the p-value.

    **Raises** `InputError` if no two synapses lie within the radius, or all changes are equal.

    Reference: Moran (1950) Biometrika 37:17-23, eq. for I; Cliff & Ord (1981) Spatial Processes, ch. 2 (permutations).
    """
    _finite("change", change, len(positions))
    first, second = pairs_within(positions, radius)
    z = change - change.mean()
    if not len(first):
        raise InputError("radius", radius, "a radius that holds at least one pair of synapses", "enlarge it")
    if not np.any(np.abs(z) > 1e-12 * np.abs(change).max(initial=0)):
        raise InputError("change", "all equal", "changes that differ", "there is no pattern to test")
    norm = len(z) / len(first) / float(z @ z)

    def index(values: np.ndarray) -> float:
        return norm * float(values[first] @ values[second])

    rng, value = np.random.default_rng(seed), index(z)
    as_high = 1 + sum(index(rng.permutation(z)) >= value for _ in range(permutations))
    return MoranI(value, -1 / (len(z) - 1), as_high / (permutations + 1), len(first))


def _finite(field: str, values: np.ndarray, length: int | None = None) -> None:
    if length is not None and len(values) != length:
        raise InputError(field, f"{len(values)} values", f"{length}, one per synapse", "give all in the same order")
    wrong = np.flatnonzero(~np.isfinite(values))
    if wrong.size:
        raise InputError(f"{field}[{wrong[0]}]", float(values[wrong[0]]), "a finite number", "leave that synapse out")
