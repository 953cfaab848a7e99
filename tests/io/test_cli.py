"""The command line as a user meets it."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from retrojax.cli.main import app, main
from retrojax.messengers import catalogue
from retrojax.parts.catalogue import PARTS

CONFIG = str(Path(__file__).parents[2] / "configs" / "quickstart.yaml")


def _output(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


@pytest.mark.parametrize(("kind", "name"), [*((part.kind, name) for name, part in PARTS.items()),
                                            *(("messenger", name) for name in catalogue()), ("protocol", "bursts")])
def test_describe_every_entry(kind, name):
    text = _output("describe", kind, name)
    assert len(text.splitlines()) > 5
    for key in PARTS[name].parameters if name in PARTS else ():
        assert f"{key} = " in text


def test_the_three_calibrations_are_marked():
    for words, line in ((("messenger", "no"), "ca_scale = "), (("messenger", "ag2"), "terms.S = "),
                        (("rule", "nitric_oxide"), "eta_NO = ")):
        found = [row for row in _output("describe", *words).splitlines() if line in row]
        assert found and "calibration" in found[0], (words, found)


def test_cite_names_what_the_config_uses():
    text = _output("cite", CONFIG)
    for key in ("Graupner2012", "Cui2016", "Dai2020", "Vallat2021", "Xie2013"):
        assert f"{{{key}," in text


def test_check_prints_sizes_clocks_and_reach():
    text = _output("check", CONFIG)
    for piece in ("300 neurons", "18616 plastic", "29816 fixed", "39.8", "8.3", "total", "no-flux",
                  "NO: grid; a reach of 39.8 um is", "products with matrices", "of a no-flux wall, which mirrors them"):
        assert piece in text


def test_a_path_that_cannot_be_written_is_one_sentence(monkeypatch, capsys, tmp_path):
    (tmp_path / "file").write_text("")
    for words in (("run", CONFIG), ("fit", CONFIG.replace("quickstart", "fit_sjostrom"))):
        monkeypatch.setattr("sys.argv", ["retrojax", *words, "--out", str(tmp_path / "file" / "x")])
        with pytest.raises(SystemExit) as caught:
            main()
        text = capsys.readouterr().err
        assert caught.value.code == 1 and "Traceback" not in text
        assert "Not a directory" in text and "To fix: check the path" in text, text


def test_an_error_is_one_sentence_and_status_one(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["retrojax", "run", CONFIG, "--set", "dt=1 mV"])
    with pytest.raises(SystemExit) as caught:
        main()
    text = capsys.readouterr().err
    assert caught.value.code == 1
    assert "quickstart.yaml: dt = '1 mV'" in text and "To fix:" in text and "Traceback" not in text
