"""Descent by optax: the optimum of least squares, the same bits after a resume, batches that stand for the whole."""

from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import yaml

from retrojax.errors import InputError
from retrojax.fit import (
    Descending,
    FitConfig,
    Likelihood,
    Parameter,
    Problem,
    Saved,
    Transform,
    build,
    descend,
    estimate_descent,
    estimate_likelihood,
    fit,
    least_squares_likelihood,
    likelihoods,
    pieces,
    report_descent,
    start_descent,
    stochastic,
)
from retrojax.fit.cost import predict_cost
from retrojax.fit.estimate import Ends
from retrojax.fit.estimate_descent import ByDescent
from retrojax.fit.fitting import prepare
from retrojax.fit.pieces import evaluated_in_pieces, part_of
from retrojax.fit.posterior import log_posterior_in_pieces
from retrojax.fit.sections import LikelihoodSection
from retrojax.fit.spec import draw_starts
from retrojax.validation import validate

N = 60
X = np.linspace(-1, 1, N)
Y = 2 + 0.8 * X + 0.5 * np.random.default_rng(3).standard_normal(N)
SPEC = {"level": Parameter(Transform("identity"), 0.0, 1.0), "slope": Parameter(Transform("identity"), 0.0, 1.0)}
ADAM = optax.adam(optax.cosine_decay_schedule(0.1, 600))


class Line(eqx.Module):
    level: jax.Array
    slope: jax.Array


class Density(eqx.Module):
    x: jax.Array
    y: jax.Array

    def __call__(self, model: Line):
        return likelihoods.gaussian(self.y, model.level + model.slope * self.x, 0.5)


def problem():
    return Likelihood(Density(jnp.asarray(X), jnp.asarray(Y)), ("all",) * N)


def line():
    return Line(jnp.asarray(0.0), jnp.asarray(0.0))


def run(steps, batch=None, descent=None, **how):
    descent = start_descent(SPEC, ADAM, starts=3, key=jax.random.key(1)) if descent is None else descent
    return descend(problem(), line(), SPEC, ADAM, descent, steps, batch=batch, **how)


@pytest.mark.parametrize(("batch", "within"), [(None, 1e-3), (10, 0.15)])
def test_optimum_is_that_of_linear_regression(x64, batch, within):
    found = report_descent(problem(), line(), SPEC, run(600, batch, patience=600))
    design = np.stack([np.ones(N), X], -1)
    beta, sd = np.linalg.lstsq(design, Y)[0], 0.5 * np.sqrt(np.diag(np.linalg.inv(design.T @ design)))
    for p, value, error in zip(found.parameters.values(), beta, sd, strict=True):
        assert abs(p.value - value) < within * error
    if batch is None:
        assert found.starts.converged.all()
        np.testing.assert_allclose(found.log_likelihood, -0.5 * np.sum(((Y - design @ beta) / 0.5) ** 2)
                                   - N * np.log(0.5 * np.sqrt(2 * np.pi)), rtol=1e-6)


