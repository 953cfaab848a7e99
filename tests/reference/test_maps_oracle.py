"""A step through random maps against a dense exponential, and what every step must keep."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrojax.errors import InputError
from retrojax.space import Grid, Medium, advance, advance_maps, plan, plan_maps, rescale, work_needed

KINDS = ("no-flux", "periodic", "absorbing")
D, DT = np.array([0.4, 0.9, 1.7]), 1.1
step = jax.jit(lambda grid, *args: advance_maps(plan_maps(grid, *args[:3]), *args[3:]), static_argnums=0)
counted = jax.jit(lambda grid, work, *args: advance_maps(plan_maps(grid, *args[:3], work), *args[3:]),
                  static_argnums=(0, 1))


def random_medium(grid, seed=0):
    rng = np.random.default_rng(seed)
    ranges = ((0.05, 0.4), (1.3, 2.5), (0.0, 0.3), (0.0, 0.02))
    return Medium.build(grid, *(rng.uniform(low, high, grid.shape) for low, high in ranges))


def operator(grid, medium):
    """d(amount)/dt = matrix @ amount, face by face."""
    alpha, tortuosity, loss, uptake = (np.broadcast_to(m, grid.shape) for m in
                                       (medium.fraction, medium.tortuosity, medium.loss, medium.uptake))
    index = np.arange(grid.n_voxels).reshape(grid.shape)
    matrix = np.diag(-(loss + uptake / alpha).ravel())
    for here in np.ndindex(grid.shape):
        for axis in range(3):
            ease, n = alpha * D[axis] / tortuosity**2, grid.shape[axis]
            there = tuple((j + 1) % n if i == axis else j for i, j in enumerate(here))
            if here[axis] + 1 < n or (grid.boundary[axis] == "periodic" and n > 1):
                g = 1 / (0.5 / ease[here] + 0.5 / ease[there]) / grid.spacing[axis] ** 2
                i, j = index[here], index[there]
                matrix[[i, j, i, j], [i, j, j, i]] += [-g / alpha[here], -g / alpha[there], g / alpha[there],
                                                      g / alpha[here]]
            if grid.boundary[axis] == "absorbing":
                sides = (here[axis] == 0) + (here[axis] == n - 1)
                matrix[index[here], index[here]] -= sides * 2 * ease[here] / alpha[here] / grid.spacing[axis] ** 2
    return matrix


def expm(matrix):
    """Repeated squaring of a Taylor polynomial."""
    halvings = int(np.ceil(np.log2(np.abs(matrix).sum(axis=1).max() + 1))) + 4
    term = total = np.eye(len(matrix))
    for order in range(1, 16):
        term = term @ (matrix / 2**halvings) / order
        total = total + term
    for _ in range(halvings):
        total = total @ total
    return total


def oracle(grid, medium, field, source):
    n = grid.n_voxels
    a = np.zeros((n + 1, n + 1))
    a[:n, :n], a[:n, -1] = operator(grid, medium), source.ravel()
    return (expm(a * DT) @ np.append(field.ravel(), 1.0))[:n].reshape(grid.shape)


@pytest.mark.parametrize("boundary", [KINDS, KINDS[1:] + KINDS[:1], KINDS[2:] + KINDS[:2]], ids="/".join)
def test_step_through_random_maps(x64, boundary):
    grid = Grid((3, 4, 2), (1.0, 0.8, 1.5), boundary=boundary)
    medium, rng = random_medium(grid), np.random.default_rng(1)
    field, source = rng.random(grid.shape), rng.random(grid.shape)
    got = step(grid, medium, D, DT, field, source)
    np.testing.assert_allclose(got, oracle(grid, medium, field, source), rtol=1e-11)


def test_uniform_maps_give_the_propagator_of_the_uniform_box(x64):
    grid = Grid((6, 5, 1), (0.7, 1.0, 1.0), boundary=("absorbing", "periodic", "no-flux"))
    field = jnp.asarray(np.random.default_rng(2).random(grid.shape))
    got = step(grid, Medium.build(grid, 0.2, 1.6, 0.3, 0.04), D, DT, field, 2 * field)
    expected = advance(plan(grid, jnp.asarray(D / 1.6**2), 0.3 + 0.04 / 0.2, DT), field, 2 * field)
    np.testing.assert_allclose(got, expected, rtol=1e-12)


@pytest.mark.parametrize("elapsed", [0.003, 9000.0])
def test_one_step_is_many(x64, elapsed):
    grid = Grid((9, 8, 1), (0.5, 1.0, 1.0), boundary=("no-flux", "periodic", "no-flux"))
    medium, field = random_medium(grid), jnp.asarray(np.random.default_rng(3).random(grid.shape))
    once, parts = step(grid, medium, D, elapsed, field, field), field
    for _ in range(4):
        parts = step(grid, medium, D, elapsed / 4, parts, field)
    np.testing.assert_allclose(once, parts, rtol=1e-11, atol=1e-12)
    fixed = counted(grid, work_needed(grid, medium, D, elapsed), medium, D, elapsed, field, field)
    np.testing.assert_allclose(fixed, once, rtol=1e-11, atol=1e-12)
    free = plan_maps(grid, medium, jnp.asarray(D), elapsed)
    assert int(free.steps) == max(1, np.ceil(elapsed * float(free.operator.stiffness() / free.reach) / 2000))
    assert int(free.terms) < 250


@pytest.mark.parametrize(("exact", "tolerance"), [(True, 1e-11), (False, 1e-5)], ids=["float64", "float32"])
def test_amount_is_kept_and_becomes_uniform_concentration(exact, tolerance):
    with jax.enable_x64(exact):
        grid = Grid((8, 7, 6), (1.0, 0.8, 1.2), boundary=("no-flux", "periodic", "no-flux"))
        medium = random_medium(grid)
        medium = Medium(medium.fraction, medium.tortuosity, jnp.zeros(()), jnp.zeros(()))
        start = field = jnp.zeros(grid.shape).at[1, 2, 3].set(5.0)
        for _ in range(60):
            field = step(grid, medium, D, 20.0, field, 0.01 * start)
        total = np.sum(np.asarray(field, np.float64))
        np.testing.assert_allclose(total, 5.0 * (1 + 0.01 * 60 * 20.0), rtol=tolerance)
        for _ in range(10):
            field = step(grid, medium, D, 400.0, field, 0 * start)
        level = total / np.sum(np.asarray(medium.fraction, np.float64))
        np.testing.assert_allclose(field / medium.fraction, level, rtol=10 * tolerance)


@pytest.mark.parametrize("elapsed", [0.05, 1.0, 10.0, 300.0])
@pytest.mark.parametrize("exact", [True, False], ids=["float64", "float32"])
@pytest.mark.parametrize("at_once", [True, False], ids=["release", "source"])
def test_release_into_one_voxel_stays_positive(exact, elapsed, at_once):
    with jax.enable_x64(exact):
        grid = Grid((31, 31, 31), (1.0, 1.0, 1.0))
        field = jnp.zeros(grid.shape).at[15, 15, 15].set(1.0)
        start, source = (field, 0 * field) if at_once else (0 * field, field / elapsed)
        after = np.asarray(step(grid, random_medium(grid), 2.2, elapsed, start, source))
        assert after.dtype == (np.float64 if exact else np.float32)
        assert after.min() > -1e-6 * after.max()


def test_reciprocity_and_mirror(x64):
    grid = Grid((6, 5, 4), (1.0, 0.8, 1.2), boundary=("no-flux", "periodic", "absorbing"))
    medium, dark = random_medium(grid), jnp.zeros(grid.shape)
    here, there = (1, 2, 0), (4, 0, 3)
    one = step(grid, medium, D, 7.0, dark, dark.at[here].set(1.0)) / medium.fraction
    other = step(grid, medium, D, 7.0, dark, dark.at[there].set(1.0)) / medium.fraction
    np.testing.assert_allclose(one[there], other[here], rtol=1e-11)
    assert abs(one[there] / one[here] - 1) > 0.1
    flipped = jax.tree.map(lambda m: m[::-1], medium)
    mirrored = step(grid, flipped, D, 7.0, dark, dark.at[here].set(1.0)[::-1]) / flipped.fraction
    np.testing.assert_allclose(mirrored[::-1], one, rtol=1e-12)


def test_sleep_dilutes_at_once_and_lengthens_the_reach_of_surface_uptake(x64):
    # Xie et al. (2013): 0.14 awake, 0.23 asleep
    np.testing.assert_allclose(rescale(jnp.asarray(10.0), 0.14, 0.23), 6.087, rtol=1e-4)
    grid = Grid((400, 1, 1), (0.25, 1.0, 1.0))
    source = jnp.zeros(grid.shape).at[0].set(1.0)
    reach = {}
    for sink, alpha in itertools.product(("loss", "uptake"), (0.14, 0.23)):
        rate = 0.01 if sink == "loss" else 0.0014
        medium = Medium.build(grid, fraction=alpha, **{sink: rate})
        steady = step(grid, medium, 0.4, 5000.0, 0 * source, source)
        reach[sink, alpha] = -1 / np.polyfit(np.arange(40) * 0.25, np.log(np.asarray(steady)[20:60, 0, 0]), 1)[0]
    np.testing.assert_allclose(reach["loss", 0.23] / reach["loss", 0.14], 1.0, rtol=1e-6)
    np.testing.assert_allclose(reach["uptake", 0.23] / reach["uptake", 0.14], np.sqrt(0.23 / 0.14), rtol=1e-3)


def test_maps_out_of_range_are_named():
    grid = Grid((2, 2, 1), (1.0, 1.0, 1.0))
    with pytest.raises(InputError, match=r"medium.fraction\[0, 1, 0\] = '0' .*1e-06 to 1"):
        Medium.build(grid, fraction=np.array([[[0.2], [0.0]], [[0.2], [0.2]]]))
    with pytest.raises(InputError, match=r"medium.loss = .a map of shape \(3,\)"):
        Medium.build(grid, loss=np.zeros(3))
    with pytest.raises(InputError, match="medium.tortuosity = '0.5'"):
        Medium.build(grid, tortuosity=0.5)
