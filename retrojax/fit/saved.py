"""Solves that are done, on disk: an interrupted fit reads them instead of solving again."""

import hashlib
import os
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jax
import numpy as np

import retrojax

Run = Callable[..., Sequence[Any]]


class Saved:
    """A folder of finished solves, each named by a digest of everything that its answer depends on.

    A fit asks for the same solves in the same order every time, so one that is started again finds all that were done
    and goes on where it stopped, to the same bits. An answer of other code, other inputs or another version of JAX has
    another name and is never read.

    **Arguments**

    - `folder`: made with the first solve. `on_solve`: called with the name of every solve, and whether it was there
      before.
    """

    def __init__(self, folder: Path, on_solve: Callable[[str, bool], None] = lambda name, found: None):
        self.folder, self.on_solve = folder, on_solve
        self._before = {path.name for path in folder.glob("*.npz")}

    def remember(self, name: str, run: Run, fixed: Any) -> Run:
        """`run`, a function of arrays that gives arrays, looked up before it is called.

        `fixed`: pytree of what else its answer depends on.
        """
        base = hashlib.sha256(f"{package_digest()}{jax.__version__}{name}{jax.tree.structure(fixed)}".encode())
        _update(base, jax.tree.leaves(fixed))

        def again(*arrays: Any) -> list[np.ndarray]:
            digest = base.copy()
            _update(digest, arrays)
            path = self.folder / f"{name.replace(' ', '_')}-{digest.hexdigest()[:16]}.npz"
            self.on_solve(name, path.name in self._before)
            if not path.is_file():
                self._write(path, [np.asarray(field) for field in run(*arrays)])
            with np.load(path) as content:
                return [content[f"arr_{number}"] for number in range(len(content.files))]

        return again

    def _write(self, path: Path, fields: list[np.ndarray]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with open(part, "wb") as file:
            np.savez(file, *fields)
        os.replace(part, path)


def _update(digest: Any, leaves: Sequence[Any]) -> None:
    for leaf in leaves:
        if isinstance(leaf, jax.Array | np.ndarray | float | int | bool):
            array = np.asarray(leaf)
            digest.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
        else:
            digest.update(repr(leaf).encode())


@cache
def package_digest() -> str:
    """Digest of the package's source, and of the records and tables that come with it."""
    digest, package = hashlib.sha256(), Path(retrojax.__file__).parent
    for path in [*sorted(package.rglob("*.py")), *sorted(package.rglob("*.yaml"))]:
        digest.update(path.read_bytes())
    return digest.hexdigest()
