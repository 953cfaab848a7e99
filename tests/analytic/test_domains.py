"""Astrocyte domains against geometry known by hand."""

import numpy as np
import pytest

from retrojax.errors import InputError
from retrojax.space import (
    Grid,
    domain_of,
    domains,
    scatter_centres,
    touching,
    voxels_of,
)


def test_two_centres_share_the_box_at_their_midplane():
    grid = Grid((10, 4, 4), (1.0, 1.0, 1.0), origin=(-5.0, 0.0, 0.0))
    label = domains(grid, np.array([[-4.0, 2.0, 2.0], [2.0, 2.0, 2.0]]))
    assert (label[:4] == 0).all() and (label[4:] == 1).all()


def test_distances_go_through_periodic_walls():
    centres = np.array([[1.0, 0.5, 0.5], [6.0, 0.5, 0.5]])
    closed = domains(Grid((10, 1, 1), (1.0, 1.0, 1.0)), centres).ravel()
    around = domains(Grid((10, 1, 1), (1.0, 1.0, 1.0), boundary=("periodic", "no-flux", "no-flux")), centres).ravel()
    np.testing.assert_array_equal(closed, [0, 0, 0, 0, 1, 1, 1, 1, 1, 1])
    np.testing.assert_array_equal(around, [0, 0, 0, 0, 1, 1, 1, 1, 0, 0])  # 9.5 um: 1.5 from the first, around


def test_every_voxel_and_site_belongs_to_its_nearest_centre():
    grid = Grid((12, 10, 8), (2.0, 2.0, 3.0), boundary=("periodic", "no-flux", "periodic"))
    centres = scatter_centres(grid, 9, np.random.default_rng(3), apart=6.0)
    size = np.array(grid.size)
    images = np.stack([centres + shift * size for shift in np.ndindex(3, 1, 3)], 1) - size * [1, 0, 1]
    sites = np.random.default_rng(4).random((500, 3)) * size
    distance = np.linalg.norm(sites[:, None, None] - images, axis=-1).min(axis=2)
    np.testing.assert_array_equal(domain_of(grid, centres, sites), distance.argmin(axis=1))
    between = np.linalg.norm(centres[:, None, None] - images[None], axis=-1).min(axis=2) + 100 * np.eye(9)
    assert between.min() >= 6.0
    label, inside = domains(grid, centres), grid.voxel_of(sites)
    corners = (np.array(np.unravel_index(inside, grid.shape)).T + 0.5) * grid.spacing
    np.testing.assert_array_equal(label.ravel()[inside], domain_of(grid, centres, corners))
    np.testing.assert_array_equal(centres, scatter_centres(grid, 9, np.random.default_rng(3), apart=6.0))


def test_what_is_refused():
    grid = Grid((3, 1, 1), (1.0, 1.0, 1.0))
    with pytest.raises(InputError, match="astrocytes.apart = '5 um' .*only 1 did"):
        scatter_centres(grid, 3, np.random.default_rng(0), apart=5.0)
    with pytest.raises(InputError, match="astrocytes = 'no centre'"):
        domain_of(grid, np.zeros((0, 3)), np.zeros((1, 3)))


def test_domains_that_touch_and_the_voxels_of_each():
    label = np.array([0, 0, 2, -1, 1, 1]).reshape(6, 1, 1)
    closed = Grid((6, 1, 1), (1.0, 1.0, 1.0))
    around = Grid((6, 1, 1), (1.0, 1.0, 1.0), boundary=("periodic", "no-flux", "no-flux"))
    assert touching(closed, label).tolist() == [[0, 2]]
    assert touching(around, label).tolist() == [[0, 1], [0, 2]]
    assert voxels_of(label, 3).tolist() == [[0, 1], [4, 5], [2, 6]]
    square = np.array([[0, 1], [1, 0]]).reshape(2, 2, 1)
    assert touching(Grid((2, 2, 1), (1.0, 1.0, 1.0)), square).tolist() == [[0, 1]]
