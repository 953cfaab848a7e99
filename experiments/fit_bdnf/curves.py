"""Time courses after BDNF as the fit reads them: rows of one readout in one experiment are one curve."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from retrojax.errors import InputError, naming_file
from retrojax.fit.data import Column, column_numbers, column_texts
from retrojax.fit.table import read_table
from retrojax.testing import say_left_out

CURVES = {"BDNF_act_TrKB": "TrkB", "aAKT": "AKT", "pERK": "ERK"}
ERROR_SHARE = 0.1
"""Of a curve's largest value: its error where the source gives none."""


class Curve(NamedTuple):
    """One readout of one experiment.

    - `experiment`, `readout`: its names. `t`: after BDNF [s]; `y`: response; `error`, not-a-number where not given.
    - `zero`: the response before BDNF, which is no point of the curve; not-a-number where it was not measured.
    """

    experiment: str
    readout: str
    t: np.ndarray
    y: np.ndarray
    error: np.ndarray
    zero: float


def read(path: Path, protocols: Path | None = None) -> list[Curve]:
    """The curves of TrkB, AKT and ERK in a table.

    `protocols`: a table with columns `readout` and `curve` (TrkB, AKT or ERK) for readouts of other names. **Raises**
    `InputError` for a missing column, a value that is no number, an error that is not positive, and no known readout.
    """
    meaning = dict(CURVES)
    if protocols is not None:
        with naming_file(protocols.name):
            named = read_table(protocols, ("readout", "curve"))
            labels, curves = (column_texts(named, name, Column(name)) for name in ("readout", "curve"))
            for label, curve in zip(labels, curves, strict=True):
                if curve not in CURVES.values():
                    raise InputError(f"curve of {label}", curve, ", ".join(CURVES.values()), "choose one of these")
                meaning[label] = curve
    with naming_file(path.name):
        table = read_table(path, ("readout", "t_after_ligand_s", "value"))
        readouts = column_texts(table, "readout", Column("readout"))
        if not set(readouts) & set(meaning):
            raise InputError("readout", readouts[0], ", ".join(meaning), "say what it means with --protocols FILE")
        say_left_out("readout", [name for name in readouts if name not in meaning], "as they are none of the three")
        known = [k for k, readout in enumerate(readouts) if readout in meaning]
        used = {name: [texts[k] for k in known] for name, texts in table.items()}
        t, y = (column_numbers(used, name, Column(name))[:, 0] for name in ("t_after_ligand_s", "value"))
        error = np.array([_error(text, k) for k, text in enumerate(used.get("error", [""] * len(known)))])
    names = list(zip(used.get("file", [""] * len(known)), (meaning[readouts[k]] for k in known), strict=True))
    return [_curve(*name, *(x[[k for k, other in enumerate(names) if other == name]] for x in (t, y, error)))
            for name in dict.fromkeys(names)]


def _error(text: str, row: int) -> float:
    try:
        error = float(text or "nan")
    except ValueError:
        error = 0.0
    if error <= 0:
        raise InputError(f"error, row {row + 1} of the known readouts", text, "a positive number, or nothing",
                         "correct the row")
    return error


def _curve(experiment: str, readout: str, t: np.ndarray, y: np.ndarray, error: np.ndarray) -> Curve:
    order = np.argsort(t, kind="stable")
    t, y, error = t[order], y[order], error[order]
    after = t > 0
    return Curve(experiment, readout, t[after], y[after], error[after], float(np.mean(y[~after])) if not after.all()
                 else float("nan"))
