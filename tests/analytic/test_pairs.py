"""What a bouton sees of its own spine and of a close neighbour does not depend on the voxel size."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import ive

from retrojax.errors import InputError
from retrojax.space import (
    Grid,
    Sites,
    advance,
    correction_kernel,
    deposit,
    find_pairs,
    from_neighbours,
    offset_class,
    own_spine,
    pair_kernel,
    pair_steps,
    plan,
    point_response,
    sample,
)
from retrojax.space.lattice import lattice_response
from retrojax.units import MOLECULES_PER_NM_UM3

D, K, DT = 2.2, np.log(2) / 500, 2.0
STEPS, SIZE = 3, 24.0
"""After 6 ms no wall is felt, and the kernel is not cut short."""
NEIGHBOURS = (0.5, 1.0, 2.0)


def sites(seed):
    """Spines and boutons of four synapses: the first bouton is 0.1 um from its own spine, `NEIGHBOURS` from others."""
    rng = np.random.default_rng(seed)
    away, other = (x / np.linalg.norm(x, axis=1)[:, None] for x in rng.normal(size=(2, 4, 3)))
    bouton = SIZE / 2 + rng.uniform(-1, 1, 3)
    spines = bouton + np.array([0.1, *NEIGHBOURS])[:, None] * away
    return spines, np.concatenate([bouton[None], spines[1:] + 0.1 * other[1:]])


def bouton_amounts(dx, spines, boutons, paired=True):
    """Amount [nM] at the first bouton after `STEPS` field steps, for each spine at 0.04 molecules/ms alone, [4]."""
    n = round(SIZE / dx)
    grid = Grid((n, n, n), (dx,) * 3)
    at = [grid.voxel_of(x) for x in (spines, boutons)]
    source, seen = Sites.build(at[0], grid.n_voxels), Sites.build(at[1], grid.n_voxels)
    pairs, classes = find_pairs(grid, spines, boutons), jnp.asarray(offset_class(grid, *at))

    @jax.jit
    @jax.vmap
    def run(rates):
        made = deposit(source, rates / (grid.voxel_volume * MOLECULES_PER_NM_UM3), grid.shape)
        field = advance(plan(grid, D, K, STEPS * DT), 0 * made, made)
        history = jnp.broadcast_to(rates, (STEPS, 4))
        amount = sample(seen, field) + own_spine(correction_kernel(grid, D, K, DT, 0.1, STEPS), classes, history)
        return amount + from_neighbours(pair_kernel(grid, pairs, D, K, DT, STEPS), pairs, history) * paired

    return np.asarray(run(0.04 * jnp.eye(4)))[:, 0]


@pytest.mark.parametrize("seed", [0, 1])
def test_own_spine_and_neighbours_are_seen_alike_at_every_voxel_size(seed):
    amounts = np.stack([bouton_amounts(dx, *sites(seed)) for dx in (0.5, 1.0, 2.0)])
    expected = point_response(jnp.array([0.1, *NEIGHBOURS]), STEPS * DT, 0.04, D, K)
    np.testing.assert_allclose(amounts, np.broadcast_to(expected, amounts.shape), rtol=0.05)
    assert np.all(np.ptp(amounts, axis=0) < 0.05 * amounts.mean(axis=0))


def test_without_pairs_a_neighbour_is_wrong_by_tens_of_per_cent():
    plain, paired = (bouton_amounts(2.0, *sites(0), on) for on in (False, True))
    assert abs(plain[0] / paired[0] - 1) < 1e-5 and plain[1] < 0.8 * paired[1]


def test_kernel_is_closed_form_less_grid(x64):
    """Against the grid itself, at several ages and offsets, with walls too far to matter."""
    n, dx, dt = 41, 0.5, 1.0
    grid = Grid((n, n, n), (dx,) * 3, boundary=("absorbing",) * 3)
    middle = np.full(3, (n // 2 + 0.5) * dx)
    boutons = middle + dx * np.array([[0.0, 0, 0], [1, 0, 0], [0, 2, 1], [3, 1, 2], [3, 3, 3]]) + 0.1
    spines = np.tile(middle, (5, 1))
    pairs = find_pairs(grid, spines, boutons)
    assert pairs.bouton.size == 20  # every bouton with the four spines that are not its own
    kernel = np.asarray(pair_kernel(grid, pairs, D, 0.01, dt, 2))
    voxels = Sites.build(grid.voxel_of(boutons), grid.n_voxels)
    made = deposit(Sites.build(grid.voxel_of(spines[:1]), grid.n_voxels),
                   jnp.ones(1) / (grid.voxel_volume * MOLECULES_PER_NM_UM3), grid.shape)
    propagator = plan(grid, D, 0.01, dt)
    field = advance(propagator, 0 * made, made)
    grids = [sample(voxels, field), sample(voxels, advance(propagator, field))]
    first, both = (point_response(pairs.distance, t, 1.0, D, 0.01) for t in (dt, 2 * dt))
    expected = np.stack([first - grids[0][pairs.bouton], both - first - grids[1][pairs.bouton]], axis=1)
    np.testing.assert_allclose(kernel, expected, rtol=0, atol=2e-6 * float(first.max()))


def test_lattice_orders_against_scipy(x64):
    grid, ages = Grid((9, 9, 9), (1.0, 0.5, 2.0)), np.array([1e-3, 0.1, 3.0, 200.0, 2e4])
    got = lattice_response(grid, jnp.full(3, 0.7), 0.0, jnp.asarray(ages), 5)
    x, y, z = (2 * 0.7 * ages / dx**2 for dx in grid.spacing)
    for a, b, c in ((5, 0, 1), (2, 4, 3), (1, 5, 5), (0, 3, 2)):
        expected = ive(a, x) * ive(b, y) * ive(c, z) / (grid.voxel_volume * MOLECULES_PER_NM_UM3)
        np.testing.assert_allclose(got[(a * 6 + b) * 6 + c], expected, rtol=1e-6)


def test_pairs_are_those_within_reach_also_across_a_periodic_wall():
    grid = Grid((10, 10, 10), (1.0,) * 3, boundary=("periodic", "no-flux", "no-flux"))
    spines = np.array([[0.5, 5, 5], [9.5, 5, 5], [0.5, 0.5, 0.5]])
    boutons = spines + [0.1, 0, 0]
    pairs = find_pairs(grid, spines, boutons, within=2)
    assert np.stack([pairs.spine, pairs.bouton]).T.tolist() == [[1, 0], [0, 1]]
    np.testing.assert_allclose(pairs.distance, [1.1, 0.9], rtol=1e-6)
    assert pairs.offset.tolist() == [9, 9]  # one voxel along x
    assert pair_steps(grid, pairs, D, K, DT) < 10
    brute = np.random.default_rng(5).uniform(0, 10, (60, 3))
    found = find_pairs(grid, brute, brute[::-1].copy(), within=3)
    voxel = np.floor(brute).astype(int)
    apart = np.abs(voxel[None] - voxel[::-1][:, None])
    apart[..., 0] = np.minimum(apart[..., 0], 10 - apart[..., 0])
    close = (apart <= 3).all(-1) & ~np.eye(60, dtype=bool)
    assert np.argwhere(close).tolist() == np.stack([found.bouton, found.spine]).T.tolist()


def test_nothing_close_adds_nothing_and_bad_input_is_named():
    grid = Grid((20, 20, 20), (1.0,) * 3)
    spines = np.array([[1.0, 1, 1], [15, 15, 15]])
    pairs = find_pairs(grid, spines, spines + 0.1)
    assert pairs.spine.size == 0 and pair_steps(grid, pairs, D, K, DT) == 1
    added = from_neighbours(pair_kernel(grid, pairs, D, K, DT, 3), pairs, jnp.ones((3, 2)))
    assert added.tolist() == [0, 0]
    with pytest.raises(InputError, match="within = 9 .* 1 to 8 voxels"):
        find_pairs(grid, spines, spines, within=9)
    with pytest.raises(InputError, match="closest"):
        find_pairs(grid, spines, spines, closest=0.0)


def test_kernel_has_gradients(x64):
    grid = Grid((20, 20, 20), (1.0,) * 3)
    spines = np.random.default_rng(6).uniform(5, 9, (4, 3))
    pairs = find_pairs(grid, spines, spines + 0.1)

    def total(p):
        return jnp.sum(pair_kernel(grid, pairs, p[0], p[1], DT, 2) ** 2)

    at = jnp.array([D, 0.01])
    total, by = jax.jit(total), jax.jit(jax.grad(total))(at)
    for i in range(2):
        step = 1e-5 * at[i] * jnp.eye(2)[i]
        np.testing.assert_allclose(by[i], (total(at + step) - total(at - step)) / (2 * step[i]), rtol=1e-6)
