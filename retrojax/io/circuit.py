"""From a SONATA circuit to the wiring of a run: which synapses are plastic, with what weights and delays."""

from typing import NamedTuple

import numpy as np

from retrojax.engine.assemble import Wiring
from retrojax.errors import InputError
from retrojax.io.schema import Network, RunConfig
from retrojax.io.sonata import Circuit, Edges, Nodes
from retrojax.validation import require_known


class Cells(NamedTuple):
    """Neurons of a run in order: population, node id, position [um] and class (`ei`) of each; then the sources."""

    population: np.ndarray
    node_id: np.ndarray
    position: np.ndarray
    kind: np.ndarray
    targets: tuple[str, ...]
    sources: tuple[str, ...]
    offset: dict[str, int]


def gather_cells(circuit: Circuit, file: object) -> Cells:
    """Every population that receives synapses is simulated; the others are sources of spikes.

    **Raises** `InputError` if a simulated population has no positions or no `ei` attribute.
    """
    targets = sorted({edges.target_population for edges in circuit.edges.values()})
    sources = sorted({edges.source_population for edges in circuit.edges.values()} - set(targets))
    if not targets:
        raise InputError("network.sonata", "no edges", "at least one edge population", "list edges in the config", file)
    offset, count = {}, 0
    for name in (*targets, *sources):
        offset[name] = count
        count += circuit.nodes[name].ids.size
    nodes = [circuit.nodes[name] for name in targets]
    for one in nodes:
        if one.positions is None:
            raise InputError(f"nodes/{one.population}", "no x, y, z", "a position per node [um]",
                             "messengers need positions; add x, y, z to the node file", file)
        if "ei" not in one.attributes:
            raise InputError(f"nodes/{one.population}", "no 'ei'", "'e' or 'i' per node or type",
                             "add an 'ei' column to the node types", file)
    return Cells(
        np.concatenate([np.full(one.ids.size, one.population) for one in nodes]),
        np.concatenate([one.ids for one in nodes]).astype(np.int64),
        np.concatenate([one.positions for one in nodes]),
        np.concatenate([one.attributes["ei"].astype(str) for one in nodes]), tuple(targets), tuple(sources), offset,
    )


def wire(circuit: Circuit, cells: Cells, config: RunConfig) -> Wiring:
    """Plastic and fixed synapses of all edge populations, numbered in file order."""
    if config.network.plastic_edges is not None:
        for name in config.network.plastic_edges:
            require_known(name, sorted(circuit.edges), "network.plastic_edges")
    parts = [_edges(circuit, cells, edges, config) for _, edges in sorted(circuit.edges.items())]
    pre, post, delay, weight, plastic = (np.concatenate(column) for column in zip(*parts, strict=True))
    negative = np.flatnonzero(plastic & (weight < 0))
    if negative.size:
        raise InputError("network.plastic", f"synapse {negative[0]} with weight {weight[negative[0]]:g}",
                         "synapses of weight >= 0", "select excitatory source cells")
    ids = np.flatnonzero(plastic)
    if not ids.size:
        there = {name: sorted({str(x) for nodes in circuit.nodes.values() for x in nodes.attributes.get(name, ())})[:9]
                 for name in config.network.plastic}
        raise InputError("network.plastic", f"{config.network.plastic} selects no synapse",
                         f"attributes of source cells; the circuit has {there}",
                         "name what source cells of plastic synapses have, in edge populations of plastic_edges")
    fixed = np.flatnonzero(~plastic)
    sources = sum(circuit.nodes[name].ids.size for name in cells.sources)
    return Wiring(ids, pre[ids], post[ids], delay[ids], weight[ids], pre[fixed], post[fixed], delay[fixed],
                  weight[fixed], neurons=cells.node_id.size, sources=sources)


def _edges(circuit: Circuit, cells: Cells, edges: Edges, config: RunConfig):
    source, target = circuit.nodes[edges.source_population], circuit.nodes[edges.target_population]
    if edges.syn_weight is None:
        raise InputError(f"edges/{edges.name}/syn_weight", "missing", "a weight per edge or edge type",
                         "add syn_weight to the edge file")
    pre = source.index_of(edges.source) + cells.offset[source.population]
    post = target.index_of(edges.target) + cells.offset[target.population]
    delay = np.full(pre.size, config.network.input_delay) if edges.delay_ms is None else edges.delay_ms
    plastic = _selected(source, edges, config.network)[source.index_of(edges.source)]
    weight = edges.syn_weight.astype(float) * config.network.weight_scale
    return pre, post, np.rint(delay / config.dt).astype(np.int64), weight, plastic


def _selected(nodes: Nodes, edges: Edges, network: Network) -> np.ndarray:
    """Which source cells have plastic synapses in this edge population."""
    allowed = network.plastic_edges is None or edges.name in network.plastic_edges
    chosen = np.full(nodes.ids.size, allowed)
    for name, wanted in network.plastic.items():
        column = nodes.attributes.get(name)
        chosen &= np.zeros_like(chosen) if column is None else column.astype(str) == wanted
    return chosen
