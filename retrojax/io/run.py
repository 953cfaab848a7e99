"""A run from config to folder, and its continuation: results, checkpoints and summary around the engine's loop."""

import hashlib
import json
import platform
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax

import retrojax
from retrojax.engine.driver import Chunk, drive_chunks
from retrojax.errors import InputError, RunError
from retrojax.io.build import Simulation, build
from retrojax.io.checkpoint import Checkpoints
from retrojax.io.citing import citations
from retrojax.io.config import dump_config, load_config
from retrojax.io.folder import CONFIG, RunFolder
from retrojax.io.results import NAME, Recorder
from retrojax.io.schema import RunConfig
from retrojax.messengers import RECORD_SUFFIXES


class Progress(NamedTuple):
    """Where a run stands: biological time [ms], its end, wall seconds since the start, since the last checkpoint."""

    now: float
    end: float
    wall: float
    checkpoint_age: float


OnProgress = Callable[[Progress], None]


def start_run(config: RunConfig, file: Path, folder: Path, on_progress: OnProgress) -> dict:
    """Run a config into an empty folder; returns the summary.

    **Raises** `InputError`, leaving no folder behind, if the folder or the config is unfit; `RunError` if a value is
    not finite, with the last good checkpoint in place.
    """
    home = RunFolder(folder)
    home.start(dump_config(config))
    try:
        simulation = build(config, file)
    except InputError:
        home.abandon()  # nothing ran: a corrected config may have the folder
        raise
    return _run(home, simulation, on_progress)


def resume_run(folder: Path, on_progress: OnProgress) -> dict:
    """Continue a run from its last checkpoint, or from t = 0 if it has none; returns the summary.

    Of a finished run it returns the summary it has, with `already_finished` true.
    """
    home = RunFolder(folder)
    file = home.config_file()
    done = home.summary()
    if done.get("finished"):
        return {**done, "already_finished": True}
    home.lock()
    return _run(home, build(load_config(file), file), on_progress)


def _run(home: RunFolder, simulation: Simulation, on_progress: OnProgress) -> dict:
    began = time.monotonic()
    settings = simulation.plan.config.checkpoint
    recorder, checkpoints = Recorder(simulation, home.path), Checkpoints(home.path, settings.keep)
    state = _starting_state(home, simulation, recorder, checkpoints)
    home.write_summary(_summary(simulation, False, began))
    saved = time.monotonic()

    def on_chunk(chunk: Chunk) -> None:
        nonlocal saved
        recorder.write(chunk)
        if time.monotonic() - saved >= settings.every * 0.9 or chunk.stop == simulation.end:
            checkpoints.save(chunk.state, recorder)
            saved = time.monotonic()
        wall = time.monotonic()
        on_progress(Progress(chunk.stop * simulation.tick_ms, simulation.end * simulation.tick_ms, wall - began,
                             wall - saved))

    try:
        drive_chunks(simulation.schedule, simulation.model_at, simulation.tissue, state, simulation.end,
                     simulation.patches.edges, recorder.edges, on_chunk)
    except RunError as error:
        last = checkpoints.manager.latest_step()
        good = "there is no checkpoint yet" if last is None else \
            f"the checkpoint at {last * simulation.tick_ms / 1000:g} s is good"
        raise RunError(f"{error}; {good}. Everything before it is in {home.path / NAME}") from None
    finally:
        checkpoints.close()
    recorder.finish()
    summary = {**_summary(simulation, True, began), "work": _work(recorder)}
    home.write_summary(summary)
    return summary


def _starting_state(home: RunFolder, simulation: Simulation, recorder: Recorder, checkpoints: Checkpoints):
    """The state of the last checkpoint, or a fresh one; the results agree with it afterwards."""
    before = home.summary()
    fingerprint = inputs_fingerprint(simulation.plan.config)
    if before and before.get("settings_sha256") != settings_fingerprint(simulation.plan.config):
        raise InputError("settings", "changed since the run began", "the settings it began with",
                         "restore them, or run the changed config into a new folder", home.path / CONFIG)
    if before and before.get("inputs_sha256") != fingerprint:
        raise InputError("inputs", "changed since the run began", "the same input files",
                         "restore them, or run again into a new folder", home.path / CONFIG)
    found = checkpoints.latest(simulation.state, simulation.plan.cells.node_id.size)
    if found is None:
        home.clear_results(NAME)
        recorder.create()
        return simulation.state
    if not recorder.path.is_dir():
        raise InputError(NAME, "missing", "the results that the checkpoints go on from", "restore it, or delete the "
                         "folder `checkpoints` to begin again at t = 0", home.path)
    recorder.rewind(found.spikes, found.counts, found.work)
    return found.state


def settings_fingerprint(config: RunConfig) -> str:
    """SHA-256 over everything a config says that can change a result: not when checkpoints are written, nor in which
    folder an input file lies."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: plain(item) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        is_path = isinstance(value, Path) or (isinstance(value, str) and value.endswith(RECORD_SUFFIXES))
        return Path(value).name if is_path else value

    content = plain(config.model_dump(exclude={"checkpoint"}))
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def inputs_fingerprint(config: RunConfig) -> str:
    """SHA-256 over the contents of every input file of a run."""
    folder = config.network.sonata.parent
    files = {config.network.sonata, *folder.rglob("*.h5"), *folder.rglob("*.csv")}
    files |= {config.drive.replay.spikes} if config.drive.replay else set()
    files |= {config.sleep.hypnogram} if config.sleep else set()
    files |= {config.grid.maps.file} if config.grid.maps else set()
    files |= {section.record_file for section in config.messengers.values() if section.record_file}
    if config.grid.matrix and isinstance(config.grid.matrix.density, Path):
        files |= {config.grid.matrix.density}
    if config.astrocytes:
        given = (config.astrocytes.positions, config.astrocytes.domains)
        files |= {value for value in given if isinstance(value, Path)}
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _work(recorder: Recorder) -> dict[str, int]:
    """How often the lazy schedule's arrays were too small for what happened; the result does not depend on it."""
    blocks, passes, more, early, most = (int(x) for x in recorder.work)
    return {"blocks": blocks, "passes_over_rows": passes, "blocks_with_more_than_one_pass": more,
            "early_syncs": early, "most_rows_in_a_block": most}


def _summary(simulation: Simulation, finished: bool, began: float) -> dict:
    device, plan = jax.devices()[0], simulation.plan
    wall = time.monotonic() - began
    return {
        "finished": finished,
        "retrojax": retrojax.__version__, "jax": jax.__version__, "jaxlib": jax.lib.__version__,
        "python": platform.python_version(), "device": device.device_kind, "platform": device.platform,
        "seed": plan.config.seed, "duration_ms": plan.config.duration,
        "settings_sha256": settings_fingerprint(plan.config), "inputs_sha256": inputs_fingerprint(plan.config),
        "schedule": plan.schedule.name, "neurons": plan.wiring.neurons, "plastic_synapses": int(plan.wiring.ids.size),
        "fixed_synapses": int(plan.wiring.fixed_pre.size), "voxels": plan.grid.n_voxels,
        "transport": {name: {"kind": kind, "why": why, "split": str(plan.parts[name]) if name in plan.parts else None}
                      for name, (kind, _, why) in plan.transports.items()},
        "wall_s": round(wall, 3), "real_time_factor": round(plan.config.duration / 1000 / max(wall, 1e-9), 3),
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "citations": citations(plan.config),
    }
