"""Whose account of the extracellular space in sleep a config follows."""

from pathlib import Path

import pytest
import yaml

from retrojax.errors import InputError
from retrojax.io.build import model_of
from retrojax.io.citing import citations
from retrojax.io.config import RunConfig, load_config
from retrojax.io.plan import make_plan

QUICKSTART = Path(__file__).parents[2] / "configs" / "quickstart.yaml"


@pytest.fixture
def sleeping(tmp_path):
    """The quickstart's config with another section on sleep."""
    def write(**changed) -> RunConfig:
        data = yaml.safe_load(QUICKSTART.read_text())
        data["network"]["sonata"] = str(QUICKSTART.parent / data["network"]["sonata"])
        data["drive"]["replay"]["spikes"] = str(QUICKSTART.parent / data["drive"]["replay"]["spikes"])
        data["sleep"]["hypnogram"] = str(QUICKSTART.parent / data["sleep"]["hypnogram"])
        data["sleep"] |= changed
        (tmp_path / "config.yaml").write_text(yaml.safe_dump({k: v for k, v in data.items() if v is not None}))
        return load_config(tmp_path / "config.yaml")
    return write


@pytest.mark.parametrize("account, awake, asleep", [("Xie2013", 0.14, 0.23), ("Miao2024", 0.20, 0.20)])
def test_every_stage_of_an_account_has_its_volume_fraction_and_its_citation(sleeping, account, awake, asleep):
    config = sleeping(volume_fraction=account)
    found = {name: stage.volume_fraction for name, stage in config.sleep.stages.items()}
    assert found == {"W": awake, "N1": asleep, "N2": asleep, "N3": asleep, "REM": awake}
    assert account in citations(config)
    model, patches, _ = model_of(make_plan(config))
    ticks = {name: tick for tick, name in patches.stages}
    for name, fraction in (("W", awake), ("N2", asleep)):
        held = {m.name: float(m.volume_fraction) for m in patches.apply(model, ticks[name]).messengers}
        assert held == {"NO": 1.0, "2-AG": pytest.approx(fraction)}  # a gas passes through cells


def test_a_stage_s_own_value_comes_first_and_none_means_as_awake(sleeping):
    stages = {"W": {}, "N1": {"volume_fraction": 0.18}, "N2": {}, "N3": {}, "REM": {}}
    assert sleeping(volume_fraction="Xie2013", stages=stages).sleep.stages["N1"].volume_fraction == 0.18
    assert sleeping(volume_fraction=None, stages=stages).sleep.stages["N2"].volume_fraction is None


def test_an_unknown_account_is_refused(sleeping):
    with pytest.raises(InputError, match=r"sleep\.volume_fraction.*Xie2014.*'Xie2013' or 'Miao2024'"):
        sleeping(volume_fraction="Xie2014")
