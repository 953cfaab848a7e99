"""Shrinkage towards a published set, its strength chosen by cross-validation inside the cells that are not left out."""

from collections.abc import Callable
from itertools import combinations
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from retrojax.fit import Likelihood, Spec
from retrojax.fit.maximise import solve_all
from retrojax.fit.spec import centres, set_coordinates


class Nested(NamedTuple):
    """`heldout`: group -> its log-likelihood when neither parameters nor strength have seen it; `chosen`: group -> the
    strength that the other groups chose; `strength`: what all groups choose."""

    heldout: dict[str, float]
    chosen: dict[str, float]
    strength: float


def nested(
    data: Likelihood, model: Any, spec_of: Callable[[float], Spec], strengths: tuple[float, ...], max_steps: int = 80
) -> Nested:
    """Leave out each group, choose the strength by leaving out each other group as well, fit, and score the first.

    The fit without groups i and j scores j for i and i for j, so there is one fit per pair of groups and one per group
    for each strength; each starts at the centres of its spec.
    """
    groups = np.array(data.groups)
    names = list(dict.fromkeys(data.groups))
    sets = [*((name,) for name in names), *combinations(names, 2)]
    keep = np.stack([~np.isin(groups, left) for left in sets]) * data.weights
    scores = []
    for strength in strengths:
        spec = spec_of(strength)
        u0 = np.tile(centres(spec), (len(sets), 1))
        found = solve_all(data, model, spec, u0, keep, max_steps=max_steps, tolerance=1e-5)
        density = np.asarray(_densities(data.log_density, model, tuple(spec.items()), jnp.asarray(found.u)))
        scores.append({left: {name: float(row[groups == name].sum()) for name in left}
                       for left, row in zip(sets, density * data.weights, strict=True)})
    inner = {name: [sum(score[left][other] for left in sets if len(left) == 2 and name in left for other in left
                        if other != name) for score in scores] for name in names}
    best = {name: int(np.argmax(values)) for name, values in inner.items()}
    outer = [sum(score[name,][name] for name in names) for score in scores]
    print("held out by strength of the prior: " + ", ".join(f"{s:g}: {x:.2f}"
                                                            for s, x in zip(strengths, outer, strict=True)))
    return Nested({name: scores[k][name,][name] for name, k in best.items()},
                  {name: strengths[k] for name, k in best.items()}, strengths[int(np.argmax(outer))])


@eqx.filter_jit
def _densities(log_density, model, items, u):
    return jax.lax.map(lambda row: log_density(set_coordinates(model, dict(items), row)), u)
