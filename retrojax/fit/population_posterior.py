"""Posterior of a population and of its cells by the No-U-Turn sampler, in coordinates that do not depend on it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from retrojax.errors import InputError
from retrojax.fit.hierarchical import Population, check_population
from retrojax.fit.population_law import correlation_of, law, lkj
from retrojax.fit.posterior import import_blackjax, laplace_root, run_nuts
from retrojax.fit.spec import Spec, double, natural, prior_coordinates, set_coordinates
from retrojax.types import SeedKey


class PopulationPosterior(NamedTuple):
    """Draws of a population of C cells with P parameters, in the coordinates of the spec.

    - `paths`: names. `mean`, `spread`: m and s [chains, draws, P]. `correlation`: [chains, draws, P, P].
    - `cells`: coordinates of every cell [chains, draws, C, P]; `cell_values`: the same in the parameters' units.
    - `r_hat`, `effective`: of every hyperparameter (m, ln s, then z of the correlations) and of the worst cell's
      coordinate, which stands last [H + 1]. `divergences`: of the sampler, which should be 0.
    """

    paths: tuple[str, ...]
    mean: np.ndarray
    spread: np.ndarray
    correlation: np.ndarray
    cells: np.ndarray
    cell_values: np.ndarray
    r_hat: np.ndarray
    effective: np.ndarray
    divergences: int


def sample_population(
    log_density: Callable[[Any, Any], Float[Array, ""]],
    cells: Any,
    model: Any,
    spec: Spec,
    fit: Population,
    key: SeedKey,
    *,
    spread: float = 1.0,
    eta: float = 1.0,
    chains: int = 4,
    warmup: int = 500,
    draws: int = 500,
) -> PopulationPosterior:
    """Sample population and cells together, in float64.

    The sampler moves in theta (m, ln s, z) and in one standard normal e_c per cell, with u_c = m + diag(s) R e_c: the
    non-centred form, in which a small spread makes no funnel. Correlations are sampled where `fit` has them.

    **Arguments**

    - `log_density`, `cells`, `model`, `spec`: as for `fit_population`, and `fit` what it gave: chains start there.
    - `spec`: priors are those of m; a parameter without one has a flat prior on m.
    - `spread`: s has a half-normal prior of this scale, per coordinate (in ln x for a `log` parameter); a flat prior on
      ln s would leave the posterior improper at s = 0. `eta`: of the prior of correlations (`population_law.lkj`).
    - `chains`, `warmup`, `draws`: numbers of chains, adaptation steps and kept draws of each.

    **Raises** `InputError` for cells and a spec as `fit_population`, a scale that is not positive, and where the
    sampler is not installed.

    References: Betancourt & Girolami (2015) in Current Trends in Bayesian Methodology (CRC), ch. 4 (non-centred);
    Hoffman & Gelman (2014) J Mach Learn Res 15:1593.
    """
    size, hyper = len(spec), fit.theta.size
    check_population(cells, model, spec, hyper > 2 * size)
    for name, value in (("spread", spread), ("eta", eta)):
        if not value > 0:
            raise InputError(name, value, "a positive number", "leave the default of 1")
    with jax.enable_x64(True):
        data, fixed = double(jax.tree.map(jnp.asarray, cells)), double(model)
        centre, inverse_sd = prior_coordinates(spec)

        def density(x: dict[str, Array]) -> Array:
            theta, e = x["theta"], x["e"]
            u = law(theta, size).cell(e)
            each = jax.vmap(lambda v, cell: log_density(set_coordinates(fixed, spec, v), cell))(u, data)
            log_s = theta[size : 2 * size]
            prior = -0.5 * jnp.sum((inverse_sd * (theta[:size] - centre)) ** 2) + lkj(theta[2 * size :], size, eta)
            prior = prior + jnp.sum(log_s - 0.5 * (jnp.exp(log_s) / spread) ** 2)
            return jnp.sum(each) - 0.5 * jnp.sum(e**2) + prior

        start_key, run_key = jax.random.split(key)
        kick = jax.random.normal(start_key, (chains, hyper)) @ laplace_root(fit.information).T
        # a spread that the fit put at 0 is no place to start from
        theta = jnp.asarray(fit.theta).at[size : 2 * size].max(jnp.log(0.05 * spread)) + kick
        e = jax.vmap(lambda t: jax.vmap(law(t, size).standard)(jnp.asarray(fit.cells)))(theta)
        drawn, divergences = run_nuts(density, {"theta": theta, "e": jnp.clip(e, -3, 3)}, run_key, warmup, draws)
        return _collected(spec, drawn["theta"], drawn["e"], divergences)


def _collected(spec: Spec, theta: Array, e: Array, divergences: int) -> PopulationPosterior:
    blackjax, size = import_blackjax(), len(spec)
    each = jax.vmap(jax.vmap(lambda t, x: law(t, size).cell(x)))
    u = each(theta, e)
    rho = jax.vmap(jax.vmap(lambda t: correlation_of(t[2 * size :], size)))(theta)
    over_cells = u.reshape(*u.shape[:2], -1)
    r_hat = jnp.append(blackjax.rhat(theta), jnp.max(blackjax.rhat(over_cells)))
    effective = jnp.append(blackjax.ess(theta), jnp.min(blackjax.ess(over_cells)))
    return PopulationPosterior(
        tuple(spec),
        np.asarray(theta[..., :size]),
        np.exp(np.asarray(theta[..., size : 2 * size])),
        np.asarray(rho),
        np.asarray(u),
        np.asarray(natural(spec, u)),
        np.asarray(r_hat),
        np.asarray(effective),
        divergences,
    )
