"""Log-likelihoods of the measurements that a fit meets: one log density per observation, to be summed by the caller.

All are pure functions of arrays that broadcast together, differentiable in every argument of the model. None has a
normalising constant left out, so values may be compared between models (AIC, held-out scores).
"""

import jax.numpy as jnp
from jax.scipy.special import gammaln, logsumexp
from jax.scipy.stats import gamma as gamma_law, norm, t as t_law
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Real

Values = Real[ArrayLike, "..."]
LogDensity = Float[Array, "..."]


def gaussian(data: Values, prediction: Values, sem: Values) -> LogDensity:
    """Normal with the standard error of the measurement: ln N(data; prediction, sem^2).

    **Arguments**

    - `data`, `prediction`, `sem`: mean, its prediction and its standard error [one unit], `sem` > 0.
    """
    return norm.logpdf(data, prediction, sem)


def between_cells(data: Values, prediction: Values, sem: Values, between_sd: Values) -> LogDensity:
    """Normal whose variance is that of the measurement plus that between cells: ln N(data; prediction, sem^2 + s^2).

    Marginal likelihood of cell i where its own true value is normal around the prediction with standard deviation s,
    and is measured with standard error sem_i (the random-effects model of DerSimonian & Laird 1986).

    **Arguments**

    - `data`, `prediction`, `sem`: of each cell [one unit]. `between_sd`: s, in the same unit, >= 0.

    Reference: DerSimonian & Laird (1986) Control Clin Trials 7:177.
    """
    return norm.logpdf(data, prediction, jnp.hypot(sem, between_sd))


def student_t(data: Values, prediction: Values, scale: Values, dof: Values) -> LogDensity:
    """Student t around the prediction; a few outlying points pull less than under a normal.

    **Arguments**

    - `data`, `prediction`, `scale`: [one unit], `scale` > 0. `dof`: degrees of freedom, > 0; the variance is
      scale^2 dof/(dof - 2) for dof > 2.
    """
    return t_law.logpdf(data, dof, prediction, scale)


def lognormal(data: Values, median: Values, log_sd: Values) -> LogDensity:
    """Log-normal of a ratio: ln N(ln data; ln median, log_sd^2) - ln data.

    **Arguments**

    - `data`, `median`: positive [one unit]. `log_sd`: standard deviation of ln data.
    """
    return norm.logpdf(jnp.log(data), jnp.log(median), log_sd) - jnp.log(data)


def gamma(data: Values, mean: Values, cv: Values) -> LogDensity:
    """Gamma law of a positive amplitude: shape k = 1/CV^2, scale mean CV^2, so that the mean is `mean`.

    **Arguments**

    - `data`, `mean`: positive [one unit]. `cv`: coefficient of variation, > 0.

    As used for short-term plasticity by Rossbroich et al. (2021) PLoS Comput Biol 17:e1008013. Failures (zeros) have no
    density: leave them out, or use `binomial_release`.
    """
    return gamma_law.logpdf(data, cv**-2, scale=mean * cv**2)


def gamma_sum(count: Values, mean_data: Values, mean_log: Values, mean: Values, cv: Values) -> LogDensity:
    """Sum of `gamma` over many amplitudes of one mean, from their number, their mean and the mean of their ln.

    **Arguments**

    - `count`: of amplitudes; 0 gives 0. `mean_data` [u], `mean_log`: mean of x and of ln x (anything finite if none).
    - `mean` [u], `cv`: as in `gamma`.
    """
    shape = jnp.asarray(cv) ** -2
    each = (shape - 1) * mean_log - shape * mean_data / mean + shape * jnp.log(shape / mean) - gammaln(shape)
    return jnp.asarray(count) * each


def quantal_moments(
    mean: Values, variance: Values, trials: Values, n_sites: Values, p: Values, q: Values,
    quantal_cv: Values = 0.0,
) -> LogDensity:
    """Mean and variance over trials of a binomial synapse.

        mu = N p q,   sigma^2 = N q^2 p (1 - p + CV_q^2)
        ln N(mean; mu, sigma^2/n) + ln density of s^2 with (n - 1) s^2/sigma^2 ~ chi^2(n - 1)

    (moments: del Castillo & Katz 1954; with quantal variance Silver 2003, eq. 6). Unlike a fit to means alone it
    separates p from q. Normal law of the mean and chi^2 law of the variance hold for many trials, or for
    n_sites p (1 - p) well above 1.

    **Arguments**

    - `mean` [u], `variance` [u^2]: sample mean and (n - 1) sample variance. `trials`: n, > 1.
    - `n_sites`, `p`, `q`: number of sites, release probability and quantal size [u]. `quantal_cv`: CV of one quantum.

    References: del Castillo & Katz (1954) J Physiol 124:560; Silver (2003) J Neurosci Methods 130:127.
    """
    expected = n_sites * p * q
    spread = n_sites * q**2 * p * (1 - p + quantal_cv**2)
    return norm.logpdf(mean, expected, jnp.sqrt(spread / trials)) + gamma_law.logpdf(
        variance, (trials - 1) / 2, scale=2 * spread / (trials - 1))


def binomial_release(
    data: Values, n_sites: int, p: Values, q: Values, noise_sd: Values, quantal_cv: Values = 0.0
) -> LogDensity:
    """One trial of a binomial synapse: sum over k of Binomial(k; N, p) N(data; k q, noise^2 + k (CV_q q)^2).

    **Arguments**

    - `data`: amplitude of every trial [u]; failures are amplitudes near 0, not left out.
    - `n_sites`: N, a Python integer (it fixes the number of terms). `p`: 0 < p < 1.
    - `q`, `noise_sd`: quantal size and recording noise [u], > 0. `quantal_cv`: CV of one quantum.
    """
    k = jnp.arange(n_sites + 1.0)
    data, p, q, noise_sd = (jnp.asarray(value)[..., None] for value in (data, p, q, noise_sd))
    ways = gammaln(n_sites + 1.0) - gammaln(k + 1) - gammaln(n_sites - k + 1)
    weight = ways + k * jnp.log(p) + (n_sites - k) * jnp.log1p(-p)
    spread = jnp.sqrt(noise_sd**2 + k * (jnp.asarray(quantal_cv)[..., None] * q) ** 2)
    return logsumexp(weight + norm.logpdf(data, k * q, spread), axis=-1)


def best_scale(data: Values, shape: Values, sem: Values) -> Float[Array, ""]:
    """The factor a that maximises the Gaussian likelihood of a x `shape`: sum(d s/sem^2) / sum(s^2/sem^2).

    For a fit of shape only: `gaussian(data, best_scale(data, shape, sem) * shape, sem)` is the likelihood with its free
    scale already at its maximum, which counts as one parameter in an information criterion.

    **Arguments**

    - `data`, `sem` [u]; `shape`: prediction up to a factor, not 0 everywhere.
    """
    return jnp.sum(data * shape / sem**2) / jnp.sum((shape / sem) ** 2)
