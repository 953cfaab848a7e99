"""The benchmark of networks prints what its readers count on, and runs a peer in turns."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "experiments" / "benchmarks"
BOX, HPC, SCRIPT = (BENCHMARKS / name for name in ("diffusion.py", "hpc.py", "network.py"))
KEYS = {
    "name", "version", "jax", "device", "devices", "import_s", "compile_s", "wall_s", "peak_rss_bytes", "synapses",
    "seconds", "dt_ms", "events", "ns_per_event", "post_rate_hz", "w_mean", "w_std", "bytes_per_synapse", "floor_s",
    "floor_ratio", "seed", "peer", "peer_wall_s", "peer_threads", "ratio",
}


def _call(*options: str, script: Path = SCRIPT) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, str(script), *options], capture_output=True, text=True)


@pytest.mark.repro
def test_line_of_a_network_beside_a_peer():
    # 200 neurons; the NumPy peer needs nothing that is not installed anyway
    done = _call("--workload", "w1", "--synapses", "2e4", "--seconds", "0.2", "--dt", "1", "--against", "numpy",
                 "--pairs", "1")
    assert done.returncode == 0, done.stderr
    line = json.loads(done.stdout)
    assert line.keys() >= KEYS
    assert line["synapses"] == 20_000 and line["peer"] == "numpy"
    # 200 sources at 10 Hz for 0.2 s make 400 spikes, each at 100 synapses, +- 5 SD
    assert abs(line["events"] / 100 - 400) < 100
    assert abs(line["w_mean"] - line["peer_w_mean"]) < 0.002
    assert line["ratio"] == pytest.approx(line["wall_s"] / line["peer_wall_s"])


@pytest.mark.repro
def test_line_of_the_hpc_network():
    done = _call("--scale", "0.004", "--warm-up", "3", "--duration", "30", "--repeat", "1", script=HPC)
    assert done.returncode == 0, done.stderr
    line = json.loads(done.stdout)
    # 36 excitatory and 9 inhibitory cells that hear 9,000 and 2,250
    assert line["synapses"] == 36 * 9000 and line["fixed_synapses"] == 9 * 9000 + 45 * 2250
    assert line["events"] > line["plastic_events"] > 0 and line["floor_ratio"] > 1
    assert line["w_mean"] == pytest.approx(45.6096, rel=0.1) and line["bytes_per_synapse"] < 17


@pytest.mark.repro
def test_hpc_network_beside_nest_in_distribution():
    pytest.importorskip("nest")
    # a tenth of the inputs; six runs of each that do not overlap have p = 0.002, below the bound
    done = _call("--scale", "0.05", "--duration", "60", "--seeds", "6", script=BENCHMARKS / "hpc_agreement.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "450 and 112 cells that hear 1,125, 60 ms, 6 seeds" in done.stdout


def test_peer_that_does_not_run_a_workload_is_refused():
    done = _call("--workload", "w3", "--synapses", "1e4", "--dt", "1", "--against", "nest")
    assert done.returncode == 1 and "for w3: numba-dct, numpy, brian2" in done.stderr


def test_line_of_a_box_beside_a_peer():
    done = _call("--n", "64", "--seconds", "0.03", "--against", "scipy", "--pairs", "1", script=BOX)
    assert done.returncode == 0, done.stderr
    line = json.loads(done.stdout)
    assert line.keys() >= {"name", "version", "jax", "device", "devices", "compile_s", "wall_s", "peak_rss_bytes", "n",
                           "peer_wall_s", "ratio", "error", "peer_error", "flops", "bytes", "floor_s", "floor_ratio"}
    assert line["n"] == 64 and line["ratio"] == pytest.approx(line["wall_s"] / line["peer_wall_s"])
    # both are exact for the same lattice
    assert line["error"] == pytest.approx(line["peer_error"], rel=1e-2) and 1e-4 < line["error"] < 4e-3
