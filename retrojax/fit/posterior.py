"""Draws from the posterior of fitted parameters by the No-U-Turn sampler."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from retrojax.errors import InputError
from retrojax.fit.maximise import Likelihood, MaximumLikelihood, log_posterior
from retrojax.fit.pieces import stacked_pieces
from retrojax.fit.result import FitResult
from retrojax.fit.spec import Spec, natural, prior_misfit, without_priors
from retrojax.types import SeedKey


class Posterior(NamedTuple):
    """Draws of the parameters.

    - `paths`: names. `draws`: values in the parameters' units [chains, draws, P]; `coordinates`: the same in u.
    - `r_hat`, `effective`: potential scale reduction and effective number of draws, per parameter [P], taken in the
      sampler's coordinates. `divergences`: number of divergent transitions, which should be 0.
    """

    paths: tuple[str, ...]
    draws: np.ndarray
    coordinates: np.ndarray
    r_hat: np.ndarray
    effective: np.ndarray
    divergences: int


def sample_posterior(
    likelihood: Likelihood, model: Any, spec: Spec, fit: MaximumLikelihood | FitResult, key: SeedKey, *,
    chains: int = 4, warmup: int = 500, draws: int = 500, pieces: int | None = None,
) -> Posterior:
    """Sample exp(log-likelihood + log priors) in the unbounded coordinates of `spec`, where the priors are normal.

    A parameter without a prior has a flat one in its coordinate (of ln x for `log`): the posterior is then proper only
    if the likelihood bounds it. Chains start at draws from the Laplace approximation of `fit`; step size and diagonal
    mass are adapted in the warm-up (Hoffman & Gelman 2014).

    **Arguments**

    - `fit`: of the same likelihood, model and spec. `key`: typed key.
    - `chains`, `warmup`, `draws`: numbers of chains, adaptation steps and kept draws of each.
    - `pieces`: observations that a gradient runs at a time, None for all (`log_posterior_in_pieces`).

    **Raises** `InputError` if the sampler is not installed.

    Reference: Hoffman & Gelman (2014) J Mach Learn Res 15:1593.
    """
    with jax.enable_x64(True):
        density = log_posterior_in_pieces(likelihood, model, spec, pieces)
        start_key, run_key = jax.random.split(key)
        starts = fit.coordinates + jax.random.normal(start_key, (chains, len(spec))) @ laplace_root(fit.information).T
        u, divergences = run_nuts(density, starts, run_key, warmup, draws)
        blackjax = import_blackjax()
        return Posterior(tuple(spec), np.asarray(natural(spec, u)), np.asarray(u),
                         np.asarray(blackjax.rhat(u)), np.asarray(blackjax.ess(u)), divergences)


def log_posterior_in_pieces(
    likelihood: Likelihood, model: Any, spec: Spec, size: int | None
) -> Callable[[Array], Array]:
    """Coordinates [P] -> log posterior up to a constant, `size` observations after one another, or all at once.

    A reverse-mode gradient then keeps the run of one piece at a time, at the price of running each twice. All must
    have as many observations as the likelihood has groups, and be such that `fit.pieces` can take them apart.
    """
    if size is None:
        return lambda u: log_posterior(likelihood.log_density, model, spec, u, likelihood.weights)
    arrays, rest, weights = stacked_pieces(likelihood.log_density, likelihood.weights, size)
    bare = without_priors(spec)

    def density(u):
        @jax.checkpoint
        def of_piece(piece):
            here, weight = piece
            return log_posterior(eqx.combine(here, rest), model, bare, u, weight)

        return jnp.sum(jax.lax.map(of_piece, (arrays, jnp.asarray(weights)))) - 0.5 * prior_misfit(spec, u)

    return density


def run_nuts(density: Callable[[Any], Array], starts: Any, key: SeedKey, warmup: int, draws: int) -> tuple[Any, int]:
    """One chain from every start; step size and diagonal mass are adapted in the warm-up.

    **Arguments**

    - `density`: position -> log density. `starts`: positions, a pytree with the chains along the first axis.

    **Returns** the draws, with axes chain and draw first, and the number of divergent transitions. **Raises**
    `InputError` if the sampler is not installed.
    """
    blackjax = import_blackjax()

    def chain(key, start):
        adapt_key, run_key = jax.random.split(key)
        adapted, _ = blackjax.window_adaptation(blackjax.nuts, density).run(adapt_key, start, warmup)
        step = blackjax.nuts(density, **adapted.parameters).step

        def one(state, key):
            state, info = step(key, state)
            return state, (state.position, info.is_divergent)

        return jax.lax.scan(one, adapted.state, jax.random.split(run_key, draws))[1]

    count = jax.tree.leaves(starts)[0].shape[0]
    drawn, divergent = jax.jit(jax.vmap(chain))(jax.random.split(key, count), starts)
    return drawn, int(jnp.sum(divergent))


def import_blackjax() -> Any:
    """The sampler's package. **Raises** `InputError` where it is absent."""
    try:
        import blackjax
    except ImportError:
        raise InputError("posterior", "blackjax is absent", "an installation with it",
                         "pip install 'retrojax[bayes]'") from None
    return blackjax


def laplace_root(information: np.ndarray) -> np.ndarray:
    """Root R of the covariance R R^T that Laplace's approximation gives, at most one unit in any direction [P, P].

    `information`: on the coordinates [P, P].
    """
    size, vectors = np.linalg.eigh(information)
    return vectors / np.sqrt(np.maximum(size, 1.0))
