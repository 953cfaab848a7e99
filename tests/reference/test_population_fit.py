"""Population fits: the exact marginal likelihood of a linear normal model, and synthetic Tsodyks-Markram cells."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, stats

from retrojax.errors import InputError
from retrojax.fit import Parameter, Transform, fit_population, likelihoods, sample_population
from retrojax.fit.population_law import correlation_of, lkj
from retrojax.fit.trains import train_responses
from retrojax.parts import TsodyksMarkram

DESIGN = np.array([[1.0, 0.0], [1.0, 0.5], [1.0, 1.0]])
NOISE = 0.3


class Line(eqx.Module):
    level: jax.Array
    slope: jax.Array


LINE = {name: Parameter(Transform("identity"), 0.0, 1.0) for name in ("level", "slope")}


def line_density(model, y):
    return jnp.sum(likelihoods.gaussian(y, model.level + model.slope * DESIGN[:, 1], NOISE))


def lines():
    rng = np.random.default_rng(0)
    u = np.array([1.0, -0.5]) + np.array([0.6, 1.2]) * rng.standard_normal((25, 2))
    return u @ DESIGN.T + NOISE * rng.standard_normal((25, 3))


def exact(theta, y):
    """Minus ln p(y | m, s): every cell is normal, N(A m, A s^2 A' + noise^2)."""
    covariance = DESIGN @ np.diag(np.exp(2 * theta[2:])) @ DESIGN.T + NOISE**2 * np.eye(3)
    return -stats.multivariate_normal(DESIGN @ theta[:2], covariance).logpdf(y).sum()


def test_linear_normal_cells_have_the_exact_optimum_uncertainty_and_shrinkage(x64):
    y = lines()
    found = fit_population(line_density, y, Line(jnp.asarray(0.0), jnp.asarray(0.0)), LINE, tolerance=1e-9)
    best = optimize.minimize(exact, np.zeros(4), (y,), method="BFGS", options={"gtol": 1e-7})
    theta = np.concatenate([found.mean, np.log(found.spread)])
    assert found.converged
    np.testing.assert_allclose(found.log_marginal, -exact(theta, y), rtol=1e-10)
    np.testing.assert_allclose(theta, best.x, atol=1e-4)
    step = 1e-3 * np.eye(4)
    hessian = np.array([[(exact(theta + a + b, y) - exact(theta + a - b, y) - exact(theta - a + b, y)
                          + exact(theta - a - b, y)) / 4e-6 for a in step] for b in step])
    sd = np.sqrt(np.diag(np.linalg.inv(hessian)))
    np.testing.assert_allclose(np.concatenate([found.mean_sd, found.log_spread_sd]), sd, rtol=1e-3)
    precision = np.diag(found.spread**-2) + DESIGN.T @ DESIGN / NOISE**2
    shrunken = np.linalg.solve(precision, (found.mean / found.spread**2 + y @ DESIGN / NOISE**2).T).T
    np.testing.assert_allclose(found.cells, shrunken, atol=1e-8)
    np.testing.assert_allclose(found.cells_sd, np.tile(np.sqrt(np.diag(np.linalg.inv(precision))), (25, 1)), rtol=1e-8)


TOGETHER = np.array([[1.0, -0.8], [-0.8, 1.0]])


def tilted_lines(count=60):
    """Lines whose level and slope are correlated by -0.8 over cells."""
    rng = np.random.default_rng(5)
    spread = np.array([0.6, 1.2])
    u = np.array([1.0, -0.5]) + spread * rng.multivariate_normal(np.zeros(2), TOGETHER, count)
    return u, u @ DESIGN.T + NOISE * rng.standard_normal((count, 3))


def exact_together(theta, y):
    """The same with a full covariance; `theta` = m, ln s, atanh of the correlation."""
    s, r = np.exp(theta[2:4]), np.tanh(theta[4])
    between = np.array([[s[0] ** 2, r * s[0] * s[1]], [r * s[0] * s[1], s[1] ** 2]])
    return -stats.multivariate_normal(DESIGN @ theta[:2], DESIGN @ between @ DESIGN.T + NOISE**2 * np.eye(3)).logpdf(
        y).sum()


def test_correlated_cells_have_the_exact_optimum_where_independent_spreads_are_wrong(x64):
    u, y = tilted_lines()
    line = Line(jnp.asarray(0.0), jnp.asarray(0.0))
    apart, found = (fit_population(line_density, y, line, LINE, correlated=c, tolerance=1e-9) for c in (False, True))
    best = optimize.minimize(exact_together, np.zeros(5), (y,), method="BFGS", options={"gtol": 1e-7})
    theta = np.concatenate([found.mean, np.log(found.spread), [np.arctanh(found.correlation[0, 1])]])
    assert found.converged
    np.testing.assert_allclose(found.log_marginal, -best.fun, rtol=1e-9)
    np.testing.assert_allclose(theta, best.x, atol=1e-4)
    step = 1e-3 * np.eye(5)
    hessian = np.array([[(exact_together(theta + a + b, y) - exact_together(theta + a - b, y)
                          - exact_together(theta - a + b, y) + exact_together(theta - a - b, y)) / 4e-6
                         for a in step] for b in step])
    sd = np.sqrt(np.diag(np.linalg.inv(hessian)))
    np.testing.assert_allclose(np.concatenate([found.mean_sd, found.log_spread_sd]), sd[:4], rtol=2e-3)
    r = found.correlation[0, 1]
    np.testing.assert_allclose(found.correlation_sd[0, 1], (1 - r**2) * sd[4], rtol=2e-3)
    assert found.correlation_sd[0, 0] < 1e-9
    assert abs(r + 0.8) < 2 * found.correlation_sd[0, 1] < 0.3
    # independent spreads overstate the variance of a response halfway along, and lose the comparison
    assert apart.aic > found.aic + 20
    middle = lambda p: float(DESIGN[1] * p.spread @ p.correlation @ (DESIGN[1] * p.spread))  # noqa: E731
    true = float(np.array([0.6, 0.6]) @ TOGETHER @ np.array([0.6, 0.6]))
    assert middle(apart) > 1.5 * true and abs(middle(found) - true) < 0.4 * true
    assert np.mean((found.cells - u) ** 2) < 0.95 * np.mean((apart.cells - u) ** 2)


@pytest.mark.repro
def test_nuts_draws_population_and_cells_from_their_posterior(x64):
    pytest.importorskip("blackjax")
    y, line, eta = tilted_lines(15)[1], Line(jnp.asarray(0.0), jnp.asarray(0.0)), 2.0
    found = fit_population(line_density, y, line, LINE, correlated=True)
    drawn = sample_population(line_density, y, line, LINE, found, jax.random.key(0), eta=eta, warmup=400, draws=500)
    assert np.all(drawn.r_hat < 1.02) and np.all(drawn.effective > 300) and drawn.divergences == 0

    # the exact marginal posterior of m, ln s and z by importance sampling from a Student t
    rng = np.random.default_rng(1)
    wide = stats.multivariate_t(found.theta, 2 * np.linalg.inv(found.information), df=4, seed=rng)
    theta = wide.rvs(20_000)
    r = theta[:, 4] / np.hypot(1, theta[:, 4])
    # spreads above e^3 have a prior below e^-200, and where x rounds to 1 the covariance has no inverse
    likely = (theta[:, 2:4].max(1) < 3) & (np.abs(r) < 1 - 1e-12)
    log_target = [
        -exact_together(np.append(t[:4], np.arctanh(x)), y) + np.sum(t[2:4] - 0.5 * np.exp(2 * t[2:4]))
        + (eta - 1) * np.log1p(-x**2) - 1.5 * np.log1p(t[4] ** 2) if fair else -np.inf
        for t, x, fair in zip(theta, r, likely, strict=True)]
    weight = np.exp(log_target - wide.logpdf(theta) - np.max(log_target - wide.logpdf(theta)))
    weight = weight / weight.sum()
    assert 1 / np.sum(weight**2) > 3000
    asked = np.column_stack([theta[:, :2], np.exp(theta[:, 2:4]), r])
    mean = weight @ asked
    sd = np.sqrt(weight @ (asked - mean) ** 2)
    got = np.concatenate([drawn.mean, drawn.spread, drawn.correlation[..., 1, :1]], -1).reshape(-1, 5)
    np.testing.assert_allclose((got.mean(0) - mean) / sd, 0, atol=0.2)
    np.testing.assert_allclose(got.std(0) / sd, 1, atol=0.15)

    def cells(t, x):
        """Mean of every cell given the population."""
        s = np.exp(t[2:4])
        between = np.array([[s[0] ** 2, x * s[0] * s[1]], [x * s[0] * s[1], s[1] ** 2]])
        gain = between @ DESIGN.T @ np.linalg.inv(DESIGN @ between @ DESIGN.T + NOISE**2 * np.eye(3))
        return t[:2] + (y - DESIGN @ t[:2]) @ gain.T

    expected = np.einsum("k,kcp->cp", weight[:4000] / weight[:4000].sum(),
                         np.stack([cells(*row) for row in zip(theta[:4000], r[:4000], strict=True)]))
    np.testing.assert_allclose(drawn.cells.mean((0, 1)), expected, atol=0.06)
    np.testing.assert_allclose(drawn.cell_values, drawn.cells)


@pytest.mark.parametrize("size", [2, 4])
def test_the_correlation_prior_is_lkj(x64, size):
    # Jacobian from z to the correlations by automatic differentiation, against the closed form used
    z = jnp.asarray(np.random.default_rng(size).standard_normal((2, size * (size - 1) // 2)))
    rows, columns = np.tril_indices(size, -1)
    for eta in (1.0, 3.0):
        def density(v, eta=eta):
            jacobian = jax.jacfwd(lambda x: correlation_of(x, size)[rows, columns])(v)
            return (eta - 1) * jnp.linalg.slogdet(correlation_of(v, size))[1] + jnp.linalg.slogdet(jacobian)[1]

        np.testing.assert_allclose(lkj(z[0], size, eta) - lkj(z[1], size, eta), density(z[0]) - density(z[1]),
                                   rtol=1e-9)


class Terminal(eqx.Module):
    release: TsodyksMarkram
    U: jax.Array
    amplitude: jax.Array


TIMES = jnp.asarray([*np.arange(6) * 50.0, 750.0])
TERMINAL = {"U": Parameter(Transform("logit", 0.0, 1.0), 0.5, 0.5),
            "release.tau_rec": Parameter(Transform("log"), 200.0, 0.5, "ms"),
            "amplitude": Parameter(Transform("log"), 1.0, 0.5, "mV")}
TRUE_MEAN, TRUE_SPREAD = np.array([0.0, np.log(300.0), np.log(1.2)]), np.array([0.6, 0.4, 0.3])
RECORDED = 0.06


def response(model):
    return model.amplitude * train_responses(model.release, model.U, TIMES)


def terminal_density(model, y):
    return jnp.sum(likelihoods.gaussian(y, response(model), RECORDED))


@pytest.mark.repro
def test_tsodyks_markram_cells_give_back_their_population_and_gain_from_it(x64):
    rng = np.random.default_rng(4)
    true = TRUE_MEAN + TRUE_SPREAD * rng.standard_normal((40, 3))
    start = Terminal(TsodyksMarkram(200.0, 0.0), jnp.asarray(0.5), jnp.asarray(1.0))
    made = jax.vmap(lambda u: response(Terminal(TsodyksMarkram(jnp.exp(u[1]), 0.0), jax.nn.sigmoid(u[0]),
                                                jnp.exp(u[2]))))(jnp.asarray(true))
    y = np.asarray(made) + RECORDED * rng.standard_normal(made.shape)
    found = fit_population(terminal_density, y, start, TERMINAL)
    assert found.converged
    # of a sample of 40: within 3 standard deviations of the truth
    assert np.all(np.abs(found.mean - TRUE_MEAN) < 3 * found.mean_sd)
    assert np.all(np.abs(np.log(found.spread / TRUE_SPREAD)) < 3 * found.log_spread_sd)
    assert np.all(found.mean_sd < 0.2)
    assert np.all(found.log_spread_sd < 0.4)

    def alone(cell):
        def misfit(u):
            model = [1 / (1 + np.exp(-u[0])), np.exp(u[1]), np.exp(u[2])]
            r, last, out = 1.0, 0.0, []
            for t in np.asarray(TIMES):
                r = 1 - (1 - r) * np.exp(-(t - last) / model[1])
                out.append(model[2] * model[0] * r)
                r, last = r * (1 - model[0]), t
            return (np.array(out) - cell) / RECORDED

        return optimize.least_squares(misfit, TRUE_MEAN, bounds=(TRUE_MEAN - 4, TRUE_MEAN + 4)).x

    independent = np.stack([alone(cell) for cell in y])
    assert np.mean((found.cells - true) ** 2) < 0.8 * np.mean((independent - true) ** 2)
    covered = np.abs(found.cells - true) < 2 * found.cells_sd
    assert 0.85 < np.mean(covered) < 1.0


def test_what_is_no_population_is_refused():
    with pytest.raises(InputError, match="at least two cells"):
        fit_population(line_density, lines()[:1], Line(jnp.asarray(0.0), jnp.asarray(0.0)), LINE)
    with pytest.raises(InputError, match="more cells than parameters"):
        fit_population(line_density, lines()[:2], Line(jnp.asarray(0.0), jnp.asarray(0.0)), LINE, correlated=True)
