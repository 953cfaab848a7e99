"""SONATA circuits: the shipped one, what the format allows, and the odd files of libsonata's own tests."""

import json
import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from retrojax.io.sonata import Nodes, load_circuit
from retrojax.io.sonata_config import read_config, read_types
from retrojax.io.spikes import load_spikes

RECURRENT = "network/internal_internal_edges.h5"


def test_counts(circuit):
    assert {name: nodes.ids.size for name, nodes in circuit.nodes.items()} == {"internal": 300, "external": 100}
    sizes = {name: edges.source.size for name, edges in circuit.edges.items()}
    assert sizes == {"internal_to_internal": 27588, "external_to_internal": 20844}
    recurrent, inputs = circuit.edges["internal_to_internal"], circuit.edges["external_to_internal"]
    assert np.sum(recurrent.source == recurrent.target) == 86
    assert (recurrent.source_population, recurrent.target_population) == ("internal", "internal")
    assert (inputs.source_population, inputs.target_population) == ("external", "internal")


def test_edges_are_those_of_the_file(circuit, quickstart):
    with h5py.File(quickstart / RECURRENT) as file:
        group = file["edges/internal_to_internal"]
        edges = circuit.edges["internal_to_internal"]
        assert np.array_equal(edges.source, group["source_node_id"][:])
        assert np.array_equal(edges.target, group["target_node_id"][:])
        assert np.array_equal(edges.syn_weight, group["0/syn_weight"][:][group["edge_group_index"][:]])


def test_node_types_are_joined(circuit):
    nodes = circuit.nodes["internal"]
    names = {100: "Scnn1a", 101: "Rorb", 102: "Nr5a1", 103: "PV1", 104: "PV2"}
    assert set(nodes.attributes["node_type_id"]) == set(names)
    for type_id, name, ei in zip(*(nodes.attributes[key] for key in ("node_type_id", "model_name", "ei")), strict=True):
        assert name == names[type_id]
        assert ei == ("i" if type_id >= 103 else "e")
    assert nodes.positions.shape == (300, 3)
    assert np.array_equal(nodes.positions[:, 1], nodes.attributes["y"])
    assert circuit.nodes["external"].positions is None
    assert set(circuit.nodes["external"].attributes["model_type"]) == {"virtual"}


def test_edge_types_agree_with_their_queries(circuit):
    edges, nodes = circuit.edges["internal_to_internal"], circuit.nodes["internal"]
    expected = {("e", "e"): 100, ("e", "i"): 101, ("i", "e"): 102, ("i", "i"): 103}
    ends = zip(nodes.attributes["ei"][edges.source], nodes.attributes["ei"][edges.target], strict=True)
    assert [expected[pair] for pair in ends] == edges.attributes["edge_type_id"].tolist()
    assert set(edges.delay_ms) == {2.0}
    assert set(edges.syn_weight) == {2.5, 7.0, -7.5, -3.0}
    assert circuit.edges["external_to_internal"].delay_ms is None
    assert set(circuit.edges["external_to_internal"].syn_weight) == {50.0, 65.0}


def test_type_table(quickstart):
    table = read_types(quickstart / "network/internal_node_types.csv", "node_type_id")
    assert table["node_type_id"].tolist() == [104, 100, 101, 102, 103]
    assert table["model_name"].tolist() == ["PV2", "Scnn1a", "Rorb", "Nr5a1", "PV1"]


def test_simulation_config_resolves(quickstart):
    config = read_config(quickstart / "simulation_config.json")
    assert config["inputs"]["external_spike_trains"]["input_file"] == "./inputs/external_spike_trains.h5"


def test_disabled_edges_are_skipped(folder, edit_json):
    edit_json(folder, lambda config: config["networks"]["edges"][0].update(enabled=False))
    (folder / RECURRENT).unlink()
    assert list(load_circuit(folder / "circuit_config.json").edges) == ["external_to_internal"]


def test_repeated_population(folder, refused, edit_json):
    edit_json(folder, lambda config: config["networks"]["nodes"].append(config["networks"]["nodes"][0]))
    assert refused(folder).value == "internal"


def test_manifest_in_manifest_and_configdir(folder, edit_json):
    edit_json(folder, lambda config: config["manifest"].update(
        {"$NETWORK_DIR": "${BASE}/network", "$BASE": "${configdir}"}))
    assert load_circuit(folder / "circuit_config.json").nodes["internal"].ids.size == 300


def write_mixed(folder, group_attributes, types):
    """Four nodes in two groups, out of order, with no node ids."""
    with h5py.File(folder / "nodes.h5", "w") as file:
        group = file.create_group("nodes/mixed")
        group["node_type_id"] = np.array([7, 9, 7, 9])
        group["node_group_id"] = np.array([1, 0, 0, 1])
        group["node_group_index"] = np.array([1, 1, 0, 0])
        for name, values in group_attributes.items():
            group[name] = values
    (folder / "types.csv").write_text(types)
    config = {"networks": {"nodes": [{"nodes_file": "nodes.h5", "node_types_file": "types.csv"}]}}
    (folder / "circuit_config.json").write_text(json.dumps(config))
    return folder


