"""Closed forms of point sources, at the printed digits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrojax.space import instantaneous_point, point_response, point_steady

pytestmark = pytest.mark.usefixtures("x64")
NO = {"diffusion": 2.2, "loss": np.log(2) / 500}


@pytest.mark.parametrize(
    "r, t, diffusion, loss, alpha, expected, digit",
    [
        (1, 10, 3.3, np.log(2) / 500, 1.0, 0.19247, 1e-5),
        (5, 10, 3.3, np.log(2) / 500, 1.0, 0.16047, 1e-5),
        (10, 100, 3.3, np.log(2) / 500, 1.0, 5.0183e-3, 1e-7),
        (1, 10, 0.034609375, 5e-4, 0.2, 442.31, 1e-2),
        (5, 100, 0.034609375, 5e-4, 0.2, 4.5250, 1e-4),
        (10, 1000, 0.034609375, 5e-4, 0.2, 0.26962, 1e-5),
    ],
)
def test_instantaneous_point(r, t, diffusion, loss, alpha, expected, digit):
    value = instantaneous_point(float(r), float(t), 1000.0, diffusion, loss) / alpha
    assert abs(float(value) - expected) <= digit


@pytest.mark.parametrize(
    "r, picomolar, digit",
    [(0.1, 23.965, 1e-3), (0.5, 4.7452, 1e-4), (1, 2.3430, 1e-4), (5, 0.42384, 1e-5), (10, 0.18692, 1e-5),
     (50, 0.013697, 1e-6)],
)
def test_steady_point(r, picomolar, digit):
    assert abs(float(point_steady(float(r), 0.04, **NO)) * 1e3 - picomolar) <= digit


@pytest.mark.parametrize(
    "r, t, ratio", [(1, 1, 0.64938), (10, 10, 0.16770), (10, 100, 0.78067), (50, 100, 0.05388), (50, 1000, 0.91474)]
)
def test_transient_ratio(r, t, ratio):
    value = point_response(float(r), float(t), 1.0, **NO) / point_steady(float(r), 1.0, **NO)
    assert abs(float(value) - ratio) <= 1e-5


def test_response_is_the_integral_of_the_instantaneous_point():
    node, weight = np.polynomial.legendre.leggauss(200)
    ages, weights = 7.0 * ((node + 1) / 2) ** 3, 7.0 * 1.5 * ((node + 1) / 2) ** 2 * weight
    integral = np.sum(weights * np.asarray(instantaneous_point(0.7, jnp.asarray(ages), 1.0, **NO)))
    np.testing.assert_allclose(float(point_response(0.7, 7.0, 1.0, **NO)), integral, rtol=1e-10)


def test_response_and_its_slope_are_continuous_down_to_no_loss():
    def value(loss):
        return point_response(0.7, 7.0, 1.0, 2.2, loss)

    slope = jax.grad(value)
    step = 1e-5
    np.testing.assert_allclose(slope(0.0), (value(step) - value(0.0)) / step, rtol=1e-4)
    np.testing.assert_allclose(slope(1e-12), slope(1e-8), rtol=1e-6)


def test_response_far_beyond_the_reach_is_finite_in_single_precision():
    with jax.enable_x64(False):
        value, slope = jax.value_and_grad(lambda k: point_response(300.0, 50.0, 1.0, 2.2, k))(1.0)
    assert np.isfinite(value) and np.isfinite(slope) and value >= 0


def test_diffusion_and_loss_set_amplitude_and_reach_by_tortuosity():
    d, k = 0.0886, 5e-4
    low, high = ((0.001, 1.0, d / lam**2, k) for lam in (1.6, 2.14))
    assert abs(float(point_steady(*high) / point_steady(*low)) - 1.789) < 1e-3
    assert abs(np.sqrt((d / 2.14**2) / k) / np.sqrt((d / 1.6**2) / k) - 0.748) < 1e-3


def test_surface_uptake_dilutes_less_in_sleep_and_lengthens_the_reach():
    d, k, awake, asleep = 0.0346, 5e-4, 0.14, 0.23
    reach = np.sqrt(d / k)
    steady = point_steady(reach, 1.0, d, k)
    bulk = (steady / asleep) / (steady / awake)
    surface = (point_steady(reach, 1.0, d, k * awake / asleep) / asleep) / (steady / awake)
    assert abs(float(bulk) - 0.609) < 1e-3 and abs(float(surface) - 0.758) < 1e-3
