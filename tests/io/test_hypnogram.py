"""Hypnogram: the shipped night, its compression onto ticks, and every refusal."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from retrojax.errors import InputError
from retrojax.io.hypnogram import STAGES, Hypnogram, load_hypnogram, stretch

NIGHT = Path(__file__).parents[2] / "configs" / "quickstart" / "hypnogram_6h_30s.csv"


@pytest.fixture(scope="module")
def night():
    return load_hypnogram(NIGHT)


def test_the_night(night):
    assert len(night.stage) == night.start_s.size == 720
    assert night.epoch_s == 30.0 and night.end_s == 21600.0
    minutes = {stage: count / 2 for stage, count in Counter(night.stage).items()}
    assert minutes == {"W": 21.5, "N1": 11.0, "N2": 159.0, "N3": 91.0, "REM": 77.5}


def test_first_sleep_of_the_night(night):
    # 11 epochs awake, 7 of N1, 12 of N2, 11 awake; 1 ms of simulation for 1 s of the night.
    assert stretch(night, 0, 1230, 1230, 1) == [(0.0, "W"), (330.0, "N1"), (540.0, "N2"), (900.0, "W")]
    assert stretch(night, 0.0, 1230.0, 10000.0, 100.0) == [(0.0, "W"), (2700.0, "N1"), (4400.0, "N2"), (7300.0, "W")]


def test_part_that_cuts_epochs(night):
    assert stretch(night, 315.0, 345.0, 30.0, 5.0) == [(0.0, "W"), (15.0, "N1")]
    assert stretch(night, 330.0, 360.0, 30.0, 5.0) == [(0.0, "N1")]
    assert stretch(night, 21500.0, 21600.0, 1.0, 1.0) == [(0.0, "REM")]


def test_short_stages_keep_a_tick():
    record = Hypnogram(np.arange(100) * 30.0, ("W",) * 49 + ("N1", "N2") + ("W",) * 48 + ("REM",))
    assert stretch(record, 0.0, 3000.0, 10.0, 1.0) == [(0.0, "W"), (5.0, "N1"), (6.0, "N2"), (7.0, "W"), (9.0, "REM")]
    assert [start for start, _ in stretch(record, 0.0, 3000.0, 5.0, 1.0)] == [0.0, 1.0, 2.0, 3.0, 4.0]
    with pytest.raises(InputError, match="5 runs"):
        stretch(record, 0.0, 3000.0, 4.0, 1.0)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(STAGES), min_size=2, max_size=40), st.integers(1, 60))
def test_no_stage_is_ever_lost(stages, ticks):
    record = Hypnogram(np.arange(len(stages)) * 30.0, tuple(stages))
    merged = [stage for i, stage in enumerate(stages) if i == 0 or stages[i - 1] != stage]
    arguments = (record, 0.0, record.end_s, ticks * 0.1, 0.1)
    if len(merged) > ticks:
        with pytest.raises(InputError, match="resolution_ms"):
            stretch(*arguments)
        return
    runs = stretch(*arguments)
    assert [stage for _, stage in runs] == merged
    places = np.array([start for start, _ in runs]) / 0.1
    np.testing.assert_allclose(places, np.round(places), atol=1e-9)
    assert places[0] == 0 and np.all(np.diff(places) > 0.5) and places[-1] < ticks - 0.5


@pytest.mark.parametrize("change, field", [
    ({"from_s": -1.0}, "from_s, to_s"), ({"to_s": 21601.0}, "from_s, to_s"), ({"from_s": 1230.0}, "from_s, to_s"),
    ({"to_s": float("nan")}, "from_s, to_s"), ({"duration_ms": 0.0}, "duration_ms"),
    ({"resolution_ms": -1.0}, "resolution_ms"), ({"duration_ms": float("inf")}, "duration_ms"),
    ({"resolution_ms": 2e4}, "resolution_ms")])
def test_bad_stretch(night, change, field):
    arguments = {"from_s": 0.0, "to_s": 1230.0, "duration_ms": 1e4, "resolution_ms": 1.0} | change
    with pytest.raises(InputError) as caught:
        stretch(night, **arguments)
    assert caught.value.field == field


@pytest.mark.parametrize("old, new, field", [
    ("9,270,0,W", "9,270,0,S4", "stage, line 11"),
    ("9,270,0,W", "9,270,0", "stage, line 11"),
    ("9,270,0,W", "9,271,0,W", "t_start_s, line 11"),
    ("9,270,0,W", "9,240,0,W", "t_start_s, line 11"),
    ("9,270,0,W\n", "", "t_start_s, line 11"),
    ("9,270,0,W", "9,nan,0,W", "t_start_s, line 11"),
    ("9,270,0,W", "9,,0,W", "t_start_s, line 11"),
    ("stage", "phase", "columns"),
    ("t_start_s", "t", "columns"),
])
def test_bad_files(tmp_path, old, new, field):
    path = tmp_path / "night.csv"
    text = NIGHT.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        load_hypnogram(path)
    assert caught.value.field == field and caught.value.file == path


def test_missing_and_short_files(tmp_path):
    with pytest.raises(InputError, match="readable CSV"):
        load_hypnogram(tmp_path / "nowhere.csv")
    (tmp_path / "short.csv").write_text("t_start_s,stage\n0,W\n")
    with pytest.raises(InputError, match="at least two"):
        load_hypnogram(tmp_path / "short.csv")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(InputError, match="columns"):
        load_hypnogram(tmp_path / "empty.csv")
