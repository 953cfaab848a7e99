"""Measurements from CSV, xarray and memory: exact spike times, units, and one clear refusal per mistake."""

import gzip
import json

import numpy as np
import pytest
import xarray as xr

from retrojax.errors import InputError
from retrojax.fit.data import Column, from_table, from_xarray, read_csv
from retrojax.fit.data_protocols import protocols_by_label
from retrojax.fit.table import read_table

PAIRED = {"value": Column("w"), "sem": Column("s"), "n": Column("n"), "rate": Column("f", "Hz"),
          "delta_t": Column("dt", "s"), "pulses": Column("k"), "cell": Column("cell")}
TABLE = {"w": ["1.5", "0.8"], "s": ["0.1", "0.05"], "n": ["5", "7"], "f": ["10", "20"], "dt": ["0.01", "-0.01"],
         "k": ["3", "2"], "cell": ["a", "b"]}


def write(path, table):
    lines = [",".join(table), *(",".join(row) for row in zip(*table.values(), strict=True))]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_row_becomes_its_exact_spike_times(tmp_path):
    data = read_csv(write(tmp_path / "d.csv", TABLE), PAIRED)
    np.testing.assert_allclose(data.protocols[0].pre, [0, 100, 200])
    np.testing.assert_allclose(data.protocols[0].post, [10, 110, 210])
    np.testing.assert_allclose(data.protocols[1].pre, [10, 60])
    np.testing.assert_allclose(data.protocols[1].post, [0, 50])
    assert data.n.tolist() == [5, 7] and data.cell == ("a", "b") and data.unit == "1"


def test_trains_of_volts_become_millivolts(tmp_path):
    table = {"e1": ["0.004"], "e2": ["0.002"], "hz": ["20"], "n": ["2"]}
    columns = {"value": Column(("e1", "e2"), "V", "mV"), "rate": Column("hz", "Hz"), "pulses": Column("n")}
    data = read_csv(write(tmp_path / "d.csv", table), columns)
    np.testing.assert_allclose(data.values, [[4.0, 2.0]])
    assert data.unit == "mV" and data.sem is None and data.protocols[0].post.size == 0
    np.testing.assert_allclose(data.protocols[0].pre, [0, 50])


def test_bursts_follow_rate_count_and_interval():
    table = {**TABLE, "b": ["2", "2"], "e": ["4", "4"]}
    data = from_table(table, {**PAIRED, "bursts": Column("b"), "every": Column("e", "s")})
    np.testing.assert_allclose(data.protocols[0].pre, [0, 100, 200, 4000, 4100, 4200])


@pytest.mark.parametrize("form", ["yaml", "csv"])
def test_labels_mean_what_the_protocols_file_says(tmp_path, form):
    file = tmp_path / f"p.{form}"
    file.write_text(json.dumps({"LTP": {"pre": [0], "post": [10, 20], "repetitions": 3, "every": 1000}})
                    if form == "yaml" else "label,pre_ms,post_ms,repetitions,every_ms\nLTP,0,10;20,3,1000\n")
    data = from_table({"w": [1.2], "p": ["LTP"]}, {"value": Column("w"), "label": Column("p")}, file)
    np.testing.assert_allclose(data.protocols[0].pre, [0, 1000, 2000])
    np.testing.assert_allclose(data.protocols[0].post, [10, 20, 1010, 1020, 2010, 2020])
    assert data.protocols[0].end == 3020


def test_xarray_brings_its_units():
    table = xr.Dataset({"amplitude": (("row", "stimulus"), [[4e-12, 2e-12]], {"units": "A"}), "rate": ("row", [10.0]),
                        "pulses": ("row", [2])})
    data = from_xarray(table, {"value": Column("amplitude", "pA", "pA"), "rate": Column("rate", "Hz"),
                               "pulses": Column("pulses")})
    np.testing.assert_allclose(data.values, [[4.0, 2.0]])
    assert data.select([True]).unit == "pA"
    with pytest.raises(InputError, match="absent"):
        from_xarray(table, {"value": Column("absent")})


def test_several_variables_of_one_role_are_of_one_unit_and_one_dimension():
    table = xr.Dataset({"first": ("row", [4e-12], {"units": "A"}), "second": ("row", [2.0], {"units": "pA"}),
                        "third": ("row", [2e-12], {"units": "A"}), "rate": ("row", [10.0]), "pulses": ("row", [2]),
                        "train": (("row", "stimulus"), [[4e-12, 2e-12]], {"units": "A"})})
    rest = {"rate": Column("rate", "Hz"), "pulses": Column("pulses")}
    data = from_xarray(table, {"value": Column(("first", "third"), "pA", "pA"), **rest})
    np.testing.assert_allclose(data.values, [[4.0, 2.0]])
    with pytest.raises(InputError, match=r"columns.value = 'A, pA'.*one unit"):
        from_xarray(table, {"value": Column(("first", "second"), "pA", "pA"), **rest})
    with pytest.raises(InputError, match=r"columns.value = 'train'"):
        from_xarray(table, {"value": Column(("first", "train"), "pA", "pA"), **rest})


