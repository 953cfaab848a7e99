"""Native moves of a block's spikes and input against the same in NumPy, to the bit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrojax import native

pytestmark = [pytest.mark.optimised, pytest.mark.skipif(not native.ready(), reason=native.status())]


@pytest.mark.parametrize(("axonal", "block"), [(0, 1), (12, 10), (20, 10), (5, 24)])
def test_arriving_spikes_are_those_of_the_delay_ago(axonal, block):
    rng = np.random.default_rng(7)
    neurons, sources, rows = 61, 30, axonal // block + 2 if axonal else 1
    steps = (rng.random((9 * block, neurons + sources)) < 0.03).astype(np.uint32)
    words = (steps.reshape(9, block, -1) << np.arange(block, dtype=np.uint32)[:, None]).sum(1, dtype=np.uint32)
    first = np.concatenate([[0], rng.integers(0, 4, neurons + sources).cumsum()]).astype(np.int32)
    history = jnp.zeros((rows, neurons + sources), jnp.uint32)
    back, shift = divmod(axonal, block)
    for now, word in enumerate(words):
        turns = [now % rows, (now - back) % rows, (now - back - 1) % rows, shift, block]
        fired = word[:neurons] | np.uint32(7 << 24)  # the top byte counts spikes and stays behind
        history, pending, blocks = jax.jit(native.send)(
            fired, word[neurons:], first, jnp.asarray(turns, jnp.int32), history)
        assert np.asarray(history[now % rows]).tobytes() == word.tobytes()
        if now > back:  # before, spikes of no block arrive
            late = steps[now * block - axonal: (now + 1) * block - axonal]
            expected = (late << np.arange(block, dtype=np.uint32)[:, None]).sum(0, dtype=np.uint32)
            np.testing.assert_array_equal(pending, expected)
            assert blocks == np.diff(first)[expected > 0].sum()


@pytest.mark.parametrize("receptors", [1, 2])
@pytest.mark.parametrize("most", [90, 100])
@pytest.mark.parametrize("each", [np.int32, np.uint8, None])
def test_input_arrives_at_its_step_and_receptor_whatever_the_form_of_its_delay(each, most, receptors):
    rng = np.random.default_rng(8)
    count, slot, neurons, used = 40, 32, 50, 17
    target = rng.integers(-1, neurons, (used + 3, slot)).astype(np.int32)
    units = np.where(target < 0, 0, rng.integers(-99, 100, target.shape)).astype(np.int32)
    units[3, np.argmax(target[3] >= 0)] = -95
    units[units > 90] = 90
    units[units < -95] = -95
    block = np.append(rng.permutation(count)[:used], [0, 0, 0]).astype(np.int32)
    now = rng.integers(-20, 20, used + 3).astype(np.int32)
    lags = np.full((count, slot), 3) if each is None else rng.integers(1, 6, (count, slot))
    delay = np.int32(3) if each is None else lags.astype(each)
    rows = [rng.normal(size=target.shape).astype(np.float32) for _ in range(3)]
    makers, cells = (np.zeros((count, channels, slot), np.float32) for channels in (1, 2))
    waiting = rng.integers(0, 9, (3, 2, receptors, neurons)).astype(np.int32)
    hot = np.zeros((count, 0, slot), bool)
    over, *after, summed, _ = jax.jit(native.put)(
        rows, block, now, target, units, delay, np.int32(used), np.int32(most), hot[: used + 3], makers, cells, waiting,
        hot)
    expected = waiting.reshape(6, receptors, neurons).copy()
    for b, s in zip(*np.nonzero(target[:used] >= 0), strict=True):
        step = (now[b] - 1 + lags[block[b], s]) % 6
        expected[step, int(units[b, s] < 0) * (receptors - 1), target[b, s]] += units[b, s]
    np.testing.assert_array_equal(np.asarray(summed).reshape(expected.shape), expected)
    np.testing.assert_array_equal(np.concatenate(after, axis=1)[block[:used]], np.stack(rows, axis=1)[:used])
    assert bool(over) == (most < 95)
