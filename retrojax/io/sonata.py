"""SONATA circuits: nodes and edges with their attributes, read with h5py alone."""

import dataclasses
from os import PathLike
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Float, Int

from retrojax.errors import InputError
from retrojax.io.h5 import child_group, open_h5, read_array, read_text_attribute
from retrojax.io.sonata_attributes import element_attributes
from retrojax.io.sonata_config import read_config, read_types, resolve_path


@dataclasses.dataclass(frozen=True)
class Nodes:
    """One population of nodes.

    **Arguments**

    - `population`: its name.
    - `ids`: node ids, shape [N]; all arrays of the population are in this order.
    - `attributes`: one array of length N for each attribute of the node or of its type, as `x`, `y`, `z` **[um]**,
      `ei`, `model_type`, `node_type_id`. An attribute of the node wins over one of its type.
    """

    population: str
    ids: Int[np.ndarray, "N"]
    attributes: dict[str, np.ndarray]

    @property
    def positions(self) -> Float[np.ndarray, "N 3"] | None:
        """Soma positions **[um]**, or None if the population has none (as virtual inputs)."""
        if not all(axis in self.attributes for axis in "xyz"):
            return None
        return np.stack([self.attributes[axis].astype(np.float64) for axis in "xyz"], axis=1)

    def index_of(self, ids: Int[np.ndarray, "..."]) -> Int[np.ndarray, "..."]:
        """Place in the population's arrays of each node id; -1 for an id that is not in it."""
        if not self.ids.size:
            return np.full(ids.shape, -1, dtype=np.int64)
        order = np.argsort(self.ids)
        place = order[np.minimum(np.searchsorted(self.ids, ids, sorter=order), self.ids.size - 1)]
        return np.where(self.ids[place] == ids, place, -1)


@dataclasses.dataclass(frozen=True)
class Edges:
    """One population of edges.

    **Arguments**

    - `name`: its name.
    - `source_population`, `target_population`: names of the node populations it joins.
    - `source`, `target`: node ids of both ends, shape [S].
    - `attributes`: one array of length S for each attribute of the edge or of its type, as `edge_type_id`,
      `syn_weight` (unit of the postsynaptic model), `delay` **[ms]**. An attribute of the edge wins over its type's.
    """

    name: str
    source_population: str
    target_population: str
    source: Int[np.ndarray, "S"]
    target: Int[np.ndarray, "S"]
    attributes: dict[str, np.ndarray]

    @property
    def syn_weight(self) -> np.ndarray | None:
        """Weight of each edge, shape [S], or None if neither edges nor types carry one."""
        return self.attributes.get("syn_weight")

    @property
    def delay_ms(self) -> np.ndarray | None:
        """Delay of each edge **[ms]**, shape [S], or None if neither edges nor types carry one."""
        return self.attributes.get("delay")


@dataclasses.dataclass(frozen=True)
class Circuit:
    """All node and edge populations of a circuit, by name."""

    nodes: dict[str, Nodes]
    edges: dict[str, Edges]


def _count(group: h5py.Group, names: tuple[str, ...], path: Path) -> int:
    """Number of elements, from the first dataset there is; the last name is reported if there is none."""
    present = [name for name in names if isinstance(group.get(name), h5py.Dataset)]
    return read_array(group, present[0] if present else names[-1], path, kinds="iu").size


def read_nodes(group: h5py.Group, types: dict[str, np.ndarray] | None, path: Path) -> Nodes:
    """The node population stored in an HDF5 group; ids are 0, 1, 2... if the file stores none.

    **Raises** `InputError` for missing datasets, duplicate ids and whatever `element_attributes` refuses.
    """
    population = group.name.rsplit("/", 1)[-1]
    count = _count(group, ("node_id", "node_group_id", "node_group_index", "node_type_id"), path)
    ids = read_array(group, "node_id", path, kinds="iu") if "node_id" in group else np.arange(count)
    values, first = np.unique(ids, return_index=True)
    if values.size != count:
        repeated = int(np.setdiff1d(np.arange(count), first)[0])
        raise InputError(f"{group.name}/node_id[{repeated}]", int(ids[repeated]), "an id that occurs once",
                         "give every node its own id", path)
    return Nodes(population, ids, element_attributes(group, "node", count, types, path))


