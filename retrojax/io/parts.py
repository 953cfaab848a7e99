"""Neurons and messengers of a config: names and units resolved, mistakes named."""

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from retrojax.engine.model import Cis, Maps, Messenger, Reaction, Saturable
from retrojax.errors import InputError
from retrojax.io.schema import MessengerSection, ReactionSection
from retrojax.messengers import SYNTHESIS_KINDS, MessengerRecord, load_record
from retrojax.parts.catalogue import PARTS, find_part
from retrojax.parts.choice import make_part, parameter
from retrojax.space import Binding
from retrojax.space.limits import Kind
from retrojax.units import check_range, to_unit
from retrojax.validation import proposal, require_known


def make_neurons(classes: dict[str, dict[str, Any]], kind: np.ndarray, file: Path | None = None) -> Any:
    """A LIF population from one parameter table per cell class; `default` serves classes not named."""
    part = find_part("lif", "neuron")
    missing = sorted(set(kind.tolist()) - set(classes))
    if missing and "default" not in classes:
        raise InputError("neurons", f"no entry for class '{missing[0]}'", "one table per class, or 'default'",
                         f"add neurons.{missing[0]}", file)
    for name in classes:
        require_known(name, (*sorted(set(kind.tolist())), "default"), "neurons")
    tables = {
        name: {key: parameter(part, key, value, f"neurons.{name}.{key}", file) for key, value in table.items()}
        for name, table in classes.items()
    }
    columns = {
        name: np.array([tables.get(cell, tables.get("default", {})).get(name, part.default(name)) for cell in kind])
        for name in part.parameters
    }
    endless = np.flatnonzero(columns["V_reset"] >= columns["V_th"])
    if endless.size:
        first = endless[0]
        raise InputError(f"neurons.{kind[first]}.V_reset", f"{columns['V_reset'][first]:g} mV",
                         f"less than V_th ({columns['V_th'][first]:g} mV)", "lower it: a spike would set off the next",
                         file)
    return part.cls(**columns)


def messenger_values(section: MessengerSection, file: Path | None = None) -> dict[str, Any]:
    """The messenger's record in base units, with the config's overrides."""
    record = load_record(section.record)
    values = {**record.base()._asdict(), "space": record.space, "enabled": record.enabled}
    given = section.model_dump(exclude={"record", "synthesis"}, exclude_none=True)
    given |= {"flow": None, "binding": _sites(section, record, file)}
    _check_cis(given, record.family, file)
    if "diffusion" in given:
        given["diffusion_free"] = given.pop("diffusion")
    values.update(given)
    values["diffusion"] = values["diffusion_free"] / values["tortuosity"] ** 2
    return values


def _sites(section: MessengerSection, record: MessengerRecord, file: Path | None) -> tuple[Binding, ...]:
    """Kinds of sites that a config names, with the record's numbers where it gives none."""
    found = []
    for name, site in section.binding.items():
        field, known, numbers = f"messengers.{section.record}.binding.{name}", record.binding.get(name), {}
        for key, unit in (("sites", "nM"), ("on_rate", "1/(nM*ms)"), ("off_rate", "1/ms")):
            value = getattr(site, key)
            if value is None and known is None:
                raise InputError(f"{field}.{key}", "missing", f"a number, or a site of the record: "
                                 f"{', '.join(record.binding) or 'it has none'}", f"give {key}", file)
            numbers[key] = getattr(known, key).to(unit) if value is None else value
        if site.internalisation > 0 and section.tonic != 0 and record.base().tonic > 0:
            raise InputError(f"{field}.internalisation", f"{site.internalisation:g} 1/ms",
                             "0 for a messenger with a tonic level", "set its tonic to 0, or leave internalisation out",
                             file)
        found.append(Binding.build(numbers["sites"], numbers["on_rate"], numbers["off_rate"], site.internalisation,
                                   site.recycling))
    return tuple(found)


def make_synthesis(name: str, values: dict[str, Any], choice: Any = None, file: Path | None = None) -> Any:
    """The rule that makes a messenger in every spine: the record's, or the part that a config names; None if none does.

    **Raises** `InputError` for a part that is no synthesis, or one of its parameters.
    """
    if choice == "none" or (choice is None and values["kind"] == "none"):
        return None
    if choice is not None:
        field = f"messengers.{name}.synthesis"
        known = [key for key in PARTS if key.endswith("_synthesis")]
        if choice.model not in known:
            raise InputError(f"{field}.model", choice.model, ", ".join(known), "choose one of these names", file)
        return make_part(choice.model_copy(update={"makes": name}), "rule", field, file)
    numbers = {key: values[key] for key in ("half_activation", "hill", "tau", "ca_scale")} | values["more"]
    numbers = {key: numbers[key] for key in SYNTHESIS_KINDS[values["kind"]]}
    amount = "molecules" if values["kind"] == "coincidence" else "rate"
    return PARTS[f"{values['kind']}_synthesis"].cls(name, **{amount: values["rate"]}, **numbers)


