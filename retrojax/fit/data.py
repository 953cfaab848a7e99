"""Measurements as the fits read them: one row per condition, its spike times, its values, and whose they are."""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from retrojax.errors import InputError, naming_file
from retrojax.fit.data_protocols import protocols_by_label, row_protocol
from retrojax.fit.table import read_table
from retrojax.protocols import Protocol
from retrojax.units import to_unit

BASE_UNITS = {"rate": "Hz", "delta_t": "ms", "every": "ms"}
"""Unit in which a role of the protocol is kept; values are kept in the unit that their column names as `to`."""

TEXT = ("cell", "condition", "label", "clamp")
NUMBERS = ("value", "sem", "n", "rate", "delta_t", "pulses", "bursts", "every")


class Column(NamedTuple):
    """Which column of a table plays a role.

    - `name`: its header, or several headers (one per stimulus of a train) for `value` and `sem`.
    - `unit`: unit of the numbers in the table. `to`: unit wanted; by default the same.
    """

    name: str | tuple[str, ...]
    unit: str = "1"
    to: str | None = None


class Dataset(NamedTuple):
    """Measured conditions, n rows of K values each.

    - `protocols`: exact spike times [ms] of every row.
    - `values`: [n, K] in `unit`; K = 1 for one number per condition, or one per stimulus of a train.
    - `sem`: standard error (or SD, whichever the column holds), same shape, or None where rows are single trials.
    - `n`: cells or repetitions behind each row; 1 where not given.
    - `cell`, `condition`: whose and which; empty text where not given.
    - `clamp`: `current-clamp` or `voltage-clamp`, or empty where not given; one for the whole set.
    """

    protocols: tuple[Protocol, ...]
    values: Float[np.ndarray, "n K"]
    sem: Float[np.ndarray, "n K"] | None
    n: Int[np.ndarray, " n"]
    cell: tuple[str, ...]
    condition: tuple[str, ...]
    unit: str
    clamp: str = ""

    def select(self, keep: Any) -> "Dataset":
        """The rows where `keep` [n] is true."""
        rows = np.flatnonzero(keep)
        protocols = tuple(self.protocols[k] for k in rows)
        cell, condition = (tuple(field[k] for k in rows) for field in (self.cell, self.condition))
        sem = None if self.sem is None else self.sem[rows]
        return Dataset(protocols, self.values[rows], sem, self.n[rows], cell, condition, self.unit, self.clamp)


def read_csv(
    path: str | PathLike, columns: Mapping[str, Column], protocols: str | PathLike | None = None
) -> Dataset:
    """A tidy CSV file (packed with gzip where its name ends in .gz), one row per condition or trial.

    **Arguments**

    - `columns`: role -> `Column`. `value` is needed; `sem`, `n`, `cell`, `condition`, `clamp` may be there. Spike times
      come from `label` with a protocols file, or from `rate` and `pulses` (a presynaptic train; by default one pulse
      per column of values), with `delta_t` (pairs), and with `bursts` and `every` (bursts of `pulses` pairs).
    - `protocols`: file that says what the labels mean (`protocols_by_label`).

    **Raises** `InputError` naming file, column and row for a missing column, a value that is blank, not a number or not
    finite, a standard error that is not positive, an unknown unit or label, and several clamp modes in one set.
    """
    return from_table(read_table(path), columns, protocols, file=path)


def from_table(
    table: Mapping[str, Any], columns: Mapping[str, Column], protocols: str | PathLike | None = None,
    file: object = None,
) -> Dataset:
    """The same from columns already in memory: header -> values of all rows."""
    with naming_file(file):
        unknown = [role for role in columns if role not in TEXT + NUMBERS]
        if unknown or "value" not in columns:
            raise InputError("columns", unknown[0] if unknown else "no value", ", ".join(TEXT + NUMBERS),
                             "declare these roles, `value` among them")
        numbers = {role: column_numbers(table, role, columns[role]) for role in NUMBERS if role in columns}
        texts = {role: column_texts(table, role, columns[role]) for role in TEXT if role in columns}
        count = len(numbers["value"])
        _check_lengths(table, columns, count)
        sem = numbers.get("sem")
        if sem is not None:
            if sem.shape != numbers["value"].shape:
                raise InputError("columns.sem", sem.shape[1], f"{numbers['value'].shape[1]} columns, as `value`",
                                 "name one column of errors per column of values")
            _refuse(sem <= 0, sem, columns["sem"], "a positive standard error",
                    "leave `sem` out for single trials, or give a floor")
        labels = {} if protocols is None else protocols_by_label(protocols)
        # a train of K values has K stimuli where no column says otherwise
        stimuli = {"pulses": float(numbers["value"].shape[1])} if numbers["value"].shape[1] > 1 else {}
        rows = [{**stimuli, **{role: float(values[k, 0]) for role, values in numbers.items()}} for k in range(count)]
        made = tuple(row_protocol(k, row, texts["label"][k] if "label" in texts else None, labels)
                     for k, row in enumerate(rows))
        repeats = numbers["n"][:, 0] if "n" in numbers else np.ones(count)
        if "n" in columns:
            _refuse((numbers["n"] < 1) | (numbers["n"] % 1 != 0), numbers["n"], columns["n"],
                    "a whole number of cells or repetitions, 1 or more", "correct the row")
        blank = ("",) * count
        value = columns["value"]
        return Dataset(made, numbers["value"], sem, repeats.astype(int), texts.get("cell", blank),
                       texts.get("condition", blank), value.to or value.unit, one_clamp(texts.get("clamp", ("",))))