@pytest.mark.parametrize("batch", [None, 10])
def test_a_descent_resumed_from_a_file_gives_the_same_bits(x64, batch, tmp_path):
    whole = run(90, batch)
    eqx.tree_serialise_leaves(tmp_path / "descent.eqx", run(37, batch))
    begun = start_descent(SPEC, ADAM, starts=3, key=jax.random.key(0))
    resumed = run(53, batch, eqx.tree_deserialise_leaves(tmp_path / "descent.eqx", begun))
    for one, other in zip(jax.tree.leaves(whole), jax.tree.leaves(resumed), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_start_that_stands_still_stops(x64):
    found = run(5000, patience=30)
    assert int(found.iteration) < 1500
    assert np.all(np.asarray(found.still) == 30)
    assert len(set(np.asarray(found.steps).tolist())) > 1


def test_batches_that_cannot_be_drawn_are_refused():
    with pytest.raises(InputError, match="batch"):
        run(1, 61)

    class Shared(Density):
        sd: jax.Array = eqx.field(default_factory=lambda: jnp.asarray(0.5))

    shared = Likelihood(Shared(jnp.asarray(X), jnp.asarray(Y)), ("all",) * N)
    with pytest.raises(InputError, match="first axis of 60 observations"):
        descend(shared, line(), SPEC, ADAM, start_descent(SPEC, ADAM, starts=1, key=jax.random.key(0)), 1, batch=5)


class Height(eqx.Module):
    x: jax.Array

    def __call__(self, model: Line):
        return model.level + model.slope * self.x


def points() -> Problem:
    groups = tuple("abc"[k % 3] for k in range(N))
    return Problem(Y, np.full(N, 0.5), Height(jnp.asarray(X)), ("",) * N, X, ("",) * N, groups, np.ones(N, bool))


HOW = Descending(ADAM, 600, batch=10)
COUNTS = {"starts": 2, "screen": 1, "recovery": 2, "key": jax.random.key(1)}


def numbers(result) -> dict:
    return {name: value for name, value in result.to_json().items() if name not in ("compile_s", "wall_s")}


def test_a_fit_by_descent_reports_what_the_other_solvers_do(x64):
    squares = fit(points(), line(), SPEC, **COUNTS)
    for batch, within in ((None, 1e-3), (10, 0.15)):
        found = fit(points(), line(), SPEC, descent=HOW._replace(batch=batch), **COUNTS)
        for path, p in found.parameters.items():
            other = squares.parameters[path]
            assert abs(p.value - other.value) < within * other.sd and p.sd == pytest.approx(other.sd, rel=within)
        assert 0 <= found.loss - squares.loss < within and found.recovery["sets"] == 2
        assert found.evaluations == (2 + 3 + 2 * 2) * 600
        if batch is None:
            assert found.starts.converged.all()
            for name, score in found.heldout.log_likelihood.items():
                assert score == pytest.approx(squares.heldout.log_likelihood[name], abs=0.01)
    held = ByDescent(prepare(points(), line(), SPEC, batch=2), HOW).solve(np.array([[0.7, 0.0], [0.0, 0.0]]), held=0)
    np.testing.assert_array_equal(held.u[:, 0], [0.7, 0.0])
    assert np.all(np.abs(held.u[:, 1]) > 0.1)


def test_an_interrupted_descent_goes_on_to_the_same_numbers(x64, tmp_path, monkeypatch):
    monkeypatch.setattr(estimate_descent, "STRETCH", 200)
    asked = []

    def interrupt(name, found):
        asked.append((name, found))
        if len(asked) == 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(points(), line(), SPEC, descent=HOW, saved=Saved(tmp_path, interrupt), **COUNTS)
    # the stretch that was asked for last was not done
    left = len(list(tmp_path.glob("descent-*.npz")))
    assert 0 < left < 9
    again = fit(points(), line(), SPEC, descent=HOW, saved=Saved(tmp_path, lambda *one: asked.append(one)), **COUNTS)
    assert sum(found for name, found in asked[9:] if name == "descent") == left
    assert numbers(again) == numbers(fit(points(), line(), SPEC, descent=HOW, **COUNTS))


SOLVER = {"starts": 2, "descent": {"learning_rate": 0.05, "batch": 8, "steps": 500}}


def configured(**descent) -> FitConfig:
    raw = yaml.safe_load((Path(__file__).parents[2] / "configs" / "fit_sjostrom.yaml").read_text())
    return validate(FitConfig, {**raw, "solver": {**SOLVER, "descent": {**SOLVER["descent"], **descent}}})


@pytest.mark.parametrize(("change", "words"), [
    ({"optimiser": "adm"}, r"solver\.descent\.optimiser = 'adm'.*did you mean 'adam'"),
    ({"optimiser": "lbfgs"}, r"solver\.descent\.optimiser = 'lbfgs'.*gradient and the parameters alone"),
    ({"learning_rate": None}, r"solver\.descent\.learning_rate"),
    ({"schedule": {"name": "cosine_decay_schedule"}}, r"learning_rate.*beside a schedule"),
    ({"learning_rate": None, "schedule": {"name": "cosine"}}, r"schedule\.name = 'cosine'.*did you mean"),
    ({"learning_rate": None, "schedule": {"name": "cosine_decay_schedule", "arguments": {"init_value": 0.1}}},
     r"schedule\.arguments.*decay_steps"),
    ({"arguments": {"b3": 0.9}}, r"arguments\.b3.*did you mean"),
    ({"batch": 11}, r"solver\.descent\.batch = 11.*1 to 10"),
    ({"steps": 0}, r"solver\.descent\.steps"),
])
def test_what_a_descent_may_not_say_is_refused_in_one_sentence(change, words):
    with pytest.raises(InputError, match=words):
        configured(**change)


def test_a_config_descends_over_the_protocols_of_its_mini_batch(x64):
    config = configured()
    assert predict_cost(config)[0].way == "descent (adam, 500 steps of mini-batches of 8 of 10 points)"
    predict, model, _ = build(config)[0].predict, *build(config)[1:]
    rows = np.array([7, 2, 2])
    run = eqx.filter_jit(lambda outcome: outcome(model))
    np.testing.assert_array_equal(run(part_of(predict, rows)), run(predict)[rows])


def test_pieces_of_the_points_add_up_to_all_of_them(x64):
    u = np.random.default_rng(1).standard_normal((3, 2))
    spec = {**SPEC, "slope": SPEC["slope"]._replace(prior=(0.3, 0.2))}
    whole, parts = (prepare(points(), line(), spec, batch=2, descent=HOW._replace(batch=b)) for b in (None, 7))
    for look in (lambda one: one.expected(u), lambda one: one.slopes(u), lambda one: one.loss(u)):
        np.testing.assert_allclose(look(parts), look(whole), rtol=1e-12)
    descent = run(30)._replace(u=jnp.asarray(u))
    whole, parts = (report_descent(problem(), line(), spec, descent, batch=b) for b in (None, 7))
    for name in ("log_density", "information", "log_posterior", "log_likelihood"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(parts.starts.loss, whole.starts.loss, rtol=1e-12)


@pytest.mark.repro
def test_pieces_of_an_observation_add_up_to_all_of_it(x64):
    scatter = validate(LikelihoodSection, {"kind": "student_t", "dof": 4})
    config = configured().model_copy(update={"likelihood": scatter})
    built = build(config)
    whole, parts = (prepare(*built, batch=4, descent=HOW._replace(batch=b)) for b in (None, 3))
    u = draw_starts(built[2], 3, np.random.default_rng(0))
    ends = Ends(u, u[:, 0], u[:, 0] > 0, np.ones(3, int))
    for look in (lambda one: one.expected(u), lambda one: one.density(u), lambda one: one.information(ends)):
        np.testing.assert_allclose(look(parts), look(whole), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("likelihood", [None, pytest.param({"kind": "student_t", "dof": 4}, marks=pytest.mark.repro)])
def test_a_posterior_in_pieces_is_that_of_all_points_and_needs_less_memory(x64, likelihood):
    config = with_points(64, None).model_copy(update={"likelihood": validate(
        LikelihoodSection, likelihood) if likelihood else None})
    built = build(config)
    likelihood = prepare(*built, batch=4, descent=HOW._replace(batch=5)).likelihood()
    likelihood = likelihood._replace(weight=np.arange(1, 65) % 3 / 2)
    u = jnp.asarray(draw_starts(built[2], 2, np.random.default_rng(0))[1])
    found, memory = [], []
    for size in (None, 5):  # 64 points: the last piece is filled up with one that must not count again
        density = jax.jit(jax.value_and_grad(log_posterior_in_pieces(likelihood, *built[1:], size)))
        program = density.lower(u).compile()
        found.append(program(u))
        memory.append(program.memory_analysis().temp_size_in_bytes)
    np.testing.assert_allclose(found[1][0], found[0][0], rtol=1e-12)
    np.testing.assert_allclose(found[1][1], found[0][1], rtol=1e-9, atol=1e-9)
    assert memory[1] < memory[0] / 4


def test_published_parameters_are_judged_in_pieces(x64):
    built = build(configured())
    density = least_squares_likelihood(built[0]).log_density
    for function in (built[0].predict, density):
        whole, parts = (evaluated_in_pieces(function, built[1], 10, size) for size in (None, 4))
        np.testing.assert_allclose(parts, whole, rtol=1e-12)
        assert parts.shape == (10,)


def test_points_of_a_likelihood_take_their_protocols_along(x64):
    points, model, _ = build(configured())
    density = least_squares_likelihood(points).log_density
    rows = np.array([7, 2, 4])
    some, everything = (eqx.filter_jit(lambda each: each(model))(each) for each in (part_of(density, rows), density))
    np.testing.assert_array_equal(some, everything[rows])


def with_points(count: int, batch: int | None) -> FitConfig:
    """The pairing fit with `count` points, each of a protocol of its own."""
    raw = yaml.safe_load((Path(__file__).parents[2] / "configs" / "fit_sjostrom.yaml").read_text())
    first = {**raw["data"]["points"][0], "protocol": "single"}
    points = [{**first, "rate": f"{rate} Hz", "delta_t": f"{lag} ms"}
              for rate in range(1, count // 8 + 1) for lag in (-40, -30, -20, -10, 10, 20, 30, 40)]
    solver = {"starts": 4, "descent": {"learning_rate": 0.05, "batch": batch, "steps": 3}}
    return validate(FitConfig, {**raw, "data": {"citation": "made", "points": points}, "solver": solver})


def largest_program(config: FitConfig, monkeypatch) -> int:
    """Bytes of the largest program of a solve and of a look at all points, as XLA counts: arguments and intermediates.
    """
    counted = []

    def watched(compiled):
        programs = {}

        def call(*args):
            shapes = str(jax.tree.map(lambda x: np.shape(x) if eqx.is_array_like(x) else None, args))
            if shapes not in programs:
                programs[shapes] = compiled.lower(*args).compile()
                told = programs[shapes].compiled.memory_analysis()
                counted.append(told.argument_size_in_bytes + told.temp_size_in_bytes + told.output_size_in_bytes)
            return programs[shapes](*args)
        return call

    with monkeypatch.context() as patch:
        for module, name in ((stochastic, "_step_compiled"), (stochastic, "_of_likelihood"), (pieces, "_predicted"),
                             (estimate_likelihood, "_look"), (estimate_likelihood, "_curvatures")):
            patch.setattr(module, name, watched(getattr(module, name)))
        points, model, spec = build(config)
        estimate = prepare(points, model, spec, batch=4, descent=config.solver.descending())
        u0 = draw_starts(spec, 4, np.random.default_rng(0))
        ends = estimate.solve(u0)
        assert np.all(np.isfinite(ends.loss)) and np.all(ends.u != u0)
        estimate.loss(ends.u)
        estimate.information(ends.take(np.array([0])))
    return max(counted)


@pytest.mark.parametrize("likelihood", [None, pytest.param({"kind": "student_t", "dof": 4}, marks=pytest.mark.repro)])
def test_memory_is_that_of_the_mini_batch_and_not_of_the_data(x64, likelihood, monkeypatch):
    measured = {}
    for count, batch in ((64, 8), (64, 32), (128, 32)):
        config = with_points(count, batch).model_copy(update={"likelihood": validate(
            LikelihoodSection, likelihood) if likelihood else None})
        measured[count, batch] = largest_program(config, monkeypatch)
        cost = predict_cost(config)[0]
        assert cost.run == batch and 0.5 < cost.memory_bytes / measured[count, batch] < 2
    assert 3 < measured[64, 32] / measured[64, 8] < 4.2
    assert measured[128, 32] == measured[64, 32]


@pytest.mark.repro
def test_adam_reaches_the_least_squares_optimum_of_the_pairing_fit(x64):
    config = Path(__file__).parents[2] / "configs" / "fit_sjostrom.yaml"
    points, model, spec = build(FitConfig.model_validate(yaml.safe_load(config.read_text())))
    squares = fit(points, model, spec, starts=8, key=jax.random.key(0), recovery=0)
    data = least_squares_likelihood(points)
    # c_plus drifts to 0 along a valley: a schedule of 1,500 steps ends on the way there, at a loss of 4.70
    method = optax.adam(optax.cosine_decay_schedule(0.1, 4000))
    # the starts that least squares kept after its screening
    descent = start_descent(spec, method, starts=8, key=jax.random.key(0))
    kept = jnp.log(jnp.asarray(squares.starts.initial))
    done = descend(data, model, spec, method, descent._replace(u=kept), 4000, patience=4000)
    found = report_descent(data, model, spec, done)
    constant = np.sum(np.log(2 * np.pi * points.sem**2))
    assert -2 * found.log_likelihood - constant < 1.01 * squares.loss
