"""Spine and bouton positions for circuits that record only somata, drawn anew from each synapse's permanent id."""

import numpy as np
from jaxtyping import Float, Int

from retrojax.errors import InputError

_DISTRIBUTIONS = ("exponential", "uniform_ball", "gaussian")

_DRAWS = 8
"""Numbers reserved for one id: two Philox counters of four words each."""

_BLOCK = 4096
"""Ids generated at a time; it bounds memory and does not change the numbers."""


def _uniforms(seed: int, ids: Int[np.ndarray, "S"]) -> Float[np.ndarray, "S 8"]:
    """Eight numbers in [0, 1) for each id, a function of (seed, id) alone."""
    result = np.empty((ids.size, _DRAWS))
    order = np.argsort(ids, kind="stable")
    blocks, starts = np.unique(ids[order] // _BLOCK, return_index=True)
    for block, places in zip(blocks, np.split(order, starts)[1:], strict=True):
        counter = int(block) * _BLOCK * _DRAWS // 4
        words = np.random.Philox(key=seed, counter=counter).random_raw(_BLOCK * _DRAWS).reshape(_BLOCK, _DRAWS)
        result[places] = (words[ids[places] % _BLOCK] >> np.uint64(11)) * 2.0**-53
    return result


def _directions(u: Float[np.ndarray, "S 2"]) -> Float[np.ndarray, "S 3"]:
    """Unit vectors uniform on the sphere (Archimedes: the height is uniform)."""
    height = 2.0 * u[:, 0] - 1.0
    angle = 2.0 * np.pi * u[:, 1]
    ring = np.sqrt(1.0 - height**2)
    return np.stack([ring * np.cos(angle), ring * np.sin(angle), height], axis=1)


def _radii(u: Float[np.ndarray, "S 3"], distribution: str, scale_um: float | int) -> Float[np.ndarray, "S"]:
    """Distances by inversion; 1 - u lies in (0, 1], so that the logarithm is finite."""
    if distribution == "exponential":
        return -scale_um * np.log1p(-u[:, 0])
    if distribution == "uniform_ball":
        return scale_um * np.cbrt(u[:, 0])
    # The square of a 3-d Gaussian is an exponential (two axes) plus the square of one normal number (Box-Muller).
    two_axes = -2.0 * np.log1p(-u[:, 0])
    third_axis = -2.0 * np.log1p(-u[:, 1]) * np.cos(2.0 * np.pi * u[:, 2]) ** 2
    return scale_um * np.sqrt(two_axes + third_axis)


def _check(soma_positions: np.ndarray, post: np.ndarray, ids: np.ndarray, seed: int, distribution: str,
           scale_um: float | int, bouton_distance_um: float | int) -> None:
    if distribution not in _DISTRIBUTIONS:
        raise InputError("distribution", distribution, f"one of {list(_DISTRIBUTIONS)}", "choose one of them")
    if not 0 <= seed < 2**128:
        raise InputError("seed", seed, "an integer from 0 to 2^128 - 1", "use a non-negative seed")
    if not (np.isfinite(scale_um) and scale_um > 0):
        raise InputError("scale_um", scale_um, "a finite length above 0 um", "set it above 0")
    if not (np.isfinite(bouton_distance_um) and bouton_distance_um >= 0):
        raise InputError("bouton_distance_um", bouton_distance_um, "a finite length of at least 0 um",
                         "set it to 0 or more")
    if soma_positions.size and not np.isfinite(soma_positions).all():
        bad = int(np.flatnonzero(~np.isfinite(soma_positions).all(axis=1))[0])
        raise InputError(f"soma_positions[{bad}]", soma_positions[bad].tolist(), "finite numbers", "correct it")
    if ((post < 0) | (post >= len(soma_positions))).any():
        bad = int(np.flatnonzero((post < 0) | (post >= len(soma_positions)))[0])
        raise InputError(f"post[{bad}]", int(post[bad]), f"an index from 0 to {len(soma_positions) - 1}",
                         "index the rows of soma_positions")
    if (ids < 0).any():
        raise InputError(f"ids[{int(np.flatnonzero(ids < 0)[0])}]", int(ids.min()), "0 or more", "number from 0")


def place_spines(soma_positions: Float[np.ndarray, "N 3"], post: Int[np.ndarray, "S"], seed: int,
                 distribution: str, scale_um: float | int, bouton_distance_um: float | int,
                 ids: Int[np.ndarray, "S"] | None = None) -> tuple[Float[np.ndarray, "S 3"], Float[np.ndarray, "S 3"]]:
    r"""Positions of the spine and of the bouton of every synapse.

    The spine lies at distance $r$ from the soma of its neuron, in a direction uniform on the sphere:

    - `exponential`: $p(r) = e^{-r/\lambda}/\lambda$;
    - `uniform_ball`: $p(r) = 3 r^2/\lambda^3$ for $r < \lambda$, a constant density in the ball;
    - `gaussian`: each coordinate normal with standard deviation $\lambda$.

    The bouton lies at a fixed distance from the spine, in another such direction. The numbers of a synapse depend on
    the seed and its id alone (Philox counters), so a permutation of the synapses permutes the answer, and adding
    synapses moves none.

    **Arguments**

    - `soma_positions`: **[um]**, shape [N, 3].
    - `post`: row of the postsynaptic neuron in `soma_positions`, shape [S].
    - `seed`: key of the generator.
    - `distribution`: see above.
    - `scale_um`: $\lambda$ **[um]**.
    - `bouton_distance_um`: distance from spine to bouton **[um]**.
    - `ids`: permanent id of each synapse, shape [S]; 0, 1, 2... if absent.

    **Returns** spines and boutons **[um]**, each of shape [S, 3].

    **Raises** `InputError` for an unknown distribution, a seed or length out of range, somata that are not finite, and
    `post` or `ids` out of range.

    **Limits** A cloud, not a dendrite: spines of one neuron are independent of each other.

    **References** Salmon et al. 2011, Parallel random numbers: as easy as 1, 2, 3 (Philox).
    """
    ids = np.arange(post.size) if ids is None else ids
    _check(soma_positions, post, ids, seed, distribution, scale_um, bouton_distance_um)
    u = _uniforms(seed, ids)
    radii = _radii(u[:, :3], distribution, scale_um)
    spines = soma_positions[post].astype(np.float64) + radii[:, None] * _directions(u[:, 3:5])
    return spines, spines + bouton_distance_um * _directions(u[:, 5:7])
