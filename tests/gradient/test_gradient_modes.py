"""Forward mode, checkpointed reverse mode and finite differences agree for every fitted parameter of the STDP rules."""

import contextlib
import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrojax.engine.events import Place, instants, next_instants, spike_table, stack_tables, with_landings
from retrojax.errors import InputError
from retrojax.fit.gradient import loss_and_gradient, plan_gradient, with_stretch
from retrojax.fit.pathways import PathwayOutcome
from retrojax.fit.spec import draw_starts, set_coordinates
from retrojax.fit.stdp_rules import RULES
from retrojax.io.pairing_table import PairingRow, pairing_problem
from retrojax.protocols import bursts, pairs

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


def regular(events):
    """Sixteen conditions of regular pairs: two spikes and one landing per pair."""
    tables = stack_tables([tuple(pairs((events - 1) // 3, 10.0, float(lag))) for lag in np.linspace(-45, 45, 16)])
    none = jnp.zeros(16, jnp.int32)
    return problem()._replace(mean=np.ones(16), sem=np.full(16, 0.1), predict=PathwayOutcome(tables, none, none > 0))


def counted(points, model, spec, plan) -> int:
    """Bytes that XLA counts for a gradient; the tables are arguments, as in every call of one that is compiled."""
    gradient = jax.jit(lambda data, u: loss_and_gradient(points._replace(predict=data), model, spec, plan)(u))
    compiled = gradient.lower(points.predict, jnp.zeros(len(spec))).compile()
    return compiled.memory_analysis().temp_size_in_bytes


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_memory_is_predicted_and_grows_as_the_root_of_the_run(x64, mode):
    model, spec = RULES["unified"](1)
    plans, held, sizes = [], [], (500, 8000)
    for points in map(regular, sizes):
        plans.append(quietly(points, model, spec, mode=mode))
        held.append(counted(points, model, spec, plans[-1]))
    assert plans[1].unchecked_bytes > 15 * plans[0].unchecked_bytes
    assert np.log(held[1] / held[0]) / np.log(sizes[1] / sizes[0]) < 0.55
    for plan, measured in zip(plans, held, strict=True):
        assert plan.memory_bytes / 1.3 < measured < 1.3 * plan.memory_bytes


@pytest.mark.repro
@pytest.mark.parametrize("mode", ["forward", "reverse"])
@pytest.mark.parametrize("rule", [name for name in RULES if name != "unified"])
def test_memory_is_predicted_for_every_rule(x64, rule, mode):
    (model, spec), points = RULES[rule](1), regular(500)
    plan = quietly(points, model, spec, mode=mode)
    assert plan.memory_bytes / 1.3 < counted(points, model, spec, plan) < 1.3 * plan.memory_bytes


def test_reading_in_stretches_gives_every_gap_to_the_bit(x64):
    # the landings at 2.5, 3.5 and 4 ms tie with spikes, the one at 11.4 ms is never due
    table, delay = spike_table([1.0, 2.0, 2.5, 9.9], [2.0, 3.5, 4.0], 10.0, entries=9, spikes=6), jnp.asarray(1.5)
    gaps, flags = with_landings(table, delay)
    place, pieces = Place.start(table), []
    for _ in range(-(-instants(table) // 4)):
        piece, place = next_instants(table, delay, place, 4)
        pieces.append(piece)
    again = [np.concatenate(parts) for parts in zip(*((gap, *flag) for gap, flag in pieces), strict=True)]
    count = instants(table)
    for whole, part in zip((gaps, *flags), again, strict=True):
        np.testing.assert_array_equal(part[:count], whole)
    np.testing.assert_array_equal(np.cumsum(gaps)[:10], [1, 2, 2.5, 2.5, 3.5, 3.5, 4, 4, 9.9, 10])
    np.testing.assert_array_equal(flags[0][:10], [0, 0, 1, 0, 1, 0, 1, 0, 0, 0])


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
