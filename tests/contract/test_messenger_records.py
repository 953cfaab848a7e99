"""Messenger records: every number sourced, base units right, a new messenger by file alone, mistakes named."""

import inspect
import math
from importlib import resources

import jax.numpy as jnp
import pytest
import yaml

from retrojax.errors import InputError
from retrojax.io.parts import make_synthesis
from retrojax.messengers import (
    SYNTHESIS_KINDS,
    bibtex,
    catalogue,
    cited_keys,
    describe_record,
    load_record,
    references,
    sourced_values,
    synthesis_rate,
)
from retrojax.parts import CB1, NitricOxidePotentiation
from retrojax.parts.catalogue import PARTS

IDS = ("aa", "adenosine", "aea", "ag2", "atp", "bdnf", "co", "dserine", "dynorphin", "glioglutamate", "h2s", "no",
       "oxytocin", "paf", "probdnf", "vasopressin")


def shipped(name: str) -> dict:
    return yaml.safe_load(resources.files("retrojax.messengers").joinpath(f"{name}.yaml").read_text(encoding="utf-8"))


def written(tmp_path, data: dict):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


def error_of(tmp_path, data: dict) -> str:
    with pytest.raises(InputError) as caught:
        load_record(written(tmp_path, data))
    assert "mine.yaml" in str(caught.value)
    return str(caught.value)


def test_catalogue_names():
    assert tuple(sorted(catalogue())) == IDS
    assert load_record("NO") is load_record("no") is catalogue()["no"]
    assert load_record("2-AG") is catalogue()["ag2"]
    with pytest.raises(InputError, match="did you mean '2-AG'"):
        load_record("2AG")


@pytest.mark.parametrize("name", IDS)
def test_every_number_has_a_source_a_status_and_lies_in_its_range(name):
    # Counted in the file itself, so that a number outside a `Sourced` would show.
    def numbers(item, key=""):
        if isinstance(item, dict):
            return sum(numbers(value, key) for key, value in item.items())
        return int(isinstance(item, int | float) and key == "value")

    entries = sourced_values(load_record(name))
    assert len(entries) == numbers(shipped(name)) >= 5
    for path, entry in entries:
        assert entry.source.keys or entry.source.note, path
        assert entry.status in ("published", "computed", "calibration", "unverified")
        if entry.status in ("published", "computed"):
            assert entry.source.keys, path
        if entry.range is not None:
            assert entry.range[0] <= entry.number <= entry.range[1], path


def test_nitric_oxide_in_base_units():
    base = load_record("NO").base()
    assert base.diffusion_free == base.effective_diffusion == pytest.approx(2.2, rel=1e-12)
    assert base.loss == pytest.approx(math.log(2) / 500, rel=1e-12)
    assert base.reach == pytest.approx(39.8, abs=0.05)
    assert base.rate == pytest.approx(0.019, rel=1e-12)
    assert (base.volume_fraction, base.tortuosity, base.sink_kind, base.step) == (1, 1, "bulk", 10)
    assert (base.half_activation, base.hill, base.tau, base.ca_scale) == (1, 3, 100, 1)


def test_2ag_in_base_units():
    base = load_record("2-AG").base()
    assert 1e3 * base.effective_diffusion == pytest.approx(34.609375, rel=1e-12)
    assert base.loss == pytest.approx(5e-4, rel=1e-12)
    assert base.reach == pytest.approx(8.3, abs=0.05)
    assert 1e3 * base.rate == pytest.approx(602.214076 * 0.087 * 5, rel=1e-12)
    assert 1e3 * base.rate == pytest.approx(262, abs=0.05)
    assert (base.volume_fraction, base.sink_kind, base.step) == (0.2, "surface", 100)
    assert base.half_activation == pytest.approx((380 / 50) ** (1 / 6), abs=0.005)
    assert base.tau == pytest.approx(1e3 / 380, rel=1e-3)


@pytest.mark.parametrize(("name", "reach", "within"), [
    ("BDNF", 5.2, 0.06), ("dynorphin", 34, 0.5), ("adenosine", 23, 0.5), ("D-serine", 80, 1.0),
    ("anandamide", 2.94, 0.01)])
def test_reach_of_other_messengers(name, reach, within):
    assert load_record(name).base().reach == pytest.approx(reach, abs=within)


def test_sinks_are_bulk_for_gases_and_surface_for_what_cells_take_up():
    for record in catalogue().values():
        assert record.sink_kind == ("bulk" if record.family == "gas" else "surface")
        assert (record.space == "tissue") == (record.family == "gas")
    assert {name for name, record in catalogue().items() if not record.enabled} == {
        "aa", "co", "h2s", "oxytocin", "paf", "vasopressin"}


def test_resting_levels_and_saturable_loss_in_base_units():
    anandamide = load_record("anandamide").base()
    assert (anandamide.vmax, anandamide.km, anandamide.tonic) == pytest.approx((4.0, 1000.0, 6.1))
    assert anandamide.rate == pytest.approx(0.602214076 * 0.087 * 2)
    assert load_record("adenosine").base().tonic == 100
    atp = load_record("ATP").base()
    assert (atp.kind, atp.rate, atp.more) == ("none", 0.0, {})


