"""Forward mode, checkpointed reverse mode and finite differences agree for every fitted parameter of the STDP rules."""

import contextlib
import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrojax.errors import InputError
from retrojax.fit.gradient import loss_and_gradient, plan_gradient, with_stretch
from retrojax.fit.spec import draw_starts, set_coordinates
from retrojax.fit.stdp_rules import RULES
from retrojax.io.pairing_table import PairingRow, pairing_problem
from retrojax.protocols import bursts

PATHS = ("A>A", "B>B")


def problem(sweeps=3):
    """Four protocols in two pathways, one under the block."""
    made = [(20.0, 10.0, "A>A", False), (20.0, -10.0, "A>A", False), (40.0, 4.0, "B>B", False),
            (10.0, -7.0, "B>B", True)]
    rows = [PairingRow(f"{k}", path, "paper", block, rate, lag, bursts(rate, lag, 3, sweeps, 1000.0), 1.1, 0.1)
            for k, (rate, lag, path, block) in enumerate(made)]
    return pairing_problem(rows, PATHS)


def quietly(*args, **kwargs):
    with contextlib.redirect_stdout(io.StringIO()):
        return plan_gradient(*args, **kwargs)


# the retrograde rule holds all of the calcium-threshold rule, the nearest-spike triplets all of the others'
SLOWER = ("graupner_brunel", "triplet")


@pytest.mark.parametrize("rule", [pytest.param(name, marks=pytest.mark.repro) if name in SLOWER else name
                                  for name in RULES])
def test_modes_and_finite_differences_agree(x64, rule):
    points = problem()
    model, spec = RULES[rule](len(PATHS))
    u = jnp.asarray(draw_starts(spec, 1, np.random.default_rng(0))[0] + 0.03)
    values, slopes = {}, {}
    for mode in ("forward", "reverse"):
        value_and_slope = loss_and_gradient(points, model, spec, quietly(points, model, spec, mode=mode))
        values[mode], slopes[mode] = value_and_slope(u)
    np.testing.assert_allclose(values["forward"], values["reverse"], rtol=1e-9)
    np.testing.assert_allclose(slopes["forward"], slopes["reverse"], rtol=1e-7, atol=1e-9)
    step = 1e-5
    loss = jax.jit(jax.vmap(lambda v: loss_of(points, model, spec, v)))
    both = loss(jnp.concatenate([u + step * jnp.eye(u.size), u - step * jnp.eye(u.size)]))
    difference = (both[: u.size] - both[u.size :]) / (2 * step)
    np.testing.assert_allclose(difference, slopes["forward"], rtol=1e-5, atol=1e-6)
    assert np.count_nonzero(np.abs(slopes["forward"]) > 1e-8) == u.size


def loss_of(points, model, spec, u):
    prior = sum(((x - np.log(p.prior[0])) / p.prior[1]) ** 2 for x, p in zip(u, spec.values(), strict=True))
    return jnp.sum(((points.predict(set_coordinates(model, spec, u)) - points.mean) / points.sem) ** 2) + prior


def test_stretches_of_any_length_change_nothing(x64):
    points = problem()
    model, _ = RULES["triplet_nearest"](len(PATHS))
    plain = points.predict(model)
    for stretch in (7, 1000):
        np.testing.assert_allclose(with_stretch(points.predict, stretch)(model), plain, rtol=1e-9)


def test_memory_is_predicted_and_grows_as_the_root_of_the_run(x64):
    model, spec = RULES["triplet"](len(PATHS))
    plans = [quietly(problem(sweeps), model, spec, mode="reverse") for sweeps in (10, 160)]
    assert plans[1].unchecked_bytes > 14 * plans[0].unchecked_bytes
    assert plans[1].memory_bytes < 5 * plans[0].memory_bytes
    points = problem(160)
    value_and_slope = loss_and_gradient(points, model, spec, plans[1])
    held = jax.jit(value_and_slope).lower(jnp.zeros(len(spec))).compile().memory_analysis().temp_size_in_bytes
    assert plans[1].memory_bytes / 3 < held < 3 * plans[1].memory_bytes


def test_mode_follows_the_number_of_parameters_and_the_limit(x64, capsys):
    points = problem()
    few, many = RULES["triplet"](1), RULES["retrograde"](len(PATHS))
    few_spec = dict(list(few[1].items())[:3])
    assert quietly(problem(), RULES["triplet"](2)[0], few_spec | {}).mode == "forward"
    assert plan_gradient(points, *many).mode == "reverse"
    assert "MiB predicted" in capsys.readouterr().out
    long = problem(160)
    plan = quietly(long, *many)
    assert quietly(long, *many, limit_bytes=plan.reverse_bytes - 1).mode == "forward"
    with pytest.raises(InputError, match="limit_bytes"):
        plan_gradient(points, *many, limit_bytes=10.0)
