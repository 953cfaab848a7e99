"""Traces and the conditions they were recorded under, as the fits to hippocampal traces read them."""

from collections import defaultdict
from pathlib import Path

import numpy as np

from retrojax.errors import InputError
from retrojax.fit.table import read_table
from retrojax.testing import say_left_out

FREE, FIXED = ("g_syn", "tau_d", "tau_r", "tau_f", "U"), ("Erev", "Vm", "Rin", "Cm")


def read(traces: Path, *published: Path) -> dict[str, dict]:
    """Traces of three or more events whose clamp is known, which is that of their published fit.

    `published`: tables of clamp, recording conditions and, where there are any, fitted parameters; of two rows for one
    trace the first table's counts. **Raises** `InputError` for a missing column, a value that is no number, and no
    trace that could be used.
    """
    fits = [_conditions(path, row) for path in published for row in _rows(path, ("trace_id", "mode"))]
    fit_of = dict(reversed(fits))
    points, kind = defaultdict(list), {}
    for k, row in enumerate(_rows(traces, ("trace_id", "t_ms", "y"))):
        place, *values = (_finite(row[name], f"{name}, row {k + 1}", traces.name) if name in row else k
                          for name in ("point", "t_ms", "y"))
        points[row["trace_id"]].append((place, values))
        kind[row["trace_id"]] = row.get("kind") or "digitized"
    # times may run backwards: the order is that of `point`, where the file has it
    arrays = {name: np.array([values for _, values in sorted(placed)]).T for name, placed in points.items()}
    flat = [name for name, (_, y) in arrays.items() if np.ptp(y) == 0]
    out = {name: _trace(values, kind[name], fit_of[name]) for name, values in arrays.items()
           if name in fit_of and values.shape[1] >= 9 and name not in flat}
    say_left_out("trace_id", flat, "as nothing happens in them")
    say_left_out("trace_id", [name for name in points if name not in fit_of], "as their clamp is not known")
    if not out:
        raise InputError("trace_id", f"{len(points)} traces", "one of three events (nine points) whose clamp is known",
                         "give mode and conditions of the traces with --protocols FILE", traces.name)
    return out


def _rows(path: Path, needed: tuple[str, ...]) -> list[dict[str, str]]:
    table = read_table(path, needed)
    return [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]


def _number(text: str | None, field: str, file: str) -> float:
    try:
        return float(text)
    except (TypeError, ValueError):
        raise InputError(field, str(text), "a number", "correct the row", file) from None


def _finite(text: str | None, field: str, file: str) -> float:
    number = _number(text, field, file)
    if not np.isfinite(number):
        raise InputError(field, text, "a finite number", "correct the row, or leave the trace out", file)
    return number


def _conditions(path: Path, row: dict[str, str]) -> tuple[str, dict]:
    if row["mode"] not in ("voltage-clamp", "current-clamp"):
        raise InputError(f"mode of {row['trace_id']}", row["mode"], "voltage-clamp, current-clamp", "correct it",
                         path.name)
    fixed = [_finite(row.get(f"{key}_median"), f"{key}_median of {row['trace_id']}", path.name) for key in FIXED]
    free = [_number(row.get(f"{key}_median") or "nan", key, path.name) for key in FREE]
    return row["trace_id"], {"clamp": row["mode"] == "voltage-clamp", "fixed": np.array(fixed),
                             "published": np.log(free)}


def _trace(values: np.ndarray, kind: str, fit: dict) -> dict:
    (t, y), clamp = values, fit["clamp"]
    spike = np.arange(t.size) % 3 == clamp
    spike[-1] &= clamp
    return {**fit, "elapsed": np.maximum(np.diff(t, prepend=t[0]), 0), "spike": spike, "y": y - y[0], "kind": kind,
            "last": int(np.flatnonzero(spike)[-1] - clamp)}