@pytest.mark.parametrize("kind", SYNTHESIS_KINDS)
def test_every_kind_of_synthesis_is_a_part_with_those_numbers_and_units(kind):
    part = PARTS[f"{kind}_synthesis"]
    own = {"makes", "molecules" if kind == "coincidence" else "rate"}
    assert set(part.parameters) == own | set(SYNTHESIS_KINDS[kind])
    for name, unit in SYNTHESIS_KINDS[kind].items():
        assert part.parameters[name].unit == unit, name


@pytest.mark.parametrize("name", [name for name in IDS if name not in ("atp", "dserine", "glioglutamate")])
def test_every_record_makes_its_part(name):
    rule = make_synthesis(name, load_record(name).base()._asdict())
    base = load_record(name).base()
    assert type(rule) is PARTS[f"{base.kind}_synthesis"].cls and rule.makes == name
    assert float(rule.most(jnp.asarray(base.step))) > 0
    if base.kind == "train":
        assert float(rule.rate_half) == pytest.approx(0.01)
    if base.kind == "vesicular":
        assert (float(rule.tau), float(rule.tau_memory)) == (2e5, 1e4)


def test_a_user_messenger_of_another_kind_needs_only_a_file(tmp_path):
    data = shipped("dynorphin") | {"id": "mine", "name": "Mine", "tonic": {
        "value": "0.2 uM", "unit": "nM", "status": "calibration", "source": {"note": "mine"}}}
    assert load_record(written(tmp_path, data)).base().tonic == pytest.approx(200)
    del data["synthesis"]["more"]["tau_r"]
    assert "synthesis.more.tau_r = 'missing'" in error_of(tmp_path, data)
    data["synthesis"]["more"] |= {"tau_rr": shipped("dynorphin")["synthesis"]["more"]["tau_r"]}
    assert "did you mean 'tau_r'" in error_of(tmp_path, data)
    data["synthesis"] |= {"kind": "trains"}
    assert "did you mean 'train'" in error_of(tmp_path, data)


def test_effective_diffusion_follows_an_override():
    base = load_record("2-AG").base()._replace(tortuosity=2.0)
    assert base.effective_diffusion == pytest.approx(0.0886 / 4)


@pytest.mark.parametrize(
    "name, receptor, rule", [("NO", "sGC", NitricOxidePotentiation), ("2-AG", "CB1", CB1)]
)
def test_receptor_numbers_are_the_defaults_of_the_rule(name, receptor, rule):
    defaults = {k: p.default for k, p in inspect.signature(rule.__init__).parameters.items()}
    table = load_record(name).receptor(receptor)
    shared = set(table) & set(defaults)
    assert len(shared) >= 6
    for key in shared:
        assert table[key] == pytest.approx(defaults[key], rel=1e-9), key
    if receptor == "CB1":
        assert defaults["phi"] in (table["phi_glu"], table["phi_gaba"])


def test_user_messenger_needs_only_a_file(tmp_path):
    data = shipped("ag2")
    own = {"keys": ["Doe2030"], "note": "mine"}
    data |= {"id": "mine", "name": "Mine", "family": "peptide", "references": {"Doe2030": {"author": "Doe, J."}}}
    data["diffusion"] = {"value": "1.26e-6 cm^2/s", "unit": "um^2/s", "status": "published", "source": own}
    data["loss"]["value"] = "1e-1"
    data["synthesis"] |= {
        "rate_from": "rate",
        "terms": {"rate": {"value": 12, "unit": "molecules/s", "status": "calibration", "source": own}},
    }
    data["receptors"] = {"TrkB": {"kd": {"value": 0.1, "unit": "nM", "status": "unverified", "source": own}}}
    record = load_record(written(tmp_path, data))
    assert record.base().diffusion_free == pytest.approx(0.126)
    assert record.base().loss == pytest.approx(1e-4)
    assert synthesis_rate(record) == pytest.approx(0.012)
    assert record.receptor("TrkB") == {"kd": 0.1}
    assert "author = {Doe, J.}" in bibtex(cited_keys(record), record.references)


def test_rows_show_what_is_calibrated_and_what_is_unverified():
    rows = {row.parameter: row for name in IDS for row in describe_record(load_record(name))}
    for path in ("synthesis.ca_scale", "synthesis.terms.S", "synthesis.terms.N_nos", "receptors.CB1.eff_kon"):
        assert rows[path].status == "calibration", path
    for path in ("receptors.sGC.k_off", "receptors.sGC.V_GC", "receptors.CB1.n_ca"):
        assert rows[path].status == "unverified", path
    diffusion = {row.parameter: row for row in describe_record(load_record("NO"))}["diffusion"]
    assert (diffusion.value, diffusion.unit, diffusion.range) == (2200, "um^2/s", (848, 3300))
    assert diffusion.source.startswith("Santos2011a")
    assert rows["receptors.CB1.alpha"].value == 0.240195


