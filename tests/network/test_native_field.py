"""Native moves of the field clock against what plain NumPy gives, to the bit, in sizes of one part and of several."""

import os
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrojax import native
from retrojax.engine.lazy.field import lift, lower

pytestmark = pytest.mark.optimised

needs_native = pytest.mark.skipif(not native.ready(), reason=native.status())

SIZES = {"one row": (1, 3, 16), "odd": (37, 5, 48), "parts": (2311, 7, 112)}


@pytest.mark.skipif(
    os.environ.get("RETROJAX_NATIVE") == "0" or not any(map(shutil.which, ("cc", "gcc", "clang"))),
    reason="native code is turned off, or there is no C compiler")
def test_native_code_builds_with_the_headers_of_this_version_of_jax():
    assert native.status() == ""  # tests that need it would be skipped, and networks slow, without anyone noticing


@needs_native
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_channels_come_out_and_go_back_to_the_bit(size, dtype, x64):
    rng = np.random.default_rng(5)
    cells = rng.normal(size=size).astype(dtype)
    cells[0, 0, :2] = np.nan, -0.0  # bits move, not numbers
    channels = [2, 0]

    @jax.jit
    def there_and_back(cells):
        same, taken = lift(cells, channels)
        return same, taken, lower(same, channels, [row * 2 for row in taken])

    same, taken, after = there_and_back(jnp.asarray(cells))
    expected = cells.copy()
    expected[:, channels] *= 2
    for got, want in ((same, cells), (taken[0], cells[:, 2]), (taken[1], cells[:, 0]), (after, expected)):
        assert np.asarray(got).tobytes() == np.ascontiguousarray(want).tobytes()


@needs_native
@pytest.mark.parametrize("voxels", [1, 513, 40_000])
@pytest.mark.parametrize("shape", [(1, 16), (900, 112)])
def test_a_deposit_is_the_sum_over_each_voxel_whatever_the_parts(voxels, shape):
    rng = np.random.default_rng(6)
    voxel = rng.integers(0, voxels, shape).astype(np.int32)
    units = (rng.integers(-(2**20), 2**20, shape) * (rng.random(shape) < 0.3)).astype(np.int32)
    expected = np.zeros(voxels, np.int32)
    np.add.at(expected, voxel, units)  # wraps as integers do where one voxel takes all
    total = jax.jit(lambda v, u: native.deposit(v, u, voxels))(voxel, units)
    np.testing.assert_array_equal(total, expected)
