"""A spine's own bouton in the two limits: closed forms, and a fine grid where there is one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrojax.engine.model import Messenger
from retrojax.engine.transport import make_plan, near_kernel, spread, spread_with_exposure
from retrojax.space import Grid, exposure_local, limit_kernel, limit_steps, point_steady
from retrojax.units import MOLECULES_PER_NM_UM3

STEPS, DISTANCE = 64, 0.1


def test_local_bouton_sees_the_closed_form_whatever_its_voxel(x64):
    """Sample and correction of a source that has always been on add up to the steady point source."""
    grid, diffusion, loss, elapsed = Grid((4, 4, 4), (2.0,) * 3), 0.01, 0.1, 5.0
    kernel = limit_kernel("local", grid, diffusion, loss, elapsed, DISTANCE, STEPS)
    own = 1 / (loss * grid.voxel_volume * MOLECULES_PER_NM_UM3)
    steady = float(point_steady(DISTANCE, 1.0, diffusion, loss))
    totals = kernel.sum(axis=1) + own * jnp.eye(8)[0]
    np.testing.assert_allclose(totals, steady, rtol=1e-9)
    kept = limit_steps("local", grid, diffusion, loss, elapsed, DISTANCE)
    assert kept < 10
    np.testing.assert_allclose(kernel[:, :kept].sum(axis=1), kernel.sum(axis=1), atol=0.005 * steady)


def test_mean_field_bouton_is_that_of_a_periodic_box(x64):
    """Against the sum over modes of a periodic cube, whose constant is Hasimoto's 2.837297 instead of 3."""
    edge, diffusion, loss, elapsed = 6.0, 2.0, 1e-4, 5.0
    grid = Grid((6, 6, 6), (1.0,) * 3)
    kernel = limit_kernel("mean field", grid, diffusion, loss, elapsed, DISTANCE, STEPS)
    mean = 1 / (loss * edge**3 * MOLECULES_PER_NM_UM3)
    point = 1 / (4 * np.pi * diffusion * MOLECULES_PER_NM_UM3)
    got = mean + np.asarray(kernel.sum(axis=1))
    np.testing.assert_allclose(got - mean, point * (1 / DISTANCE - 2.837297 / edge), rtol=4e-3)
    # beyond the age at which the box is even, nothing of a spine's own is left
    evened = edge**2 / (4 * np.pi * diffusion)
    assert evened < elapsed and float(jnp.abs(kernel[:, 1:]).max()) == 0.0
    assert limit_steps("mean field", grid, diffusion, loss, elapsed, DISTANCE) == 1


@pytest.mark.parametrize("kind", ["local", "mean field"])
def test_gradients_of_the_kernel(x64, kind):
    grid = Grid((3, 3, 3), (2.0,) * 3)

    def total(at):
        return limit_kernel(kind, grid, at[0], at[1], 2.0, at[2], 3).sum()

    at, h = jnp.array([0.5, 0.02, 0.3]), 1e-6
    slope = jax.grad(total)(at)
    np.testing.assert_allclose(slope, jax.jacfwd(total)(at), rtol=1e-9)
    for place in range(3):
        step = h * at[place] * jnp.eye(3)[place]
        np.testing.assert_allclose(slope[place], (total(at + step) - total(at - step)) / (2 * step[place]), rtol=1e-5)


@pytest.mark.parametrize("kind", ["local", "mean field"])
def test_a_step_of_a_limit_balances(x64, kind):
    """Field, what is lost by the exposure, and the source: no amount is lost or made."""
    rng, number = np.random.default_rng(0), jnp.asarray
    field, source = number(rng.random((4, 3, 2))), number(rng.random((4, 3, 2)))
    messenger = Messenger("X", number(1.0), number(0.2), number(0.2), transport=kind)
    plan = make_plan(messenger, Grid((4, 3, 2), (1.0,) * 3), number(0.3), number(7.0), True)
    after, spent = spread_with_exposure(plan, field, source)
    np.testing.assert_array_equal(after, spread(plan, field, source))
    np.testing.assert_allclose((after + 0.3 * spent).sum(), (field + 7.0 * source).sum(), rtol=1e-12)
    if kind == "local":  # the integral of a closed form by quadrature
        nodes, weights = np.polynomial.legendre.leggauss(20)
        exact = sum(w * 3.5 * (field * np.exp(-0.3 * t) + source / 0.3 * (1 - np.exp(-0.3 * t)))
                    for t, w in zip(3.5 * (nodes + 1), weights, strict=True))
        np.testing.assert_allclose(exposure_local(field, source, 0.3, 7.0), exact, rtol=1e-12)
        near = near_kernel(messenger, Grid((4, 3, 2), (1.0,) * 3), number(0.3), number(7.0), 0.1, 2)
        np.testing.assert_array_equal(near, limit_kernel("local", Grid((4, 3, 2), (1.0,) * 3), 1.0, 0.3, 7.0, 0.1, 2))
