"""Checkpoints that are damaged, of another run, or that the disk refuses."""

import dataclasses
import errno
import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrojax.engine.model import NetworkState
from retrojax.errors import InputError
from retrojax.io.checkpoint import Checkpoints
from retrojax.io.results import Recorder


def state(tick, size=5):
    """A state without a network: its tick, a key, and one field that holds the tick."""
    made = object.__new__(NetworkState)
    held = {"tick": jnp.asarray(tick), "key": jax.random.key(tick), "fields": (jnp.full(size, float(tick)),)}
    for field in dataclasses.fields(NetworkState):
        object.__setattr__(made, field.name, held.get(field.name, ()))
    return made


def recorder(spikes):
    """A recorder that has written so many spikes."""
    made = object.__new__(Recorder)
    made.spikes, made.counts, made.work = spikes, np.arange(3), np.zeros(5, np.int64)
    return made


@pytest.fixture
def saved(tmp_path):
    """A folder with the checkpoints of ticks 10 and 20."""
    checkpoints = Checkpoints(tmp_path, 2)
    for tick in (10, 20):
        checkpoints.save(state(tick), recorder(tick))
    checkpoints.close()
    return tmp_path


def spoil(folder, tick):
    """Cut every file of a checkpoint short."""
    for path in (folder / "checkpoints" / str(tick)).rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:10])


def test_the_newest_is_read(saved):
    found = Checkpoints(saved, 2).latest(state(0), 3)
    assert found is not None and int(found.state.tick) == found.spikes == 20
    assert np.array_equal(found.state.fields[0], np.full(5, 20.0))


def test_a_damaged_one_costs_only_the_way_from_the_one_before(saved, caplog):
    spoil(saved, 20)
    checkpoints = Checkpoints(saved, 2)
    with caplog.at_level(logging.WARNING):
        found = checkpoints.latest(state(0), 3)
    assert found is not None and int(found.state.tick) == found.spikes == 10
    assert "tick 20 cannot be read; going on from tick 10" in caplog.text
    checkpoints.save(state(20), recorder(21))  # the damaged one does not stand in the way
    found = checkpoints.latest(state(0), 3)
    assert found is not None and found.spikes == 21


def test_all_damaged_says_how_to_go_on_and_removes_nothing(saved):
    for tick in (10, 20):
        spoil(saved, tick)
    with pytest.raises(InputError, match="delete the folder `checkpoints` to begin again at t = 0"):
        Checkpoints(saved, 2).latest(state(0), 3)
    assert {path.name for path in (saved / "checkpoints").iterdir()} >= {"10", "20"}


def test_one_of_another_shape_is_refused(saved):
    with pytest.raises(InputError, match="a checkpoint of this run"):
        Checkpoints(saved, 2).latest(state(0, size=6), 3)


def test_a_full_disk_is_an_error_of_the_system(tmp_path):
    checkpoints = Checkpoints(tmp_path, 2)

    def refuse(*_, **__):
        raise ValueError("RESOURCE_EXHAUSTED: No space left on device [os_error_code='28']")

    checkpoints.manager.save = refuse
    with pytest.raises(OSError) as caught:
        checkpoints.save(state(10), recorder(0))
    assert caught.value.errno == errno.ENOSPC and "checkpoints" in caught.value.filename
