"""Saturable loss against printed values, its implicit equation and a fine split."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import lambertw

from retrojax.space import Grid, advance, advance_saturable, michaelis_menten, plan, saturable_steps, wright_omega


def test_printed_time_course(x64):
    t = jnp.array([1.0, 5, 10, 12])
    np.testing.assert_allclose(michaelis_menten(jnp.full(4, 10.0), t, jnp.ones(4)),
                               [9.094874, 5.582880, 1.745528, 0.683343], atol=6e-7)


@pytest.mark.parametrize(("exact", "rtol"), [(True, 4e-15), (False, 6e-7)], ids=["float64", "float32"])
def test_omega_against_lambert_w_and_asymptotes(exact, rtol):
    with jax.enable_x64(exact):
        y = np.linspace(-60, 300, 721).astype(float if exact else np.float32)
        expected = lambertw(np.exp(y.astype(float))).real
        # exp(y) itself carries |y| roundings of y
        np.testing.assert_array_less(np.abs(wright_omega(jnp.asarray(y)) / expected - 1), rtol * (1 + np.abs(y) / 8))
        big = wright_omega(jnp.asarray([1e6, 1e30, -1e30]))
        np.testing.assert_allclose(big, [1e6 - 13.815497, 1e30, 0.0], rtol=1e-7 if not exact else 1e-12)


def test_saturated_loss_is_linear_and_two_sources_add_up_to_more_than_their_sum(x64):
    # V_max 1.5 uM/s, K_m 10 nM (Hall & Garthwaite 2006)
    vmax, km = 1.5, 10.0
    t = jnp.array([0.0, 100.0, 200.0])
    np.testing.assert_allclose(np.diff(michaelis_menten(jnp.full(3, 1e4), vmax * t, jnp.full(3, km))), -vmax * 100,
                               rtol=2e-3)
    low = michaelis_menten(jnp.asarray(0.01), jnp.asarray(vmax * np.log(2) * km / vmax), jnp.asarray(km))
    np.testing.assert_allclose(low, 0.005, rtol=1e-3)  # below K_m the half-life is ln 2 K_m/V_max, 4.6 ms

    @jax.jit
    def level(strength):
        grid, source = Grid((1, 1, 1), (1.0, 1.0, 1.0)), strength * jnp.ones((1, 1, 1))
        steps = saturable_steps(4000.0, vmax, km)
        transport = functools.partial(advance, plan(grid, 0.0, 0.0, 2000.0 / steps))
        return advance_saturable(transport, 0 * source, source, 1.0, vmax, km, 4000.0 / steps, steps)[0, 0, 0]

    one, two = level(0.6), level(1.2)  # steady: K_m S/(V_max - S)
    np.testing.assert_allclose([one, two], [km * 0.6 / 0.9, km * 1.2 / 0.3], rtol=0.01)
    assert two > 5 * one


def test_gradient_of_the_exact_solution(x64):
    value = jax.jit(lambda p: michaelis_menten(p[0], p[1], p[2]))
    for at in ([10.0, 12.0, 1.0], [1e4, 50.0, 3.0], [0.02, 5.0, 1.0]):
        at = jnp.asarray(at)
        for i, slope in enumerate(jax.grad(value)(at)):
            step = 1e-5 * at[i] * jnp.eye(3)[i]
            difference = (value(at + step) - value(at - step)) / (2 * step[i])
            np.testing.assert_allclose(slope, difference, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(jax.grad(value)(jnp.array([0.0, 2.0, 1.0])), [np.exp(-2), 0, 0], rtol=1e-12)


def test_split_from_transport_stays_within_one_per_cent(x64):
    """Nitric oxide at 10 ms, V_max/K_m = 0.2/ms: 19 parts are asked for; 400 are the reference."""
    grid, vmax, km, elapsed = Grid((15, 15, 15), (1.0, 1.0, 1.0)), 2.0, 10.0, 10.0
    source = jnp.zeros(grid.shape).at[7, 7, 7].set(50.0)

    @jax.jit
    def after(steps):
        transport = functools.partial(advance, plan(grid, 2.2, 0.0, elapsed / steps / 2))
        field = 0 * source
        for _ in range(3):
            field = advance_saturable(transport, field, source, 0.8, vmax, km, elapsed / steps, steps)
        return field

    asked = saturable_steps(elapsed, vmax, km)
    assert int(asked) == 19
    fine = after(400)
    error = [float(jnp.abs(after(n) / fine - 1).max()) for n in (int(asked), 2 * int(asked))]
    assert error[0] < 0.01 and error[1] < error[0] / 2.5, error


def test_the_far_tail_of_a_field_is_a_number():
    """Single precision: far from every source concentrations fall to the end of the range, where c/K_m is no longer a
    normal number though c is."""
    start = jnp.asarray(np.geomspace(1e-40, 1e-30, 201), jnp.float32)
    left = np.asarray(jax.jit(michaelis_menten)(start, jnp.float32(3.0), jnp.float32(10.0)))
    assert np.isfinite(left).all() and (left <= np.asarray(start)).all()
    seen = np.asarray(start) > 2e-37
    np.testing.assert_allclose(left[seen], np.asarray(start)[seen] * np.exp(-0.3), rtol=2e-5)
    slopes = jax.vmap(jax.jacfwd(lambda p: michaelis_menten(p[0], p[1], p[2])))
    # the last: what is left is a normal number, its share of what there was is not
    for c, removed in ((start, 3.0), (jnp.full(1, 1e4, jnp.float32), 1e4 + 900.0)):
        found = slopes(jnp.stack([c, jnp.full(c.shape, removed, c.dtype), jnp.full(c.shape, 10.0, c.dtype)], axis=1))
        assert np.isfinite(np.asarray(found)).all()
