"""SONATA circuits: every error, provoked on a damaged copy of the shipped circuit."""

from pathlib import Path

import h5py
import numpy as np
import pytest

RECURRENT, INPUT = "network/internal_internal_edges.h5", "network/external_internal_edges.h5"


def test_missing_files(folder, refused):
    (folder / "network/external_node_types.csv").unlink()
    error = refused(folder)
    assert error.file.name == "external_node_types.csv"
    (folder / "network/internal_nodes.h5").unlink()
    error = refused(folder)
    assert error.allowed == "an existing HDF5 file" and error.file.name == "internal_nodes.h5"
    (folder / "circuit_config.json").unlink()
    assert refused(folder).allowed == "an existing JSON file"


@pytest.mark.parametrize("size", [0, 100, 5000, 60000])
def test_truncated_hdf5(folder, size, refused):
    path = folder / RECURRENT
    path.write_bytes(path.read_bytes()[:size])
    assert "truncated or not HDF5" in str(refused(folder))


def test_damaged_chunk(folder, refused):
    path = folder / RECURRENT
    with h5py.File(path) as file:
        chunk = file["edges/internal_to_internal/0/syn_weight"].id.get_chunk_info(0)
    data = bytearray(path.read_bytes())
    data[chunk.byte_offset:chunk.byte_offset + chunk.size] = bytes(chunk.size)
    path.write_bytes(data)
    assert "truncated or not HDF5" in str(refused(folder))


def test_not_hdf5(folder, refused):
    (folder / RECURRENT).write_text("source,target\n0,1\n")
    assert "truncated or not HDF5" in str(refused(folder))


@pytest.mark.parametrize("name", ["source_node_id", "target_node_id", "edge_type_id", "edge_group_id",
                                  "edge_group_index"])
def test_missing_dataset_is_named(folder, name, refused):
    with h5py.File(folder / RECURRENT, "a") as file:
        del file[f"edges/internal_to_internal/{name}"]
    assert refused(folder).field == f"/edges/internal_to_internal/{name}"


def test_missing_groups_are_named(folder, refused):
    with h5py.File(folder / INPUT, "a") as file:
        del file["edges/external_to_internal/0"]
    error = refused(folder)
    assert error.field == "/edges/external_to_internal/edge_group_id[0]" and error.allowed == "one of the groups []"
    with h5py.File(folder / RECURRENT, "a") as file:
        file.move("edges", "kanten")
    assert refused(folder).field == "/edges"


@pytest.mark.parametrize("file, dataset, index, value", [
    ("network/internal_nodes.h5", "/nodes/internal/0/y", 17, np.nan),
    ("network/internal_nodes.h5", "/nodes/internal/0/z", 299, np.inf),
    (RECURRENT, "/edges/internal_to_internal/0/syn_weight", 4000, -np.inf),
    (INPUT, "/edges/external_to_internal/0/syn_weight", 0, np.nan),
])
def test_non_finite_values_are_located(folder, file, dataset, index, value, refused):
    with h5py.File(folder / file, "a") as opened:
        opened[dataset][index] = value
    error = refused(folder)
    assert error.field == f"{dataset}[{index}]" and error.file.name == Path(file).name


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_bad_delay_of_an_edge(folder, value, refused):
    with h5py.File(folder / RECURRENT, "a") as file:
        delays = np.full(27588, 1.5)
        delays[12] = value
        file["edges/internal_to_internal/0/delay"] = delays
    assert refused(folder).field == "/edges/internal_to_internal/0/delay[12]"


@pytest.mark.parametrize("cell, field", [
    ("nan", "delay, line 2"), ("inf", "delay, line 2"), ("NULL", "/edges/internal_to_internal/delay[0]"),
    ("fast", "/edges/internal_to_internal/delay"), ("-2", "/edges/internal_to_internal/delay[0]")])
def test_bad_delay_of_a_type(folder, cell, field, refused):
    path = folder / "network/internal_internal_edge_types.csv"
    path.write_text(path.read_text().replace("2.0", cell, 1))
    assert refused(folder).field == field


@pytest.mark.parametrize("side, bad", [("source", 300), ("target", 2**40)])
def test_edge_ends_out_of_range(folder, side, bad, refused):
    with h5py.File(folder / RECURRENT, "a") as file:
        file[f"edges/internal_to_internal/{side}_node_id"][5] = bad
    error = refused(folder)
    assert error.field == f"/edges/internal_to_internal/{side}_node_id[5]" and error.value == bad
    assert "300 nodes" in error.allowed


def test_node_population_attribute(folder, refused):
    with h5py.File(folder / INPUT, "a") as file:
        file["edges/external_to_internal/source_node_id"].attrs["node_population"] = "thalamus"
    error = refused(folder)
    assert error.value == "thalamus" and "['external', 'internal']" in error.allowed
    with h5py.File(folder / INPUT, "a") as file:
        del file["edges/external_to_internal/source_node_id"].attrs["node_population"]
    assert refused(folder).value is None


def test_short_weight_and_group_index(folder, refused):
    with h5py.File(folder / RECURRENT, "a") as file:
        group = file["edges/internal_to_internal/0"]
        del group["syn_weight"]
        group["syn_weight"] = np.ones(100)
    error = refused(folder)
    assert error.value == "100 values" and error.field == "/edges/internal_to_internal/0/syn_weight"


def test_unknown_type_and_bad_tables(folder, refused):
    path = folder / "network/internal_node_types.csv"
    text = path.read_text()
    path.write_text(text.replace("104 i", "204 i"))
    assert refused(folder).field.startswith("/nodes/internal/node_type_id[")
    path.write_text(text.replace("104 i", "100 i"))
    assert refused(folder).allowed == "different integers"
    path.write_text(text.replace("104 i", "104"))
    assert refused(folder).field == "line 2"
    path.write_text(text.replace("node_type_id", "id"))
    assert refused(folder).field == "node_type_id"


def test_duplicate_node_id(folder, refused):
    with h5py.File(folder / "network/internal_nodes.h5", "a") as file:
        file["nodes/internal/node_id"][7] = 3
    assert refused(folder).field == "/nodes/internal/node_id[7]"


def test_bad_json_and_manifest(folder, refused):
    path = folder / "circuit_config.json"
    text = path.read_text()
    path.write_text(text.replace("$NETWORK_DIR/internal_nodes.h5", "$NETWERK/internal_nodes.h5"))
    error = refused(folder)
    assert error.field == "$NETWERK" and "NETWORK_DIR" in error.allowed
    path.write_text(text.replace('"./network"', '"$NETWORK_DIR/network"'))
    assert refused(folder).field == "manifest.$NETWORK_DIR"
    path.write_text(text.replace('"enabled": true', '"enabled": true,'))
    assert refused(folder).field.startswith(("line 28, column", "line 29, column"))  # depends on the Python version
    path.write_text("[1, 2]")
    assert refused(folder).field == "manifest"
    path.write_text("{}")
    assert refused(folder).field == "networks.nodes"
    path.write_text('{"networks": {"nodes": [{}]}}')
    assert refused(folder).field == "networks.nodes[0].nodes_file"
