"""Maps of the medium against NEURON's rxd in the same voxels."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "experiments" / "benchmarks" / "maps_rxd.py"


@pytest.mark.repro
def test_difference_from_rxd_is_rxds_own_error_and_halves_with_the_voxel():
    pytest.importorskip("neuron")
    done = subprocess.run([sys.executable, str(SCRIPT), "1.0", "0.5", "0.25"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    differences = [line["difference"] for line in lines]
    for difference, own_error in zip(differences, (0.043, 0.022, 0.011), strict=True):
        assert difference <= 1.2 * own_error
    for coarse, fine in zip(differences[:-1], differences[1:], strict=True):
        assert 1.8 < coarse / fine < 2.2
    assert all(line["error"] < most for line, most in zip(lines, (7.4e-2, 1.88e-2, 4.8e-3), strict=True))
