"""Planes, lines, balls and shells: closed forms at the printed digits, and the grid against them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrojax.errors import InputError
from retrojax.space import (
    Grid,
    advance,
    ball,
    ball_instantaneous,
    ball_steady,
    hollow_sphere,
    hollow_sphere_burst,
    instantaneous_line,
    instantaneous_plane,
    line,
    line_steady,
    plan,
    plane_steady,
    shell,
    shell_steady,
)
from retrojax.units import MOLECULES_PER_NM_UM3

pytestmark = pytest.mark.usefixtures("x64")
UNIT = 1000 * MOLECULES_PER_NM_UM3
"""Molecules in 1 uM um^3."""
NO, SLOW, FAST = 3.3, np.log(2) / 5000, np.log(2) / 500
"""Diffusion [um^2/ms], and losses of half-lives 5 s and 0.5 s [1/ms]."""


def printed(value, expected, digit):
    assert abs(float(value) - expected) <= digit


def steady(grid, diffusion, loss, source):
    step = jax.jit(lambda source: advance(plan(grid, diffusion, loss, 1e9), jnp.zeros(grid.shape), source))
    return np.asarray(step(jnp.asarray(source)))


def distances(grid, centre=(0.0, 0.0, 0.0)):
    """From `centre` to the middle of every voxel [um]."""
    axes = [o + (np.arange(n) + 0.5) * dx - c
            for o, n, dx, c in zip(grid.origin, grid.shape, grid.spacing, centre, strict=True)]
    return np.sqrt(axes[0][:, None, None] ** 2 + axes[1][:, None] ** 2 + axes[2] ** 2)


@pytest.mark.parametrize("r, t, expected, digit", [(0, 50, 1.51393e-2, 1e-7), (5, 50, 4.33748e-3, 1e-8),
                                                   (5, 500, 8.51895e-4, 1e-9)])
def test_instantaneous_line(r, t, expected, digit):
    printed(instantaneous_line(float(r), float(t), UNIT, 0.1, 1e-3) / 1e3, expected, digit)


@pytest.mark.parametrize("x, t, expected, digit", [(0, 50, 0.120004, 1e-6), (5, 50, 0.0343817, 1e-7),
                                                   (20, 500, 3.27472e-3, 1e-8)])
def test_instantaneous_plane(x, t, expected, digit):
    printed(instantaneous_plane(float(x), float(t), UNIT, 0.1, 1e-3) / 1e3, expected, digit)


@pytest.mark.parametrize("half_life, r, expected", [
    (5000, 0, 0.306092), (5000, 50, 0.184551), (5000, 100, 0.066734), (5000, 200, 0.017451),
    (500, 0, 0.197191), (500, 50, 0.100504), (500, 100, 0.018034), (500, 200, 0.001161),
])
def test_ball(half_life, r, expected):
    printed(ball_steady(float(r), 50.0, 1.0, NO, np.log(2) / half_life) / 1e3, expected, 1e-6)


@pytest.mark.parametrize("r, expected, digit", [(0, 0.0375299, 1e-7), (10, 0.0375561, 1e-7), (20, 0.0175996, 1e-7),
                                                (50, 5.79585e-3, 1e-8), (100, 2.09577e-3, 1e-8)])
def test_shell(r, expected, digit):
    printed(shell_steady(float(r), 10.0, 10.0, NO, SLOW), expected, digit)


ANNULUS = {  # time [ms]: uM at the centre, at 150 and at 300 um, with the unit of the last printed digit
    500: ((0.20605, 1e-5), (0.02296, 1e-5), (4.1e-6, 1e-7)), 1000: ((0.36716, 1e-5), (0.05990, 1e-5), (3.0e-4, 1e-5)),
    2000: ((0.14544, 1e-5), (0.05639, 1e-5), (0.00337, 1e-5)),
    5000: ((0.02204, 1e-5), (0.01546, 1e-5), (0.00534, 1e-5)),
}


@pytest.mark.parametrize("time", ANNULUS)
def test_hollow_sphere(time):
    got = hollow_sphere_burst(jnp.array([0.0, 150.0, 300.0]), float(time), (50.0, 100.0), 1.0, 1000.0, NO, SLOW) / 1e3
    for value, (expected, digit) in zip(got, ANNULUS[time], strict=True):
        printed(value, expected, digit)


def test_burst_without_end_becomes_the_difference_of_two_balls():
    got = hollow_sphere_burst(120.0, 2e5, (50.0, 100.0), 1.0, 1e9, NO, SLOW)
    expected = ball_steady(120.0, 100.0, 1.0, NO, SLOW) - ball_steady(120.0, 50.0, 1.0, NO, SLOW)
    np.testing.assert_allclose(got, expected, rtol=1e-6)


@pytest.mark.parametrize("r, expected, digit", [(1, 0.00386280, 1e-8), (5, 0.00147126, 1e-8), (10, 0.000670081, 1e-9)])
def test_line(r, expected, digit):
    printed(line_steady(float(r), UNIT / 1000, 0.1, 1e-3) / 1e3, expected, digit)


@pytest.mark.parametrize("image, expected", [(0, 0.0370409), (1, 0.0618702), (-1, 0.0122116)])
def test_plane_and_its_image(image, expected):
    value = plane_steady(3.0, UNIT / 1000, 0.1, 1e-3) + image * plane_steady(7.0, UNIT / 1000, 0.1, 1e-3)
    printed(value / 1e3, expected, 1e-7)


def test_line_agrees_with_scipy_over_its_range():
    from scipy.special import k0

    x = np.array([1e-3, 0.03, 0.5, 3.0, 20.0, 80.0])
    got = line_steady(jnp.asarray(x), MOLECULES_PER_NM_UM3, 1.0, 1.0)
    np.testing.assert_allclose(got, k0(x) / (2 * np.pi), rtol=1e-9)


@pytest.mark.parametrize("cells, dx, t, r", [(121, 0.5, 50.0, 5.0), (141, 1.0, 500.0, 5.0)])
def test_grid_spreads_a_line_and_a_plane(cells, dx, t, r):
    for dims, closed in ((2, instantaneous_line), (1, instantaneous_plane)):
        shape = (cells, cells if dims == 2 else 1, 1)
        middle = tuple(n // 2 for n in shape)
        start = jnp.zeros(shape).at[middle].set(1 / (dx**dims * MOLECULES_PER_NM_UM3))
        field = jax.jit(lambda grid, start: advance(plan(grid, 0.1, 1e-3, t), start), static_argnums=0)(
            Grid(shape, (dx,) * 3), start)
        for at in (0, round(r / dx)):
            value = field[middle[0] + at, middle[1], 0]
            np.testing.assert_allclose(value, closed(at * dx, t, 1.0, 0.1, 1e-3), rtol=0.01)
        np.testing.assert_allclose(field.sum(), start.sum() * np.exp(-1e-3 * t), rtol=1e-12)


def test_grid_follows_a_ball():
    """One octant: the ball's centre is a corner of the box. Reach 69 um, voxel 6 um, walls 5 reaches beyond 200 um."""
    grid = Grid((91, 91, 91), (6.0,) * 3)
    shares = ball(grid, (0.0, 0.0, 0.0), 50.0, cut=True)
    np.testing.assert_allclose(shares.sum(), 1 / 8, rtol=1e-13)
    field = steady(grid, NO, FAST, shares * (4 / 3 * np.pi * 50**3 / grid.voxel_volume))
    r = distances(grid)
    seen = (r < 200) & (np.abs(r - 50) > 12)
    expected = ball_steady(jnp.asarray(r[seen]), 50.0, 1.0, NO, FAST)
    np.testing.assert_allclose(field[seen], expected, rtol=0.01)


