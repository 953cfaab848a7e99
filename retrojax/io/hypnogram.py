"""Scored sleep: the stage of each epoch of a night, and its compression onto a short simulation."""

import csv
import dataclasses
import math
from os import PathLike

import numpy as np
from jaxtyping import Float

from retrojax.errors import InputError

STAGES = ("W", "N1", "N2", "N3", "REM")
"""Wake, three depths of non-REM sleep, REM sleep (R in the manual, REM in files)."""

_COLUMNS = ("t_start_s", "stage")


@dataclasses.dataclass(frozen=True)
class Hypnogram:
    """A scored night in epochs of equal length.

    **Arguments**

    - `start_s`: start of each epoch **[s]**, shape [T], at least two.
    - `stage`: one of `STAGES` for each epoch, shape [T].
    """

    start_s: Float[np.ndarray, "T"]
    stage: tuple[str, ...]

    @property
    def epoch_s(self) -> float:
        """Length of an epoch **[s]**."""
        return float(self.start_s[1] - self.start_s[0])

    @property
    def end_s(self) -> float:
        """End of the last epoch **[s]**."""
        return float(self.start_s[-1]) + self.epoch_s


def _number(text: str, line: int, path: str | PathLike) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"t_start_s, line {line}", text, "a finite number of seconds", "correct that cell", path)
    return value


def load_hypnogram(path: str | PathLike) -> Hypnogram:
    """The hypnogram in a CSV file with the columns `t_start_s` **[s]** and `stage`; other columns are ignored.

    **Arguments**

    - `path`: CSV file with a header.

    **Raises** `InputError` for a missing file, missing columns, fewer than two epochs, an unknown stage, a start that
    is not a number, and epochs that do not all have the same positive length (naming the line).

    **References** Iber et al. 2007, The AASM Manual for the Scoring of Sleep (stages and the epoch of 30 s).
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows = [(reader.line_num, row) for row in reader]
            header = reader.fieldnames or []
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("file", str(path), "a readable CSV file", f"check the path ({error})", path) from None
    missing = [name for name in _COLUMNS if name not in header]
    if missing:
        raise InputError("columns", list(header), f"a header with {list(_COLUMNS)}", f"add {missing}", path)
    if len(rows) < 2:
        raise InputError("epochs", len(rows), "at least two", "give a longer record", path)
    for line, row in rows:
        if row["stage"] not in STAGES:
            raise InputError(f"stage, line {line}", row["stage"], f"one of {list(STAGES)}", "correct that cell", path)
    starts = np.array([_number(row["t_start_s"] or "", line, path) for line, row in rows])
    steps = np.diff(starts)
    bad = np.flatnonzero((steps <= 0) | ~np.isclose(steps, steps[0], rtol=1e-6, atol=0.0))
    if bad.size:
        raise InputError(f"t_start_s, line {rows[bad[0] + 1][0]}", float(starts[bad[0] + 1]),
                         "starts that rise by one epoch length", "fill gaps and remove repeated epochs", path)
    return Hypnogram(starts, tuple(row["stage"] for _, row in rows))


def _ticks(ideal: list[float], total: int) -> list[int]:
    """Whole ticks near `ideal`, the first 0, strictly rising and below `total`."""
    ticks = [0]
    for place in ideal[1:]:
        ticks.append(max(round(place), ticks[-1] + 1))
    limit = total
    for i in reversed(range(len(ticks))):
        ticks[i] = limit = min(ticks[i], limit - 1)
    return ticks


def stretch(hypnogram: Hypnogram, from_s: float | int, to_s: float | int, duration_ms: float | int,
            resolution_ms: float | int) -> list[tuple[float, str]]:
    r"""Stages of a part of the night, compressed onto a simulated duration.

    Recorded time $s$ maps to $t = D (s - s_0) / (s_1 - s_0)$. Epochs of equal stage are merged; boundaries are rounded
    to whole ticks of `resolution_ms`. A stage shorter than a tick is given one, at the cost of its neighbours.

    **Arguments**

    - `hypnogram`: the night.
    - `from_s`, `to_s`: $s_0$ and $s_1$, start and end of the part **[s]**.
    - `duration_ms`: $D$ **[ms]**.
    - `resolution_ms`: length of a tick **[ms]**.

    **Returns** `(start_ms, stage)` of each run in order; the first starts at 0, the last ends at `duration_ms`.

    **Raises** `InputError` if the part is empty or outside the record, if a time is not positive, or if there are more
    runs than ticks, so that a stage would be lost.
    """
    first, end = float(hypnogram.start_s[0]), hypnogram.end_s
    for name, value in (("duration_ms", duration_ms), ("resolution_ms", resolution_ms)):
        if not (math.isfinite(value) and value > 0):
            raise InputError(name, value, "a positive number of ms", f"set {name} above 0")
    if not first <= from_s < to_s <= end:
        raise InputError("from_s, to_s", (from_s, to_s), f"{first:g} <= from_s < to_s <= {end:g}",
                         "choose a part inside the record")
    runs: list[tuple[float, str]] = []
    for start, stage in zip(hypnogram.start_s, hypnogram.stage, strict=True):
        if start < to_s and start + hypnogram.epoch_s > from_s and (not runs or runs[-1][1] != stage):
            runs.append((max(float(start), float(from_s)), stage))
    # Rounding is forgiven, so that 0.3 ms holds three ticks of 0.1 ms.
    total = math.floor(duration_ms / resolution_ms * (1 + 1e-12))
    if len(runs) > total:
        raise InputError("resolution_ms", resolution_ms, f"at most {duration_ms / len(runs):g} ms for {len(runs)} runs",
                         "use a finer resolution, a longer duration or a shorter part of the night")
    scale = duration_ms / (to_s - from_s) / resolution_ms
    ticks = _ticks([(start - from_s) * scale for start, _ in runs], total)
    return [(float(tick * resolution_ms), stage) for tick, (_, stage) in zip(ticks, runs, strict=True)]
