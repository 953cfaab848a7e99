"""Attributes of SONATA nodes and edges: type table first, then whatever each element's own group says."""

import warnings
from pathlib import Path

import h5py
import numpy as np

from retrojax.errors import InputError
from retrojax.io.h5 import as_plain, check_finite, read_array

USED = ("x", "y", "z", "syn_weight", "delay")
"""Attributes that retrojax computes with: these must be complete and finite, for all elements or for none."""

_LOWEST = {"delay": 0.0}


def _groups(parent: h5py.Group) -> dict[int, h5py.Group]:
    return {int(name): parent[name] for name in parent if name.isdigit() and isinstance(parent.get(name), h5py.Group)}


def _indirection(parent: h5py.Group, kind: str, count: int, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Attribute group of each element, and its row in that group."""
    names = (f"{kind}_group_id", f"{kind}_group_index")
    groups = _groups(parent)
    if not any(name in parent for name in names) and len(groups) <= 1:
        return np.full(count, next(iter(groups), 0)), np.arange(count)
    ids, rows = (read_array(parent, name, path, kinds="iu", length=count) for name in names)
    bad = np.flatnonzero(~np.isin(ids, list(groups)))
    if bad.size:
        raise InputError(f"{parent.name}/{names[0]}[{bad[0]}]", int(ids[bad[0]]), f"one of the groups {sorted(groups)}",
                         "write the missing attribute group", path)
    check_finite(rows, f"{parent.name}/{names[1]}", path, low=0)
    return ids, rows


def _enumerated(group: h5py.Group, name: str, values: np.ndarray) -> np.ndarray:
    """Names in place of numbers where the group has a library for the dataset."""
    library = group.get("@library")
    if not isinstance(library, h5py.Group) or name not in library:
        return values
    entries = as_plain(library[name])
    if values.size and not (0 <= values.min() and values.max() < entries.size):
        raise IndexError(f"numbers up to {values.max()} and from {values.min()} for {entries.size} names in @library")
    return entries[values]


def _datasets(group: h5py.Group) -> dict[str, h5py.Dataset]:
    """Datasets of an attribute group by attribute name; those with no data are left out."""
    nested = group.get("dynamics_params")
    found = {name: group.get(name) for name in group}
    if isinstance(nested, h5py.Group):
        found |= {f"dynamics_params/{name}": nested.get(name) for name in nested}
    return {name: item for name, item in found.items() if isinstance(item, h5py.Dataset) and item.shape}


def _read_group(group: h5py.Group, rows: np.ndarray, path: Path) -> dict[str, np.ndarray]:
    """Attributes of the elements that live in one group, in the order of `rows`."""
    columns = {}
    for name, dataset in _datasets(group).items():
        if name in USED:
            read_array(group, name, path)
            if rows.size and rows.max() >= len(dataset):
                raise InputError(dataset.name, f"{len(dataset)} values", f"at least {rows.max() + 1} values",
                                 "make it as long as the group's indices need", path)
            values = check_finite(as_plain(dataset), dataset.name, path, low=_LOWEST.get(name, -np.inf))
            columns[name] = values[rows]
            continue
        try:
            if dataset.ndim != 1:
                raise IndexError(f"it has {dataset.ndim} dimensions")
            columns[name] = _enumerated(group, name, as_plain(dataset))[rows]
        except IndexError as error:
            warnings.warn(f"{path}: attribute {dataset.name} is left out: {error}", stacklevel=2)
    return columns


def _merge(pieces: list[tuple[np.ndarray, np.ndarray]], count: int) -> np.ndarray:
    """One column from (places, values) in rising priority; NaN or empty text where no piece reaches."""
    kinds = {values.dtype.kind for _, values in pieces}
    if kinds & set("USO"):
        pieces = [(places, values.astype(str)) for places, values in pieces]
    whole = any(places.size == count for places, _ in pieces)
    dtype = np.result_type(*(values.dtype for _, values in pieces))
    if not whole and dtype.kind in "iub":
        dtype = np.dtype(np.float64)
    column = np.full(count, np.nan if dtype.kind == "f" else np.zeros((), dtype)[()], dtype=dtype)
    for places, values in pieces:
        column[places] = values
    return column


def _join_types(parent: h5py.Group, kind: str, count: int, types: dict | None, path: Path) -> dict[str, np.ndarray]:
    """Type id of each element and the columns of its type."""
    key = f"{kind}_type_id"
    ids = read_array(parent, key, path, kinds="iu", length=count)
    if types is None:
        return {key: ids}
    known = types[key]
    bad = np.flatnonzero(~np.isin(ids, known))
    if bad.size:
        raise InputError(f"{parent.name}/{key}[{bad[0]}]", int(ids[bad[0]]), f"a type of the table: {known.tolist()}",
                         f"add the type to the {kind} types file", path)
    if not known.size:
        return {key: ids}
    order = np.argsort(known)
    row = order[np.searchsorted(known, ids, sorter=order)]
    return {name: column[row] for name, column in types.items()}


def _check_used(columns: dict[str, np.ndarray], parent: h5py.Group, kind: str, path: Path) -> dict[str, np.ndarray]:
    """`columns` without used attributes that no element has; an `InputError` for those that only some have.

    Values in groups and tables are finite already, so NaN here means that neither group nor type gives one.
    """
    result = dict(columns)
    for name in USED:
        column = columns.get(name, np.zeros(0))
        if column.dtype.kind not in "iuf":
            raise InputError(f"{parent.name}/{name}", column[0], "numbers",
                             f"correct {name} in the {kind} types file", path)
        absent = np.isnan(column)
        if column.size and absent.all():
            del result[name]
        elif absent.any():
            raise InputError(f"{parent.name}/{name}[{np.flatnonzero(absent)[0]}]", "missing",
                             f"a value for every {kind} or for none", f"add {name} to all groups or types", path)
        elif name in columns:
            check_finite(column, f"{parent.name}/{name}", path, low=_LOWEST.get(name, -np.inf))
    return result


def element_attributes(parent: h5py.Group, kind: str, count: int, types: dict[str, np.ndarray] | None,
                       path: Path) -> dict[str, np.ndarray]:
    """Every attribute of the elements of a population, each as an array of length `count`.

    The value of the element's own group wins over the one of its type; members of `dynamics_params` are named
    `dynamics_params/<name>`; numbers with an `@library` become the names they stand for.

    **Arguments**

    - `parent`: HDF5 group of the population.
    - `kind`: `"node"` or `"edge"`.
    - `count`: number of elements.
    - `types`: columns of the type table, or None.
    - `path`: file named in errors.

    **Raises** `InputError` for missing datasets, type ids that the table lacks, groups that do not exist, and, in the
    attributes of `USED`, values that are not finite, too few values, or values for some elements only.
    """
    typed = _join_types(parent, kind, count, types, path)
    group_ids, rows = _indirection(parent, kind, count, path)
    own: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for number, group in _groups(parent).items():
        places = np.flatnonzero(group_ids == number)
        for name, values in _read_group(group, rows[places], path).items():
            own.setdefault(name, []).append((places, values))
    everywhere = np.arange(count)
    merged = {name: _merge(([(everywhere, typed[name])] if name in typed else []) + pieces, count)
              for name, pieces in own.items()}
    return _check_used(typed | merged, parent, kind, path)
