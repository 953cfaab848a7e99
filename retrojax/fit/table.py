"""CSV files as columns of texts, packed or not, with what spreadsheets add to them."""

import csv
import gzip
import zlib
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from retrojax.errors import InputError


def read_table(path: str | PathLike, needs: Sequence[str] = ()) -> dict[str, list[str]]:
    """Header -> texts of all rows of a CSV file, packed with gzip where its name ends in .gz.

    Cells are separated by commas; a byte order mark, as spreadsheets write, is no part of the first name.

    **Raises** `InputError` for a file that is not there, is no text, has no rows, names a column twice, has a row of
    more cells than columns, or lacks a column of `needs`.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("file", str(path), "a CSV file", "check the path")
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="")
            rows, found = list(reader), list(reader.fieldnames or ())
    except (UnicodeDecodeError, csv.Error, gzip.BadGzipFile, EOFError, zlib.error) as error:
        kind = "a packed CSV file" if path.suffix == ".gz" else "a CSV file in UTF-8, not packed"
        raise InputError("file", path.name, kind, f"save it as such ({error})", path) from None
    if not rows:
        raise InputError("rows", 0, "one row at least", "give a table with a header and rows", path)
    for name in found:
        if found.count(name) > 1:
            raise InputError(f"column {name}", "there twice", "each name once", "rename or remove one of them", path)
    for number, row in enumerate(rows):
        if None in row:
            raise InputError(f"row {number + 1}", f"{len(found) + len(row[None])} cells", f"{len(found)} cells, as the "
                             "header has", "put texts that hold a comma in quotes", path)
    for name in needs:
        if name not in found:
            there = f"; this file has {', '.join(found)}"
            raise InputError(f"column {name}", "absent", f"columns {', '.join(needs)}{there}", "add it", path)
    return {name: [row[name] for row in rows] for name in found}
