"""How chunks are compiled."""

import jax
import jax.numpy as jnp
import numpy as np

from retrojax.engine.compiled import compiled


def test_a_compiled_function_also_runs_inside_another_traced_one():
    """XLA refuses options for a part of a program."""
    square = compiled(lambda x: x * x)
    x = jnp.arange(3.0)
    np.testing.assert_array_equal(square(x), x * x)
    np.testing.assert_array_equal(jax.jit(square)(x), x * x)
    np.testing.assert_array_equal(jax.grad(lambda x: square(x).sum())(x), 2 * x)
