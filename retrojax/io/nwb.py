"""Neurodata Without Borders files: patch-clamp sweeps, evoked amplitudes as data of a fit, units and intervals.

Needs pynwb (`pip install retrojax[nwb]`), which is imported when a file is opened.
"""

import contextlib
import re
import warnings
from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from retrojax.errors import InputError, naming_file
from retrojax.fit.data import Dataset, one_clamp
from retrojax.protocols import Protocol

_SCALE = {"volts": 1e3, "amperes": 1e12}
_UNIT = {"volts": "mV", "amperes": "pA"}
_CLAMP = {"CurrentClampSeries": "current-clamp", "VoltageClampSeries": "voltage-clamp",
          "IZeroClampSeries": "current-clamp"}


class Sweep(NamedTuple):
    """One recorded sweep.

    - `values`: response [T], in `unit` (mV in current clamp, pA in voltage clamp), conversion and offset applied.
    - `stimulus`: command [T] in pA (current clamp) or mV, or None where none is stored.
    - `step`: sampling interval [ms]. `start`: time of the first sample in the file [ms].
    """

    name: str
    clamp: str
    values: Float[np.ndarray, " T"]
    stimulus: Float[np.ndarray, " T"] | None
    step: float
    start: float
    unit: str


def read_sweeps(path: str | PathLike) -> list[Sweep]:
    """Patch-clamp sweeps of a file, in the order of the numbers in their names (`Step__2` before `Step__10`).

    A stimulus belongs to the sweep of the same sweep number or, where files number none, to the one whose name ends in
    the same number.

    **Raises** `InputError` for a file that is no NWB file, one without patch-clamp series, a unit other than volts and
    amperes, a series without sampling rate, and samples that are not finite.
    """
    with _open(path) as file:
        stimuli = {_number(series): series for series in file.stimulus.values()}
        found = sorted((s for s in file.acquisition.values() if type(s).__name__ in _CLAMP),
                       key=lambda s: (_number(s) is None, _number(s) or 0, s.name))
        if not found:
            raise InputError("acquisition", ", ".join(file.acquisition) or "empty", "patch-clamp series",
                             "give a file with CurrentClampSeries or VoltageClampSeries")
        return [_sweep(series, stimuli.get(_number(series))) for series in found]


def evoked_amplitudes(
    sweeps: Sequence[Sweep], times: Sequence[float], window: tuple[float | int, float | int] = (0.5, 15.0),
    baseline: float | int = 2.0, sign: int | None = None,
) -> Dataset:
    """Amplitude of the response to every stimulus of every sweep: a `Dataset` of single trials.

    The amplitude is the extreme of the response within `window` after the stimulus, minus the mean over the `baseline`
    before it; responses that ride on the decay of an earlier one are measured from where they start.

    **Arguments**

    - `sweeps`: of one clamp mode. `times`: of the stimuli, from sweep start [ms], ascending.
    - `window`: from and to, after the stimulus [ms]. `baseline`: length before the stimulus [ms].
    - `sign`: +1 or -1, the direction of the response; by default that of the larger mean deflection.

    **Raises** `InputError` for no sweeps, mixed clamp modes or sampling intervals, unsorted times, and a window that
    holds no sample, leaves the sweep or meets the next stimulus.
    """
    if len({sweep.step for sweep in sweeps}) != 1:
        raise InputError("sweeps", f"{len(sweeps)} with steps of {sorted({s.step for s in sweeps})} ms",
                         "one sweep at least, all with one sampling interval", "resample, or split the set")
    clamp = one_clamp([sweep.clamp for sweep in sweeps])
    at = np.asarray(times, float)
    if at.size == 0 or not np.all(np.isfinite(at)) or np.any(np.diff(at) <= 0):
        raise InputError("times", np.array2string(at), "finite times in ascending order", "sort the stimulus times")
    if not 0 <= window[0] < window[1] or baseline <= 0:
        raise InputError("window", window, "0 <= from < to, after a positive baseline", "correct the window")
    if at.size > 1 and window[1] > np.min(np.diff(at)):
        raise InputError("window", window, f"within the interval of {np.min(np.diff(at)):g} ms", "shorten the window")
    signed = np.stack([_deflections(sweep, at, window, baseline) for sweep in sweeps])
    direction = sign or (1 if signed.max(-1).mean() >= -signed.min(-1).mean() else -1)
    values = direction * (direction * signed).max(-1)
    end = float(sweeps[0].values.size * sweeps[0].step)
    names = tuple(sweep.name for sweep in sweeps)
    return Dataset((Protocol(at, np.zeros(0), end),) * len(names), values, None, np.ones(len(names), int),
                   ("",) * len(names), names, sweeps[0].unit, clamp)


