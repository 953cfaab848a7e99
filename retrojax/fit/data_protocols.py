"""Spike times of a row of measurements: from its numbers, or from a label and a file that says what labels mean."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from jaxtyping import Float

from retrojax.errors import InputError, naming_file
from retrojax.fit.table import read_table
from retrojax.protocols import Protocol, bursts, pairs

TAIL = 1000.0
"""Silence after the last spike of a labelled protocol [ms]."""


class Labelled(NamedTuple):
    """One sweep of a protocol, and how often it is repeated.

    - `pre`, `post`: spike times within a sweep [ms]. `repetitions`, `every`: sweeps, and from start to start [ms].
    """

    pre: Float[np.ndarray, " K"]
    post: Float[np.ndarray, " L"]
    repetitions: int = 1
    every: float = 0.0

    def protocol(self) -> Protocol:
        """All spikes of all repetitions."""
        starts = self.every * np.arange(self.repetitions)[:, None]
        pre, post = ((starts + times).ravel() for times in (self.pre, self.post))
        return Protocol(pre, post, float(np.concatenate([pre, post]).max() + TAIL))


def gives_spike_times(path: Path) -> bool:
    """Whether a file of protocols has one of the forms of `protocols_by_label`, and not a fit's own columns."""
    return path.suffix in (".yaml", ".yml", ".json") or "pre_ms" in read_table(path)


def protocols_by_label(path: str | PathLike) -> dict[str, Labelled]:
    """What the labels of a data file mean.

    Two forms. YAML or JSON: `{label: {pre: [ms...], post: [ms...], repetitions: 60, every: 1000}}`. CSV: columns
    `label`, `pre_ms`, `post_ms` (times of one sweep, apart by spaces or semicolons), `repetitions`, `every_ms`. `post`,
    `repetitions` and `every` may be absent.

    **Raises** `InputError` for a missing file, a label twice or without spikes, times that are not finite numbers >= 0
    in ascending order, and repetitions without an interval that outlasts the sweep.
    """
    path = Path(path)
    with naming_file(path):
        if not path.is_file():
            raise InputError("protocols", str(path), "a YAML, JSON or CSV file", "check the path")
        try:
            entries = _csv_entries(path) if path.suffix == ".csv" else yaml.safe_load(path.read_text())
        except yaml.YAMLError as error:
            raise InputError("protocols", str(error), "readable YAML or JSON", "correct the file") from None
        if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
            raise InputError("protocols", type(entries).__name__, "label -> pre, post, repetitions, every",
                             "write one entry per label")
        return {str(label): _labelled(str(label), entry) for label, entry in entries.items()}


def row_protocol(
    number: int, row: Mapping[str, float], label: str | None, labels: Mapping[str, Labelled]
) -> Protocol:
    """Spike times of one row, from its label if it has one, else from rate, pulses, delta_t, bursts, every.

    **Raises** `InputError` for an unknown label, and where neither label nor rate says when the spikes fall.
    """
    field = f"row {number + 1}"
    if label is not None:
        if label not in labels:
            raise InputError(f"{field}, label", label, ", ".join(labels) or "labels of a protocols file",
                             "add the label to the protocols file")
        return labels[label].protocol()
    if "rate" not in row or "pulses" not in row:
        raise InputError(f"{field}, protocol", "unknown", "a label, or rate and pulses", "declare these columns")
    for name in ("pulses", "bursts"):
        if name in row and (row[name] < 1 or row[name] % 1 != 0):
            raise InputError(f"{field}, {name}", row[name], "a whole number, 1 or more", "correct the row")
    if row["rate"] <= 0:
        raise InputError(f"{field}, rate", row["rate"], "a positive rate [Hz]", "correct the row")
    pulses = int(row["pulses"])
    if "delta_t" not in row:
        train = pairs(pulses, row["rate"], 0.0, TAIL)
        return Protocol(train.pre, np.zeros(0), train.end)
    if "bursts" not in row:
        return pairs(pulses, row["rate"], row["delta_t"], TAIL)
    return bursts(row["rate"], row["delta_t"], pulses, int(row["bursts"]), row.get("every", 10_000.0), TAIL)


def _csv_entries(path: Path) -> dict[str, dict[str, Any]]:
    table = read_table(path, ("label", "pre_ms"))
    blank = [""] * len(table["label"])
    column = lambda name: table.get(name, blank)  # noqa: E731
    entries: dict[str, dict[str, Any]] = {}
    for number, label in enumerate(table["label"]):
        if not label or label in entries:
            raise InputError(f"row {number + 1}, label", label, "each label once", "name it, or remove the second")
        times = {name: (column(f"{name}_ms")[number] or "").replace(";", " ").split() for name in ("pre", "post")}
        entries[label] = {**times, "repetitions": column("repetitions")[number] or 1,
                          "every": column("every_ms")[number] or 0}
    return entries


def _labelled(label: str, entry: dict[str, Any]) -> Labelled:
    unknown = set(entry) - {"pre", "post", "repetitions", "every"}
    if unknown:
        raise InputError(f"{label}.{min(unknown)}", entry[min(unknown)], "pre, post, repetitions, every", "rename it")
    pre, post = (_times(f"{label}.{name}", entry.get(name) or []) for name in ("pre", "post"))
    repetitions = _number(f"{label}.repetitions", entry.get("repetitions", 1))
    every = _number(f"{label}.every", entry.get("every", 0))
    spikes = np.concatenate([pre, post])
    if spikes.size == 0:
        raise InputError(f"{label}.pre", "none", "one spike at least", "give spike times [ms]")
    if repetitions < 1 or repetitions != int(repetitions):
        raise InputError(f"{label}.repetitions", repetitions, "a whole number, 1 or more", "correct it")
    if repetitions > 1 and every <= np.ptp(spikes):
        raise InputError(f"{label}.every", every, f"more than the sweep's {np.ptp(spikes):g} ms",
                         "give the time from sweep start to sweep start [ms]")
    return Labelled(pre, post, int(repetitions), every)


def _times(field: str, values: Any) -> np.ndarray:
    times = np.array([_number(field, value) for value in np.atleast_1d(np.asarray(values, object))], float)
    if times.size and times.min() < 0:
        raise InputError(field, float(times.min()), "times >= 0 ms, from the start of the sweep", "shift the protocol")
    if np.any(np.diff(times) <= 0):
        k = int(np.argmax(np.diff(times) <= 0)) + 1
        raise InputError(f"{field}[{k}]", float(times[k]), f"above {times[k - 1]:g} ms: times ascend", "sort the times")
    return times


def _number(field: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not np.isfinite(number):
        raise InputError(field, value, "finite numbers [ms, or a count]", "correct the file")
    return number
