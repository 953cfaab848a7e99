"""Checkpoints: the state of a run and of its recorder, by orbax, so that a killed run continues to the bit."""

import logging
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
import orbax.checkpoint as ocp

from retrojax.engine.schedules import AnyState
from retrojax.errors import InputError
from retrojax.io.results import Recorder

logging.getLogger("absl").setLevel(logging.CRITICAL)  # what orbax cannot read is raised, too
log = logging.getLogger(__name__)


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
        """Write the state at its tick, unless that checkpoint exists.

        **Raises** `OSError` where the operating system refuses, as on a full disk.
        """
        tick = int(state.tick)
        if tick not in self.manager.all_steps():
            tree = _tree(state, recorder.spikes, recorder.counts, recorder.work)
            try:
                self.manager.save(tick, args=ocp.args.StandardSave(tree))
                self.manager.wait_until_finished()
            except ValueError as error:  # tensorstore tells the number of the system's error in its text only
                code = re.search(r"os_error_code='(\d+)'", str(error))
                if code is None:
                    raise
                raise OSError(int(code[1]), os.strerror(int(code[1])), str(self.manager.directory)) from None

    def latest(self, like: AnyState, neurons: int) -> Restored | None:
        """The newest checkpoint that can be read, shaped as `like`; None if there is none.

        Newer ones that cannot be read are removed, with a note, as soon as an older one was.

        **Raises** `InputError` if there are checkpoints and none can be read, as those of a run of other shape.
        """
        template = _tree(like, 0, np.zeros(neurons, np.int64), np.zeros(5, np.int64))
        failed: dict[int, Exception] = {}
        for tick in sorted(self.manager.all_steps(), reverse=True):
            try:
                restored = self._read(tick, template, like)
            except (ValueError, KeyError, TypeError, OSError) as error:
                failed[tick] = error
                continue
            for wrong in failed:
                log.warning("The checkpoint at tick %d cannot be read; going on from tick %d.", wrong, tick)
                self.manager.delete(wrong)
            return restored
        if failed:
            newest = max(failed)
            reason = (str(failed[newest]).splitlines() or [""])[0]
            raise InputError("checkpoints", newest, "a checkpoint of this run and this version", "delete the folder "
                             f"`checkpoints` to begin again at t = 0, or run into a new folder ({reason})")
        return None

    def _read(self, tick: int, template: dict[str, Any], like: AnyState) -> Restored:
        found = self.manager.restore(tick, args=ocp.args.StandardRestore(template))
        for number, wanted in template["state"].items():
            if np.shape(found["state"][number]) != wanted.shape:
                raise ValueError(f"leaf {number} of the state has another shape")
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
