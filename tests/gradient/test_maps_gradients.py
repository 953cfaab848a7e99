"""Gradients through maps of the medium: forward = reverse = finite difference in D, k, the maps and the step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrojax.space import Grid, Medium, advance_maps, plan_maps, work_needed

pytestmark = pytest.mark.usefixtures("x64")
GRID = Grid((5, 4, 3), (1.0, 1.2, 0.8), boundary=("no-flux", "periodic", "absorbing"))
RNG = np.random.default_rng(0)
ALPHA, WEIGHT = RNG.uniform(0.1, 0.3, GRID.shape), jnp.asarray(RNG.normal(size=GRID.shape))
AT = np.array([0.5, 0.02, 1.0, 0.003, 1.7, 12.0])


def reading(p, work):
    """p: D_free, loss, scale of alpha, uptake, tortuosity, elapsed."""
    medium = Medium(jnp.asarray(ALPHA) * p[2], p[4], p[1], p[3])
    propagator = plan_maps(GRID, medium, p[0], p[5], work)
    source = jnp.zeros(GRID.shape).at[1, 1, 1].set(1.0)
    field = advance_maps(propagator, source, source)
    return jnp.sum(WEIGHT * field / medium.fraction)


def test_forward_reverse_and_finite_difference():
    medium = Medium(jnp.asarray(ALPHA), jnp.asarray(AT[4]), jnp.asarray(AT[1]), jnp.asarray(AT[3]))
    work = work_needed(GRID, medium, AT[0], AT[5])
    value = jax.jit(lambda p: reading(p, work))
    reverse = jax.jit(jax.grad(value))(AT)
    along = jax.jit(lambda p: jax.jvp(lambda q: reading(q, None), (p,), (AT,))[1])(AT)
    np.testing.assert_allclose(along, np.sum(reverse * AT), rtol=1e-9)
    for i, at in enumerate(AT):
        step = 1e-4 * at * np.eye(len(AT))[i]
        difference = (value(AT + step) - value(AT - step)) / (2 * step[i])
        np.testing.assert_allclose(reverse[i], difference, rtol=1e-6)


def test_gradient_by_voxel_of_a_map():
    @jax.jit
    def reading_of(loss):
        medium = Medium(jnp.asarray(ALPHA), jnp.asarray(1.7), loss, jnp.asarray(0.0))
        source = jnp.zeros(GRID.shape).at[1, 1, 1].set(1.0)
        return jnp.sum(WEIGHT * advance_maps(plan_maps(GRID, medium, 0.5, 3.0, (1, 40)), source, source))

    at = jnp.asarray(RNG.uniform(0.0, 0.1, GRID.shape))
    slopes = jax.jit(jax.grad(reading_of))(at)
    for place in ((1, 1, 1), (2, 1, 1), (4, 3, 2)):
        step = jnp.zeros(GRID.shape).at[place].set(1e-5)
        difference = (reading_of(at + step) - reading_of(at - step)) / 2e-5
        np.testing.assert_allclose(slopes[place], difference, rtol=1e-5, atol=1e-10)


def test_new_values_of_maps_and_step_trace_once():
    traces = []

    @jax.jit
    def run(medium, diffusion, elapsed, field):
        traces.append(1)
        return advance_maps(plan_maps(GRID, medium, diffusion, elapsed), field, field)

    for factor in (1.0, 3.0):
        medium = Medium.build(GRID, ALPHA / factor, 1.6, 0.01 * factor)
        run(medium, jnp.asarray(0.5 * factor), jnp.asarray(10.0 * factor), jnp.ones(GRID.shape))
    assert len(traces) == 1
