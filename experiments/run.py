"""Run some or all reproductions: `python experiments/run.py [NAME...]`; one line each; exit status 0 unless one broke.

A fit whose recordings are absent is skipped and says so.
"""

import json
import subprocess
import sys
from pathlib import Path

from retrojax.testing import SKIPPED

HERE = Path(__file__).parent


def main(names: list[str]) -> int:
    """Run the named folders, or all that hold a run.py."""
    known = sorted(path.parent.name for path in HERE.glob("*/run.py"))
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"no reproduction called {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    broken = 0
    for name in names or known:
        result = HERE / name / "result.json"
        result.unlink(missing_ok=True)
        done = subprocess.run([sys.executable, HERE / name / "run.py"], capture_output=True, text=True, check=False)
        if done.returncode == SKIPPED:
            print(f"{name}: {done.stdout.strip().splitlines()[-1]}", flush=True)
            continue
        if done.returncode or not result.exists():
            broken += 1
            print(f"{name}: did not run (exit status {done.returncode})\n{done.stderr}")
            continue
        rows = json.loads(result.read_text())
        failing = [row["target"] for row in rows if not row["ok"]]
        print(f"{name}: {len(rows) - len(failing)} of {len(rows)} targets hold"
              + (f"; failing: {'; '.join(failing)}" if failing else ""), flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
