"""Binding against a fine ODE, equilibrium, positivity and mass; and the steady reach, which it must not change."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from retrojax.errors import InputError
from retrojax.space import Binding, Bound, Grid, Medium, advance_binding, advance_maps, bind, plan_maps

pytestmark = pytest.mark.usefixtures("x64")


def full(value, shape=(1, 1, 1)):
    return jnp.full(shape, value)


@pytest.mark.parametrize("elapsed", [0.01, 3.0, 40.0])
@pytest.mark.parametrize(("free", "bound", "sites"), [(50.0, 0.0, 20.0), (2.0, 15.0, 20.0), (10.0, 10.0, 20.0)])
def test_one_step_is_the_time_course(elapsed, free, bound, sites):
    binding = Binding.build(sites, 2e-3, 0.02)
    alpha = 0.2
    got, state, lost = bind(binding, full(free), Bound(full(bound), full(0.0)), alpha, elapsed)

    def slope(_, y):
        return [2e-3 * (free + bound - y[0]) / alpha * (sites - y[0]) - 0.02 * y[0]]

    expected = solve_ivp(slope, (0, elapsed), [bound], rtol=1e-11, atol=1e-12).y[0, -1]
    np.testing.assert_allclose(float(state.complexes[0, 0, 0]), expected, rtol=1e-8)
    np.testing.assert_allclose(float(got[0, 0, 0] + state.complexes[0, 0, 0]), free + bound, rtol=1e-15)
    assert float(lost[0, 0, 0]) == 0.0


def test_equilibrium_bound_fraction():
    binding = Binding.build(100.0, 1e-3, 0.05)  # K_d 50 nM
    free, state, _ = bind(binding, full(30.0), Bound(full(0.0), full(0.0)), 0.2, 1e5)
    c = float(free[0, 0, 0]) / 0.2
    np.testing.assert_allclose(float(state.complexes[0, 0, 0]) / 100, c / (c + 50), rtol=1e-12)


@pytest.mark.parametrize("exact", [True, False], ids=["float64", "float32"])
def test_amounts_stay_positive_and_are_kept_at_any_step(exact):
    with jax.enable_x64(exact):
        rng = np.random.default_rng(0)
        shape, size = (20, 20, 20), np.float64 if exact else np.float32
        sites = jnp.asarray(10 ** rng.uniform(-6, 6, shape), size)
        field = jnp.asarray(10 ** rng.uniform(-6, 6, shape), size)
        held = sites * jnp.asarray(rng.random(shape), size)
        binding = Binding(sites, *(jnp.asarray(10 ** rng.uniform(-8, 3, shape), size) for _ in range(2)),
                          jnp.zeros(shape, size), jnp.zeros(shape, size))
        free, state, _ = bind(binding, field, Bound(held, jnp.zeros(shape, size)), 0.2, 10.0)
        assert float(free.min()) >= 0 and float(state.complexes.min()) >= 0
        assert bool(jnp.all(state.complexes <= sites))
        before, after = field + held, free + state.complexes
        np.testing.assert_allclose(after, before, rtol=2 * np.finfo(size).eps)


def test_receptors_that_internalise_against_a_fine_ode():
    """TrkB-like sites: the bound receptor goes inside with its ligand, and returns empty."""
    sites, k_on, k_off, k_int, k_rec, alpha = 5.0, 1e-3, 1e-3, 2e-3, 5e-4, 0.2
    binding = Binding.build(sites, k_on, k_off, k_int, k_rec)

    def slope(_, y):
        a, b, inside = y
        on = k_on * a / alpha * (sites - inside - b) - k_off * b
        return [-on, on - k_int * b, k_int * b - k_rec * inside]

    expected = solve_ivp(slope, (0, 2000), [8.0, 0, 0], rtol=1e-10, atol=1e-12).y[:, -1]
    errors = []
    for n in (200, 400):
        def one(carry, _, n=n):
            field, state, lost = carry
            field, state, more = bind(binding, field, state, alpha, 2000 / n)
            return (field, state, lost + more), None

        start = full(8.0), Bound(full(0.0), full(0.0)), full(0.0)
        (field, state, lost), _ = jax.lax.scan(one, start, None, n)
        got = np.array([field, state.complexes, state.inside]).ravel()
        errors.append(np.abs(got - expected).max())
        np.testing.assert_allclose(float((field + state.complexes + lost)[0, 0, 0]), 8.0, rtol=1e-12)
    assert errors[0] < 1e-3 and errors[0] / errors[1] > 3.6


def test_binding_slows_the_approach_and_leaves_the_steady_reach():
    grid = Grid((60, 1, 1), (0.5, 1.0, 1.0))
    source, loss, alpha = jnp.zeros(grid.shape).at[0].set(1.0), 1e-3, 0.2
    medium, elapsed = Medium.build(grid, alpha, 2.14, loss), 20.0
    empty = Bound(0 * source, 0 * source)

    @functools.partial(jax.jit, static_argnums=1)
    def run(sites, steps):
        transport = functools.partial(advance_maps, plan_maps(grid, medium, 0.126, elapsed))
        kinds = [Binding(sites, *map(jnp.asarray, (1e-4, 2e-3, 0.0, 0.0)))] * 2

        def one(carry, _):
            return advance_binding(transport, carry[0], source, kinds, carry[1], alpha, elapsed), None

        return jax.lax.scan(one, (0 * source, (empty, empty)), None, steps)[0][0]

    early, early_bound = run(jnp.asarray(0.0), 20), run(jnp.asarray(40.0), 20)
    assert early_bound[20, 0, 0] < 0.2 * early[20, 0, 0]
    steady, steady_bound = run(jnp.asarray(0.0), 6000), run(jnp.asarray(40.0), 6000)
    np.testing.assert_allclose(steady_bound, steady, rtol=2e-3)


def test_mobile_complexes_are_carried():
    grid = Grid((40, 1, 1), (0.5, 1.0, 1.0))
    start = jnp.zeros(grid.shape).at[20].set(10.0)
    medium = Medium.build(grid, 0.2, 1.6)
    fast, slow = (functools.partial(advance_maps, plan_maps(grid, medium, d, 10.0)) for d in (0.2, 0.05))
    binding, dark = Binding.build(100.0, 1e-2, 1e-2), 0 * start
    state, field = (Bound(dark, dark),), start
    move = jax.jit(lambda field, state: advance_binding(
        fast, field, dark, [binding], state, 0.2, 10.0, [lambda b: slow(b, dark)]))
    for _ in range(5):
        field, state = move(field, state)
    np.testing.assert_allclose(float((field + state[0].complexes).sum()), 10.0, rtol=1e-12)
    at = np.arange(40)[:, None, None] * 0.5
    spread = float(np.sum((at - 10.0) ** 2 * np.asarray(field + state[0].complexes)) / 10.0)
    assert 2 * 0.05 / 2.56 * 50 < spread < 2 * 0.2 / 2.56 * 50


def test_sites_out_of_range_are_named():
    with pytest.raises(InputError, match="binding.k_off = '0' .*> 0"):
        Binding.build(1.0, 1.0, 0.0)
