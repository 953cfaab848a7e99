"""Maximum likelihood on a problem whose answers are known in closed form: a normal sample, and nested regressions."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from retrojax.errors import InputError
from retrojax.fit import Likelihood, Parameter, Transform, compare, likelihoods, maximise, profile, sample_posterior
from retrojax.fit.compare import information_criteria, table


class Line(eqx.Module):
    level: jax.Array
    slope: jax.Array
    sd: jax.Array


class Density(eqx.Module):
    x: jax.Array
    y: jax.Array

    def __call__(self, model: Line):
        return likelihoods.gaussian(self.y, model.level + model.slope * self.x, model.sd)


N = 40
X = np.linspace(-1, 1, N)
Y = 2 + 0.8 * X + 0.5 * np.random.default_rng(3).standard_normal(N)
SPEC = {"level": Parameter(Transform("identity"), 0.0, 3.0), "slope": Parameter(Transform("identity"), 0.0, 3.0),
        "sd": Parameter(Transform("log"), 1.0, 1.0)}
FLAT = {path: SPEC[path] for path in ("level", "sd")}


def problem():
    return Likelihood(Density(jnp.asarray(X), jnp.asarray(Y)), tuple(f"g{i % 4}" for i in range(N)))


def line():
    return Line(jnp.asarray(0.0), jnp.asarray(0.0), jnp.asarray(1.0))


@pytest.fixture(scope="module")
def fits():
    with jax.enable_x64(True):
        return {name: maximise(problem(), line(), spec, starts=6, key=jax.random.key(0), folds=True)
                for name, spec in (("line", SPEC), ("flat", FLAT))}


def regression(x, y):
    design = np.stack([np.ones_like(x), x], -1)
    coefficients = np.linalg.lstsq(design, y)[0]
    return coefficients, np.sqrt(np.mean((y - design @ coefficients) ** 2))


def test_optimum_and_laplace_are_those_of_linear_regression(fits):
    fit, (beta, sd) = fits["line"], regression(X, Y)
    found = [fit.parameters[path] for path in SPEC]
    np.testing.assert_allclose([p.value for p in found], [*beta, sd], rtol=1e-5)
    expected = [sd / np.sqrt(N), sd / np.sqrt(np.sum(X**2)), sd / np.sqrt(2 * N)]
    np.testing.assert_allclose([p.sd for p in found], expected, rtol=1e-4)
    assert fit.log_likelihood == pytest.approx(stats.norm.logpdf(Y, beta[0] + beta[1] * X, sd).sum(), abs=1e-6)
    assert fit.starts.converged.all()


def test_heldout_is_the_fit_without_the_group(fits):
    for number in range(4):
        out = np.arange(N) % 4 == number
        beta, sd = regression(X[~out], Y[~out])
        score = stats.norm.logpdf(Y[out], beta[0] + beta[1] * X[out], sd).sum()
        assert fits["line"].heldout[f"g{number}"] == pytest.approx(score, abs=1e-4)


def test_comparison_prefers_the_line(fits):
    best, other = compare(fits)
    assert (best.name, other.name) == ("line", "flat") and best.ahead == (0.0, 0.0)
    assert other.ahead[0] == pytest.approx(fits["flat"].heldout_total - fits["line"].heldout_total)
    assert best.weight + other.weight == pytest.approx(1) and "line" in table([best, other])
    lnL = fits["line"].log_likelihood
    assert information_criteria(lnL, 3, N) == pytest.approx((
        6 - 2 * lnL, 6 - 2 * lnL + 24 / 36, 3 * np.log(N) - 2 * lnL))
    assert best.aicc - best.aic == pytest.approx(24 / 36)


def test_profile_interval_is_that_of_the_likelihood_ratio(fits):
    with jax.enable_x64(True):
        found = profile(problem(), line(), SPEC, fits["line"], "slope", span=1.0, points=41)
    beta, sd = regression(X, Y)
    # with sd at its maximum the drop is (N/2) ln(1 + (slope - beta)^2 Sxx / (N sd^2))
    half = np.sqrt(N * sd**2 / np.sum(X**2) * np.expm1(2 * 1.9207 / N))
    assert found.low == pytest.approx(beta[1] - half, abs=3e-3)
    assert found.high == pytest.approx(beta[1] + half, abs=3e-3)
    drop = N / 2 * np.log1p((found.values - beta[1]) ** 2 * np.sum(X**2) / (N * sd**2))
    np.testing.assert_allclose(found.drop, drop, atol=1e-5)


def test_flat_direction_is_named_and_has_no_bound():
    class Redundant(eqx.Module):
        y: jax.Array

        def __call__(self, model: Line):
            return likelihoods.gaussian(self.y, model.level * model.slope, 0.5)

    spec = {path: Parameter(Transform("log"), 1.0, 0.3) for path in ("level", "slope")}
    with jax.enable_x64(True):
        data = Likelihood(Redundant(jnp.asarray(Y)), ("all",) * N)
        fit = maximise(data, line(), spec, starts=4, key=jax.random.key(0))
        found = profile(data, line(), spec, fit, "level", points=5)
    assert not fit.parameters["level"].identified
    assert any("level x slope^-1.0" in text or "slope x level^-1.0" in text for text in fit.undetermined)
    assert found.low is None and found.high is None
    assert "not determined" in fit.summary()


def test_prior_pulls_and_weight_leaves_out():
    spec = {"level": Parameter(Transform("identity"), 0.0, 3.0, prior=(0.0, 0.1)), }
    with jax.enable_x64(True):
        model = Line(jnp.asarray(0.0), jnp.asarray(0.0), jnp.asarray(0.5))
        weight = (np.arange(N) < 10).astype(float)
        fit = maximise(problem()._replace(weight=weight), model, spec, starts=2, key=jax.random.key(0))
    expected = Y[:10].sum() / 0.25 / (10 / 0.25 + 1 / 0.01)
    assert fit.parameters["level"].value == pytest.approx(expected, rel=1e-5) and fit.n == 10


def test_what_cannot_be_fitted_is_refused(fits):
    with pytest.raises(InputError, match="at least two groups"):
        maximise(Likelihood(problem().log_density, ("all",) * N), line(), FLAT, starts=1, key=jax.random.key(0),
                 folds=True)
    with pytest.raises(InputError, match="fitted"):
        profile(problem(), line(), FLAT, fits["flat"], "slope")


@pytest.mark.repro
def test_posterior_draws_have_the_moments_of_the_posterior(fits):
    pytest.importorskip("blackjax")
    with jax.enable_x64(True):
        drawn = sample_posterior(problem(), line(), SPEC, fits["line"], jax.random.key(1), chains=2, warmup=200,
                                 draws=400)
    beta, sd = regression(X, Y)
    flat = drawn.draws.reshape(-1, 3)
    # flat prior on level, slope and ln sd: slope is Student t with N - 2 degrees of freedom
    scale = sd * np.sqrt(N / (N - 2) / np.sum(X**2))
    error = 4 * scale / np.sqrt(drawn.effective[1])
    assert abs(flat[:, 1].mean() - beta[1]) < error
    assert flat[:, 1].std() == pytest.approx(scale * np.sqrt((N - 2) / (N - 4)), rel=0.15)
    assert np.all(drawn.r_hat < 1.05) and drawn.divergences == 0
