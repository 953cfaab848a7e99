"""Points of a fit config that stand in a CSV file instead of in the config."""

from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from retrojax.errors import InputError, naming_file
from retrojax.fit.data import Column, column_numbers, column_texts
from retrojax.fit.table import read_table
from retrojax.parts.choice import Section
from retrojax.validation import require_known

UNITS = {"rate": "Hz", "delta_t": "ms", "mean": "1", "sem": "1", "n": "1"}


class ColumnChoice(Section):
    """A column that does not carry the name of its role, or not in its unit."""

    name: str
    unit: str | None = None


class PointsFile(Section):
    """A CSV file with one row per point: columns protocol, rate [Hz], delta_t [ms], mean, sem, n."""

    path: str
    columns: dict[str, ColumnChoice] = Field({}, description="role -> column, where the names differ")
    protocol: str | None = Field(None, description="protocol of all rows, where no column names it")
    where: dict[str, str] = Field({}, description="column -> value that rows must have to be used")
    keep: list[str] = Field([], description="columns that go into the points' `columns`, to be left out by")


def points_from_file(choice: PointsFile) -> list[dict[str, Any]]:
    """The points of a file, as a config would hold them.

    **Raises** `InputError` as `retrojax.fit.data.read_csv`, and where `where` leaves no row.
    """
    table = read_table(choice.path)
    with naming_file(choice.path):
        for role in choice.columns:
            require_known(role, (*UNITS, "protocol"), "data.file.columns")
        keep = list(range(len(next(iter(table.values())))))
        for name, value in choice.where.items():
            require_known(name, table, "data.file.where")
            keep = [k for k in keep if table[name][k] == value]
        if not keep:
            raise InputError("data.file.where", str(choice.where), "conditions that some row meets", "relax them")
        table = {name: [texts[k] for k in keep] for name, texts in table.items()}
        columns = {role: choice.columns.get(role, ColumnChoice(name=role)) for role in (*UNITS, "protocol")}
        points: list[dict[str, Any]] = [{} for _ in keep]
        for role, unit in UNITS.items():
            column = Column(columns[role].name, columns[role].unit or unit, unit)
            numbers = column_numbers(table, role, column, keep)[:, 0]
            _check(role, numbers, columns[role].name, keep)
            for point, number in zip(points, numbers, strict=True):
                point[role] = float(number)
        protocol = Column(columns["protocol"].name)
        names = [choice.protocol] * len(points) if choice.protocol else column_texts(table, "protocol", protocol)
        for name in choice.keep:
            require_known(name, table, "data.file.keep")
        return [{**point, "protocol": name, "columns": {key: table[key][number] for key in choice.keep}}
                for number, (point, name) in enumerate(zip(points, names, strict=True))]


def _check(role: str, numbers: np.ndarray, name: str, rows: list[int]) -> None:
    """Refuse what no point may have, by its row in the file."""
    bad = (numbers <= 0 if role in ("rate", "sem") else (numbers < 1) | (numbers % 1 != 0) if role == "n" else
           np.zeros(numbers.size, bool))
    if np.any(bad):
        first = int(np.argmax(bad))
        allowed = "a whole number of cells, 1 or more" if role == "n" else "a positive number"
        raise InputError(f"{name}, row {rows[first] + 1}", float(numbers[first]), allowed, "correct or drop the row")


def beside(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The config with the path of its data file taken from `folder`, where it is relative."""
    data = config.get("data")
    if not isinstance(data, dict):
        return config
    file = data.get("file")
    if not isinstance(file, dict) or not isinstance(file.get("path"), str):
        return config
    return {**config, "data": {**data, "file": {**file, "path": str(folder / file["path"])}}}
