"""A bouton sees its own spine at their true distance, whatever the voxel size: within 5 % of the closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrojax.errors import InputError
from retrojax.space import (
    Grid,
    Sites,
    advance,
    correction_kernel,
    deposit,
    offset_class,
    own_spine,
    plan,
    point_response,
    point_steady,
    sample,
    steps_needed,
)
from retrojax.units import MOLECULES_PER_NM_UM3

R = 0.1
MESSENGERS = {"NO": (2.2, np.log(2) / 500, 10.0), "2-AG": (0.0346, 5e-4, 100.0)}
"""Diffusion [um^2/ms], loss [1/ms], field step [ms]."""
OFFSETS = [(0, 0, 0), (1, 0, 0), (0, 1, 1), (1, 1, 1)]
"""Voxels between spine and bouton."""


def tissue(name, dx):
    """Grid, and sites and offset classes of one spine in the middle with a bouton at each of `OFFSETS`."""
    n = round(48 / dx) + 1
    # absorbing walls 24 um away: their images add less than 1 % at 0.1 um even where the reach is longer than the box
    grid = Grid((n, n, n), (dx,) * 3, boundary=("absorbing",) * 3)
    middle = np.full(3, n // 2)
    spine = np.ravel_multi_index(middle[:, None], grid.shape)
    boutons = np.ravel_multi_index((middle + OFFSETS).T, grid.shape)
    classes = jnp.asarray(offset_class(grid, np.broadcast_to(spine, boutons.shape), boutons))
    return grid, Sites.build(spine, grid.n_voxels), Sites.build(boutons, grid.n_voxels), classes


def bouton_amounts(name, dx, rates, corrected=True):
    """Amount [nM] at the boutons after every field step, for a spine with `rates` [molecules/ms] in each step."""
    diffusion, loss, dt = MESSENGERS[name]
    grid, spine, boutons, classes = tissue(name, dx)
    steps = steps_needed(grid, diffusion, loss, dt, R)

    @jax.jit
    def run(rates):
        propagator = plan(grid, diffusion, loss, dt)
        kernel = correction_kernel(grid, diffusion, loss, dt, R, steps) * corrected

        def step(carry, rate):
            field, history = carry
            history = jnp.concatenate([jnp.full((1, len(OFFSETS)), rate), history[:-1]])
            source = deposit(spine, rate[None] / (grid.voxel_volume * MOLECULES_PER_NM_UM3), grid.shape)
            field = advance(propagator, field, source)
            return (field, history), sample(boutons, field) + own_spine(kernel, classes, history)

        return jax.lax.scan(step, (jnp.zeros(grid.shape), jnp.zeros((steps, len(OFFSETS)))), rates)[1]

    return np.asarray(run(jnp.asarray(rates, float)), float)


def closed_form(name, rates):
    """The unbounded medium's answer to the same rates, by superposing switched-on sources."""
    diffusion, loss, dt = MESSENGERS[name]
    jumps = np.diff(rates, prepend=0.0)
    ages = dt * np.arange(1, len(rates) + 1)
    with jax.enable_x64(True):
        unit = np.asarray(point_response(R, jnp.asarray(ages), 1.0, diffusion, loss))
    return np.convolve(jumps, unit)[: len(rates)]


@pytest.mark.parametrize("name", MESSENGERS)
def test_constant_source_reaches_the_steady_closed_form(name):
    diffusion, loss, dt = MESSENGERS[name]
    values = []
    for dx in (0.5, 1.0, 2.0, 4.0):
        grid, spine, boutons, classes = tissue(name, dx)
        source = deposit(spine, jnp.array([0.04]) / (grid.voxel_volume * MOLECULES_PER_NM_UM3), grid.shape)
        steps = steps_needed(grid, diffusion, loss, dt, R)
        kernel = correction_kernel(grid, diffusion, loss, dt, R, steps)
        field = advance(plan(grid, diffusion, loss, 100 / loss), 0 * source, source)  # a step of any length is exact
        again = advance(plan(grid, diffusion, loss, dt), field, source)
        np.testing.assert_allclose(again, field, rtol=1e-4, atol=1e-6 * float(field.max()))
        values.append(sample(boutons, field) + own_spine(kernel, classes, jnp.full((steps, len(OFFSETS)), 0.04)))
    np.testing.assert_allclose(values, float(point_steady(R, 0.04, diffusion, loss)), rtol=0.05)
    assert np.ptp(values) < 0.05 * np.mean(values)


