"""Steps of a box that devices share: the same numbers, each from a part of the products."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from retrojax.engine.lazy.cut import AXIS, mesh
from retrojax.space import Grid, Shared, advance, advance_driven, advance_with_exposure, exposure_gain, plan

D, LOSS, STEP = 0.7, 0.01, 3.0
WALLS = ("no-flux",) * 3


def stepped(grid: Grid, devices: int, **choices):
    """Field after a step by both ways, its exposure, and voxels of each octant's half, [device, ...]."""
    field, source = np.random.default_rng(3).gamma(0.3, size=(2, *grid.shape))

    def one(field, source, shared=None):
        propagator = plan(grid, D, LOSS, STEP, shared=shared, **choices)
        spent = advance_with_exposure(propagator, exposure_gain(propagator), field, source)
        made = advance(propagator, field, source), advance_driven(propagator, field, source), *spent
        return made, jnp.asarray([sum(gain.size for gain in propagator.gain)])

    given = jnp.asarray(field, float), jnp.asarray(source, float)
    whole = jax.jit(one)(*given)
    here = functools.partial(one, shared=Shared(AXIS, devices))
    everywhere, each = PartitionSpec(), PartitionSpec(AXIS)
    split = jax.shard_map(here, mesh=mesh(devices), in_specs=(everywhere, everywhere),
                          out_specs=((each, each, each, each), each), check_vma=False)
    parts, modes = jax.jit(split)(*given)
    return whole, [part.reshape(devices, *grid.shape) for part in parts], modes


@pytest.mark.parametrize("shape, boundary, devices, halved", [
    ((64, 66, 68), WALLS, 2, 1), ((64, 66, 68), WALLS, 5, 2), ((65, 66, 12), WALLS, 4, 1), ((65, 20, 12), WALLS, 4, 0),
    ((64, 66, 68), ("absorbing", "no-flux", "periodic"), 7, 2)])
def test_devices_that_share_a_step_compute_a_part_each_and_agree_on_all_of_it(shape, boundary, devices, halved):
    whole, parts, modes = stepped(Grid(shape, (1.0,) * 3, boundary=boundary), devices)
    assert set(np.asarray(modes)) == {np.prod(shape) // 2**halved}
    for expected, found in zip(whole[0], parts, strict=True):
        for device in range(devices):
            assert np.array_equal(found[device], found[0])
        np.testing.assert_allclose(found[0], expected, rtol=0, atol=1e-6 * float(jnp.max(expected)))


def test_eight_devices_take_an_octant_each():
    grid = Grid((64, 66, 68), (1.0,) * 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jax.lax, "axis_index", lambda name: jnp.asarray(5))
        propagator = plan(grid, D, LOSS, STEP, shared=Shared(AXIS, 8))
    assert [int(odd) for odd in propagator.odd.values()] == [1, 0, 1]
    assert eqx.tree_equal(propagator.gain, (plan(grid, D, LOSS, STEP).gain[5],))


def test_fourier_transforms_are_not_shared(x64):
    whole, parts, modes = stepped(Grid((64, 64, 64), (1.0,) * 3), 2, method="fft")
    assert set(np.asarray(modes)) == {64**3}
    np.testing.assert_array_equal(parts[0][1], whole[0][0])
