"""What experiments share: published numbers against computed ones, and the command line of fits to recordings."""

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from retrojax.errors import InputError
from retrojax.fit.spec import model_paths


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
    - `refit`: fit again even where `fitted.json` holds the parameters.
    - `files`: the recordings that are fitted; with a file to score they may be absent.
    """

    data: Path
    score: Path | None
    protocols: Path | None
    refit: bool
    files: tuple[Path, ...]


def recordings(description: str, needs: Sequence[str]) -> Recordings:
    """The command line that all fits to recordings share: `--data DIR --score FILE --protocols FILE --refit`.

    `needs` are the files, relative to the folder of recordings, without which the fit cannot run. Where one is
    absent this says so and ends the program with exit status `SKIPPED`, unless a file is to be scored, for which the
    parameters in `fitted.json` are enough (`kept`). A `--score` or `--protocols` file that is not there is a mistake
    of the caller (exit status 2).
    """
    parser = argparse.ArgumentParser(description=description)
    folder = Path(os.environ.get("RETROJAX_DATA", "../shared/data"))
    parser.add_argument("--data", type=Path, default=folder, metavar="DIR", help="recordings (default: %(default)s)")
    parser.add_argument("--score", type=Path, metavar="FILE",
                        help="evaluate the fit on this file, not refitted; a fit that is already there is used")
    parser.add_argument("--protocols", type=Path, metavar="FILE", help="protocols that the labels of FILE stand for")
    parser.add_argument("--refit", action="store_true", help="with --score: fit again first")
    options = parser.parse_args()
    for name, path in (("--score", options.score), ("--protocols", options.protocols)):
        if path is not None and not path.is_file():
            parser.error(f"{name} {path}: there is no such file")
    if options.protocols and not options.score:
        parser.error("--protocols says what the labels of a --score FILE mean: give that file too")
    given = Recordings(**vars(options), files=tuple(options.data / name for name in needs))
    if given.score is None or given.refit:
        _skip_without(given.files)
    return given


def _skip_without(files: Sequence[Path]) -> None:
    """End the program if one of the recordings is absent."""
    missing = [path for path in files if not path.is_file()]
    if missing:
        print(f"skipped: {missing[0]} is not there; say where the recordings are with --data DIR")
        sys.exit(SKIPPED)


def held_back(given: Recordings, read: Callable[[Path, Path | None], Any]) -> Any:
    """What `read(score, protocols)` makes of the held-back file; None without one.

    Called before the fit, so that a file that cannot be used is refused at once: one sentence, exit status 2.
    """
    if given.score is None:
        return None
    try:
        return read(given.score, given.protocols)
    except (InputError, OSError, UnicodeDecodeError) as error:
        where = "" if given.score.name in str(error) else f"{given.score}: "
        print(f"--score: {where}{error}", file=sys.stderr)
        sys.exit(2)


def say_unused(protocols: Path | None, why: str) -> None:
    """Print that a file of protocols is not needed and why; nothing if there is none."""
    if protocols is not None:
        print(f"--protocols {protocols}: not used, {why}")


def say_left_out(what: str, labels: Iterable[str], why: str) -> None:
    """Print which labels a fit or a score leaves out and why, the first five by name; nothing if there are none."""
    names = list(dict.fromkeys(labels))
    if names:
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        print(f"left out, {why}: {what} {', '.join(names[:5])}{more}")


def parameters(model: Any) -> dict[str, float]:
    """Dotted path -> value of every 0-d parameter of a model, for `keep`; `retrojax.fit.spec.fix` undoes it."""
    leaves = jax.tree.leaves(model)
    return {path: float(leaves[number]) for path, number in model_paths(model).items()}


def keep(given: Recordings, folder: Path, fitted: Any) -> None:
    """Write what was fitted (numbers, text, lists and dicts of them) to `fitted.json` in `folder`, to nine digits."""
    content = {"recordings": _digests(given.files), "code": _code(folder), "fitted": _rounded(fitted)}
    (folder / "fitted.json").write_text(json.dumps(content) + "\n")


def kept(given: Recordings, folder: Path) -> Any:
    """What `keep` wrote, if a file is to be scored and no new fit is asked for; else None.

    It does not count where the recordings are others; then the fit is repeated. Where they are absent it does, and
    where the scripts have changed since; both are said. With neither recordings nor `fitted.json` the program ends
    (`SKIPPED`).
    """
    path = folder / "fitted.json"
    if given.score is None or given.refit:
        return None
    if not path.is_file():
        _skip_without(given.files)
        print(f"{path} is not there; fitting first")
        return None
    found = json.loads(path.read_text())
    there = [file for file in given.files if file.is_file()]
    if any(found["recordings"].get(name) != digest for name, digest in _digests(there).items()):
        _skip_without(given.files)
        print(f"{path}: fitted to other recordings; fitting again", flush=True)
        return None
    notes = [] if len(there) == len(given.files) else [f"the recordings are not in {given.data}"]
    notes += [] if found["code"] == _code(folder) else ["fitted by an earlier state of the script"]
    print("; ".join([f"parameters of {path}", *notes, "--refit fits again"]))
    return found["fitted"]


def _digests(files: Iterable[Path]) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _code(folder: Path) -> str:
    """Digest of the scripts of the experiment."""
    return hashlib.sha256("".join(_digests(sorted(folder.glob("*.py"))).values()).encode()).hexdigest()


def _rounded(tree: Any) -> Any:
    if isinstance(tree, float):
        return float(f"{tree:.9g}")
    if isinstance(tree, dict):
        return {key: _rounded(value) for key, value in tree.items()}
    return [_rounded(value) for value in tree] if isinstance(tree, list | tuple) else tree