@pytest.mark.parametrize("name", MESSENGERS)
def test_burst_follows_the_closed_form(name):
    """200 ms on, then off; above 5 % of the peak each voxel size and offset agrees, and below it nothing is left."""
    rates = np.where(np.arange(30) < round(200 / MESSENGERS[name][2]), 0.04, 0.0)
    expected = closed_form(name, rates)[:, None]
    seen = expected[:, 0] > 0.05 * expected.max()
    assert seen.sum() == round(200 / MESSENGERS[name][2])
    courses = np.stack([bouton_amounts(name, dx, rates) for dx in (1.0, 2.0, 4.0)])
    np.testing.assert_allclose(courses[:, seen], np.broadcast_to(expected[seen], courses[:, seen].shape), rtol=0.05)
    assert np.all(np.ptp(courses[:, seen], axis=(0, 2)) < 0.05 * expected[seen, 0])
    assert np.abs(courses - expected)[:, ~seen].max() < 0.01 * expected.max()


def test_the_grid_alone_is_wrong_by_an_order_of_magnitude():
    rates = np.full(60, 0.04)
    plain = bouton_amounts("NO", 2.0, rates, corrected=False)[-1, 0]
    whole = bouton_amounts("NO", 2.0, rates)[-1, 0]
    assert 5 < whole / plain < 10


@pytest.mark.parametrize("dx, diffusion, dt, n", [(0.5, 2.2, 1.0, 41), (4.0, 0.03, 1.0, 9)])
def test_kernel_is_closed_form_less_grid(x64, dx, diffusion, dt, n):
    """Against the grid itself, with walls too far to matter."""
    grid = Grid((n, n, n), (dx,) * 3, boundary=("absorbing",) * 3)
    middle = (n // 2,) * 3
    source = jnp.zeros(grid.shape).at[middle].set(1 / (grid.voxel_volume * MOLECULES_PER_NM_UM3))
    propagator = plan(grid, diffusion, 0.01, dt)
    field = [advance(propagator, 0 * source, source)]
    field.append(advance(propagator, field[0], 0 * source))
    kernel = correction_kernel(grid, diffusion, 0.01, dt, R, 2)
    first, both = (float(point_response(R, t, 1.0, diffusion, 0.01)) for t in (dt, 2 * dt))
    for row, offset in enumerate(np.ndindex(2, 2, 2)):
        at = tuple(m + o for m, o in zip(middle, offset, strict=True))
        expected = [first - float(field[0][at]), both - first - float(field[1][at])]
        np.testing.assert_allclose(kernel[row], expected, rtol=0, atol=2e-5 * first)


def test_one_long_step_is_the_sum_of_a_hundred_short_ones(x64):
    """Quadrature holds where a voxel equilibrates in 1e-4 of the step."""
    grid = Grid((9, 9, 9), (0.05,) * 3)
    long = correction_kernel(grid, 2.2, 0.01, 10.0, R, 1)[:, 0]
    short = correction_kernel(grid, 2.2, 0.01, 0.1, R, 100).sum(axis=1)
    np.testing.assert_allclose(long, short, rtol=0, atol=1e-6 * float(point_steady(R, 1.0, 2.2, 0.01)))


def test_steps_needed_grows_with_the_voxel_and_stops_at_its_cap():
    def steps(dx, tolerance=0.005):
        return steps_needed(Grid((9, 9, 9), (dx,) * 3), 0.0346, 5e-4, 100.0, R, tolerance)

    assert 1 <= steps(1.0) <= steps(4.0) <= steps(8.0) < 64
    assert steps(4.0) < steps(4.0, 1e-4) and steps(4.0, 0.0) == 64


def test_offset_class_wraps_on_periodic_axes_and_names_far_boutons():
    grid = Grid((5, 5, 5), (1.0,) * 3, boundary=("periodic", "no-flux", "no-flux"))
    flat = lambda *index: np.array([np.ravel_multi_index(index, grid.shape)])  # noqa: E731
    assert offset_class(grid, flat(0, 2, 2), flat(4, 2, 1)).tolist() == [5]
    assert offset_class(grid, flat(1, 2, 2), flat(1, 1, 2)).tolist() == [2]
    with pytest.raises(InputError, match=r"bouton\[0\] = '\(0, 2, 0\) voxels"):
        offset_class(grid, flat(0, 0, 0), flat(0, 2, 0))
