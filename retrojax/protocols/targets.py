"""The parameters of a model by the names that protocols and configs use, as `messengers.NO.loss`."""

from collections.abc import Callable
from typing import Any

import equinox as eqx

from retrojax.engine.model import Model
from retrojax.engine.rows import Synapse
from retrojax.parts.catalogue import PARTS
from retrojax.validation import require_known

Place = Callable[[Any], Any]
"""Where a parameter is: a function of the model."""


def targets(model: Model | Synapse) -> dict[str, Place]:
    """Every parameter that something may change for a while, by name.

    `synthesis.<messenger>.<parameter>` and `rules.<part or receptor>.<parameter>`; of a network also `inhibition`,
    `messengers.<name>.<diffusion, loss, volume_fraction, tonic, vmax or f_cis>`,
    `reactions.<number>.<rate or share>`, `astrocytes.calcium.<parameter>`, `astrocytes.junctions.F`,
    `astrocytes.senses.<messenger>.rate`, `astrocytes.releases.<messenger>.G_T`, and `matrix.digested` and
    `matrix.shed`, the shares of the matrix and of its binding sites that are gone.
    """
    if isinstance(model, Synapse):
        return _of_rules(model, lambda s: s)
    found: dict[str, Place] = {"inhibition": lambda m: m.inhibition}
    for place, messenger in enumerate(model.messengers):
        for name in ("diffusion", "loss", "volume_fraction"):
            found[f"messengers.{messenger.name}.{name}"] = (
                lambda m, i=place, n=name: getattr(m.messengers[i], n))
        if messenger.cis is not None:
            found[f"messengers.{messenger.name}.f_cis"] = lambda m, i=place: m.messengers[i].cis.fraction
        if messenger.tonic is not None:
            found[f"messengers.{messenger.name}.tonic"] = lambda m, i=place: m.messengers[i].tonic
        if messenger.saturable is not None:
            found[f"messengers.{messenger.name}.vmax"] = lambda m, i=place: m.messengers[i].saturable.vmax
    for place in range(len(model.reactions)):
        found[f"reactions.{place}.rate"] = lambda m, i=place: m.reactions[i].rate
        found[f"reactions.{place}.share"] = lambda m, i=place: m.reactions[i].share
    if model.matrix is not None:
        found |= {"matrix.digested": lambda m: m.matrix.digested, "matrix.shed": lambda m: m.matrix.shed}
    return found | _of_astrocytes(model) | _of_rules(model.synapse, lambda m: m.synapse)


def _of_astrocytes(model: Model) -> dict[str, Place]:
    glia = model.astrocytes
    if glia is None:
        return {}
    names = [m.name for m in model.messengers]
    found: dict[str, Place] = {
        f"astrocytes.calcium.{name}": lambda m, n=name: getattr(m.astrocytes.cell, n) for name in vars(glia.cell)}
    if glia.junctions is not None:
        found["astrocytes.junctions.F"] = lambda m: m.astrocytes.junctions.F
    for place, sensor in enumerate(glia.sensors):
        found[f"astrocytes.senses.{names[sensor.messenger]}.rate"] = lambda m, i=place: m.astrocytes.sensors[i].rate
    for place, secretion in enumerate(glia.secretions):
        found[f"astrocytes.releases.{names[secretion.messenger]}.G_T"] = (
            lambda m, i=place: m.astrocytes.secretions[i].release.G_T)
    return found


def _of_rules(synapse: Synapse, where: Place) -> dict[str, Place]:
    found: dict[str, Place] = {}
    for place, rule in enumerate(synapse.rules):
        label = getattr(rule, "receptor", "") or next(
            (key for key, part in PARTS.items() if part.cls is type(rule)), type(rule).__name__)
        label = f"synthesis.{rule.makes}" if rule.makes else f"rules.{label}"
        for name in vars(rule):
            if eqx.is_inexact_array(getattr(rule, name)):
                found[f"{label}.{name}"] = lambda m, i=place, n=name: getattr(where(m).rules[i], n)
    return found


def conversions(model: Model | Synapse) -> dict[str, tuple[str, ...]]:
    """What makes one messenger of another, as `conversions.proBDNF.BDNF`: the targets that every such reaction goes by,
    its rate, or its share of the source's loss."""
    found: dict[str, tuple[str, ...]] = {}
    if isinstance(model, Synapse):
        return found
    for place, reaction in enumerate(model.reactions):
        if reaction.product is not None:
            source, product = (model.messengers[k].name for k in (reaction.source, reaction.product))
            label, which = f"conversions.{source}.{product}", "share" if reaction.kind == "loss" else "rate"
            found[label] = (*found.get(label, ()), f"reactions.{place}.{which}")
    return found


def find_target(model: Model | Synapse, name: str, field: str) -> Place:
    """The place called `name`. **Raises** `InputError` naming the nearest if the model has no such parameter."""
    known = targets(model)
    require_known(name, known, field)
    return known[name]
