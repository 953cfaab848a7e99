"""A fit that is killed between its solves goes on where it stopped and ends with the numbers of an undisturbed one."""

import copy
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from retrojax.cli.fitting import execute_fit, load_fit_config
from retrojax.cli.main import app
from retrojax.fit import fit_config

pytestmark = pytest.mark.optimised  # the process that is killed compiles as users do, and the bits are compared

CONFIG = yaml.safe_load((Path(__file__).parents[2] / "configs" / "fit_rules.yaml").read_text())
TIMES = ("compile_s", "wall_s")


@pytest.fixture
def config(tmp_path) -> Path:
    """Least squares of the triplet rule on short protocols, in many batches of solves."""
    raw = copy.deepcopy(CONFIG)
    raw.pop("likelihood")
    raw["protocols"] = {"single": {"kind": "pairs", "count": 3}, "bursts": {
        "kind": "bursts", "count": 2, "per_burst": 3, "every": "1 s"}}
    raw["solver"] = {"starts": 6, "batch": 2, "screen": 2}
    raw["report"] = {"recovery": 3, "predictive": 20}
    path = tmp_path / "fit.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path


def kill_after(solves: int, config: Path, folder: Path) -> int:
    """Fit in another process, kill it with that many solves done; returns how many it left."""
    command = [sys.executable, "-m", "retrojax.cli.main", "fit", str(config), "--out", str(folder), "--quiet"]
    child = subprocess.Popen(command, env={**os.environ, "JAX_PLATFORMS": "cpu"})
    try:
        until = time.monotonic() + 300
        while len(list(folder.glob("solves/*.npz"))) < solves and time.monotonic() < until:
            assert child.poll() is None, "the fit ended before it could be killed"
            time.sleep(0.01)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    return len(list(folder.glob("solves/*.npz")))


def numbers(content: dict) -> dict:
    return {name: value for name, value in content.items() if name not in TIMES}


def test_killed_and_continued_is_undisturbed(config, tmp_path, capsys):
    killed = tmp_path / "killed"
    left = kill_after(3, config, killed)
    assert left >= 3 and not (killed / "fit.json").exists()
    execute_fit(config, killed, "", quiet=False, as_json=False)
    words = " ".join(capsys.readouterr().err.split())
    assert f"Continued: {left} batches of solves were done before" in words
    assert not (killed / "solves").exists()
    undisturbed = json.loads(json.dumps(fit_config(load_fit_config(config)).to_json()))
    assert numbers(json.loads((killed / "fit.json").read_text())) == numbers(undisturbed)
    # the same command, and resume, of a finished fit change nothing
    before = (killed / "fit.json").read_bytes()
    for words in (["resume", str(killed)], ["fit", str(config), "--out", str(killed)]):
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0 and "is finished" in result.output and "Identifiability" in result.output
    assert (killed / "fit.json").read_bytes() == before
    printed = CliRunner().invoke(app, ["resume", str(killed), "--json"]).stdout
    assert json.loads(printed)["parameters"] == json.loads(before)["parameters"]


def test_a_solve_of_other_inputs_or_code_is_not_read(tmp_path, monkeypatch):
    import numpy as np

    from retrojax.fit import Saved, saved

    seen, calls = [], []

    def run(x):
        calls.append(1)
        return (2 * x,)

    def ask(x, fixed=1.0):
        return Saved(tmp_path, lambda name, found: seen.append(found)).remember("solve", run, fixed)(np.asarray(x))[0]

    assert ask(1.5) == 3.0 and ask(1.5) == 3.0 and ask(2.5) == 5.0 and ask(1.5, fixed=2.0) == 3.0
    assert seen == [False, True, False, False] and len(calls) == 3
    monkeypatch.setattr(saved, "package_digest", lambda: "other")
    assert ask(1.5) == 3.0 and len(calls) == 4
