"""`results.zarr`: one xarray data set, written as the run goes and exact to the bit whatever interrupts it.

All arrays along `time` exist from the start at full length, and each snapshot fills its own chunks; only the list of
spikes grows. So writing a stretch twice - after a kill, from the last checkpoint - leaves the same bytes.
"""

import warnings
from pathlib import Path
from typing import cast

import numpy as np
import xarray as xr
import zarr

from retrojax.engine.driver import Chunk
from retrojax.engine.transport import room
from retrojax.io.build import Simulation

SPIKE_CHUNK = 1 << 16
NAME = "results.zarr"


class Recorder:
    """Writes the results of one run.

    The only mutable thing in a run besides the folder itself. `counts` (spikes per neuron since the last snapshot),
    `spikes` (number written) and `work` (what the schedule had to do) go into every checkpoint, so a resumed recorder
    continues exactly.
    """

    def __init__(self, simulation: Simulation, folder: Path):
        self.simulation, self.path = simulation, folder / NAME
        tick_ms = simulation.tick_ms
        every = max(1, round(simulation.plan.config.record.every / tick_ms))
        self.snapshots = sorted({*range(0, simulation.end, every), simulation.end})
        self.bin = max(simulation.plan.clocks.every, default=1)
        self.counts = np.zeros(simulation.plan.cells.node_id.size, np.int64)
        self.spikes, self.work = 0, np.zeros(5, np.int64)

    @property
    def edges(self) -> list[int]:
        """Ticks at which the recorder wants the state."""
        return self.snapshots

    def create(self) -> None:
        """A fresh data set with the state at t = 0."""
        _template(self).to_zarr(self.path, mode="w", consolidated=False, encoding=_chunks(self), zarr_format=3)
        self._snapshot(self.simulation.state, 0, 0.0)

    def rewind(self, spikes: int, counts: np.ndarray, work: np.ndarray) -> None:
        """Continue from a checkpoint: spikes after it are dropped, the rest will be overwritten."""
        self.spikes, self.counts, self.work = spikes, counts.copy(), work.copy()
        root = self._root()
        for name in ("spike_time", "spike_neuron"):
            _array(root, name).resize((spikes,))

    def write(self, chunk: Chunk) -> None:
        """What a finished chunk recorded, and a snapshot if one is due."""
        root, ticks = self._root(), chunk.stop - chunk.start
        step, neuron = self.simulation.schedule.spikes(chunk.record, ticks)
        first = chunk.start * self.simulation.plan.clocks.steps
        self._append(root, (first + step + 1) * self.simulation.plan.config.dt, neuron)
        self.counts += np.bincount(neuron, minlength=self.counts.size)
        work = self.simulation.schedule.work(chunk.record)
        self.work = np.append(self.work[:4] + work[:4], max(self.work[4], work[4]))
        levels = np.asarray(chunk.record.levels[:ticks])
        done = [k for k in range(ticks) if (chunk.start + k + 1) % self.bin == 0]
        if done and levels.shape[1]:
            low, high = (chunk.start + done[0] + 1) // self.bin - 1, (chunk.start + done[-1] + 1) // self.bin
            if chunk.record.calcium is not None:
                _array(root, "calcium")[low:high] = np.asarray(chunk.record.calcium[:ticks])[done]
            for place, name in enumerate(("conc_mean", "conc_bouton_mean", "conc_bouton_max")):
                _array(root, name)[low:high] = levels[done, :, place]
        if chunk.stop in self.snapshots:
            place = self.snapshots.index(chunk.stop)
            seconds = (chunk.stop - self.snapshots[place - 1]) * self.simulation.tick_ms / 1000
            self._snapshot(chunk.state, place, seconds)
            self.counts[:] = 0

    def finish(self) -> None:
        """Metadata in one place, so that `xarray.open_zarr` needs no hint."""
        with warnings.catch_warnings():
            # zarr's format 3 does not name consolidated metadata yet; xarray reads and recommends it
            warnings.simplefilter("ignore")
            zarr.consolidate_metadata(str(self.path))

    def _root(self) -> zarr.Group:
        return zarr.open_group(str(self.path), mode="r+", use_consolidated=False)

    def _append(self, root: zarr.Group, times: np.ndarray, neurons: np.ndarray) -> None:
        total = self.spikes + times.size
        for name, values in (("spike_time", times), ("spike_neuron", neurons)):
            _array(root, name).resize((total,))
            if times.size:
                _array(root, name)[self.spikes : total] = values
        self.spikes = total

    def _snapshot(self, state, place: int, seconds: float) -> None:
        root, model = self._root(), self.simulation.model_at(int(state.tick))
        now = self.simulation.schedule.strengths(model, self.simulation.tissue, state)
        for name, values in now._asdict().items():
            _array(root, name)[place] = values
        _array(root, "rate")[place] = self.counts / seconds if seconds else np.zeros(self.counts.size)
        if self.simulation.plan.config.record.fields and state.fields:
            fractions = [np.asarray(room(m)) for m in model.messengers]
            fields = [np.asarray(f) / a for f, a in zip(state.fields, fractions, strict=True)]
            _array(root, "conc")[place] = np.stack(fields)


