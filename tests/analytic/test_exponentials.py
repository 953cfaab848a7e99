"""exp(x) - 1 in both precisions, Hill functions, and the gradients of both."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrojax.numerics import expm1, hill

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


@pytest.mark.parametrize("n", [1.0, 2.5])
def test_a_hill_function_and_its_gradients_are_those_of_its_formula_whatever_the_exponent(x64, n):
    """An exponent of 1 takes another way, and its gradient with respect to the exponent is not lost on it."""
    x, half = jnp.asarray([0.03, 1.0, 7.0]), jnp.asarray(0.4)
    formula = lambda x, half, n: x**n / (x**n + half**n)  # noqa: E731
    ours, theirs = (jax.jit(jax.value_and_grad(lambda *given, f=f: jnp.sum(f(*given)), (0, 1, 2)))
                    for f in (hill, formula))
    for exponent in (jnp.asarray(n), jnp.full(3, n)):
        for one, other in zip(*(jax.tree.leaves(f(x, half, exponent)) for f in (ours, theirs)), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-13)
    batch = jnp.asarray([1.0, n])
    np.testing.assert_allclose(jax.vmap(hill, (None, None, 0))(x, half, batch), formula(x, half, batch[:, None]),
                               rtol=1e-14)


def test_a_hill_function_of_nothing_is_nothing_and_has_no_slope():
    for n in (1.0, 2.5):
        value, slopes = jax.value_and_grad(hill, (0, 1, 2))(jnp.asarray(0.0), jnp.asarray(0.4), jnp.asarray(n))
        assert value == 0 and slopes == (0, 0, 0)
