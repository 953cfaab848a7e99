"""exp(x) - 1 in both precisions, and its gradient."""

import jax
import jax.numpy as jnp
import numpy as np

from retrojax.numerics import expm1

SIZES = np.logspace(-30, np.log10(80.0), 4001)
POINTS = np.concatenate([-SIZES, SIZES, [0.0, -0.5, 0.5, -1e30]])


def test_expm1_in_float32_errs_by_less_than_three_units_in_the_last_place():
    x = POINTS.astype(np.float32)
    exact = np.expm1(x.astype(np.float64))
    got = np.asarray(jax.jit(expm1)(x), np.float64)
    assert got.shape == exact.shape and np.isfinite(got).all()
    assert np.abs(got - exact).max(initial=0, where=exact == 0) == 0
    assert np.abs(got / np.where(exact == 0, 1, exact) - 1).max(where=exact != 0, initial=0) < 3 * 2.0**-24 * 2


def test_expm1_in_float64_is_the_library_s(x64):
    np.testing.assert_allclose(np.asarray(expm1(jnp.asarray(POINTS))), np.expm1(POINTS), rtol=1e-15)


def test_the_gradient_is_the_exponential_on_both_sides_of_the_seam():
    x = jnp.asarray([-1e9, -40.0, -0.51, -0.49, 0.0, 1e-12, 0.49, 0.51, 30.0], jnp.float32)
    np.testing.assert_allclose(jax.vmap(jax.grad(expm1))(x), np.exp(np.asarray(x, np.float64)), rtol=1e-6)