def _ends(group: h5py.Group, side: str, nodes: dict[str, Nodes], path: Path) -> tuple[str, np.ndarray]:
    """Population name and node ids of one side of the edges."""
    dataset = f"{side}_node_id"
    ids = read_array(group, dataset, path, kinds="iu")
    population = read_text_attribute(group[dataset], "node_population")
    if population not in nodes:
        raise InputError(f"{group.name}/{dataset}.node_population", population,
                         f"a node population of the circuit: {sorted(nodes)}",
                         "add its nodes file to the circuit, or set the attribute", path)
    bad = np.flatnonzero(nodes[population].index_of(ids) < 0)
    if bad.size:
        raise InputError(f"{group.name}/{dataset}[{bad[0]}]", int(ids[bad[0]]),
                         f"a node id of population '{population}' ({nodes[population].ids.size} nodes)",
                         f"use the nodes file written with these edges ({bad.size} ends are out of range)", path)
    return population, ids


def read_edges(group: h5py.Group, nodes: dict[str, Nodes], types: dict[str, np.ndarray] | None, path: Path) -> Edges:
    """The edge population stored in an HDF5 group.

    **Raises** `InputError` for missing datasets, an end that is no node of its population and whatever
    `element_attributes` refuses.
    """
    source_population, source = _ends(group, "source", nodes, path)
    target_population, target = _ends(group, "target", nodes, path)
    if source.size != target.size:
        raise InputError(f"{group.name}/target_node_id", f"{target.size} values",
                         f"{source.size} values, as source_node_id", "write both ends of every edge", path)
    return Edges(group.name.rsplit("/", 1)[-1], source_population, target_population, source, target,
                 element_attributes(group, "edge", source.size, types, path))


def _populations(entry: dict, root: h5py.Group, path: Path) -> list[h5py.Group]:
    """Groups that the configuration entry selects: those under `populations`, or all."""
    names = list(entry.get("populations") or sorted(root))
    return [child_group(root, name, path) for name in names]


def _entries(config: dict, kind: str, path: Path) -> list[dict]:
    networks = config.get("networks")
    entries = networks.get(kind, []) if isinstance(networks, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(f"networks.{kind}", entries, "a list of objects", f"write networks.{kind} as a list", path)
    return [entry for entry in entries if entry.get("enabled", True) is not False]


def _store(found: dict, name: str, item: Nodes | Edges, path: Path) -> None:
    if name in found:
        raise InputError("population", name, "a name used once in the circuit", "rename one of the two", path)
    found[name] = item


def load_circuit(path: str | PathLike) -> Circuit:
    """The circuit that a SONATA circuit configuration describes.

    Entries with `"enabled": false` are skipped; `populations` of an entry selects among those of its file; type tables
    are joined on `node_type_id` and `edge_type_id`. Index groups are not needed and not read.

    **Arguments**

    - `path`: circuit configuration (JSON).

    **Raises** `InputError` for everything in the configuration or the files that cannot be used, with the file, the
    dataset and the index at fault.

    **Limits** A dataset that retrojax does not itself use and cannot interpret is left out with a warning; a joined
    column of text costs memory for each edge.

    **References** Dai et al. 2020, PLoS Comput Biol 16:e1007696.
    """
    path = Path(path)
    config = read_config(path)
    circuit = Circuit({}, {})
    for kind in ("nodes", "edges"):
        for i, entry in enumerate(_entries(config, kind, path)):
            field, one = f"networks.{kind}[{i}]", kind[:-1]
            file_path = resolve_path(entry.get(f"{kind}_file"), f"{field}.{kind}_file", path)
            table = entry.get(f"{one}_types_file")
            table_path = resolve_path(table, f"{field}.{one}_types_file", path) if table else None
            types = read_types(table_path, f"{one}_type_id") if table_path else None
            with open_h5(file_path) as file:
                for group in _populations(entry, child_group(file, kind, file_path), file_path):
                    if kind == "nodes":
                        nodes = read_nodes(group, types, file_path)
                        _store(circuit.nodes, nodes.population, nodes, file_path)
                    else:
                        edges = read_edges(group, circuit.nodes, types, file_path)
                        _store(circuit.edges, edges.name, edges, file_path)
    return circuit
