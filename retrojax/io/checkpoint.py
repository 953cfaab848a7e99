"""Checkpoints: the state of a run and of its recorder, by orbax, so that a killed run continues to the bit."""

import logging
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
import orbax.checkpoint as ocp

from retrojax.engine.schedules import AnyState
from retrojax.errors import InputError
from retrojax.io.results import Recorder

logging.getLogger("absl").setLevel(logging.ERROR)


class Restored(NamedTuple):
    """A checkpoint read back: the state, and where the recorder stood."""

    state: AnyState
    spikes: int
    counts: np.ndarray
    work: np.ndarray


class Checkpoints:
    """The checkpoints of one run folder; a checkpoint is complete or absent (orbax renames it into place)."""

    def __init__(self, folder: Path, keep: int):
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, create=True, enable_async_checkpointing=False)
        self.manager = ocp.CheckpointManager((folder / "checkpoints").resolve(), options=options)

    def save(self, state: AnyState, recorder: Recorder) -> None:
        """Write the state at its tick, unless that checkpoint exists."""
        tick = int(state.tick)
        if tick not in self.manager.all_steps():
            tree = _tree(state, recorder.spikes, recorder.counts, recorder.work)
            self.manager.save(tick, args=ocp.args.StandardSave(tree))
            self.manager.wait_until_finished()

    def latest(self, like: AnyState, neurons: int) -> Restored | None:
        """The newest checkpoint, shaped as `like`; None if there is none.

        **Raises** `InputError` if it was written by a run of other shape.
        """
        tick = self.manager.latest_step()
        if tick is None:
            return None
        template = _tree(like, 0, np.zeros(neurons, np.int64), np.zeros(5, np.int64))
        try:
            found = self.manager.restore(tick, args=ocp.args.StandardRestore(template))
        except (ValueError, KeyError, FileNotFoundError) as error:
            raise InputError("checkpoints", tick, "a checkpoint of this run and this version",
                             f"run again into a new folder ({str(error).splitlines()[0]})") from None
        leaves, structure = jax.tree.flatten(_plain(like))
        leaves = [jax.numpy.asarray(found["state"].get(str(number), leaf)) for number, leaf in enumerate(leaves)]
        state = jax.tree.unflatten(structure, leaves)
        return Restored(_with_key(state), int(found["spikes"]), np.asarray(found["counts"]),
                        np.asarray(found["work"]))

    def close(self) -> None:
        """Release the manager's threads."""
        self.manager.close()


def _tree(state: AnyState, spikes: int, counts: np.ndarray, work: np.ndarray) -> dict[str, Any]:
    leaves = jax.tree.leaves(_plain(state))
    # an array without an element holds nothing, and orbax refuses to store it
    return {"state": {str(number): np.asarray(leaf) for number, leaf in enumerate(leaves) if leaf.size},
            "spikes": np.asarray(spikes, np.int64), "counts": counts, "work": work}


def _plain(state: AnyState) -> AnyState:
    """The state with its typed key as plain numbers."""
    return jax.tree.map(
        lambda leaf: jax.random.key_data(leaf) if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf,
        state,
    )


def _with_key(state: AnyState) -> AnyState:
    return eqx.tree_at(lambda s: s.key, state, jax.random.wrap_key_data(state.key))
