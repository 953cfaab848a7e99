"""Every mistake a config can hold: one error that names field, value, allowed range and cure; exit status not 0."""

import shutil
from pathlib import Path

import h5py
import pytest
import yaml
from rich.console import Console

from retrojax.cli.checking import print_check, warnings
from retrojax.errors import InputError
from retrojax.io.build import build
from retrojax.io.config import load_config
from retrojax.io.plan import make_plan

SHIPPED = Path(__file__).parents[2] / "configs"
EDGES = "quickstart/network/internal_internal_edges.h5"


@pytest.fixture
def config(tmp_path):
    """A copy of the quickstart that a test may spoil."""
    shutil.copytree(SHIPPED / "quickstart", tmp_path / "quickstart")
    shutil.copy(SHIPPED / "quickstart.yaml", tmp_path / "quickstart.yaml")
    return tmp_path / "quickstart.yaml"


def _spoil(config, *keys, value):
    data = yaml.safe_load(config.read_text())
    place = data
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    config.write_text(yaml.safe_dump(data))
    return config


@pytest.mark.parametrize(
    ("keys", "value", "parts"),
    [
        (("durration",), "3 s", ("durration", "unknown key", "'duration'")),
        (("grid", "spacin"), "3 um", ("grid.spacin", "unknown key", "'spacing'")),
        (("dt",), "1 mV", ("dt", "1 mV", "ms")),
        (("messengers", "NO", "diffusion"), "-3 um^2/s", ("messengers.NO.diffusion", "-0.003", "0 to 10000")),
        (("network", "sonata"), "nowhere.json", ("network.sonata", "nowhere.json", "existing file")),
        (("synapse", "rules", 0, "preset"), "cortical", ("synapse.rules.0.preset", "cortical", "cortical_slices")),
        (("synapse", "rules", 0, "gama_p"), 3, ("synapse.rules.0.gama_p", "'gamma_p'")),
        (("synapse", "rules", 0, "gamma_p"), -3, ("synapse.rules.0.gamma_p", "-3", "0 to 1e+07")),
        (("messengers",), {"NO": {"record": "NO"}}, ("synapse.rules.2", "senses 2-AG", "messengers.2-AG")),
        (("grid",), {"spacing": "4 um", "shape": [10, 10, 10]}, ("spine position", "inside the box", "um")),
        (("grid", "spacing"), "0.05 um", ("memory", "GB", "grid.spacing")),
        (("duration",), "1.0003 s", ("duration", "multiple")),
        (("messengers", "NO", "step"), "10.5 ms", ("messenger step", "multiple of dt")),
        (("neurons",), {"e": {}}, ("neurons", "class 'i'")),
        (("network", "schedule"), "eager", ("network.schedule", "eager", "'lazy'")),
        (("drive", "replay", "population"), "internal", ("drive.population", "external")),
        (("neurons", "exc"), {}, ("neurons", "exc", "e, i, default")),
        (("neurons", "e", "V_reset"), "-40 mV", ("neurons.e.V_reset", "-40 mV", "less than V_th (-50 mV)")),
        (("record", "every"), "3 ms", ("record.every", "multiple of the shortest field step (10 ms)")),
        (("synapse", "p_range"), [0.9, 0.1], ("synapse.p_range", "low before high")),
        (("synapse", "p_release"), 0.001, ("synapse.p_release", "0.01 to 0.95")),
        (("synapse", "rules", 0), {"model": "hill_synthesis"}, ("synapse.rules.0.makes", "missing")),
        (("network", "plastic"), {"ei": "x"}, ("network.plastic", "selects no synapse", "['e', 'i']")),
        (("network", "plastic_edges"), ["internal"], ("network.plastic_edges", "'internal_to_internal'")),
        (("grid", "origin"), [0, 0, 0], ("grid.origin", "together with a shape")),
        (("grid", "matrix"), {"density": -1}, ("grid.matrix.density = '-1'", "0 to 10")),
        (("reactions",), [{"source": "NO", "product": "NO", "rate": "1 1/s"}], ("reactions.0.product", "another")),
        (("interventions",), [{"drug": "AM251", "dose": "1 uM", "from": "-1 s"}], ("interventions.0.from = '-1",)),
        (("interventions",), [{"drug": "AM251", "dose": "1 uM", "untill": "1 s"}], ("'until'",)),
        (("interventions",), [{"target": "messengers.NO.los", "multiply": 3}],
         ("messengers.NO.los", "'messengers.NO.loss'")),
    ],
)
def test_a_wrong_value_is_named(config, keys, value, parts):
    with pytest.raises(InputError) as caught:
        build(load_config(_spoil(config, *keys, value=value)), config)
    text = str(caught.value)
    assert all(part in text for part in parts), text
    assert "Allowed:" in text and "To fix:" in text and "quickstart.yaml" in text


