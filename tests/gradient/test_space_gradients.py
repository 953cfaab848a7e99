"""Gradients through space: forward = reverse = finite difference, and the derivatives of the steady point source."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrojax.space import (
    Grid,
    Sites,
    advance,
    advance_driven,
    correction_kernel,
    deposit,
    eigenbasis,
    plan,
    point_response,
    point_steady,
    sample,
)

pytestmark = pytest.mark.usefixtures("x64")
GRID = Grid((9, 8, 7), (1.0, 1.2, 0.8), boundary=("no-flux", "periodic", "absorbing"))


def check(function, *points, rtol=1e-7):
    by_forward, by_reverse, function = jax.jit(jax.jacfwd(function)), jax.jit(jax.jacrev(function)), jax.jit(function)
    for at in map(np.asarray, points):
        forward = by_forward(at)
        np.testing.assert_allclose(forward, by_reverse(at), rtol=1e-10)
        for i in range(at.size):
            step = 1e-5 * max(abs(at[i]), 1e-3) * np.eye(at.size)[i]
            difference = (function(at + step) - function(at - step)) / (2 * step[i])
            np.testing.assert_allclose(forward[i], difference, rtol=rtol)


def test_field_after_three_steps():
    sites = Sites.build(np.array([200, 17, 200]), GRID.n_voxels)

    def total(p):  # diffusion along x, y, z, loss, rate
        propagator = plan(GRID, p[:3], p[3], 2.0)
        source = deposit(sites, p[4] * jnp.array([1.0, 2.0, 3.0]), GRID.shape)
        field = jnp.zeros(GRID.shape)
        for _ in range(3):
            field = advance(propagator, field, source)
        return jnp.sum(sample(sites, field) ** 2)

    check(total, jnp.array([0.4, 0.5, 0.6, 0.2, 1.3]))


def test_field_without_loss_or_diffusion_has_a_finite_gradient():
    source = jnp.zeros(GRID.shape).at[4, 4, 4].set(1.0)

    def centre(p):
        return advance(plan(GRID, p[0], p[1], 2.0), source, source)[4, 4, 4]

    slopes = jax.grad(centre)(jnp.zeros(2))
    # without transport c = c0 exp(-kt) + S (1 - exp(-kt)) / k, and dc/dD = lap(c0) t + lap(S) t^2/2
    laplacian = -2 * (1 / 1.0**2 + 1 / 1.2**2 + 1 / 0.8**2)
    np.testing.assert_allclose(slopes, [laplacian * 4.0, -4.0], rtol=1e-9)


@pytest.mark.parametrize("method", ["matrix", "fft"])
@pytest.mark.parametrize("rule", ["lattice", "spectral"])
def test_both_methods_and_eigenvalues_with_respect_to_everything(monkeypatch, method, rule):
    monkeypatch.setattr(eigenbasis, "FOLD_FROM", 9)  # the x axis
    start = jnp.asarray(np.random.default_rng(4).random(GRID.shape))

    def total(p):  # diffusion along x, y, z, loss, step, rate
        propagator = plan(GRID, p[:3], p[3], p[4], eigenvalues=rule, method=method)
        driven = advance_driven(propagator, advance(propagator, start, p[5] * start), p[5] * start)
        return jnp.sum(advance(propagator, driven) ** 2)

    check(total, jnp.array([0.4, 0.5, 0.6, 0.2, 1.7, 1.3]))


def test_steady_point_derivatives():
    d, k, r = 2.2, 1.386e-3, 7.0

    def log_steady(diffusion, loss):
        return jnp.log(point_steady(r, 1.0, diffusion, loss))

    by_d, by_k = jax.grad(log_steady, (0, 1))(d, k)
    np.testing.assert_allclose(by_k, -r / (2 * np.sqrt(d * k)), rtol=1e-12)
    np.testing.assert_allclose(by_d, -1 / d + r * np.sqrt(k) / (2 * d**1.5), rtol=1e-12)


def test_steady_grid_derivatives_follow_the_point_source():
    n, r, d = 49, 8, 2.2
    grid, k = Grid((n, n, n), (1.0,) * 3), 2.2 / 36

    def log_grid(p):
        source = jnp.zeros(grid.shape).at[n // 2, n // 2, n // 2].set(p[2])
        return jnp.log(advance(plan(grid, p[0], p[1], 1e6), jnp.zeros(grid.shape), source)[n // 2 + r, n // 2, n // 2])

    by_d, by_k, by_rate = jax.jit(jax.grad(log_grid))(jnp.array([d, k, 3.0]))
    np.testing.assert_allclose(by_rate, 1 / 3.0, rtol=1e-10)
    np.testing.assert_allclose(by_k, -r / (2 * np.sqrt(d * k)), rtol=0.02)
    # the two terms of d ln c / dD nearly cancel here, so compare with the larger
    assert abs(by_d - (-1 / d + r * np.sqrt(k) / (2 * d**1.5))) < 0.02 / d


def test_near_field_kernel():
    weights = jnp.asarray(np.random.default_rng(0).normal(size=(8, 3)))
    check(lambda p: jnp.sum(weights * correction_kernel(GRID, p[0], p[1], 20.0, p[2], 3)),
          [0.0346, 5e-4, 0.1], [2.2, 0.3, 0.5], rtol=1e-6)


def test_transient_point():
    check(lambda p: point_response(p[0], 5.0, p[1], p[2], p[3]), jnp.array([0.4, 3.0, 0.5, 0.02]))
