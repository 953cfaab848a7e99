"""Astrocytes of a config: where they are, what they sense and release, and how much they take up.

Positions come from a CSV file, a list or a density; domains are the Voronoi cells of those, or given by a label per
voxel.
"""

import dataclasses
import math
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from retrojax.engine.astrocytes import resting_cells
from retrojax.engine.model import Astrocytes, Domains, Maps, Model, Secretion, Sensor
from retrojax.engine.schedules import AnyState, AnyTissue
from retrojax.errors import InputError
from retrojax.io.maps import plain_maps
from retrojax.io.schema import AstrocyteSection
from retrojax.parts.astrocyte import neighbour_table
from retrojax.parts.choice import PartChoice, make_part
from retrojax.space import Grid, domains, scatter_centres, touching, voxels_of
from retrojax.validation import proposal

MOST = 100_000
"""Astrocytes of a run at most."""


@dataclasses.dataclass(frozen=True)
class Placed:
    """Astrocytes of a run before its arrays exist.

    - `centres`: [A, 3] [um]. `label`: astrocyte of every voxel, -1 for none. `pairs`: whose domains touch, [E, 2].
    - `model`: their parameters.
    """

    centres: np.ndarray
    label: np.ndarray
    pairs: np.ndarray
    model: Astrocytes

    @property
    def size(self) -> np.ndarray:
        """Voxels of every domain."""
        return np.bincount(self.label[self.label >= 0], minlength=len(self.centres))

    @classmethod
    def of_centres(cls, grid: Grid, centres: np.ndarray, model: Astrocytes) -> "Placed":
        """Astrocytes at those centres [um], with Voronoi domains."""
        label = domains(grid, centres)
        return cls(centres, label, touching(grid, label), model)

    def put(self, model: Model, tissue: AnyTissue, state: AnyState) -> tuple[AnyTissue, AnyState]:
        """Tissue and state of a network, of either schedule, with these astrocytes at rest in it.

        **Arguments**

        - `model`: with `astrocytes`. `tissue`, `state`: built for that model.
        """
        count = len(self.centres)
        where = Domains(jnp.asarray(self.label, jnp.int32), jnp.asarray(voxels_of(self.label, count)),
                        jnp.asarray(self.size, jnp.int32), jnp.asarray(neighbour_table(self.pairs, count)))
        cells = jax.tree.map(jnp.copy, resting_cells(model, where, state.fields))  # no two arrays may share memory
        absent = lambda x: x is None  # noqa: E731
        return (eqx.tree_at(lambda t: t.domains, tissue, where, is_leaf=absent),
                eqx.tree_at(lambda s: s.astrocytes, state, cells, is_leaf=absent))


def place_astrocytes(
    section: AstrocyteSection, grid: Grid, names: list[str], tick: float, seed: int, file: Path | None = None
) -> Placed:
    """The astrocytes that a config describes.

    **Arguments**

    - `names`: messengers of the model, in order. `tick`: the shortest field step [ms].

    **Raises** `InputError` for positions or domains that are missing, doubly given, outside the box or without a voxel;
    a messenger that the model lacks; a parameter of a part; or a step that is no whole number of ticks.
    """
    if not names:
        raise InputError("astrocytes", "no messenger in the model", "at least one", "add what they sense or release "
                         "under messengers", file)
    centres, label = _territories(section, grid, seed, file)
    empty = np.flatnonzero(np.bincount(label[label >= 0], minlength=len(centres)) == 0)
    if empty.size:
        raise InputError(f"astrocytes[{empty[0]}]", "a domain without a voxel", "at least one voxel per astrocyte",
                         "use smaller voxels (grid.spacing), or place astrocytes further apart", file)
    return Placed(centres, label, touching(grid, label), _model(section, names, tick, file))