def _array(root: zarr.Group, name: str) -> zarr.Array:
    """An array of the data set; the template made no groups."""
    return cast(zarr.Array, root[name])


def _template(recorder: Recorder) -> xr.Dataset:
    simulation = recorder.simulation
    plan, ms = simulation.plan, simulation.tick_ms
    times, bins = len(recorder.snapshots), simulation.end // recorder.bin
    synapses, neurons, names = plan.wiring.ids.size, plan.cells.node_id.size, list(plan.messengers)
    blank = lambda *shape: np.full(shape, np.nan, np.float32)  # noqa: E731
    axis = lambda k: plan.grid.origin[k] + plan.grid.spacing[k] * (np.arange(plan.grid.shape[k]) + 0.5)  # noqa: E731
    variables = {
        "rate": (("time", "neuron"), blank(times, neurons), "Hz"),
        "weight": (("time", "synapse"), blank(times, synapses), "pA"),
        "p_release": (("time", "synapse"), blank(times, synapses), "1"),
        "p_effective": (("time", "synapse"), blank(times, synapses), "1"),
        "stage": ("bin", _stages(recorder, bins), "1"),
        "conc_mean": (("bin", "messenger"), blank(bins, len(names)), "nM"),
        "conc_bouton_mean": (("bin", "messenger"), blank(bins, len(names)), "nM"),
        "conc_bouton_max": (("bin", "messenger"), blank(bins, len(names)), "nM"),
        "spike_time": ("spike", np.zeros(0), "ms"),
        "spike_neuron": ("spike", np.zeros(0, np.int32), "1"),
        "synapse_id": ("synapse", plan.wiring.ids.astype(np.int64), "1"),
        "pre": ("synapse", plan.wiring.pre.astype(np.int32), "1"),
        "post": ("synapse", plan.wiring.post.astype(np.int32), "1"),
        "spine_position": (("synapse", "axis"), plan.spines.astype(np.float32), "um"),
        "soma_position": (("neuron", "axis"), plan.cells.position.astype(np.float32), "um"),
        "cell_class": ("neuron", plan.cells.kind.astype(object), "1"),
        "node_id": ("neuron", plan.cells.node_id, "1"),
    }
    if plan.config.record.fields and names:
        variables["conc"] = (("time", "messenger", "x", "y", "z"), blank(times, len(names), *plan.grid.shape), "nM")
    if plan.astrocytes is not None:
        centres = plan.astrocytes.centres
        variables |= {
            "calcium": (("bin", "astrocyte"), blank(bins, len(centres)), "uM"),
            "astrocyte_position": (("astrocyte", "axis"), centres.astype(np.float32), "um"),
            "astrocyte_domain": (("x", "y", "z"), plan.astrocytes.label.astype(np.int32), "1"),
        }
    coords = {
        "time": ("time", np.array(recorder.snapshots) * ms, {"units": "ms"}),
        "bin": ("bin", (np.arange(bins) + 1) * recorder.bin * ms, {"units": "ms"}),
        "messenger": ("messenger", np.array(names, object)),
        **{name: (name, axis(k), {"units": "um"}) for k, name in enumerate("xyz")},
    }
    data = {name: (dims, values, {"units": unit}) for name, (dims, values, unit) in variables.items()}
    return xr.Dataset(data, coords, {"title": "retrojax run"})


def _stages(recorder: Recorder, bins: int) -> np.ndarray:
    """Sleep stage of every bin; known before the run."""
    names = [recorder.simulation.patches.stage_at(k * recorder.bin) or "none" for k in range(bins)]
    return np.array(names, object)


def _chunks(recorder: Recorder) -> dict[str, dict]:
    """One snapshot a chunk; spikes in long chunks; nothing depends on when it was written."""
    plan = recorder.simulation.plan
    shape, synapses, neurons = plan.grid.shape, max(plan.wiring.ids.size, 1), plan.cells.node_id.size
    chunks = {"rate": (1, neurons), "spike_time": (SPIKE_CHUNK,), "spike_neuron": (SPIKE_CHUNK,)}
    chunks.update({name: (1, synapses) for name in ("weight", "p_release", "p_effective")})
    if plan.config.record.fields and plan.messengers:
        chunks["conc"] = (1, len(plan.messengers), *shape)
    return {name: {"chunks": size} for name, size in chunks.items()}