def from_xarray(dataset: Any, columns: Mapping[str, Column], protocols: str | PathLike | None = None) -> Dataset:
    """The same from an `xarray.Dataset` with one dimension of rows, and optionally one of stimuli on `value` and `sem`.

    A variable's `units` attribute, where it has one, stands for the unit that its column declares.

    **Raises** `InputError` as `read_csv`, for a variable of more than two dimensions, and for variables of one role
    that differ in unit.
    """
    table: dict[str, Any] = {}
    declared = {}
    for role, column in columns.items():
        names = (column.name,) if isinstance(column.name, str) else column.name
        for name in names:
            if name not in dataset.variables:
                raise InputError(f"columns.{role}", name, ", ".join(map(str, dataset.variables)), "name a variable")
        arrays = [np.asarray(dataset[name].values) for name in names]
        for name, values in zip(names, arrays, strict=True):
            if values.ndim not in ((1, 2) if len(names) == 1 else (1,)):
                raise InputError(f"columns.{role}", name, "one variable over rows and stimuli, or any over rows alone",
                                 "select the other dimensions first")
        units = {str(dataset[name].attrs.get("units", column.unit)) for name in names}
        if len(units) > 1:
            raise InputError(f"columns.{role}", ", ".join(sorted(units)), "variables of one unit", "convert them")
        if arrays[0].ndim == 2:
            names, arrays = tuple(f"{names[0]}[{k}]" for k in range(arrays[0].shape[1])), list(arrays[0].T)
        table.update(zip(names, arrays, strict=True))
        declared[role] = Column(names, units.pop(), column.to)
    return from_table(table, declared, protocols)


def one_clamp(modes: Sequence[str]) -> str:
    """The clamp mode that all rows share.

    **Raises** `InputError` where voltages and currents are mixed, or for another word.
    """
    found = sorted(set(modes))
    if len(found) > 1:
        raise InputError("clamp", ", ".join(found), "one clamp mode for all rows",
                         "split the set: amplitudes in mV and in pA cannot be fitted as one")
    if found[0] not in ("", "current-clamp", "voltage-clamp"):
        raise InputError("clamp", found[0], "current-clamp, voltage-clamp", "name one of these")
    return found[0]


def column_numbers(
    table: Mapping[str, Any], role: str, column: Column, rows: Sequence[int] | None = None
) -> Float[np.ndarray, "n K"]:
    """Numbers of the column or columns of one role, in the unit wanted; `InputError` for one that is not finite.

    `rows`: where each row stands in its file, counted from 0, for the error text; all in order by default.
    """
    names = (column.name,) if isinstance(column.name, str) else column.name
    scale = to_unit(f"1 {column.unit}", column.to or BASE_UNITS.get(role, column.unit), f"columns.{role}.unit")
    raw = np.full((max(len(_column(table, role, name)) for name in names), len(names)), np.nan)
    for j, name in enumerate(names):
        for k, text in enumerate(_column(table, role, name)):
            try:
                raw[k, j] = float(text)
            except (TypeError, ValueError):
                raw[k, j] = np.nan
            if not np.isfinite(raw[k, j]):
                raise InputError(f"{name}, row {(k if rows is None else rows[k]) + 1}", text, "a finite number",
                                 "drop the row, or leave the column out of `columns`")
    return raw * scale


def column_texts(table: Mapping[str, Any], role: str, column: Column) -> tuple[str, ...]:
    """Texts of the column of one role."""
    name = column.name if isinstance(column.name, str) else column.name[0]
    return tuple(str(text) for text in _column(table, role, name))


def _column(table: Mapping[str, Any], role: str, name: str) -> Any:
    if name not in table:
        raise InputError(f"columns.{role}", name, ", ".join(table), "name a column that the table has")
    return table[name]


def _check_lengths(table: Mapping[str, Any], columns: Mapping[str, Column], count: int) -> None:
    for role, column in columns.items():
        for name in (column.name,) if isinstance(column.name, str) else column.name:
            if len(table[name]) != count:
                raise InputError(f"columns.{role}", f"{name} with {len(table[name])} rows", f"{count} rows, as `value`",
                                 "give every column the same length")


def _refuse(bad: np.ndarray, values: np.ndarray, column: Column, allowed: str, cure: str) -> None:
    if np.any(bad):
        k, j = np.argwhere(bad)[0]
        name = column.name if isinstance(column.name, str) else column.name[j]
        raise InputError(f"{name}, row {k + 1}", float(values[k, j]), allowed, cure)
