"""Opening HDF5 files and reading checked arrays from them, with errors that name the dataset."""

import contextlib
from collections.abc import Iterator
from os import PathLike
from pathlib import Path

import h5py
import numpy as np

from retrojax.errors import InputError


@contextlib.contextmanager
def open_h5(path: str | PathLike) -> Iterator[h5py.File]:
    """An HDF5 file open for reading.

    Failures inside the block are caught as well: HDF5 notices a damaged chunk only when it is read.

    **Raises** `InputError` if the file is missing, truncated, damaged or not HDF5.
    """
    if not Path(path).is_file():
        raise InputError("file", str(path), "an existing HDF5 file", "check the path in the configuration", path)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError) as error:
        raise InputError("file", Path(path).name, "a complete HDF5 file",
                         f"the file is truncated or not HDF5; fetch it again ({error})", path) from None


def child_group(parent: h5py.Group, name: str, path: str | PathLike) -> h5py.Group:
    """The group `name` of `parent`; an `InputError` names it if it is missing."""
    full = f"{parent.name.rstrip('/')}/{name}"
    child = parent.get(name)
    if not isinstance(child, h5py.Group):
        raise InputError(full, "missing" if child is None else "a dataset", "a group",
                         f"the groups there are {sorted(parent)}; write the file again with {full}", path)
    return child


def read_array(parent: h5py.Group, name: str, path: str | PathLike, kinds: str = "iuf",
               length: int | None = None) -> np.ndarray:
    """The one-dimensional dataset `name` of `parent`; integers come back as int64, text as str.

    **Arguments**

    - `parent`: HDF5 group.
    - `name`: dataset in it.
    - `path`: file named in errors.
    - `kinds`: NumPy kind letters that are allowed, as `"iu"` for integers.
    - `length`: number of values wanted, if known.

    **Raises** `InputError` if the dataset is missing, of another kind, not one-dimensional or of another length.
    """
    full = f"{parent.name.rstrip('/')}/{name}"
    dataset = parent.get(name)
    if not isinstance(dataset, h5py.Dataset) or dataset.shape is None:
        raise InputError(full, "missing", "a one-dimensional dataset",
                         f"the entries there are {sorted(parent)}; write the file again with {full}", path)
    if dataset.dtype.kind not in kinds or dataset.ndim != 1:
        raise InputError(full, f"{dataset.dtype} of shape {dataset.shape}", f"one dimension, NumPy kinds '{kinds}'",
                         "write the dataset with that type and shape", path)
    if length is not None and len(dataset) != length:
        raise InputError(full, f"{len(dataset)} values", f"{length} values, one for each element",
                         "make all datasets of the group equally long", path)
    return as_plain(dataset)


def as_plain(dataset: h5py.Dataset) -> np.ndarray:
    """All values of a dataset, with integers as int64 and text as NumPy str."""
    if h5py.check_string_dtype(dataset.dtype) is not None:
        return np.asarray(dataset.asstr()[...], dtype=str)
    values = dataset[...]
    return values.astype(np.int64) if values.dtype.kind in "iu" else values


def read_text_attribute(item: h5py.HLObject, name: str) -> str | None:
    """A text attribute, whichever of the ways HDF5 writers store text was used; None if it is absent."""
    value = item.attrs.get(name)
    if isinstance(value, np.ndarray):
        value = value.ravel()[0] if value.size else None
    return value.decode() if isinstance(value, bytes) else None if value is None else str(value)


def check_finite(values: np.ndarray, name: str, path: str | PathLike, low: float | int = -np.inf) -> np.ndarray:
    """`values`, if all are finite and at least `low`; else an `InputError` naming dataset and first bad index."""
    bad = np.flatnonzero(~(np.isfinite(values) & (values >= low)))
    if bad.size:
        wanted = "finite numbers" if low == -np.inf else f"finite numbers of at least {low:g}"
        raise InputError(f"{name}[{bad[0]}]", values[bad[0]], wanted,
                         f"correct that value ({bad.size} of {values.size} are bad)", path)
    return values
