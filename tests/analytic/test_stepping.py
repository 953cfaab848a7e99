"""Fixed steps against closed forms: order of the two methods, and a step per row."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrojax.numerics import euler, runge_kutta


def integrate(method, step, lasts=1.0):
    """x' = -2 x + cos t from x = 1 (time is a state of the Euler form), at t = `lasts`."""
    if method is euler:
        one = lambda s: euler(lambda x: (-2 * x[0] + jnp.cos(x[1]), jnp.ones(())), s, step)  # noqa: E731
    else:
        def one(s):
            x, t = s
            return runge_kutta(lambda offset, y: -2 * y + jnp.cos(t + offset), x, step), t + step

    count = round(lasts / float(step))
    return jax.lax.fori_loop(0, count, lambda _, s: one(s), (jnp.ones(()), jnp.zeros(())))[0]


@pytest.mark.parametrize(("method", "order"), [(euler, 1), (runge_kutta, 4)])
def test_error_falls_with_the_order_of_the_method(x64, method, order):
    exact = (2 * np.cos(1.0) + np.sin(1.0)) / 5 + (1 - 2 / 5) * np.exp(-2.0)
    errors = [abs(float(integrate(method, jnp.asarray(step))) - exact) for step in (0.05, 0.025, 0.0125)]
    observed = np.log2(np.array(errors[:-1]) / errors[1:])
    np.testing.assert_allclose(observed, order, atol=0.15)


def test_each_row_takes_its_own_step(x64):
    steps = jnp.asarray([0.0, 0.1, 0.2])
    after = runge_kutta(lambda _, x: -x, jnp.ones(3), steps)
    h = np.asarray(steps)
    np.testing.assert_allclose(after, 1 - h + h**2 / 2 - h**3 / 6 + h**4 / 24, rtol=1e-14)
