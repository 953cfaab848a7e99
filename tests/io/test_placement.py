"""Placement of spines and boutons: permutation, independence of the set, and the three distributions."""

import numpy as np
import pytest
from scipy import stats

from retrojax.errors import InputError
from retrojax.io.placement import place_spines

DISTRIBUTIONS = ("exponential", "uniform_ball", "gaussian")
SOMATA = np.array([[0.0, 0.0, 0.0], [100.0, -20.0, 5.0], [-3.0, 40.0, 80.0]])


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_permuting_synapses_permutes_the_answer(distribution):
    rng = np.random.default_rng(0)
    ids, post = np.arange(9000), rng.integers(0, 3, 9000)
    order = rng.permutation(9000)
    spines, boutons = place_spines(SOMATA, post, 7, distribution, 30.0, 0.5, ids=ids)
    moved, moved_boutons = place_spines(SOMATA, post[order], 7, distribution, 30.0, 0.5, ids=ids[order])
    assert np.array_equal(moved, spines[order]) and np.array_equal(moved_boutons, boutons[order])


def test_a_synapse_does_not_depend_on_the_others():
    post = np.zeros(5000, dtype=int)
    spines, boutons = place_spines(SOMATA, post, 7, "gaussian", 30.0, 0.5)
    for ids in ([4999], [4095, 4096], [17, 0, 17]):
        some, some_boutons = place_spines(SOMATA, post[: len(ids)], 7, "gaussian", 30.0, 0.5, ids=np.array(ids))
        assert np.array_equal(some, spines[ids]) and np.array_equal(some_boutons, boutons[ids])
    far, _ = place_spines(SOMATA, post[:2], 7, "gaussian", 30.0, 0.5, ids=np.array([3, 10**12]))
    assert np.array_equal(far[0], spines[3]) and not np.array_equal(far[1], spines[3])


def test_numbers_are_the_generator_s_own():
    """The first id against Philox read word by word."""
    u = (np.random.Philox(key=3).random_raw(8) >> np.uint64(11)) * 2.0**-53
    height, angle = 2 * u[3] - 1, 2 * np.pi * u[4]
    ring = np.sqrt(1 - height**2)
    expected = 30.0 * np.cbrt(u[0]) * np.array([ring * np.cos(angle), ring * np.sin(angle), height])
    spines, _ = place_spines(SOMATA, np.array([0]), 3, "uniform_ball", 30.0, 0.5)
    np.testing.assert_allclose(spines[0], expected, rtol=1e-14)


def test_seed_matters_and_repeats():
    post = np.array([0, 1, 2])
    first = place_spines(SOMATA, post, 1, "exponential", 30.0, 0.5)
    assert np.array_equal(first, place_spines(SOMATA, post, 1, "exponential", 30.0, 0.5))
    assert not np.any(first[0] == place_spines(SOMATA, post, 2, "exponential", 30.0, 0.5)[0])


@pytest.mark.parametrize("distribution, law", [
    ("exponential", stats.expon(scale=25.0)), ("uniform_ball", stats.powerlaw(3, scale=25.0)),
    ("gaussian", stats.maxwell(scale=25.0))])
def test_distances_and_directions(distribution, law):
    post = np.resize([0, 1, 2], 20000)
    spines, boutons = place_spines(SOMATA, post, 11, distribution, 25.0, 0.25)
    offset = spines - SOMATA[post]
    radius = np.linalg.norm(offset, axis=1)
    assert stats.kstest(radius, law.cdf).pvalue > 1e-3
    np.testing.assert_allclose(np.linalg.norm(boutons - spines, axis=1), 0.25, rtol=1e-10)
    for unit in (offset / radius[:, None], (boutons - spines) / 0.25):
        for axis in range(3):  # each coordinate of a uniform direction is uniform on [-1, 1]
            assert stats.kstest(unit[:, axis], stats.uniform(-1, 2).cdf).pvalue > 1e-3
    # spine direction, bouton direction and distance are independent
    samples = np.column_stack([radius, offset / radius[:, None], boutons - spines])
    correlation = np.corrcoef(samples.T) - np.eye(7)
    assert np.abs(correlation).max() < 5 / np.sqrt(20000)


def test_bouton_on_the_spine_and_no_synapses():
    spines, boutons = place_spines(SOMATA, np.array([1]), 0, "gaussian", 1.0, 0.0)
    assert np.array_equal(spines, boutons)
    assert place_spines(SOMATA, np.zeros(0, int), 0, "gaussian", 1.0, 0.0)[0].shape == (0, 3)


@pytest.mark.parametrize("change, field", [
    ({"distribution": "cauchy"}, "distribution"), ({"seed": -1}, "seed"), ({"scale_um": 0.0}, "scale_um"),
    ({"scale_um": float("nan")}, "scale_um"), ({"bouton_distance_um": -0.1}, "bouton_distance_um"),
    ({"post": np.array([0, 3])}, "post[1]"), ({"post": np.array([-1, 0])}, "post[0]"),
    ({"ids": np.array([0, -2])}, "ids[1]"),
    ({"soma_positions": np.array([[0.0, 0.0, 0.0], [0.0, np.nan, 0.0]])}, "soma_positions[1]")])
def test_bad_input(change, field):
    arguments = {"soma_positions": SOMATA, "post": np.array([0, 1]), "seed": 0, "distribution": "gaussian",
                 "scale_um": 1.0, "bouton_distance_um": 0.5} | change
    with pytest.raises(InputError) as caught:
        place_spines(**arguments)
    assert caught.value.field == field
