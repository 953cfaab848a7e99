"""Bulk flow: a carried Gaussian, a rotating one, amount, positivity and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrojax.errors import InputError
from retrojax.space import Flow, Grid, advance, advance_flow, flow_steps, plan

pytestmark = pytest.mark.usefixtures("x64")
run = jax.jit(advance_flow)


def gaussian(grid, centre, width):
    x, y = ((np.arange(n) + 0.5) * dx for n, dx in zip(grid.shape[:2], grid.spacing[:2], strict=True))
    return jnp.asarray(np.exp(-((x[:, None] - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * width**2))[..., None])


def centroid(grid, field):
    axes = [(np.arange(n) + 0.5) * dx for n, dx in zip(grid.shape[:2], grid.spacing[:2], strict=True)]
    shares = np.asarray(field)[..., 0] / float(field.sum())
    return np.array([np.sum(shares.sum(axis=1) * axes[0]), np.sum(shares.sum(axis=0) * axes[1])])


def test_gaussian_is_carried_at_the_speed_of_the_fluid():
    alpha, errors = 0.2, []
    for fine in (1, 2):
        grid = Grid((80 * fine, 40 * fine, 1), (0.5 / fine, 0.5 / fine, 1.0), boundary=("periodic",) * 3)
        start = gaussian(grid, (12.0, 8.0), 2.0)
        after = run(Flow.uniform(grid, (0.02 * alpha, 0.005 * alpha, 0.0)), start, alpha, 700.0)
        # where the limiter acts it holds the field back: by 0.1 % of the way
        np.testing.assert_allclose(centroid(grid, after) - [12.0, 8.0], [14.0, 3.5], rtol=2e-3)
        np.testing.assert_allclose(float(after.sum()), float(start.sum()), rtol=1e-13)
        assert float(after.min()) >= 0 and float(after.max()) <= 1
        errors.append(float(jnp.abs(after - gaussian(grid, (26.0, 11.5), 2.0)).sum() / start.sum()))
    assert errors[0] < 0.1 and errors[0] / errors[1] > 3  # first-order upwind: less than 2


def test_flow_and_diffusion_together():
    grid, alpha, dstar = Grid((120, 1, 1), (0.5, 1.0, 1.0), boundary=("periodic",) * 3), 0.2, 0.02
    flow, spread = Flow.uniform(grid, (0.02 * alpha, 0.0, 0.0)), plan(grid, dstar, 0.0, 50.0)
    field = start = gaussian(grid, (15.0, 0.5), 2.0)
    for _ in range(20):
        field = run(flow, field, alpha, 25.0)
        field = run(flow, advance(spread, field, 0 * field), alpha, 25.0)
    at = (np.arange(120) + 0.5) * 0.5
    share = np.asarray(field).ravel() / float(start.sum())
    mean = np.sum(share * at)
    np.testing.assert_allclose(share.sum(), 1.0, rtol=1e-12)
    np.testing.assert_allclose(mean - 15.0, 20.0, rtol=1e-3)
    np.testing.assert_allclose(np.sum(share * (at - mean) ** 2), 2.0**2 + 2 * dstar * 1000, rtol=0.01)


def vortex(grid):
    """Face velocities of a stream function, so free of divergence to rounding; closed at the walls."""
    nx, ny, _ = grid.shape
    psi = np.sin(np.pi * np.arange(nx + 1) / nx)[:, None] * np.sin(np.pi * np.arange(ny + 1) / ny)
    psi[[0, -1]], psi[:, [0, -1]] = 0, 0
    return np.diff(psi, axis=1)[..., None] / grid.spacing[1], -np.diff(psi, axis=0)[..., None] / grid.spacing[0]


def test_vortex_keeps_amount_sign_and_a_uniform_concentration():
    grid = Grid((20, 16, 1), (1.0, 1.0, 1.0))
    flow = Flow.build(grid, *vortex(grid), np.zeros((20, 16, 2)))
    alpha = jnp.asarray(np.random.default_rng(0).uniform(0.1, 0.3, grid.shape))
    spot = jnp.zeros(grid.shape).at[5, 5, 0].set(1.0)
    after = run(flow, spot, alpha, 100.0)
    assert int(flow_steps(flow, alpha, 100.0)) > 100
    np.testing.assert_allclose(float(after.sum()), 1.0, rtol=1e-12)
    assert float(after.min()) >= 0 and float(after[5, 5, 0]) < 0.1
    np.testing.assert_allclose(run(flow, 3.0 * alpha, alpha, 100.0) / alpha, 3.0, rtol=1e-11)


def test_through_flow_washes_the_messenger_out():
    grid = Grid((30, 1, 1), (1.0, 1.0, 1.0), boundary=("absorbing", "no-flux", "no-flux"))
    after = run(Flow.uniform(grid, (-0.1, 0.0, 0.0)), jnp.full(grid.shape, 0.2), 0.2, 30.0)
    # 15 um have been washed out; the front is smeared by the limiter
    np.testing.assert_allclose(float(after.sum()), 0.2 * 15, rtol=1e-3)
    np.testing.assert_allclose(after[:8, 0, 0], 0.2, rtol=1e-3)


def test_what_is_refused():
    grid = Grid((4, 3, 1), (1.0, 1.0, 1.0), boundary=("periodic", "no-flux", "no-flux"))
    x, y, z = np.zeros((5, 3, 1)), np.zeros((4, 4, 1)), np.zeros((4, 3, 2))
    x[2, 1, 0] = 0.1
    with pytest.raises(InputError, match=r"flow\[1, 1, 0\] = 'divergence 0.1 1/ms'"):
        Flow.build(grid, x, y, z)
    with pytest.raises(InputError, match="flow.y = 'a flow through a no-flux wall'"):
        Flow.uniform(grid, (0.1, 0.1, 0.0))
    x[:], x[0] = 0, 1
    with pytest.raises(InputError, match="flow.x = 'ends that differ'"):
        Flow.build(grid, x, y, z)
    with pytest.raises(InputError, match=r"flow.z = .*shape \(4, 3, 2\)"):
        Flow.build(grid, 0 * x, y, z[:, :, :1])