def _territories(
    section: AstrocyteSection, grid: Grid, seed: int, file: Path | None
) -> tuple[np.ndarray, np.ndarray]:
    """Centres [um] and the label of every voxel."""
    given = [name for name in ("positions", "density") if getattr(section, name) is not None]
    label = _labels(section.domains, grid) if isinstance(section.domains, Path) else None
    if len(given) != 1 and (given or label is None):
        raise InputError("astrocytes", " and ".join(given) or "neither positions nor density",
                         "one of positions and density, or domains from a file", "say where astrocytes are", file)
    if label is None:
        centres = _centres(section, grid, seed, file)
        return centres, domains(grid, centres)
    count = int(label.max()) + 1
    if section.density is not None:
        raise InputError("astrocytes.density", section.density, "positions, or nothing, with domains from a file",
                         "remove the density", file)
    centres = _middles(grid, label, count) if section.positions is None else _centres(section, grid, seed, file)
    if len(centres) != count:
        raise InputError("astrocytes.positions", f"{len(centres)} of them", f"{count}, one per domain of the file",
                         "give as many as there are domains", file)
    return centres, label


def _centres(section: AstrocyteSection, grid: Grid, seed: int, file: Path | None) -> np.ndarray:
    if section.density is not None:
        count = max(1, round(section.density * math.prod(grid.size)))
        if count > MOST:
            raise InputError("astrocytes.density", f"{section.density:g} 1/um^3",
                             f"one that makes at most {MOST} cells", "lower it; 2e-5 1/um^3 is 20,000 per mm^3", file)
        return scatter_centres(grid, count, np.random.default_rng(seed), section.apart)
    if isinstance(section.positions, Path):
        centres = _read_positions(section.positions)
    else:
        centres = np.array(section.positions, float).reshape(-1, 3)
    if not 0 < len(centres) <= MOST:
        raise InputError("astrocytes.positions", f"{len(centres)} of them", f"1 to {MOST}", "give at least one", file)
    low, high = np.array(grid.extent).T
    outside = np.flatnonzero(~((centres >= low) & (centres <= high)).all(axis=1))
    if outside.size:
        raise InputError(f"astrocytes.positions[{outside[0]}]", centres[outside[0]].tolist(),
                         f"points in the box from {low.tolist()} to {high.tolist()} um",
                         "move it, or widen the box (grid.margin)", file)
    return centres


def _read_positions(path: Path) -> np.ndarray:
    """Columns x, y and z [um] of a CSV file."""
    try:
        table = np.atleast_1d(np.genfromtxt(path, delimiter=",", names=True, dtype=float))
        return np.stack([table[axis] for axis in "xyz"], axis=1)
    except (ValueError, IndexError, TypeError, UnicodeDecodeError):
        raise InputError("astrocytes.positions", str(path), "a CSV file of numbers with columns x, y and z",
                         "write 'x,y,z' in its first line, then a line per astrocyte [um]") from None


def _labels(path: Path, grid: Grid) -> np.ndarray:
    """The label of every voxel from a `.npy` file, checked."""
    field = f"astrocytes.domains ({path.name})"
    try:
        label = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        raise InputError(field, str(path), "a .npy file", "write it with numpy.save") from None
    if not isinstance(label, np.ndarray) or label.dtype.kind not in "iu":
        raise InputError(field, str(getattr(label, "dtype", type(label))), "whole numbers", "store labels as int32")
    if label.shape != grid.shape:
        raise InputError(field, f"shape {label.shape}", f"shape {grid.shape}, one label per voxel of the grid",
                         "match the labels to the grid, e.g. by grid.shape, grid.origin and grid.spacing")
    if not 0 <= label.max() < MOST or label.min() < -1:
        raise InputError(field, f"labels {label.min()} to {label.max()}", f"-1 (none) and 0 to {MOST - 1}",
                         "number astrocytes from 0")
    return label.astype(np.int32)


def _middles(grid: Grid, label: np.ndarray, count: int) -> np.ndarray:
    """Middle of every domain [um]; that of a domain across a periodic wall lies inside the box."""
    size = np.maximum(np.bincount(label[label >= 0], minlength=count), 1)
    axes = [low + (np.arange(n) + 0.5) * dx for low, n, dx in zip(grid.origin, grid.shape, grid.spacing, strict=True)]
    where = np.meshgrid(*axes, indexing="ij")
    return np.stack([np.bincount(label[label >= 0], x[label >= 0], count) / size for x in where], axis=1)


