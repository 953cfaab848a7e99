"""Deposit and sample are adjoint; integer sums ignore the order; nothing is lost on the way to the field."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrojax.errors import InputError
from retrojax.space import Grid, Sites, advance, deposit, fixed_scale, from_fixed, plan, sample, to_fixed

GRID = Grid((5, 4, 6), (1.0, 0.5, 2.0), (-2.0, 0.0, 3.0))


def scattered(n=300, seed=0):
    rng = np.random.default_rng(seed)
    low, high = np.array(GRID.extent).T
    return rng.uniform(low, high, (n, 3)), rng


def test_voxel_of_names_the_voxel_that_holds_the_position():
    positions, _ = scattered()
    index = np.stack(np.unravel_index(GRID.voxel_of(positions), GRID.shape), axis=1)
    centre = np.asarray(GRID.origin) + (index + 0.5) * GRID.spacing
    assert np.all(np.abs(positions - centre) <= np.asarray(GRID.spacing) / 2 * (1 + 1e-9))
    corners = np.array(GRID.extent).T
    assert GRID.voxel_of(corners).tolist() == [0, GRID.n_voxels - 1] and GRID.voxel_of(corners).dtype == np.int32


def test_outside_position_is_named():
    positions, _ = scattered(9)
    positions[4] = (0.0, 2.5, 4.0)
    with pytest.raises(InputError, match=r"boutons\[4\] = '\(0, 2.5, 4\) um' .* y 0 to 2, z 3 to 15 um.*enlarge"):
        GRID.voxel_of(positions, "boutons")


def test_around_holds_every_position_with_its_margin():
    positions, _ = scattered(50)
    grid = Grid.around(positions, (0.7, 0.7, 0.3), 1.5)
    low, high = np.array(grid.extent).T
    assert np.all(low <= positions.min(0) - 1.5 + 1e-9) and np.all(high >= positions.max(0) + 1.5 - 1e-9)
    assert np.all(np.asarray(grid.size) - np.ptp(positions, axis=0) - 3.0 < np.asarray(grid.spacing) + 1e-9)
    assert len(np.unique(Grid.around(positions, (0.7, 0.7, 0.3), 0.0).voxel_of(positions))) > 1


@pytest.mark.parametrize(
    "arguments, field",
    [(((0, 1, 1), (1.0, 1.0, 1.0)), "grid.shape"), (((2, 1, 1), (1.0, -1.0, 1.0)), "grid.spacing"),
     (((2, 1, 1), (1.0, 1.0, 1.0), (0.0, np.inf, 0.0)), "grid.origin")],
)
def test_unusable_grids_are_refused(arguments, field):
    with pytest.raises(InputError, match=field):
        Grid(*arguments)


def test_deposit_is_the_adjoint_of_sample(x64):
    positions, rng = scattered()
    sites = Sites.build(GRID.voxel_of(positions), GRID.n_voxels)
    values, field = jnp.asarray(rng.normal(size=300)), jnp.asarray(rng.normal(size=GRID.shape))
    left, right = jnp.vdot(deposit(sites, values, GRID.shape), field), jnp.vdot(values, sample(sites, field))
    np.testing.assert_allclose(left, right, rtol=1e-13)
    pulled = jax.vjp(lambda v: deposit(sites, v, GRID.shape), values)[1](field)[0]
    assert np.array_equal(pulled, sample(sites, field))


def test_deposit_equals_a_plain_sum_over_sites(x64):
    positions, rng = scattered()
    voxels, values = GRID.voxel_of(positions), rng.normal(size=300)
    expected = np.bincount(voxels, values, GRID.n_voxels).reshape(GRID.shape)
    sites = Sites.build(voxels, GRID.n_voxels)
    np.testing.assert_allclose(deposit(sites, jnp.asarray(values), GRID.shape), expected, atol=1e-13)
    assert sites.most_per_voxel == np.bincount(voxels).max()


def test_integer_totals_ignore_the_order_of_sites_even_when_the_running_sum_wraps():
    positions, rng = scattered(4000)
    voxels = GRID.voxel_of(positions)
    values = jnp.asarray(rng.exponential(size=4000), jnp.float32)
    most = int(np.bincount(voxels).max())
    scale = fixed_scale(float(values.max()), most)
    fixed = np.asarray(to_fixed(values, scale))
    assert fixed.astype(np.int64).sum() > 2**31  # the running sum leaves int32, no voxel does
    exact = np.zeros(GRID.n_voxels, np.int64)
    np.add.at(exact, voxels, fixed)
    order = rng.permutation(4000)
    plain = deposit(Sites.build(voxels, GRID.n_voxels), jnp.asarray(fixed), GRID.shape)
    mixed = deposit(Sites.build(voxels[order], GRID.n_voxels), jnp.asarray(fixed[order]), GRID.shape)
    assert plain.dtype == jnp.int32 and np.array_equal(plain, mixed)
    assert np.array_equal(np.asarray(plain).ravel(), exact)
    np.testing.assert_allclose(from_fixed(plain, scale).sum(), values.sum(), rtol=1e-6)


@pytest.mark.parametrize("largest, most", [(1.0, 1), (37.3, 1000), (1e-7, 3), (5e4, 10**6)])
def test_fixed_scale_is_the_largest_that_cannot_overflow(largest, most):
    scale = fixed_scale(largest, most)
    worst = most * (largest * scale + 0.5)
    assert worst <= 2**31 - 1 < 2 * most * largest * scale + most / 2


def test_wrong_sites_and_scales_are_refused():
    with pytest.raises(InputError, match=r"voxels\[1\] = 120"):
        Sites.build(np.array([3, 120]), GRID.n_voxels)
    with pytest.raises(InputError, match="max_per_site"):
        fixed_scale(0.0, 3)


def test_no_sites_deposit_nothing():
    sites = Sites.build(np.zeros(0, np.int32), GRID.n_voxels)
    for dtype in (jnp.float32, jnp.int32):
        assert not deposit(sites, jnp.zeros(0, dtype), GRID.shape).any()
    assert sites.most_per_voxel == 0


@pytest.mark.parametrize("wide, tolerance", [(True, 1e-12), (False, 1e-5)])
@pytest.mark.parametrize("boundary", ["no-flux", "periodic"])
def test_closed_box_keeps_its_balance_over_many_steps(boundary, wide, tolerance):
    """Total after = before x exp(-k dt) + released, every step (absorbing walls: the reference test)."""
    with jax.enable_x64(wide):
        grid = Grid((8, 5, 6), (1.0, 0.5, 2.0), boundary=(boundary,) * 3)
        positions, rng = scattered(40)
        sites = Sites.build(GRID.voxel_of(positions) % grid.n_voxels, grid.n_voxels)
        k, dt, rates = 0.02, 10.0, jnp.asarray(rng.random(40), float)
        propagator, source = plan(grid, 0.3, k, dt), deposit(sites, rates, grid.shape)
        totals = jax.lax.scan(lambda f, _: ((g := advance(propagator, f, source)), g.sum()), 0 * source, length=100)[1]
        totals = np.concatenate([[0.0], np.asarray(totals, float)])
        expected = totals[:-1] * np.exp(-k * dt) + float(rates.sum()) * -np.expm1(-k * dt) / k
        np.testing.assert_allclose(totals[1:], expected, rtol=tolerance)
