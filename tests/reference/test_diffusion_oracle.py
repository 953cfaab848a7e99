"""The propagator against a dense matrix exponential of the 7-point operator, in plain NumPy."""

import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrojax.space import Grid, advance, advance_driven, choose, eigenbasis, from_modes, plan, relax, to_modes

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


@pytest.fixture(params=["whole", "folded", "fft"])
def way(request, monkeypatch):
    """Into the eigenbasis: by whole matrices (short axes), by folded ones (long axes), by Fourier transforms."""
    monkeypatch.setattr(eigenbasis, "FOLD_FROM", 2 if request.param == "folded" else 64)
    return "fft" if request.param == "fft" else "matrix"


MIXED = [KINDS, KINDS[1:] + KINDS[:1], KINDS[2:] + KINDS[:2], ("periodic",) * 3]


def test_every_way_steps_exactly_and_balances(x64, way):
    for boundary in MIXED:  # each kind on each axis, of even and of odd length
        check_step(Grid((3, 4, 5), (1.0, 0.8, 1.5), boundary=boundary), way)


@pytest.mark.parametrize("boundary", list(itertools.product(KINDS, repeat=3)), ids="/".join)
def test_step_and_mass_balance(x64, boundary):
    check_step(Grid((3, 4, 2), (1.0, 0.8, 1.5), boundary=boundary), "matrix")


def check_step(grid, method):
    rng = np.random.default_rng(1)
    field, source = rng.random(grid.shape), rng.random(grid.shape)
    expected, integral = oracle(grid, field, source)
    @jax.jit
    def steps(field, source):
        propagator = plan(grid, jnp.asarray(D), K, DT, method=method)
        return (advance(propagator, field, source), advance(propagator, field), advance(propagator, field, 0 * source),
                advance_driven(propagator, field, source))

    got, free, without, driven = map(np.asarray, steps(jnp.asarray(field), jnp.asarray(source)))
    np.testing.assert_allclose(got, expected, rtol=1e-12)
    np.testing.assert_allclose(driven, expected, rtol=1e-12)
    np.testing.assert_allclose(driven.sum(), got.sum(), rtol=1e-13)
    np.testing.assert_allclose(free, without, rtol=1e-12)
    lost = K * integral.sum()
    for axis, kind in enumerate(grid.boundary):
        if kind == "absorbing":  # flux through a wall face: D c / (dx/2) per area, per volume D 2c / dx^2
            walls = integral.take([0, -1], axis=axis).sum()
            lost += D[axis] * 2 * walls / grid.spacing[axis] ** 2
    np.testing.assert_allclose(got.sum(), field.sum() + source.sum() * DT - lost, rtol=1e-13)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [1, 2, 5])
def test_short_axes(x64, way, kind, n):
    grid = Grid((n, 1, 1), (0.9, 1.0, 1.0), boundary=(kind, "no-flux", "periodic"))
    field, source = np.arange(1.0, n + 1).reshape(grid.shape), np.ones(grid.shape)
    step = jax.jit(lambda field, source: advance(plan(grid, jnp.asarray(D), K, DT, method=way), field, source))
    got = step(jnp.asarray(field), jnp.asarray(source))
    np.testing.assert_allclose(got, oracle(grid, field, source)[0], rtol=1e-12)


def test_modes_kept_between_steps_are_the_same_field(x64, way):
    grid = Grid((5, 6, 4), (1.0, 0.8, 1.5), boundary=KINDS)
    rng = np.random.default_rng(2)
    field, source = jnp.asarray(rng.random(grid.shape)), jnp.asarray(rng.random(grid.shape))

    @jax.jit
    def steps(field):
        propagator = plan(grid, jnp.asarray(D), K, DT, method=way)
        modes, made = to_modes(propagator, field), to_modes(propagator, source)
        for _ in range(3):
            modes, field = relax(propagator, modes, made), advance(propagator, field, source)
        return from_modes(propagator, relax(propagator, modes)), advance(propagator, field)

    kept, field = steps(field)
    np.testing.assert_allclose(kept, field, rtol=1e-12)


@pytest.mark.parametrize("double", [True, False])
def test_fewer_modes_and_short_kernels_are_the_same_step(double):
    """Cut at rounding; walls of each kind along the longest axis, and an axis of one voxel."""
    ways = ("matrix", "modes", "convolution")
    with jax.enable_x64(double):
        for boundary in MIXED[:3]:
            grid = Grid((24, 26, 1), (1.0, 0.9, 1.5), boundary=boundary)
            field = jnp.asarray(np.random.default_rng(3).random(grid.shape), float)
            rates = jnp.asarray(D * [1, 1, 0], float)
            step = jax.jit(lambda field, grid=grid, rates=rates: [
                advance(plan(grid, rates, K, DT, method=way), field) for way in ways])
            whole, *short = map(np.asarray, step(field))
            for other in short:
                np.testing.assert_allclose(other, whole, rtol=0, atol=(2e-14 if double else 2e-6) * whole.max())


def test_short_ways_need_numbers():
    grid = Grid((12, 1, 1), (1.0,) * 3)
    with pytest.raises(ValueError, match="numbers that are not traced"):
        jax.jit(lambda d: plan(grid, d, K, DT, method="modes"))(0.4)
    with pytest.raises(ValueError, match="no short kernel"):
        plan(grid, 40.0, K, DT, method="convolution")


def test_method_is_the_cheaper_one_and_says_why():
    box, torus = (Grid((128,) * 3, (1.0,) * 3, boundary=(kind,) * 3) for kind in ("no-flux", "periodic"))
    assert choose(box).method == "matrix" and choose(torus).method == "fft"
    assert choose(torus, source=False).method == "matrix"
    assert choose(Grid((12,) * 3, (1.0,) * 3, boundary=("periodic",) * 3)).method == "matrix"
    assert choose(box, False, (33.0,) * 3).method == "modes"
    assert choose(box, False, (0.2,) * 3).method == "convolution" and choose(box, True, (0.2,) * 3).method == "matrix"
    for choice in (choose(box), choose(torus), choose(box, False, (33.0,) * 3)):
        assert choice.seconds[choice.method] == min(choice.seconds.values())
        assert re.fullmatch(r"(products with [a-z ]+|Fourier transforms), predicted \S+ ms a step on two CPU cores, "
                            r"against \S+ ms by .+", choice.why)
    awkward, good = Grid((127, 1, 1), (1.0,) * 3), Grid((128, 1, 1), (1.0,) * 3)
    assert choose(awkward).seconds["fft"] > 1.1 * choose(good).seconds["fft"]