def test_negative_numbers_are_refused(tmp_path):
    for field, allowed in (("diffusion", "0 to 10000 um^2/ms"), ("loss", "0 to 1000 1/ms")):
        data = shipped("no")
        del data[field]["range"]
        data[field]["value"] = -5
        text = error_of(tmp_path, data)
        assert f"{field}.value" in text and "-0.005" in text and f"Allowed: {allowed}" in text and "at least 0" in text
    data = shipped("no")
    data["receptors"]["sGC"]["k_off"] |= {"value": -1, "range": [-2, 2]}
    assert "receptors.sGC.k_off" in error_of(tmp_path, data)


def test_wrong_unit_is_refused(tmp_path):
    data = shipped("no")
    data["diffusion"]["unit"] = "mV"
    text = error_of(tmp_path, data)
    assert "diffusion.value = '2200" in text and "convertible to 'um^2/ms'" in text
    data = shipped("ag2")
    data["synthesis"]["terms"]["V_spine"]["unit"] = "um^2"
    assert "synthesis.terms.V_spine" in error_of(tmp_path, data)
    data = shipped("ag2")
    data["receptors"]["CB1"]["beta"]["value"] = "11 mV"
    assert "receptors.CB1.beta" in error_of(tmp_path, data)


@pytest.mark.parametrize(
    "place, wrong, right",
    [((), "difusion", "diffusion"), (("loss",), "rnage", "range"),
     (("synthesis",), "half_activaton", "half_activation"),
     (("synthesis", "terms"), "k_kat", "k_cat"), (("receptors", "sGC"), "EC5O", "ec50"),
     (("loss", "source"), "nots", "note"), (("synthesis", "tau", "source"), "key", "keys"),
     (("receptors", "sGC", "ec50"), "statu", "status")],
)
def test_unknown_key_proposes_the_nearest(tmp_path, place, wrong, right):
    data = shipped("no")
    inner = data
    for step in place:
        inner = inner[step]
    inner[wrong] = shipped("no")["receptors"]["sGC"]["ec50"]
    text = error_of(tmp_path, data)
    assert ".".join((*place, wrong)) in text and f"did you mean '{right}'?" in text


def test_other_mistakes_are_named(tmp_path):
    def changed(**fields):
        return error_of(tmp_path, shipped("no") | fields)

    base = shipped("no")
    assert "loss = 'missing'" in error_of(tmp_path, {k: v for k, v in base.items() if k != "loss"})
    assert "quotes" in changed(id=False)
    assert "value, unit, range, status, source" in changed(diffusion=2200)
    assert "sink_kind = 'both'" in changed(sink_kind="both")
    assert "'ecs'" in changed(volume_fraction=base["volume_fraction"] | {"value": 0.2})
    assert "diffusion.value" in changed(diffusion=base["diffusion"] | {"value": 5000})
    assert "diffusion.value" in changed(diffusion=base["diffusion"] | {"value": False})
    assert "[low, high]" in changed(diffusion=base["diffusion"] | {"range": [3, 2]})
    assert "diffusion.source" in changed(diffusion=base["diffusion"] | {"source": {"note": "I was told"}})
    text = changed(diffusion=base["diffusion"] | {"source": {"keys": ["Santos2010"]}})
    assert "did you mean 'Santos2011" in text and "references" in text
    assert "N_nos * k_cat" in changed(synthesis=base["synthesis"] | {"rate_from": "N_nos*kcat"})
    assert "synthesis.terms.S" in changed(synthesis=base["synthesis"] | {
        "rate_from": "V_spine * S", "terms": {"V_spine": shipped("ag2")["synthesis"]["terms"]["V_spine"]}})
    with pytest.raises(InputError, match="existing YAML file"):
        load_record(tmp_path / "nowhere.yaml")
    (tmp_path / "mine.yaml").write_text("a: [1")
    with pytest.raises(InputError, match="valid YAML"):
        load_record(tmp_path / "mine.yaml")


def test_bibtex_of_everything_cited():
    keys = {key for record in catalogue().values() for key in cited_keys(record)}
    keys |= {key for part in PARTS.values() for key in part.cites}
    text = bibtex(keys)
    assert len(keys) > 15 and text.count("\n@") + text.startswith("@") == len(keys)
    for key in keys:
        assert f"{{{key},\n" in text and str(references()[key]["year"]) == key.rstrip("ab")[-4:]
    assert r"Antioxidants \& Redox" in text
    assert bibtex(["Cui2016", "Cui2016"]).count("@article") == 1
    with pytest.raises(InputError, match="did you mean 'Cui2016'"):
        bibtex(["Cui2015"])
    with pytest.raises(InputError):
        bibtex("Cui2016")


def test_every_entry_is_complete():
    for key, fields in references().items():
        assert {"author", "title", "year"} <= set(fields), key
        assert fields.get("type", "article") != "article" or "journal" in fields, key
