"""The propagator against a dense matrix exponential of the 7-point operator, in plain NumPy."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from retrojax.space import Grid, advance, plan

KINDS = ("no-flux", "periodic", "absorbing")
D, K, DT = np.array([0.4, 0.9, 1.7]), 0.3, 1.1


def second_difference(n, dx, kind):
    matrix = np.zeros((n, n))
    for i, step in itertools.product(range(n), (-1, 1)):
        matrix[i, i] -= 1
        if 0 <= i + step < n or kind == "periodic":
            matrix[i, (i + step) % n] += 1
        else:
            matrix[i, i] += {"no-flux": 1, "absorbing": -1}[kind]  # the ghost cell is +c or -c
    return matrix / dx**2


def operator(grid):
    """d(field)/dt = operator @ field, on the flattened grid."""
    total = -K * np.eye(grid.n_voxels)
    for axis, (n, dx, kind) in enumerate(zip(grid.shape, grid.spacing, grid.boundary, strict=True)):
        parts = [np.eye(m) for m in grid.shape]
        parts[axis] = second_difference(n, dx, kind)
        total += D[axis] * np.kron(np.kron(parts[0], parts[1]), parts[2])
    return total


def expm(matrix):
    """Repeated squaring of a Taylor polynomial."""
    halvings = max(0, int(np.ceil(np.log2(np.abs(matrix).sum(axis=1).max()))) + 4)
    term = total = np.eye(len(matrix))
    for order in range(1, 16):
        term = term @ (matrix / 2**halvings) / order
        total = total + term
    for _ in range(halvings):
        total = total @ total
    return total


def oracle(grid, field, source):
    """Field after DT, and the time integral of the field, from one augmented exponential."""
    n = grid.n_voxels
    a = np.zeros((2 * n + 1, 2 * n + 1))
    a[:n, :n], a[:n, -1], a[n : 2 * n, :n] = operator(grid), source.ravel(), np.eye(n)
    end = expm(a * DT) @ np.concatenate([field.ravel(), np.zeros(n), [1.0]])
    return end[:n].reshape(grid.shape), end[n : 2 * n].reshape(grid.shape)


@pytest.mark.parametrize("boundary", list(itertools.product(KINDS, repeat=3)), ids="/".join)
def test_step_and_mass_balance(x64, boundary):
    grid = Grid((3, 4, 2), (1.0, 0.8, 1.5), boundary=boundary)
    rng = np.random.default_rng(1)
    field, source = rng.random(grid.shape), rng.random(grid.shape)
    expected, integral = oracle(grid, field, source)
    got = np.asarray(advance(plan(grid, jnp.asarray(D), K, DT), jnp.asarray(field), jnp.asarray(source)))
    np.testing.assert_allclose(got, expected, rtol=1e-12)
    lost = K * integral.sum()
    for axis, kind in enumerate(boundary):
        if kind == "absorbing":  # flux through a wall face: D c / (dx/2) per area, per volume D 2c / dx^2
            walls = integral.take([0, -1], axis=axis).sum()
            lost += D[axis] * 2 * walls / grid.spacing[axis] ** 2
    np.testing.assert_allclose(got.sum(), field.sum() + source.sum() * DT - lost, rtol=1e-13)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [1, 2, 5])
def test_short_axes(x64, kind, n):
    grid = Grid((n, 1, 1), (0.9, 1.0, 1.0), boundary=(kind, "no-flux", "periodic"))
    field, source = np.arange(1.0, n + 1).reshape(grid.shape), np.ones(grid.shape)
    got = advance(plan(grid, jnp.asarray(D), K, DT), jnp.asarray(field), jnp.asarray(source))
    np.testing.assert_allclose(got, oracle(grid, field, source)[0], rtol=1e-12)