class Units(NamedTuple):
    """Sorted units: their ids in the file, and the spike times of each [ms], ascending."""

    ids: tuple[int, ...]
    times: tuple[np.ndarray, ...]


def read_units(path: str | PathLike) -> Units:
    """The units table of a file.

    **Raises** `InputError` for a file without units, and for spike times that are unsorted or not finite.
    """
    with _open(path) as file:
        if file.units is None or "spike_times" not in file.units.colnames:
            raise InputError("units", "missing", "a units table with spike_times", "give a file of sorted units")
        ids = tuple(int(number) for number in file.units.id[:])
        times = tuple(1e3 * np.asarray(file.units["spike_times"][k], float) for k in range(len(ids)))
    with naming_file(path):
        for number, spikes in zip(ids, times, strict=True):
            if not np.all(np.isfinite(spikes)) or np.any(np.diff(spikes) < 0):
                raise InputError(f"units[{number}].spike_times", "unsorted or not finite", "ascending times",
                                 "sort the spikes of the unit")
    return Units(ids, times)


def read_intervals(path: str | PathLike, name: str = "epochs") -> list[tuple[float, float, tuple[str, ...]]]:
    """Start and stop [ms] and tags of the rows of one table of intervals.

    **Raises** `InputError` naming the tables that there are.
    """
    with _open(path) as file:
        tables = dict(file.intervals or {})
        if name not in tables:
            raise InputError("intervals", name, ", ".join(tables) or "none in this file", "name one of these")
        table = tables[name]
        tags = [tuple(map(str, row)) for row in table["tags"][:]] if "tags" in table.colnames else [()] * len(table)
        return [(1e3 * float(a), 1e3 * float(b), tag) for a, b, tag in
                zip(table["start_time"][:], table["stop_time"][:], tags, strict=True)]


@contextlib.contextmanager
def _open(path: str | PathLike) -> Iterator[Any]:
    try:
        import pynwb
    except ImportError:
        raise InputError("pynwb", "not installed", "pynwb 3 or later", "pip install 'retrojax[nwb]'") from None
    with naming_file(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cached namespaces of older schemas
        if not Path(path).is_file():
            raise InputError("file", str(path), "an NWB file", "check the path")
        try:
            reader = pynwb.NWBHDF5IO(str(path), "r", load_namespaces=True)
            content = reader.read()
        except Exception as error:
            # pynwb and hdmf raise a dozen kinds for a file that is not theirs
            raise InputError("file", str(path), "an NWB 2 file", f"write it with pynwb ({error})") from None
        with reader:
            yield content


def _sweep(series: Any, stimulus: Any) -> Sweep:
    values, unit = _values(series)
    if not series.rate:
        raise InputError(f"{series.name}.rate", series.rate, "a sampling rate [Hz]", "resample to regular times")
    command = None if stimulus is None else _values(stimulus)[0]
    if command is not None and command.size != values.size:
        raise InputError(f"{stimulus.name}.data", command.size, f"{values.size} samples, as {series.name}",
                         "give stimulus and response the same length")
    return Sweep(series.name, _CLAMP[type(series).__name__], values, command, 1e3 / float(series.rate),
                 1e3 * float(series.starting_time or 0.0), unit)


def _values(series: Any) -> tuple[np.ndarray, str]:
    if series.unit not in _SCALE:
        raise InputError(f"{series.name}.unit", series.unit, ", ".join(_SCALE), "correct the unit in the file")
    stored = np.asarray(series.data[:], float)
    values = _SCALE[series.unit] * (stored * float(series.conversion) + float(series.offset or 0.0))
    if not np.all(np.isfinite(values)):
        raise InputError(f"{series.name}.data", "not finite", "finite samples", "cut the gap, or drop the sweep")
    return values, _UNIT[series.unit]


def _number(series: Any) -> int | None:
    if getattr(series, "sweep_number", None) is not None:
        return int(series.sweep_number)
    digits = re.search(r"(\d+)$", series.name)
    return int(digits.group(1)) if digits else None


def _deflections(sweep: Sweep, at: np.ndarray, window: tuple[float | int, float | int], baseline: float | int):
    """Response minus baseline [stimulus, sample of the window]."""
    onset = np.round(at / sweep.step).astype(int)
    before, first, last = (round(span / sweep.step) for span in (baseline, *window))
    if before < 1 or last <= first:
        raise InputError("window", (*window, baseline), f"one sample of {sweep.step:g} ms at least, as the baseline",
                         "widen window or baseline")
    if onset[0] < before or onset[-1] + last > sweep.values.size:
        raise InputError("times", np.array2string(at), f"baseline and window within {sweep.name}",
                         "shorten the window, or drop stimuli at the edge")
    rest = sweep.values[onset[:, None] - np.arange(1, before + 1)].mean(-1)
    return sweep.values[onset[:, None] + np.arange(first, last)] - rest[:, None]
