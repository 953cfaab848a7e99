"""What an optimum says about its parameters, and what it cannot say."""

import math
from typing import Any, NamedTuple

import numpy as np

from retrojax.fit.spec import Spec, at_rest, prior_coordinates, relative_slopes

KNOWN_WITHIN = math.log(2.0)
"""A parameter, or a product of parameters, is determined if one standard deviation is less than a factor of 2."""

HOPELESS = 50.0
"""Standard deviations of ln x beyond this (a factor of e^50) are reported as no information at all."""

ROUNDING = 1e-6
"""Least share of a parameter in a direction about which nothing is known; a smaller one is rounding."""


class Identified(NamedTuple):
    """Uncertainty at an optimum.

    - `log_sd`: standard deviation of ln x of every parameter (of x / spread for `identity`); infinite if unknown.
    - `undetermined`: the combinations that the data cannot separate, in words, worst first.
    """

    log_sd: np.ndarray
    undetermined: tuple[str, ...]


def identify(spec: Spec, values: np.ndarray, jacobian: np.ndarray, weight: np.ndarray) -> Identified:
    """Uncertainties at an optimum of least squares, from its Jacobian.

    With S = W J (dx/d ln x), the Fisher information of the ln x is F = S^T S plus that of the priors. An eigenvector v
    of F with eigenvalue lambda is the product of the x_i to the power v_i, known to exp(1/sqrt(lambda)).

    **Arguments**

    - `values`: parameters at the optimum [P]. `jacobian`: d prediction / d u there [n, P]. `weight`: 1/SEM [n].

    Valid as far as the model is linear over one standard deviation. At a clip or a kink (a calcium peak that just
    touches a threshold) the curvature is that of one side.
    """
    root = np.concatenate([weight[:, None] * jacobian, np.diag(prior_coordinates(spec)[1])])
    moving = ~at_rest(spec, values)
    return identify_root(spec, (root * moving) @ np.linalg.inv(relative_slopes(spec, values)))


def identify_root(spec: Spec, root: np.ndarray) -> Identified:
    """Uncertainties from a root S [n, P] of the information matrix S^T S of the ln x (of x/spread for `identity`)."""
    _, singular, vectors = np.linalg.svd(root, full_matrices=True)
    singular = np.concatenate([singular, np.zeros(len(spec) - singular.size)])
    # no wider than makes a share of ROUNDING hopeless: else rounding would make every parameter unknown
    spread = 1 / np.maximum(singular, ROUNDING / HOPELESS)
    log_sd = np.sqrt(np.sum((vectors.T * spread) ** 2, -1))
    weak = [number for number in np.argsort(-spread, kind="stable") if spread[number] > KNOWN_WITHIN]
    log_sd = np.where(log_sd > HOPELESS, np.inf, log_sd)
    return Identified(log_sd, tuple(_in_words(spec, vectors[number], spread[number]) for number in weak))


def identify_information(spec: Spec, values: np.ndarray, information: np.ndarray) -> Identified:
    """Uncertainties from the information matrix [P, P] of the coordinates u, at parameters `values` [P]."""
    return identify_root(spec, _root(spec, values, information))


def _root(spec: Spec, values: np.ndarray, information: np.ndarray) -> np.ndarray:
    """S with S^T S = information on the ln x, from that on the coordinates.

    A direction that curves the wrong way (a kink) says nothing, and nothing is said about a parameter at its bound.
    """
    moving = ~at_rest(spec, values)
    size, vectors = np.linalg.eigh(information * np.outer(moving, moving))
    return np.sqrt(np.maximum(size, 0.0))[:, None] * vectors.T * moving @ np.linalg.inv(relative_slopes(spec, values))


def coordinate_sd(information: np.ndarray) -> np.ndarray:
    """Standard deviation of every coordinate u [..., P] from the information on them [..., P, P]; 1e6 at most along a
    direction about which it says nothing."""
    size, vectors = np.linalg.eigh(information)
    return np.sqrt(np.einsum("...ij,...j->...i", vectors**2, 1 / np.maximum(size, 1e-12)))