def make_reactions(sections: list[ReactionSection], names: list[str], file: Path | None = None) -> tuple[Reaction, ...]:
    """The reactions of a config between messengers `names`.

    **Raises** `InputError` for a messenger that the model lacks, or a rate that is missing, superfluous or of another
    kind.
    """
    return tuple(_reaction(section, names, f"reactions.{number}", file) for number, section in enumerate(sections))


def _reaction(section: ReactionSection, names: list[str], field: str, file: Path | None) -> Reaction:
    for key in ("source", "product", "catalyst"):
        if getattr(section, key) is not None and getattr(section, key) not in names:
            raise InputError(f"{field}.{key}", getattr(section, key), f"messengers: {', '.join(names) or 'none'}",
                             proposal(getattr(section, key), names, "add it under messengers"), file)
    if section.product == section.source:
        raise InputError(f"{field}.product", section.product, "another messenger than the source, or none",
                         "leave it out if the source is only lost", file)
    number = lambda name: None if name is None else names.index(name)  # noqa: E731
    kind: Any = "loss" if section.of_loss else "catalysed" if section.catalyst else \
        "second" if section.order == 2 else "first"
    if section.of_loss != (section.rate is None):
        allowed = "no rate, since the source's loss is one" if section.of_loss else "a rate"
        raise InputError(f"{field}.rate", section.rate, allowed, "write either a rate or `of_loss: true`", file)
    if section.of_loss and section.product is None:
        raise InputError(f"{field}.product", "missing", "a messenger", "name what the loss turns into", file)
    unit = "1/ms" if kind == "first" else "1/(nM*ms)"
    rate = 0.0 if section.rate is None else \
        check_range(to_unit(section.rate, unit, f"{field}.rate", file), 0, 1e6, unit, f"{field}.rate", file)
    return Reaction(names.index(section.source), number(section.product), kind, jnp.asarray(rate, float),
                    jnp.asarray(section.share, float), number(section.catalyst))


def make_messengers(
    values: dict[str, dict[str, Any]], reactions: tuple[Reaction, ...], maps: dict[str, Maps], kinds: dict[str, Kind]
) -> tuple[Messenger, ...]:
    """Messengers in their medium, with the tonic sources that keep up their resting levels.

        source = volume_fraction (k + Vmax/(Km + c)) c - what comes of other messengers at their resting levels >= 0

    with k all first-order loss and conversion. `kinds`: of transport.
    """
    found, names = [], list(values)
    for place, v in enumerate(values.values()):
        own = [r for r in reactions if r.source == place and r.kind == "first"]
        level, fraction = v["tonic"], v["volume_fraction"]
        lost = v["loss"] + sum(float(r.rate) for r in own) + v["vmax"] / (v["km"] + level)
        gained = 0.0
        for r in reactions:
            if r.product == place and r.kind in ("loss", "first"):
                other = values[names[r.source]]
                rate = float(r.rate) if r.kind == "first" else \
                    other["loss"] + other["vmax"] / (other["km"] + other["tonic"])
                gained += float(r.share) * rate * other["volume_fraction"] * other["tonic"]
        number = lambda x: jnp.asarray(x, float)  # noqa: E731
        found.append(Messenger(
            names[place], number(v["diffusion"]), number(v["loss"]), number(fraction),
            number(max(fraction * lost * level - gained, 0.0)) if level > 0 else None,
            Saturable(number(v["vmax"]), number(v["km"]), number(level)) if v["vmax"] > 0 else None,
            maps.get(names[place]), kinds[names[place]], v["binding"], v["flow"], _cis(v)))
    return tuple(found)


def _cis(values: dict[str, Any]) -> Cis | None:
    """The direct way of a messenger, if it has one."""
    if not values.get("f_cis"):
        return None
    number = lambda x: jnp.asarray(x, float)  # noqa: E731
    return Cis(number(values["f_cis"]), number(values["cis_volume"]), number(values.get("cis_loss", values["loss"])))


def _check_cis(given: dict[str, Any], family: str, file: Path | None) -> None:
    """Refuse a direct way that is none of a lipid, or has no volume."""
    for key in ("cis_volume", "cis_loss"):
        if key in given and "f_cis" not in given:
            raise InputError(key, given[key], "a number that goes with f_cis", "give f_cis too, or remove it", file)
    if given.get("f_cis") and family != "lipid":
        raise InputError("f_cis", given["f_cis"], f"0 for a {family}: membranes hand over lipids", "remove it", file)
    if given.get("f_cis") and "cis_volume" not in given:
        raise InputError("cis_volume", "missing", "the volume at the bouton in which the share f_cis acts [um^3]",
                         "add it, as 'cis_volume: 0.01 um^3'", file)


def total_loss(values: dict[str, dict[str, Any]], reactions: tuple[Reaction, ...]) -> dict[str, float]:
    """All first-order loss of every messenger at low concentration [1/ms]."""
    return {name: v["loss"] + v["vmax"] / v["km"] + sum(
        float(r.rate) for r in reactions if r.source == place and r.kind == "first")
        for place, (name, v) in enumerate(values.items())}
