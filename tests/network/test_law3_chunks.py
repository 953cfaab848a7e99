"""Law 3: chunking changes nothing, bit for bit; nor does kill and resume."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from retrojax.engine.network import run_chunk
from retrojax.io.build import build

pytestmark = pytest.mark.optimised


def _leaves(state):
    return [np.asarray(jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x)
            for x in jax.tree.leaves(state)]


@pytest.fixture(scope="module")
def simulation(small_config, config_file):
    return build(small_config, config_file)


def _advance(simulation, state, *chunks):
    for ticks in chunks:
        state, _ = run_chunk(simulation.model, simulation.tissue, state, simulation.plan.clocks,
                             jnp.asarray(ticks, jnp.int32))
    return state


def test_one_call_equals_many(simulation):
    whole = _leaves(_advance(simulation, simulation.state, 30))
    parts = _leaves(_advance(simulation, simulation.state, 1, 9, 13, 7))
    assert all(np.array_equal(a, b) for a, b in zip(whole, parts, strict=True))
    moved = _leaves(simulation.state)
    assert not np.array_equal(moved[0], whole[0])


def _tree_hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return digest.hexdigest()


def _command(*words):
    return [sys.executable, "-m", "retrojax.cli.main", *map(str, words)]


@pytest.fixture(scope="module", params=["lazy", "clocked"])
def long_flags(request, small_flags):
    """A run long enough to be killed, on either schedule."""
    return [*small_flags, "--set", f"network.schedule={request.param}", "--set", "duration=3 s", "--set",
            "record.every=500 ms", "--device", "cpu"]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, config_file, long_flags):
    folder = tmp_path_factory.mktemp("whole") / "run"
    subprocess.run(_command("run", config_file, "--out", folder, "--quiet", *long_flags), check=True)
    return folder


def _kill_after(folder, wait, *words):
    process = subprocess.Popen(_command(*words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None and not wait(folder):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def _has_checkpoint(folder):
    found = folder / "checkpoints"
    return found.is_dir() and any(p.name.isdigit() for p in found.iterdir())


def test_killed_three_times_and_resumed_is_bit_identical(tmp_path, uninterrupted, config_file, long_flags):
    folder, rng = tmp_path / "run", random.Random(7)
    start = ("run", config_file, "--out", folder, "--quiet", *long_flags)
    _kill_after(folder, lambda f: (f / "results.zarr" / "zarr.json").exists(), *start)
    assert not _has_checkpoint(folder), "the first kill must come before the first checkpoint"
    for _ in range(2):
        linger = rng.uniform(0.0, 0.4)
        began: list[float] = []

        def wait(f, linger=linger, began=began):
            if _has_checkpoint(f) and not began:
                began.append(time.monotonic())
            return bool(began) and time.monotonic() - began[0] > linger

        _kill_after(folder, wait, "resume", folder, "--quiet", "--device", "cpu")
    subprocess.run(_command("resume", folder, "--quiet", "--device", "cpu"), check=True)
    assert _tree_hash(folder / "results.zarr") == _tree_hash(uninterrupted / "results.zarr")


def test_resume_of_a_finished_run_says_so(uninterrupted):
    done = subprocess.run(_command("resume", uninterrupted, "--device", "cpu"), capture_output=True, text=True)
    assert done.returncode == 0 and "finished" in done.stderr


def test_run_into_a_used_folder_refuses(uninterrupted, config_file, long_flags):
    again = subprocess.run(_command("run", config_file, "--out", uninterrupted, *long_flags),
                           capture_output=True, text=True)
    assert again.returncode == 1 and "retrojax resume" in again.stderr
    other = subprocess.run(_command("run", config_file, "--out", uninterrupted, "--set", "duration=2 s"),
                           capture_output=True, text=True)
    assert other.returncode == 1 and "different run" in other.stderr


def test_results_open_with_units_and_without_wall_time(uninterrupted):
    data = xr.open_zarr(uninterrupted / "results.zarr")
    assert {"time", "synapse", "neuron", "messenger", "x", "y", "z"} <= set(data.dims)
    assert all("units" in data[name].attrs for name in data.data_vars)
    assert np.isfinite(data.weight.values).all() and np.isfinite(data.conc.values).all()
    assert float(abs(data.p_release.isel(time=-1) - data.p_release.isel(time=0)).max()) > 0
    counted = np.bincount(data.spike_neuron.values, minlength=data.sizes["neuron"])
    width = np.diff(data.time.values)[:, None] / 1000
    assert np.array_equal(np.rint((data.rate.values[1:] * width).sum(axis=0)).astype(int), counted)
    for name in ("firing_rates", "strengths", "plasticity_map", "messengers", "field_slices"):
        assert (uninterrupted / "figures" / f"{name}.png").stat().st_size > 5000