class Directions(NamedTuple):
    """What the information matrix of the ln x says beyond single parameters.

    - `correlation`: of the estimates [P, P], along the directions about which the data say anything.
    - `log_sd`: standard deviation of ln(product) along each eigenvector, stiffest first [P]; infinite if unknown.
    - `powers`: the eigenvectors, one a row: powers of the parameters in that product [P, P].
    """

    correlation: np.ndarray
    log_sd: np.ndarray
    powers: np.ndarray


def directions(spec: Spec, values: np.ndarray, information: np.ndarray) -> Directions:
    """Correlations, and stiff and sloppy directions (Gutenkunst et al. 2007), from the information on the coordinates.

    Reference: Gutenkunst et al. (2007) PLoS Comput Biol 3:e189.
    """
    root = _root(spec, values, information)
    _, singular, vectors = np.linalg.svd(root, full_matrices=True)
    spread = 1 / np.maximum(singular, math.exp(-HOPELESS))
    scaled = vectors.T * np.where(spread > HOPELESS, 0.0, spread)
    scaled = scaled / np.maximum(np.sqrt(np.sum(scaled**2, -1)), 1e-300)[:, None]
    correlation = np.where(np.eye(len(spec)) == 1, 1.0, scaled @ scaled.T)
    return Directions(correlation, np.where(spread > HOPELESS, np.inf, spread), vectors)


def verdict(parameters: dict[str, Any], found: Directions) -> str:
    """Which parameters and products the data determine, as a paragraph.

    **Arguments**

    - `parameters`: path -> result with `identified`, `bound`, `sd`. `found`: at the optimum.
    """
    names = [_short(path) for path in parameters]
    known = [name for name, p in zip(names, parameters.values(), strict=True) if p.identified]
    unknown = [name for name, p in zip(names, parameters.values(), strict=True) if not p.identified]
    share = f"{len(known)} of {len(names)} parameters known to better than a factor of 2"
    text = f"Identifiability: {share}{': ' if known else ''}{', '.join(known)}."
    if unknown:
        text += f" Not determined by these data alone: {', '.join(unknown)}."
    free = int(np.sum(found.log_sd > KNOWN_WITHIN))
    if free:
        each = "combination of parameters is" if free == 1 else "combinations of parameters are"
        text += f" {free} independent {each} free to change by more than a factor of 2."
    best = float(np.min(found.log_sd))
    terms = _product(names, found.powers[int(np.argmin(found.log_sd))])
    text += f" Best known is {terms}, to {100 * math.expm1(min(best, HOPELESS)):.2g} %."
    strength = np.abs(np.tril(found.correlation, -1))
    strongest = [divmod(int(place), len(names)) for place in np.argsort(-strength, axis=None)[:3]]
    pairs = [f"{names[i]} and {names[j]} ({found.correlation[i, j]:+.2f})" for i, j in strongest
             if strength[i, j] > 0.9]
    if pairs:
        text += f" Estimates that move together (correlation): {', '.join(pairs)}."
    return text


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
    powers = vector / vector[np.argmax(np.abs(vector))]
    # the scale of the eigenvector changes with the power it is quoted at: sd of ln(product) = spread x its length
    length = float(np.linalg.norm(powers))
    size = spread * length
    known = f"one standard deviation is a factor of {np.exp(min(size, HOPELESS)):.3g}"
    how = "the data say nothing about it" if size > HOPELESS else known
    return f"{_product([_short(path) for path in spec], vector)} is not determined ({how})"


def _product(names: list[str], vector: np.ndarray) -> str:
    """`tau_x_plus x c_plus^0.9`, with the largest power as 1 and those below 0.15 left out."""
    powers = vector / vector[np.argmax(np.abs(vector))]
    order = [number for number in np.argsort(-np.abs(powers), kind="stable") if abs(powers[number]) >= 0.15]
    return " x ".join(names[number] + _power(powers[number]) for number in order)


def _power(power: float) -> str:
    rounded = f"{power:.1f}"
    return "" if rounded == "1.0" else f"^{rounded}"