def test_grid_follows_a_shell():
    """Radius 10 um, reach 6.9 um, voxel 0.75 um."""
    grid, loss = Grid((80, 80, 80), (0.75,) * 3), np.log(2) / 10
    source = shell(grid, (0.0, 0.0, 0.0), 10.0, cut=True) / (grid.voxel_volume * MOLECULES_PER_NM_UM3)
    field = steady(grid, NO, loss, source)
    r = distances(grid)
    seen = (r < 25) & (np.abs(r - 10) > 1.5)
    np.testing.assert_allclose(field[seen], shell_steady(jnp.asarray(r[seen]), 10.0, 1.0, NO, loss), rtol=0.01)


def test_grid_follows_a_line():
    """Along y; reach 10 um, voxel 1 um."""
    grid = Grid((161, 3, 161), (1.0,) * 3, boundary=("no-flux", "periodic", "no-flux"))
    shares = line(grid, (80.5, 0.0, 80.5), (80.5, 3.0, 80.5))
    field = steady(grid, 0.1, 1e-3, 3 * shares / (grid.voxel_volume * MOLECULES_PER_NM_UM3))
    np.testing.assert_allclose(field, field[:, :1].repeat(3, axis=1), rtol=1e-10)
    for r in (6, 10, 20, 30):
        np.testing.assert_allclose(field[80 + r, 0, 80], line_steady(float(r), 1.0, 0.1, 1e-3), rtol=0.01)


