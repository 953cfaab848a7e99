"""What a least-squares optimum says about its parameters, and what it cannot say."""

import math
from typing import NamedTuple

import numpy as np

from retrojax.fit.spec import Spec, prior_coordinates, relative_slopes

KNOWN_WITHIN = math.log(2.0)
"""A parameter, or a product of parameters, is determined if one standard deviation is less than a factor of 2."""

HOPELESS = 50.0
"""Standard deviations of ln x beyond this (a factor of e^50) are reported as no information at all."""


class Identified(NamedTuple):
    """Uncertainty at an optimum.

    - `log_sd`: standard deviation of ln x of every parameter (of x / spread for `identity`); infinite if unknown.
    - `undetermined`: the combinations that the data cannot separate, in words, worst first.
    """

    log_sd: np.ndarray
    undetermined: tuple[str, ...]


def identify(spec: Spec, values: np.ndarray, jacobian: np.ndarray, weight: np.ndarray) -> Identified:
    """Uncertainties from the curvature of the loss.

    With S = W J (dx/d ln x), the Fisher information of the ln x is F = S^T S plus that of the priors. An eigenvector v
    of F with eigenvalue lambda is the product of the x_i to the power v_i, known to exp(1/sqrt(lambda)).

    **Arguments**

    - `values`: parameters at the optimum [P]. `jacobian`: d prediction / d u there [n, P]. `weight`: 1/SEM [n].

    Valid as far as the model is linear over one standard deviation. At a clip or a kink (a calcium peak that just
    touches a threshold) the curvature is that of one side.
    """
    prior = prior_coordinates(spec)[1]
    scaled = np.concatenate([weight[:, None] * jacobian, np.diag(prior)]) @ np.linalg.inv(relative_slopes(spec, values))
    return identify_root(spec, scaled)


def identify_root(spec: Spec, root: np.ndarray) -> Identified:
    """Uncertainties from a root S [n, P] of the information matrix S^T S of the ln x (of x/spread for `identity`)."""
    _, singular, vectors = np.linalg.svd(root, full_matrices=True)
    singular = np.concatenate([singular, np.zeros(len(spec) - singular.size)])
    spread = 1 / np.maximum(singular, math.exp(-HOPELESS))
    log_sd = np.sqrt(np.sum((vectors.T * spread) ** 2, -1))
    weak = [number for number in np.argsort(-spread, kind="stable") if spread[number] > KNOWN_WITHIN]
    log_sd = np.where(log_sd > HOPELESS, np.inf, log_sd)
    return Identified(log_sd, tuple(_in_words(spec, vectors[number], spread[number]) for number in weak))


def spread_of_good_starts(spec: Spec, values: np.ndarray, loss: np.ndarray) -> Identified:
    """What other optima say: a point whose loss is within 1 of the best lies within one standard deviation of it.

    The curvature sees only the optimum it is taken at; where other starts end elsewhere with about the same loss, their
    distance is a lower limit of the standard deviation.

    **Arguments**

    - `values`: where every start ended [S, P]. `loss`: there [S].
    """
    best, good = values[np.argmin(loss)], values[loss < np.min(loss) + 1]
    distance, words = np.zeros(len(spec)), []
    for number, (path, parameter) in enumerate(spec.items()):
        identity = parameter.transform.kind == "identity"
        mine, other = best[number], good[:, number]
        distance[number] = np.max(np.abs((other - mine) / parameter.spread if identity else np.log(other / mine)))
        if distance[number] > KNOWN_WITHIN:
            low, high = np.min(good[:, number]), np.max(good[:, number])
            words.append(f"{_short(path)} from {low:.3g} to {high:.3g} fits about as well (loss within 1)")
    return Identified(distance, tuple(words))


def _short(path: str) -> str:
    """Last name of a dotted path, with its number where it is one of several."""
    parts = path.split(".")
    return ".".join(parts[-2:]) if parts[-1].isdigit() and len(parts) > 1 else parts[-1]


def _in_words(spec: Spec, vector: np.ndarray, spread: float) -> str:
    """`tau_x_plus x c_plus^0.9 is not determined (one standard deviation is a factor of 7)`."""
    names = [_short(path) for path in spec]
    powers = vector / vector[np.argmax(np.abs(vector))]
    order = [number for number in np.argsort(-np.abs(powers), kind="stable") if abs(powers[number]) >= 0.15]
    terms = [names[number] + _power(powers[number]) for number in order]
    # the scale of the eigenvector changes with the power it is quoted at: sd of ln(product) = spread x its length
    length = float(np.linalg.norm(powers))
    size = spread * length
    known = f"one standard deviation is a factor of {np.exp(min(size, HOPELESS)):.3g}"
    how = "the data say nothing about it" if size > HOPELESS else known
    return f"{' x '.join(terms)} is not determined ({how})"


def _power(power: float) -> str:
    rounded = f"{power:.1f}"
    return "" if rounded == "1.0" else f"^{rounded}"