def _model(section: AstrocyteSection, names: list[str], tick: float, file: Path | None) -> Astrocytes:
    every = round(section.step / tick)
    if every < 1 or abs(section.step / tick - every) > 1e-6 * every:
        raise InputError("astrocytes.step", f"{section.step:g} ms", f"a multiple of the tick ({tick:g} ms)",
                         "change it to a whole multiple", file)
    part = lambda values, name, field: make_part(  # noqa: E731
        PartChoice.model_validate({**values, "model": name}), "astrocyte", field, file)
    number = lambda x: jnp.asarray(x, float)  # noqa: E731
    sensors = tuple(
        Sensor(_known(s.messenger, names, f"astrocytes.senses.{place}.messenger", file), number(s.rate),
               number(s.half), number(s.hill)) for place, s in enumerate(section.senses))
    secretions = []
    for place, given in enumerate(section.releases):
        field, values = f"astrocytes.releases.{place}", dict(given)
        name = values.pop("messenger", None)
        which = _known(name, names, f"{field}.messenger", file)
        secretions.append(Secretion(which, part(values, "gliorelease", field)))
    transmitter = section.transmitter
    return Astrocytes(
        cell=part(section.calcium, "astrocyte", "astrocytes.calcium"),
        junctions=None if section.junctions is None else
        part(section.junctions, "gap_junctions", "astrocytes.junctions"),
        sensors=sensors, secretions=tuple(secretions),
        transmitter=None if transmitter is None else _known(transmitter, names, "astrocytes.transmitter", file),
        every=every, substeps=max(1, math.ceil(float(section.step) / float(section.substep) - 1e-9)))


def _known(name: Any, names: list[str], field: str, file: Path | None) -> int:
    if name not in names:
        raise InputError(field, "missing" if name is None else name, f"messengers: {', '.join(names) or 'none'}",
                         proposal(str(name), names, "add it under messengers"), file)
    return names.index(name)


def with_uptake(
    section: AstrocyteSection, placed: Placed, values: dict[str, dict], maps: dict[str, Maps], file: Path | None = None
) -> tuple[dict[str, dict], dict[str, Maps]]:
    """Messengers whose loss is multiplied inside domains, as numbers that are means over the box and maps on those.

    Where no domain is, the loss is the record's (or that of the given maps).
    """
    values, maps = dict(values), dict(maps)
    for name, given in section.uptake.items():
        field = f"astrocytes.uptake.{name}"
        _known(name, list(values), field, file)
        factors = np.atleast_1d(np.asarray(given, float))
        if factors.size not in (1, len(placed.centres)):
            raise InputError(field, f"{factors.size} factors", f"one, or {len(placed.centres)}: one per astrocyte",
                             "match their number", file)
        if not ((factors >= 0) & (factors <= 1e6)).all():
            raise InputError(field, given, "factors of 0 to 1e6", "give the uptake relative to the record's loss", file)
        factors = np.broadcast_to(factors, len(placed.centres))
        one = np.ones(placed.label.shape)
        old = maps.get(name, plain_maps(one.shape))
        sink = np.asarray(old.sink) * np.where(placed.label >= 0, factors[np.maximum(placed.label, 0)], 1.0)
        mean = float(sink.mean())
        values[name] = values[name] | {key: values[name][key] * mean for key in ("loss", "vmax")}
        relative = jnp.asarray(sink / mean if mean > 0 else one, float)
        maps[name] = Maps(old.fraction, old.tortuosity, relative, old.drain)
    return values, maps


def astrocyte_sizes(placed: Placed, chunk: int, number: int) -> dict[str, int]:
    """Bytes of the arrays of astrocytes; `chunk`: ticks of a compiled call, `number`: bytes of a float."""
    count = len(placed.centres)
    return {"astrocytes": number * count * (4 + len(placed.model.secretions)),
            "astrocyte domains": 4 * (placed.label.size + count * int(placed.size.max())),
            "calcium record of a chunk": number * chunk * count}
