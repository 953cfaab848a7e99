"""What experiments share: published numbers against computed ones, and the command line of fits to recordings."""

import argparse
import json
import os
import sys
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


SKIPPED = 77
"""Exit status of an experiment whose recordings are not there (the convention of automake)."""


class Recordings(NamedTuple):
    """Where a fit reads: the folder of recordings, and optionally a held-back file with its protocols.

    - `score`: another file of the same columns, on which the fitted parameters are evaluated without refitting.
    - `protocols`: what the labels of that file mean, where it names its protocols only by a label.
    """

    data: Path
    score: Path | None
    protocols: Path | None


def recordings(description: str, needs: Sequence[str]) -> Recordings:
    """The command line that all fits to recordings share: `--data DIR --score FILE --protocols FILE`.

    `needs` are the files, relative to the folder of recordings, without which the fit cannot run. Where one is
    absent this says so and ends the program with exit status `SKIPPED`; a `--score` or `--protocols` file that is not
    there is a mistake of the caller (exit status 2).
    """
    parser = argparse.ArgumentParser(description=description)
    folder = Path(os.environ.get("RETROJAX_DATA", "../shared/data"))
    parser.add_argument("--data", type=Path, default=folder, metavar="DIR", help="recordings (default: %(default)s)")
    parser.add_argument("--score", type=Path, metavar="FILE", help="evaluate the fit on this file too, not refitted")
    parser.add_argument("--protocols", type=Path, metavar="FILE", help="protocols that the labels of FILE stand for")
    given = Recordings(**vars(parser.parse_args()))
    for name, path in (("--score", given.score), ("--protocols", given.protocols)):
        if path is not None and not path.is_file():
            parser.error(f"{name} {path}: there is no such file")
    missing = [given.data / name for name in needs if not (given.data / name).is_file()]
    if missing:
        print(f"skipped: {missing[0]} is not there; say where the recordings are with --data DIR")
        sys.exit(SKIPPED)
    return given