@pytest.mark.parametrize(("keys", "value"), [
    (("duration",), "1.0003 s"), (("neurons",), {"e": {}}), (("drive", "replay", "population"), "internal"),
    (("sleep", "stages"), {"W": {}}), (("interventions",), [{"target": "messengers.NO", "multiply": 3}]),
])
def test_check_refuses_what_a_run_would_refuse(config, keys, value):
    with pytest.raises(InputError, match=keys[0]):
        print_check(load_config(_spoil(config, *keys, value=value)), config, Console(quiet=True))


def test_check_warns_of_what_does_nothing(config):
    _spoil(config, "interventions", value=[{"drug": "AM251", "dose": "1 uM", "from": "61 s"}])
    found = warnings(make_plan(load_config(_spoil(config, "messengers", "2-AG", "step", value="100 s")), config))
    assert any("interventions.0 begins at 61 s, when the run has ended" in text for text in found), found
    assert any("2-AG steps every 100000 ms" in text for text in found), found


def test_check_says_where_an_intervention_between_two_field_steps_goes(config):
    _spoil(config, "interventions", value=[{"drug": "AM251", "dose": "1 uM", "from": "12 ms", "until": "1 s"}])
    found = [text for text in warnings(make_plan(load_config(config), config)) if "interventions" in text]
    assert len(found) == 1 and "interventions.0.from is 12 ms" in found[0] and "it becomes 10 ms" in found[0]


@pytest.mark.parametrize(("text", "part"), [
    ("duration.x=3", "duration is '60 s'"), ("synapse.rules.9.model=x", "0 to 2"), ("synapse.rules.a=3", "'a'"),
    ("synapse.rules.0=[", "a value as YAML has it"), ("synapse.rules.-1=3", "'-1'"), ("duration", "name.of.key=value"),
])
def test_an_override_that_goes_nowhere(config, text, part):
    with pytest.raises(InputError) as caught:
        load_config(config, [text])
    assert caught.value.field == "--set" and part in str(caught.value)


def test_not_a_number_in_the_weights(config):
    with h5py.File(config.parent / EDGES, "r+") as file:
        file["edges/internal_to_internal/0/syn_weight"][17] = float("nan")
    with pytest.raises(InputError, match="syn_weight.*17|17.*syn_weight"):
        make_plan(load_config(config), config)


def test_truncated_file(config):
    path = config.parent / EDGES
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(InputError, match="truncated"):
        make_plan(load_config(config), config)


def test_missing_config():
    with pytest.raises(InputError, match="quickstart.yaml"):
        load_config(SHIPPED / "quikstart.yaml")


def test_resolved_config_loads_to_the_same_config(config, tmp_path):
    from retrojax.io.config import dump_config

    first = load_config(config)
    (tmp_path / "resolved.yaml").write_text(dump_config(first))
    assert load_config(tmp_path / "resolved.yaml") == first


def test_a_refused_config_leaves_no_folder(config, tmp_path):
    from retrojax.io.run import start_run

    wrong = load_config(_spoil(config, "neurons", value={"e": {}}))
    with pytest.raises(InputError, match="class 'i'"):
        start_run(wrong, config, tmp_path / "out", lambda progress: None)
    assert not (tmp_path / "out").exists()
