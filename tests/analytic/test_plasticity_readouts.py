"""Readouts of space on patterns whose answer is known."""

import numpy as np
import pytest

from retrojax.errors import InputError
from retrojax.readouts import clusters, heterosynaptic_fraction, morans_i, spread
from retrojax.space.neighbours import pairs_within

RNG = np.random.default_rng(7)


def test_pairs_are_those_of_all_distances():
    points = RNG.uniform(0, 10, (300, 3))
    distance = np.linalg.norm(points[:, None] - points[None], axis=-1)
    expected = np.argwhere(np.triu(distance <= 1.7, 1))
    np.testing.assert_array_equal(np.stack(pairs_within(points, 1.7), 1), expected)
    assert len(expected) > 100


def test_space_constant_of_an_exact_profile():
    distance = np.linspace(0, 30, 40)
    found = spread(distance, -0.4 * np.exp(-distance / 6.3))
    assert found.space_constant == pytest.approx(6.3, rel=2e-4) and found.amplitude == pytest.approx(-0.4, rel=2e-4)
    assert not found.at_bound


def test_error_of_the_space_constant_covers_as_it_says():
    distance, inside = np.linspace(0, 30, 60), 0
    for _ in range(300):
        found = spread(distance, np.exp(-distance / 8) + 0.05 * RNG.standard_normal(60))
        inside += abs(np.log(found.space_constant / 8)) < 1.645 * found.log_error
    assert 0.85 < inside / 300 < 0.95


def test_a_flat_profile_says_that_it_has_no_end():
    assert spread(np.linspace(0, 5, 20), np.ones(20)).at_bound


def test_heterosynaptic_share():
    change = np.array([0.3, -0.1, 0.1, 0.0])
    assert heterosynaptic_fraction(change, np.array([True, False, False, False])) == pytest.approx(0.4)
    assert np.isnan(heterosynaptic_fraction(np.zeros(4), np.zeros(4, bool)))


def test_clusters_are_chains_of_changed_synapses():
    line = np.stack([np.array([0.0, 1, 2, 3, 10, 11, 30, 4]), np.zeros(8), np.zeros(8)], 1)
    changed = np.array([True, True, True, True, True, True, True, False])
    found = clusters(line, changed, 1.0)
    assert sorted(found.size.tolist()) == [1, 2, 4]
    assert len(set(found.label[:4].tolist())) == 1
    shuffled = RNG.permutation(8)
    assert sorted(clusters(line[shuffled], changed[shuffled], 1.0).size.tolist()) == [1, 2, 4]


def test_morans_i_of_a_checkerboard_of_halves_and_of_noise():
    grid = np.stack(np.meshgrid(*[np.arange(12.0)] * 2, [0.0], indexing="ij"), -1).reshape(-1, 3)
    board = (-1.0) ** (grid[:, 0] + grid[:, 1])
    assert morans_i(grid, board, 1.0, permutations=99, seed=0).value == pytest.approx(-1.0)
    halves = np.where(grid[:, 0] < 6, 1.0, -1.0)
    ordered = morans_i(grid, halves, 1.0, permutations=199, seed=0)
    # of the 264 links between neighbours 12 join the halves
    assert ordered.value == pytest.approx(1 - 2 * 12 / 264) and ordered.p_value == pytest.approx(1 / 200)
    noise = morans_i(grid, RNG.standard_normal(144), 1.0, permutations=199, seed=0)
    assert abs(noise.value - noise.expected) < 0.2 and noise.p_value > 0.01


def test_what_cannot_be_answered_is_refused():
    points = RNG.uniform(0, 100, (10, 3))
    with pytest.raises(InputError, match="radius"):
        morans_i(points, np.arange(10.0), 1e-3, seed=0)
    with pytest.raises(InputError, match="all equal"):
        morans_i(points, np.ones(10), 100.0, seed=0)
    with pytest.raises(InputError, match=r"change\[2\]"):
        spread(np.arange(5.0), np.array([0, 1, np.nan, 0, 0]))
    with pytest.raises(InputError, match="four"):
        spread(np.arange(3.0), np.zeros(3))