BOX = Grid((9, 10, 11), (1.0, 0.9, 1.1), (-1.0, 2.0, 0.5))


def test_shares_add_up_and_are_centred():
    centre = (3.3, 6.4, 6.8)
    places = np.stack(np.meshgrid(*(o + (np.arange(n) + 0.5) * dx for o, n, dx in
                                    zip(BOX.origin, BOX.shape, BOX.spacing, strict=True)), indexing="ij"), axis=-1)
    for shares in (ball(BOX, centre, 2.4), shell(BOX, centre, 2.4), hollow_sphere(BOX, centre, 1.1, 2.4)):
        assert shares.min() >= 0
        np.testing.assert_allclose(shares.sum(), 1, rtol=1e-13)
        # voxels stand for their middle here, which moves the centre a little
        np.testing.assert_allclose(np.einsum("xyz,xyzi->i", shares, places), centre, atol=0.05)


def test_share_of_a_ball_is_its_volume_in_the_voxel():
    shares = ball(BOX, (3.5, 6.5, 6.0), 2.0, fineness=16) * 4 / 3 * np.pi * 8
    assert abs(shares[4, 5, 5] - BOX.voxel_volume) < 0.002 * BOX.voxel_volume  # wholly inside


def test_ball_within_one_voxel_goes_there_whole():
    shares = ball(BOX, (3.5, 6.95, 6.55), 0.3)
    assert shares[4, 5, 5] == 1 and shares.sum() == 1


def test_line_shares_are_lengths():
    start, end = (-0.75, 2.45, 1.0), (2.25, 2.45, 1.0)
    np.testing.assert_allclose(line(BOX, start, end)[:4, 0, 0], np.array([0.75, 1, 1, 0.25]) / 3, rtol=1e-12)
    oblique = line(BOX, (-0.9, 2.1, 0.6), (7.9, 10.8, 12.4))
    np.testing.assert_allclose(oblique.sum(), 1, rtol=1e-13)
    np.testing.assert_allclose(oblique, line(BOX, (7.9, 10.8, 12.4), (-0.9, 2.1, 0.6)), atol=1e-13)


def test_sources_outside_the_box_are_refused_unless_cut():
    for make in (lambda **k: ball(BOX, (0.0, 6.0, 6.0), 2.0, **k), lambda **k: shell(BOX, (0.0, 6.0, 6.0), 2.0, **k),
                 lambda **k: line(BOX, (-2.0, 6.0, 6.0), (4.0, 6.0, 6.0), **k)):
        with pytest.raises(InputError, match="cut=True where a wall mirrors"):
            make()
        assert 0 < make(cut=True).sum() < 1
    with pytest.raises(InputError, match="0 <= inner < outer"):
        hollow_sphere(BOX, (3.0, 6.0, 6.0), 2.0, 1.0)
    with pytest.raises(InputError, match="different ends"):
        line(BOX, (3.0, 6.0, 6.0), (3.0, 6.0, 6.0))


def test_centre_and_surface_of_a_ball_are_limits_of_their_neighbours():
    for r in (0.0, 50.0):
        here, beside = (ball_instantaneous(x, 100.0, 50.0, NO, SLOW) for x in (r, r + 1e-6))
        np.testing.assert_allclose(here, beside, rtol=1e-6)
        here, beside = (ball_steady(x, 50.0, 1.0, NO, SLOW) for x in (r, r + 1e-6))
        np.testing.assert_allclose(here, beside, rtol=1e-6)
