"""`retrojax describe`: what a part computes, and where its numbers come from."""

import inspect

from rich.console import Console

from retrojax import protocols
from retrojax.errors import InputError
from retrojax.messengers import MessengerRecord, catalogue, describe_record, load_record, sourced_values
from retrojax.parts.catalogue import PARTS, Part, find_part
from retrojax.protocols.pharmacology import TRACE, drugs, find_drug, half_dose

KINDS = ("messenger", "rule", "release", "spine", "neuron", "astrocyte", "protocol", "drug")


def print_description(kind: str | None, name: str | None, console: Console) -> None:
    """Print one entry of the catalogue, or the catalogue.

    **Raises** `InputError` for a kind or name that does not exist.
    """
    if kind is None or (name is None and kind in KINDS):
        _contents(KINDS if kind is None else (kind,), console)
    elif kind not in KINDS:
        raise InputError("kind", kind, ", ".join(KINDS), "choose one of these")
    elif kind == "messenger":
        _messenger(str(name), console)
    elif kind == "protocol":
        _protocol(str(name), console)
    elif kind == "drug":
        _drug(str(name), console)
    else:
        _part(str(name), find_part(str(name), kind, "name"), console)


def _names(kind: str) -> list[str]:
    if kind == "messenger":
        return list(catalogue())
    if kind == "protocol":
        return [name for name in protocols.__all__ if name != "Protocol"]
    return list(drugs()) if kind == "drug" else [name for name, part in PARTS.items() if part.kind == kind]


def _contents(kinds: tuple[str, ...], console: Console) -> None:
    for kind in kinds:
        console.print(f"[bold]{kind}[/]: {', '.join(_names(kind))}")
    console.print(f"\nMore: retrojax describe {kinds[0]} {_names(kinds[0])[0]}", highlight=False)


def _messenger(name: str, console: Console) -> None:
    record = load_record(name)
    console.print(f"[bold]{record.name}[/] ({record.family}): {_equation(record)}", soft_wrap=True, highlight=False)
    if not record.enabled:
        console.print("[yellow]Low confidence:[/] few or none of its numbers come from a source that was read",
                      soft_wrap=True)
    unsure = sum(entry.status == "unverified" for _, entry in sourced_values(record))
    console.print(f"{len(sourced_values(record))} numbers, {unsure} of them unverified (their source was not opened)\n",
                  highlight=False)
    for row in describe_record(record):
        _line(row.parameter, f"{row.value:.6g} {row.unit}", row.range, row.status, row.source, console)


def _equation(record: MessengerRecord) -> str:
    """Transport, loss and source of a messenger."""
    lost = "k a" if record.saturable is None else "k a - volume_fraction Vmax c/(Km + c)"
    sink = "k follows the volume fraction (uptake)" if record.sink_kind == "surface" else "k is that of the fluid"
    text = f"da/dt = D* lap(a) - {lost} + S, D* = D/tortuosity^2, a = volume_fraction x c; {sink}"
    if record.synthesis is None:
        return f"{text}; spines do not make it"
    if record.synthesis.kind == "hill":
        return f"{text}; S from rate x h, tau dh/dt = Ca^n/(K^n + Ca^n) - h"
    return f"{text}; S as in `retrojax describe rule {record.synthesis.kind}_synthesis`"


def _part(name: str, part: Part, console: Console) -> None:
    console.print(f"[bold]{name}[/] ({part.kind})\n")
    console.print(inspect.getdoc(part.cls) or "", markup=False, highlight=False, soft_wrap=True)
    console.print()
    for key, entry in part.parameters.items():
        default = part.default(key)
        value = f"{default:.6g} {entry.unit}" if isinstance(default, int | float) else "no default"
        _line(key, value, (entry.low, entry.high), entry.status, entry.source, console)
    if part.presets:
        console.print("presets: " + ", ".join(part.presets), highlight=False)


def _protocol(name: str, console: Console) -> None:
    if name not in _names("protocol"):
        raise InputError("name", name, ", ".join(_names("protocol")), "choose one of these")
    function = getattr(protocols, name)
    console.print(f"[bold]{name}[/]{inspect.signature(function)}\n", highlight=False)
    console.print(inspect.getdoc(function) or "", markup=False, highlight=False, soft_wrap=True)


def _drug(name: str, console: Console) -> None:
    drug = find_drug(name, "name")
    console.print(f"[bold]{name}[/]: {drug.kind}" + (f"; {drug.note}" if drug.note else ""), soft_wrap=True)
    sourced = [("dose", drug.dose), ("onset", drug.onset), ("washout", drug.washout)]
    for effect in drug.effects:
        sourced += [(f"{target} {effect.mode}", effect.value) for target in effect.targets]
    for label, value in sourced:
        if value is not None:
            _line(label, f"{value.number:.6g} {value.unit}", value.range, value.status,
                  ": ".join(text for text in (", ".join(value.source.keys), value.source.note) if text), console)
    first = drug.effects[0]
    half = None if drug.dose is None else half_dose(first, drug.dose)
    if half is not None and first.value.number > 0:
        console.print(f"at dose d: multiplied by 1 / (1 + (d / {half:.3g} nM)^{first.hill:g})", highlight=False)
    elif half is not None:
        console.print(f"at a lower dose: half is left at {half:.3g} nM, by the shape of a curve that would leave "
                      f"{TRACE:.0%} at that above - a choice, no IC50 follows from a whole block", highlight=False,
                      soft_wrap=True)


def _line(name: str, value: str, allowed: tuple | None, status: str, source: str, console: Console) -> None:
    """One parameter: value, range and status; its source on the next line."""
    value = value.removesuffix(" 1")  # a pure number needs no unit
    colour = "green" if status in ("published", "computed") else "yellow"
    span = "" if allowed is None else f"  ({allowed[0]:g} to {allowed[1]:g})"
    console.print(f"[bold]{name}[/] = {value}{span}  [{colour}]{status}[/]", highlight=False, soft_wrap=True)
    if source:
        console.print(f"    {source}", highlight=False, markup=False, style="dim", soft_wrap=True)
