"""The text side of SONATA: JSON configurations with manifest variables, and type tables in CSV."""

import csv
import json
import re
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from retrojax.errors import InputError

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


def _substitute(value: Any, manifest: dict, path: Path, seen: tuple = ()) -> Any:
    if isinstance(value, dict):
        return {key: _substitute(item, manifest, path, seen) for key, item in value.items()}
    if isinstance(value, list):
        return [_substitute(item, manifest, path, seen) for item in value]
    if not isinstance(value, str):
        return value

    def replace(match: re.Match) -> str:
        name = match[1] or match[2]
        if name in seen:
            raise InputError(f"manifest.${name}", value, "variables that do not refer to themselves",
                             "break the circle in the manifest", path)
        if name not in manifest:
            raise InputError(f"${name}", value, f"a variable of the manifest: {sorted(manifest)}",
                             f'add "${name}" to the manifest or correct its spelling', path)
        return str(_substitute(manifest[name], manifest, path, (*seen, name)))

    return _VARIABLE.sub(replace, value)


def read_config(path: str | PathLike) -> dict:
    """A SONATA circuit or simulation configuration with every manifest variable replaced.

    `$NAME` and `${NAME}` stand for entries of `manifest`, which may refer to one another; `${configdir}` is the folder
    of the file. Paths stay as written: see `resolve_path`.

    **Arguments**

    - `path`: a JSON file.

    **Raises** `InputError` for a missing file, a JSON syntax error (with line and column), an unknown variable or
    variables that form a circle.

    **References** Dai et al. 2020, PLoS Comput Biol 16:e1007696.
    """
    path = Path(path)
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError("file", str(path), "an existing JSON file", "check the path", path) from None
    except json.JSONDecodeError as error:
        raise InputError(f"line {error.lineno}, column {error.colno}", error.msg, "JSON text",
                         "correct the syntax there", path) from None
    except (UnicodeDecodeError, IsADirectoryError) as error:
        raise InputError("file", path.name, "a JSON file in UTF-8", f"give a text file ({error})", path) from None
    if not isinstance(config, dict) or not isinstance(config.get("manifest", {}), dict):
        raise InputError("manifest", config, "an object with an optional object 'manifest'",
                         "enclose the settings in { }", path)
    manifest = {key.strip("${}"): item for key, item in config.get("manifest", {}).items()}
    return _substitute(config, {"configdir": str(path.resolve().parent), **manifest}, path)


def resolve_path(value: object, field: str, config_path: str | PathLike) -> Path:
    """The path `value` of a configuration; relative paths start at the folder of the configuration file."""
    if not isinstance(value, str) or not value:
        raise InputError(field, value, "the path of a file", f"give {field}", config_path)
    return Path(config_path).resolve().parent / value


def _column(cells: list[str]) -> np.ndarray:
    """Numbers where every cell that is not NULL is one, else text; NULL becomes NaN or empty text."""
    filled = [cell for cell in cells if cell != "NULL"]
    for kind in (int, float):
        try:
            numbers = [kind(cell) for cell in filled]
        except ValueError:
            continue
        if len(filled) == len(cells):
            return np.array(numbers, dtype=np.int64 if kind is int else np.float64)
        return np.array([np.nan if cell == "NULL" else float(cell) for cell in cells])
    return np.array(["" if cell == "NULL" else cell for cell in cells], dtype=str)


def _check_cells(cells: dict[str, list[str]], lines: list[int], path: str | PathLike) -> None:
    """Refuses infinite or not-a-number cells: only NULL stands for no value."""
    for name, column in cells.items():
        values = _column(column)
        bad = [i for i, cell in enumerate(column)
               if values.dtype.kind == "f" and cell != "NULL" and not np.isfinite(values[i])]
        if bad:
            raise InputError(f"{name}, line {lines[bad[0]]}", column[bad[0]], "a finite number or NULL",
                             "correct that cell", path)


def read_types(path: str | PathLike, key: str) -> dict[str, np.ndarray]:
    """Columns of a SONATA type table.

    The table is separated by spaces, with double quotes round a cell that holds one. A column with nothing but NULL is
    left out; elsewhere NULL is NaN in a column of numbers and empty text in a column of text.

    **Arguments**

    - `path`: CSV file.
    - `key`: column of the type ids, `"node_type_id"` or `"edge_type_id"`.

    **Raises** `InputError` for a missing file, a row of another length than the header, a missing, duplicate or
    non-integer type id.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            lines = [(number, row) for number, row in enumerate(
                csv.reader(file, delimiter=" ", skipinitialspace=True), start=1) if any(row)]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("file", str(path), "a readable type table", f"check the path ({error})", path) from None
    # A trailing space makes an empty last cell; real empty cells are written NULL.
    rows = [(number, [cell for cell in row if cell != ""]) for number, row in lines]
    header = rows[0][1] if rows else []
    if key not in header:
        raise InputError(key, "missing", f"a column '{key}' in a table separated by spaces",
                         f"the header is {header}; add the column", path)
    for number, row in rows[1:]:
        if len(row) != len(header):
            raise InputError(f"line {number}", f"{len(row)} cells", f"{len(header)} cells, as the header",
                             "separate by single spaces, quote cells that hold spaces, write NULL for none", path)
    cells = {name: [row[i] for _, row in rows[1:]] for i, name in enumerate(header)}
    _check_cells(cells, [number for number, _ in rows[1:]], path)
    table = {name: _column(column) for name, column in cells.items()
             if name == key or any(cell != "NULL" for cell in column)}
    if rows[1:] and (table[key].dtype.kind != "i" or np.unique(table[key]).size != len(rows) - 1):
        raise InputError(key, cells[key], "different integers", "give every type its own integer id", path)
    return table
