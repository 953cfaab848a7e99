"""A messenger of one's own, as a YAML file beside the config, is found from everywhere and belongs to the run."""

import shutil
from pathlib import Path

import pytest
import yaml

import retrojax.messengers
from retrojax.errors import InputError
from retrojax.io.citing import citations
from retrojax.io.config import dump_config, load_config
from retrojax.io.parts import messenger_values
from retrojax.io.run import inputs_fingerprint, settings_fingerprint

SHIPPED = Path(__file__).parents[2] / "configs"


@pytest.fixture
def config(tmp_path):
    """The quickstart with nitric oxide from a file of its own, whose loss is another."""
    shutil.copytree(SHIPPED / "quickstart", tmp_path / "quickstart")
    data = yaml.safe_load((SHIPPED / "quickstart.yaml").read_text())
    data["messengers"]["NO"]["record"] = "mine.yaml"
    (tmp_path / "quickstart.yaml").write_text(yaml.safe_dump(data))
    record = yaml.safe_load((Path(retrojax.messengers.__file__).parent / "no.yaml").read_text())
    record["loss"] = {"value": 7, "unit": "1/s", "status": "calibration", "source": {"note": "a choice"}}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(record))
    return tmp_path / "quickstart.yaml"


def test_it_is_found_from_another_folder_and_after_a_resume(config, tmp_path, monkeypatch):
    (tmp_path / "run").mkdir()
    monkeypatch.chdir(tmp_path / "run")
    first = load_config(config)
    resolved = tmp_path / "run" / "config.resolved.yaml"
    resolved.write_text(dump_config(first))
    for loaded, file in ((first, config), (load_config(resolved), resolved)):
        assert messenger_values(loaded.messengers["NO"], file)["loss"] == pytest.approx(0.007)
        assert "Santos2011a" in citations(loaded)


def test_one_that_is_not_there_is_refused(config):
    (config.parent / "mine.yaml").unlink()
    with pytest.raises(InputError, match=r"messengers\.NO\.record.*relative to the config's folder"):
        load_config(config)


def test_a_changed_record_is_a_changed_input(config):
    before = inputs_fingerprint(load_config(config))
    (config.parent / "mine.yaml").write_text((config.parent / "mine.yaml").read_text() + "# changed\n")
    assert inputs_fingerprint(load_config(config)) != before


def test_settings_differ_by_what_can_change_a_result(config, tmp_path):
    before = settings_fingerprint(load_config(config))
    assert settings_fingerprint(load_config(config, ["checkpoint.every=3 s"])) == before
    for change in ("duration=61 s", "seed=3", "messengers.NO.loss=1 1/s", "network.devices=2", "dt=0.5 ms"):
        assert settings_fingerprint(load_config(config, [change])) != before, change
    moved = shutil.copytree(config.parent, tmp_path / "moved", ignore=shutil.ignore_patterns("moved"))
    assert settings_fingerprint(load_config(moved / config.name)) == before
