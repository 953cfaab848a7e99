"""Recorded or prescribed spikes in SONATA files, in the old and in the current layout."""

import dataclasses
from os import PathLike

import h5py
import numpy as np
from jaxtyping import Float, Int

from retrojax.errors import InputError
from retrojax.io.h5 import check_finite, child_group, open_h5, read_array, read_text_attribute
from retrojax.io.sonata import Nodes

_MS_PER_UNIT = {"ms": 1.0, "s": 1000.0}


@dataclasses.dataclass(frozen=True)
class Spikes:
    """Spikes of one population, sorted by time, then by id.

    **Arguments**

    - `population`: name of the node population; None in the old layout, which does not store it.
    - `ids`: node id of each spike, shape [K].
    - `times_ms`: its time **[ms]**, shape [K].
    """

    population: str | None
    ids: Int[np.ndarray, "K"]
    times_ms: Float[np.ndarray, "K"]


def _choose(root: h5py.Group, population: str | None, path: str | PathLike) -> tuple[str | None, h5py.Group, str]:
    """Population, group and name of the id dataset."""
    if any(isinstance(root.get(name), h5py.Dataset) for name in ("gids", "node_ids", "timestamps")):
        return population, root, "node_ids" if "node_ids" in root else "gids"
    names = sorted(name for name in root if isinstance(root[name], h5py.Group))
    if not names:
        raise InputError("/spikes/timestamps", "missing", "spikes in /spikes or in /spikes/<population>",
                         "write node ids and timestamps", path)
    if population is None and len(names) == 1:
        population = names[0]
    if population is None or population not in names:
        raise InputError("population", population, f"one of {names}",
                         "name the population whose spikes are wanted", path)
    return population, child_group(root, population, path), "node_ids"


def load_spikes(path: str | PathLike, population: str | None = None) -> Spikes:
    """Spikes of one population from a SONATA spike file.

    Reads `/spikes/<population>/{node_ids,timestamps}` with a `units` attribute (ms or s; ms if absent) and the old
    `/spikes/{gids,timestamps}`, always in ms and without a population.

    **Arguments**

    - `path`: HDF5 file.
    - `population`: which one; needed if the file holds several. In the old layout it only labels the result.

    **Raises** `InputError` for a missing, truncated or non-HDF5 file, a missing group or dataset, ids and times of
    different number, an unknown unit, and a negative or non-finite time or negative id (naming its index).

    **References** Dai et al. 2020, PLoS Comput Biol 16:e1007696.
    """
    with open_h5(path) as file:
        population, group, id_name = _choose(child_group(file, "spikes", path), population, path)
        times = read_array(group, "timestamps", path)
        ids = read_array(group, id_name, path, kinds="iu", length=times.size)
        unit = read_text_attribute(group["timestamps"], "units") or "ms"
        prefix = group.name
    if unit not in _MS_PER_UNIT:
        raise InputError(f"{prefix}/timestamps.units", unit, "ms or s", "convert the times to ms", path)
    check_finite(times, f"{prefix}/timestamps", path, low=0.0)
    check_finite(ids, f"{prefix}/{id_name}", path, low=0)
    times_ms = times.astype(np.float64) * _MS_PER_UNIT[unit]
    order = np.lexsort((ids, times_ms))
    return Spikes(population, ids[order], times_ms[order])


def check_ids(spikes: Spikes, nodes: Nodes) -> None:
    """Nothing, if every spike belongs to a node of the population.

    **Raises** `InputError` naming the first spike whose id is not in `nodes`, or two different populations.
    """
    if spikes.population is not None and spikes.population != nodes.population:
        raise InputError("spikes.population", spikes.population, f"'{nodes.population}'",
                         "load the spikes of that population")
    bad = np.flatnonzero(~np.isin(spikes.ids, nodes.ids))
    if bad.size:
        raise InputError(f"spikes.ids[{bad[0]}]", int(spikes.ids[bad[0]]),
                         f"a node id of population '{nodes.population}' ({nodes.ids.size} nodes)",
                         f"give the population the spikes belong to, or drop the {bad.size} foreign spikes")
