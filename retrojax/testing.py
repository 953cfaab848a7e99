"""Published numbers against computed ones: the table a reproduction prints and the file it leaves."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Target(NamedTuple):
    """One printed number of a paper, or a requirement on one.

    - `target`: name of the number, unique in its reproduction. `paper`: where it stands.
    - `expected`, `tolerance`: the number and the largest accepted distance from it, in its own unit.
    - `value`: what was computed.
    """

    target: str
    paper: str
    expected: float
    tolerance: float
    value: float

    @property
    def ok(self) -> bool:
        """Whether the value is a number within the tolerance."""
        return bool(abs(self.value - self.expected) <= self.tolerance)


def targets(
    names: Sequence[str], paper: str, expected: Sequence[float], values: object, *, absolute: float = 0.0,
    relative: float = 0.0,
) -> list[Target]:
    """One `Target` per name, accepted within `absolute` + `relative` x |expected|."""
    flat = np.asarray(values, float).ravel()
    rows = zip(names, expected, flat, strict=True)
    return [Target(name, paper, float(e), absolute + relative * abs(float(e)), float(v)) for name, e, v in rows]


def holds(name: str, paper: str, condition: object) -> Target:
    """A qualitative requirement as a number: 1 where it holds, 0 where not."""
    return Target(name, paper, 1.0, 0.0, float(bool(condition)))


def write_targets(rows: Sequence[Target], folder: Path) -> None:
    """Print the table, and write `result.json` into `folder`."""
    for row in rows:
        mark = "ok  " if row.ok else "FAIL"
        print(f"{mark} {row.target:<58} {row.value:>13.6g}  expected {row.expected:.6g} +- {row.tolerance:.2g}")
    result = [{**row._asdict(), "ok": row.ok} for row in rows]
    (folder / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    print(f"{sum(row.ok for row in rows)} of {len(rows)} targets hold")
