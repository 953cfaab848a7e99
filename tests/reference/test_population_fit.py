"""Population fits: the exact marginal likelihood of a linear normal model, and synthetic Tsodyks-Markram cells."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, stats

from retrojax.errors import InputError
from retrojax.fit import Parameter, Transform, fit_population, likelihoods
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


def test_one_cell_is_no_population():
    with pytest.raises(InputError, match="at least two cells"):
        fit_population(line_density, lines()[:1], Line(jnp.asarray(0.0), jnp.asarray(0.0)), LINE)