def test_groups_types_and_their_order(tmp_path):
    folder = write_mixed(
        tmp_path, {"0/x": [10.0, 11.0], "1/x": [20.0, 21.0], "0/gain": [1.0, 2.0], "0/tag": ["p", "q"],
                   "1/dynamics_params/tau": [5.0, 6.0], "0/n": [1, 2]},
        'node_type_id gain tag note  empty\n7 0.5 NULL "two words" NULL \n9 NULL t NULL NULL\n')
    nodes = load_circuit(folder / "circuit_config.json").nodes["mixed"]
    a = nodes.attributes
    assert nodes.ids.tolist() == [0, 1, 2, 3]
    assert a["x"].tolist() == [21.0, 11.0, 10.0, 20.0]
    np.testing.assert_array_equal(a["gain"], [0.5, 2.0, 1.0, np.nan])  # own value, else the type's, else none
    assert a["tag"].tolist() == ["", "q", "p", "t"]
    assert a["note"].tolist() == ["two words", "", "two words", ""]
    np.testing.assert_array_equal(a["dynamics_params/tau"], [6.0, np.nan, np.nan, 5.0])
    np.testing.assert_array_equal(a["n"], [np.nan, 2, 1, np.nan])
    assert "empty" not in a and nodes.positions is None


def test_positions_for_some_nodes_only(tmp_path, refused):
    folder = write_mixed(tmp_path, {"0/x": [10.0, 11.0], "1/tag": ["p", "q"]}, "node_type_id\n7\n9\n")
    error = refused(folder)
    assert error.field == "/nodes/mixed/x[0]" and error.value == "missing"


def test_index_of():
    nodes = Nodes("p", np.array([30, 10, 20]), {})
    assert nodes.index_of(np.array([10, 20, 30, 40, 5])).tolist() == [1, 2, 0, -1, -1]
    assert Nodes("p", np.zeros(0, int), {}).index_of(np.array([0])).tolist() == [-1]


@pytest.fixture
def odd(tmp_path, edit_json):
    root = os.environ.get("RETROJAX_DATA")
    if not root or not (Path(root) / "sonata_libsonata_testfiles").is_dir():
        pytest.skip("set RETROJAX_DATA to a folder that holds sonata_libsonata_testfiles")
    for name in ("nodes1.h5", "edges1.h5", "spikes.h5", "config/circuit_config.json"):
        shutil.copyfile(Path(root) / "sonata_libsonata_testfiles" / name, tmp_path / Path(name).name)
    edit_json(tmp_path, lambda config: config["manifest"].update({"$NETWORK_DIR": "."}))
    return tmp_path


@pytest.mark.filterwarnings("ignore:.*left out")
def test_odd_nodes(odd, refused, edit_json):
    assert refused(odd).field == "/nodes/nodes-B/node_type_id"

    def only_a(config):
        config["networks"]["nodes"][0]["populations"] = {"nodes-A": {}}
        config["networks"]["edges"] = []
    edit_json(odd, only_a)
    with pytest.warns(UserWarning, match="left out") as caught:
        nodes = load_circuit(odd / "circuit_config.json").nodes["nodes-A"]
    assert {str(w.message).split()[2].rsplit("/", 1)[1] for w in caught} == {"A-enum", "E-mapping-bad"}
    a = nodes.attributes
    assert nodes.ids.tolist() == list(range(6))
    assert a["E-mapping-good"].tolist() == list("CBCACC")
    assert a["attr-Z"].tolist() == ["aa", "bb", "cc", "dd", "ee", "ff"]
    assert a["dynamics_params/dparam-Y"].tolist() == [1021, 1022, 1023, 1024, 1025, 1026]
    assert not {"A-double", "A-enum", "E-mapping-bad", "E-mapping-ugly"} & set(a)


@pytest.mark.filterwarnings("ignore:.*left out")
def test_odd_edges(odd, refused, edit_json):
    with h5py.File(odd / "nodes1.h5", "a") as file:
        file["nodes/nodes-B/node_type_id"] = np.full(3, -1)
        file["nodes/nodes-B/node_group_id"] = np.zeros(3, int)
        file["nodes/nodes-B/node_group_index"] = np.arange(3)
    assert refused(odd).field == "/edges/edges-AC/source_node_id"
    edit_json(odd, lambda config: config["networks"]["edges"][0].update(populations={"edges-AB": {}}))
    edges = load_circuit(odd / "circuit_config.json").edges["edges-AB"]
    assert edges.source.tolist() == [1, 1, 2, 2, 3, 3] and edges.target.tolist() == [1, 2, 1, 1, 0, 2]
    assert (edges.source_population, edges.target_population) == ("nodes-A", "nodes-B")
    assert edges.delay_ms is None and edges.attributes["attr-X"].tolist() == [11, 12, 13, 14, 15, 16]


def test_odd_spikes(odd):
    expected = ([5, 2, 3, 2, 3], [0.1, 0.2, 0.3, 0.7, 1.3])
    for population in ("All", "spikes1", "spikes2"):  # sorted by time, by id and not at all
        spikes = load_spikes(odd / "spikes.h5", population)
        assert (spikes.ids.tolist(), spikes.times_ms.tolist()) == expected
    assert load_spikes(odd / "spikes.h5", "empty").times_ms.size == 0