@pytest.mark.parametrize(("change", "columns", "words"), [
    ({"w": ["1.5", ""]}, {}, "w, row 2"),
    ({"w": ["1.5", "nan"]}, {}, "w, row 2"),
    ({"s": ["0.1", "0"]}, {}, "s, row 2 = 0.0.*positive"),
    ({}, {"sem": Column("err")}, "columns.sem = 'err'.*w, s, n"),
    ({}, {"delta_t": Column("dt", "mV")}, "columns.delta_t.unit"),
    ({}, {"delta_t": Column("dt", "fortnits")}, "columns.delta_t.unit"),
    ({}, {"colour": Column("w")}, "colour"),
    ({"k": ["0", "2"]}, {}, "row 1, pulses"),
    ({}, {"label": Column("cell")}, "row 1, label = 'a'"),
    ({"cell": ["current-clamp", "voltage-clamp"]}, {"clamp": Column("cell")}, "one clamp mode"),
    ({"cell": ["bridge", "bridge"]}, {"clamp": Column("cell")}, "clamp = 'bridge'"),
    ({"f": ["-1", "2"]}, {}, "row 1, rate = -1"),
    ({"n": ["5", "6.5"]}, {}, "n, row 2 = 6.5.*whole number"),
    ({"b": ["2", "1.5"]}, {"bursts": Column("b")}, "row 2, bursts = 1.5"),
])
def test_one_refusal_per_mistake(tmp_path, change, columns, words):
    path = write(tmp_path / "d.csv", {**TABLE, **change})
    with pytest.raises(InputError, match=words) as caught:
        read_csv(path, {**PAIRED, **columns})
    assert "d.csv" in str(caught.value)


@pytest.mark.parametrize(("entry", "words"), [
    ({"pre": [0, 20, 10]}, r"LTP.pre\[2\].*sort"),
    ({"pre": []}, "one spike at least"),
    ({"pre": [0, "x"]}, "LTP.pre = 'x'"),
    ({"pre": [0, 50], "repetitions": 2, "every": 40}, "LTP.every"),
    ({"pre": [0], "repetitions": 1.5}, "LTP.repetitions"),
    ({"pre": [0], "psot": [1]}, "LTP.psot"),
    ({"pre": [-5, 0]}, "LTP.pre = -5.*shift"),
])
def test_a_protocols_file_is_checked(tmp_path, entry, words):
    file = tmp_path / "p.json"
    file.write_text(json.dumps({"LTP": entry}))
    with pytest.raises(InputError, match=words):
        protocols_by_label(file)


@pytest.mark.parametrize(("content", "words"), [
    (b"w,s,w\n1,2,3\n", "column w.*there twice"),
    (b"w,s\n1,2\n1,2,3\n", r"row 2 = '3 cells'.*2 cells.*quotes"),
    (b"w;s\n1;2\n", r"column w = 'absent'.*this file has w;s"),
    (b"\xff\xfew\x00", "a CSV file in UTF-8"),
    (b"w,s\n", "rows = 0"),
])
def test_a_file_that_is_no_such_table_is_refused(tmp_path, content, words):
    file = tmp_path / "d.csv"
    file.write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_table(file, ("w", "s"))


def test_tables_as_spreadsheets_and_packers_write_them(tmp_path):
    file = tmp_path / "d.csv"
    file.write_bytes(b"\xef\xbb\xbfw,s\r\n1,\r\n2\r\n")
    assert read_table(file) == {"w": ["1", "2"], "s": ["", ""]}
    packed = tmp_path / "d.csv.gz"
    packed.write_bytes(b"w,s\n1,2\n")
    with pytest.raises(InputError, match="a packed CSV file"):
        read_table(packed)
    packed.write_bytes(gzip.compress(b"w,s\n1,2\n"))
    assert read_table(packed) == {"w": ["1"], "s": ["2"]}


def test_columns_of_unequal_length_are_refused():
    with pytest.raises(InputError, match=r"columns\.cell = 'cell with 1 rows'.*2 rows"):
        from_table({**TABLE, "cell": ["a"]}, PAIRED)
    with pytest.raises(InputError, match=r"columns\.rate"):
        from_table({**TABLE, "f": ["10", "20", "30"]}, PAIRED)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(InputError, match="nowhere.csv"):
        read_csv(tmp_path / "nowhere.csv", PAIRED)
    with pytest.raises(InputError, match="nowhere.yaml"):
        protocols_by_label(tmp_path / "nowhere.yaml")
