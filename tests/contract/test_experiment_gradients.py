"""Each fit to recordings: the forward-mode gradient of what it fits equals finite differences, for every parameter.

Of the rules of `fit_neocortical_stdp` and `design_next_experiment` see `gradient/test_gradient_modes.py`, of the
messenger of `fit_through_field` `gradient/test_network_gradients.py`. The data are made up; the functions are those of
the scripts.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from run_modules import experiment

from retrojax.fit.spec import double, set_coordinates


def check(function, u, step=1e-5):
    """`function`, an array of u, has the slopes of finite differences, none of them flat everywhere."""
    u = jnp.asarray(u, float)
    forward = np.asarray(jax.jit(jax.jacfwd(function))(u))
    many = np.asarray(jax.jit(jax.vmap(function))(jnp.concatenate([u + step * jnp.eye(u.size),
                                                                    u - step * jnp.eye(u.size)])))
    difference = np.moveaxis(many[: u.size] - many[u.size :], 0, -1) / (2 * step)
    scale = np.abs(forward).reshape(-1, u.size).max(0)
    np.testing.assert_allclose(difference / scale, forward / scale, rtol=1e-5, atol=1e-7)
    assert np.all(np.abs(difference).reshape(-1, u.size).max(0) > 1e-6), scale


def check_likelihood(density, model, spec):
    """The log densities at 0.1 beside the centres."""
    model = double(model)
    u = np.array([p.transform.forward(p.centre) for p in spec.values()]) + 0.1
    check(lambda v: density(set_coordinates(model, spec, v)), u)


def test_vip_trains(x64):
    run, rng = experiment("fit_vip_stp"), np.random.default_rng(0)
    row = {"t": jnp.outer(jnp.array([500.0, 50.0, 25.0]), jnp.arange(5)), "y": jnp.asarray(rng.uniform(1, 3, (3, 5))),
           "sd": jnp.full((3, 5), 0.3)}
    check(lambda u: run.residuals(u, row), np.log([0.3, 150.0, 80.0]))


@pytest.mark.parametrize("clamp", [True, False])
def test_hippocampal_traces(x64, clamp):
    run = experiment("fit_hippocampal_traces")
    row = {"elapsed": jnp.array([0.0, 3, 9, 20, 3, 9, 20, 3, 9]), "spike": jnp.arange(9) % 3 == clamp,
           "fixed": jnp.array([0.0, -65.0, 120.0, 90.0])}
    check(lambda u: run.predict(clamp, u, row), np.log([0.8, 7.0, 200.0, 60.0, 0.3]))


MOSSY = ("Tsodyks-Markram, 3", "Tsodyks-Markram, 4", "residual calcium, 4", "residual calcium, 3", "no plasticity")


@pytest.mark.parametrize("name", MOSSY)
def test_mossy_fibre_trains_and_pair(x64, name):
    run, rng = experiment("fit_mossy_fibre"), np.random.default_rng(1)
    sweeps = {label: rng.gamma(2.0, 1.0, (4, 10)) for label in ("20", "100", "20100")}
    for label, gaps in run.INTERVALS.items():
        if label in sweeps:
            sweeps[label][:, 1 + len(gaps) :] = np.nan
    release, spec = run.MODELS[name]
    check_likelihood(run.observed(sweeps, run.INTERVALS).log_density, run.start(release), spec)
    if name in run.FACILITATION:
        pair = run.read_pair.__globals__["Pair"](*(jnp.asarray(x) for x in (
            rng.uniform(20, 400, (2, 5)), np.full((2, 5), 20.0), [1.2, 2.5])))
        check_likelihood(pair, run.start(release), run.OF_PAIR | run.FACILITATION[name])


@pytest.mark.parametrize("constant", [False, True])
def test_ca1_cells(x64, constant):
    run = experiment("fit_ca1_cells")
    lag, doublet = np.repeat([-35.0, -15.0, 6.0, 12.0, 30.0], 2), np.tile([False, True], 5)
    protocols = run.Protocols.of(lag, np.where(doublet, 100.0, 200.0), doublet)
    density = run.Density(protocols, jnp.linspace(0.7, 1.6, 10), jnp.full(10, 0.1), constant)
    start = run.Slice(*run.calcium_rule("hippocampal_slices"))
    check_likelihood(density, start, (run.LEVELS if constant else run.RULE) | run.BETWEEN)


def test_larkman_synapses(x64):
    run = experiment("fit_larkman_quantal")
    cells = run.Cells(*(jnp.asarray(x) for x in ([0.2, 0.5, 0.9], [0.5, 0.3, -0.4], [0.3, 0.2, -0.1])))
    check_likelihood(cells, run.Split(jnp.asarray(1.0), jnp.asarray(0.1)), run.SPEC)


def test_synapse_sizes(x64):
    run, rng = experiment("fit_synapse_size"), np.random.default_rng(2)
    size = rng.lognormal(0.1, 0.6, (6, 8))
    size[0, 3], size[2, 5:] = np.nan, np.nan
    data = run.Imaged(size, np.where(np.isnan(size), 0.0, 1.0), np.array([0, 0, 0, 1, 1, 1]), 4.0 * np.arange(8))
    for values, spec in run.MODELS.values():
        check_likelihood(run.likelihood(data).log_density, run.start(values), spec)


def test_bdnf_shapes(x64):
    run = experiment("fit_bdnf")
    row = {"t": np.array([60.0, 300, 900, 1800, 3600]), "y": np.array([1.0, 3, 4, 3, 2]), "w": np.full(5, 3.0)}
    misfit = run.fit.__globals__["misfit"]
    check(lambda u: misfit(u, row), [5.0, 7.0, -0.4])
    # without a decay only the rise is fitted
    check(lambda u: misfit(jnp.array([u[0], 7.0, 0.0]), row, run.MODELS[1]), [5.0])


def test_profiles_around_a_cluster(x64):
    run = experiment("fit_space")
    distance = jnp.hypot(jnp.linspace(-9, 9, 12)[:, None] - jnp.linspace(-1, 1, 5), 0.3)
    check(lambda u: run.over_time(u, distance), run.CENTRE + 0.1)
    check(lambda u: run.steady(u, distance), run.in_steady_terms(run.CENTRE) + 0.1)
