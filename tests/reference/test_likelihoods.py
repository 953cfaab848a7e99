"""Every log-likelihood against scipy.stats, and its gradient against finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from retrojax.fit import likelihoods

X = np.array([0.3, 0.9, 1.4, 2.2])
M = np.array([0.5, 1.0, 1.1, 2.5])
S = np.array([0.1, 0.2, 0.15, 0.4])


def test_gaussian_and_between_cells(x64):
    np.testing.assert_allclose(likelihoods.gaussian(X, M, S), stats.norm.logpdf(X, M, S), rtol=1e-12)
    both = stats.norm.logpdf(X, M, np.sqrt(S**2 + 0.3**2))
    np.testing.assert_allclose(likelihoods.between_cells(X, M, S, 0.3), both, rtol=1e-12)


def test_between_cells_is_the_integral_over_true_values(x64):
    true = np.linspace(-3, 6, 20001)
    for x, m, s in zip(X, M, S, strict=True):
        marginal = np.trapezoid(stats.norm.pdf(x, true, s) * stats.norm.pdf(true, m, 0.3), true)
        assert float(likelihoods.between_cells(x, m, s, 0.3)) == pytest.approx(np.log(marginal), abs=1e-9)


def test_student_t_lognormal_and_gamma(x64):
    np.testing.assert_allclose(likelihoods.student_t(X, M, S, 3.5), stats.t.logpdf(X, 3.5, M, S), rtol=1e-12)
    np.testing.assert_allclose(likelihoods.lognormal(X, M, 0.4), stats.lognorm.logpdf(X, 0.4, scale=M), rtol=1e-11)
    np.testing.assert_allclose(
        likelihoods.gamma(X, M, 0.7), stats.gamma.logpdf(X, 0.7**-2, scale=M * 0.7**2), rtol=1e-11)
    law = stats.gamma(0.7**-2, scale=2.0 * 0.7**2)
    assert law.mean() == pytest.approx(2.0) and law.std() / law.mean() == pytest.approx(0.7)


def test_gamma_sum_is_the_sum(x64):
    total = likelihoods.gamma_sum(4, X.mean(), np.log(X).mean(), 1.3, 0.7)
    assert float(total) == pytest.approx(float(jnp.sum(likelihoods.gamma(X, 1.3, 0.7))), rel=1e-12)


def test_quantal_moments(x64):
    n, p, q, cv, trials = 5, 0.3, 2.0, 0.25, 40
    variance = n * q**2 * p * (1 - p + cv**2)
    got = likelihoods.quantal_moments(2.7, 3.3, trials, n, p, q, cv)
    scale = variance / (trials - 1)
    expected = stats.norm.logpdf(2.7, n * p * q, np.sqrt(variance / trials)) + stats.chi2.logpdf(
        3.3, trials - 1, scale=scale)
    assert float(got) == pytest.approx(expected, rel=1e-12)


def test_binomial_release_is_the_mixture_and_integrates_to_one(x64):
    n, p, q, noise, cv = 4, 0.35, 1.5, 0.2, 0.3
    x = np.linspace(-3, 14, 40001)
    density = np.exp(likelihoods.binomial_release(x, n, p, q, noise, cv))
    k = np.arange(n + 1)
    spread = np.sqrt(noise**2 + k * (cv * q) ** 2)
    mixture = stats.binom.pmf(k, n, p) @ stats.norm.pdf(x, (k * q)[:, None], spread[:, None])
    np.testing.assert_allclose(density, mixture, rtol=1e-9, atol=1e-300)
    assert np.trapezoid(density, x) == pytest.approx(1, abs=1e-9)
    mean = np.trapezoid(x * density, x)
    assert mean == pytest.approx(n * p * q, abs=1e-9)
    # the moments of quantal_moments, plus the recording noise
    moment = n * q**2 * p * (1 - p + cv**2) + noise**2
    assert np.trapezoid((x - mean) ** 2 * density, x) == pytest.approx(moment, abs=1e-9)


def test_best_scale_is_the_maximum(x64):
    found = float(likelihoods.best_scale(3 * X, M, S))
    total = [float(jnp.sum(likelihoods.gaussian(3 * X, a * M, S))) for a in (found - 1e-3, found, found + 1e-3)]
    assert total[1] > total[0] and total[1] > total[2]
    assert float(likelihoods.best_scale(3 * X, X, S)) == pytest.approx(3, rel=1e-12)


@pytest.mark.parametrize(("law", "at"), [
    (lambda t: likelihoods.gaussian(X, M * t[0], S * t[1]), (1.1, 0.8)),
    (lambda t: likelihoods.between_cells(X, M * t[0], S, t[1]), (1.1, 0.3)),
    (lambda t: likelihoods.student_t(X, M * t[0], S * t[1], t[2]), (1.1, 0.9, 4.0)),
    (lambda t: likelihoods.lognormal(X, M * t[0], t[1]), (1.1, 0.4)),
    (lambda t: likelihoods.gamma(X, M * t[0], t[1]), (1.1, 0.6)),
    (lambda t: likelihoods.quantal_moments(2.7, 3.3, 40, t[0], t[1], t[2], t[3]), (5.0, 0.3, 2.0, 0.25)),
    (lambda t: likelihoods.binomial_release(X, 4, t[0], t[1], t[2], t[3]), (0.35, 1.5, 0.2, 0.3)),
])
def test_gradient_is_the_finite_difference(law, at, x64):
    def total(t):
        return jnp.sum(law(t))

    at = jnp.asarray(at)
    h = 1e-6 * np.eye(at.size)
    difference = [(float(total(at + step)) - float(total(at - step))) / 2e-6 for step in h]
    np.testing.assert_allclose(jax.grad(total)(at), difference, rtol=1e-6, atol=1e-7)
    assert np.all(np.abs(difference) > 1e-3)
