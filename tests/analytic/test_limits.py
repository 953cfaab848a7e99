"""Reach below a voxel and above the box: the rate equations against the grid, and what is said of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrojax.space import Grid, advance, advance_local, advance_mean, near_walls, plan, reach_of, regime, wall_warning

GRID = Grid((6, 5, 4), (1.0, 2.0, 1.0))


def by_grid(field, source, diffusion, loss, elapsed):
    return jax.jit(lambda f, s: advance(plan(GRID, diffusion, loss, elapsed), f, s))(field, source)


def test_kind_follows_the_reach():
    assert regime(GRID, 1.0, 10.1).kind == "local" and regime(GRID, 1.0, 9.9).kind == "grid"
    assert regime(GRID, np.array([1.0, 1.0, 2.0]), 10.1).kind == "grid"  # along z it gets farther
    border = (np.pi / 10) ** 2 / 10  # the box is 10 um along y
    assert regime(GRID, 1.0, 0.99 * border).kind == "mean field" and regime(GRID, 1.0, 1.01 * border).kind == "grid"
    assert regime(GRID, 1.0, 0.0) == ("mean field", np.inf, regime(GRID, 1.0, 0.0).why)
    absorbing = Grid(GRID.shape, GRID.spacing, boundary=("no-flux", "absorbing", "no-flux"))
    assert regime(absorbing, 1.0, 0.0).kind == "grid"
    assert reach_of(2.2, np.log(2) / 500) == pytest.approx(39.84, abs=0.01)


def test_the_text_says_why():
    assert regime(GRID, 1.0, 400.0).why.startswith("a reach of 0.05 um is far below a voxel (1 um)")
    assert regime(GRID, 1.0, 1e-4).why.startswith("a reach of 100 um is far above the box (10 um)")
    assert "is 1 voxels: products with matrices" in regime(GRID, 1.0, 1.0).why


def test_local_is_the_grid_where_nothing_spreads(x64):
    rng = np.random.default_rng(0)
    field, source = jnp.asarray(rng.random(GRID.shape)), jnp.asarray(rng.random(GRID.shape))
    for elapsed in (1e-3, 0.1, 3.0):
        got = advance_local(field, source, 0.7, elapsed)
        np.testing.assert_allclose(got, by_grid(field, source, 0.0, 0.7, elapsed), rtol=1e-12)
        spread = by_grid(field, source, 1e-3, 0.7, elapsed)
        np.testing.assert_allclose(got.sum(), spread.sum(), rtol=1e-12)  # totals agree whatever spreads


@pytest.mark.parametrize("ratio, error", [(10, 0.52), (600, 0.0085)])
def test_local_leaves_out_what_a_lone_voxel_gives_away(x64, ratio, error):
    lone = jnp.zeros(GRID.shape).at[3, 2, 2].set(1.0)
    got = advance_local(0 * lone, lone, float(ratio), 100.0)[3, 2, 2]
    off = float(got / by_grid(0 * lone, lone, 1.0, float(ratio), 100.0)[3, 2, 2]) - 1
    assert 0.8 * error < off < error


def test_mean_field_is_the_grid_where_the_box_is_uniform(x64):
    source = jnp.zeros(GRID.shape).at[:3].set(1.0)  # half the box
    field, loss = 0 * source, 1e-3
    for diffusion, error in ((10.0, 2e-3), (1000.0, 2e-5)):
        assert regime(GRID, diffusion, loss).kind == "mean field"
        got, grid = advance_mean(field, source, loss, 1e4), by_grid(field, source, diffusion, loss, 1e4)
        np.testing.assert_allclose(got, grid, rtol=error)
        np.testing.assert_allclose(got.mean(), grid.mean(), rtol=1e-12)


def test_sources_within_reach_of_a_mirror_are_counted():
    grid = Grid((10, 10, 1), (1.0,) * 3, (-5.0, 0.0, 0.0), ("no-flux", "periodic", "no-flux"))
    places = np.array([[-4.5, 5.0, 0.5], [0.0, 0.1, 0.5], [3.9, 5.0, 0.5]])
    # y has no wall, and along z the box is one voxel, i.e. uniform by intent
    assert [near_walls(grid, places, reach) for reach in (0.4, 0.6, 1.2, 6.0)] == [0, 1, 2, 3]
    assert wall_warning(grid, places, 0.4) is None
    assert wall_warning(grid, places, 1.2).startswith("2 of 3 synapses lie within 1.2 um of a no-flux wall")
