"""The torus by Exponax, an exponential integrator on Fourier modes in JAX: one step of 10 ms per reading."""

import os

import box_specification as box
import numpy as np
import specification as spec


def prepare(given):
    """What runs the torus from its start, compiled."""
    import exponax
    import jax
    import jax.numpy as jnp

    # a coefficient of order 0 is added once for each of the three axes
    stepper = exponax.stepper.generic.GeneralLinearStepper(
        3, float(given.n), given.n, box.READ_MS, linear_coefficients=(-box.LOSS / 3, 0.0, box.DIFFUSION))
    begin = jnp.asarray(box.truth(given.n, 0.0), jnp.float32)[None]
    advance, held = jax.jit(lambda field: stepper(field)).lower(begin).compile(), []

    def start():
        held[:] = [begin]

    def step():
        held[0] = jax.block_until_ready(advance(held[0]))
        return np.asarray(held[0][0])

    return lambda: box.timed(given, start, step)


if __name__ == "__main__":
    given = box.arguments(__doc__)
    os.environ["NPROC"] = str(given.threads)  # read once, when XLA's CPU client starts
    import importlib.metadata

    spec.serve("exponax", f"exponax {importlib.metadata.version('exponax')}", given, lambda: prepare(given))
