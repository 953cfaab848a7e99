"""`retrojax describe`: what a part computes, and where its numbers come from."""

import inspect

from rich.console import Console
from rich.table import Table

from retrojax import protocols
from retrojax.errors import InputError
from retrojax.messengers import catalogue, describe_record
from retrojax.parts.catalogue import PARTS, Part, find_part

KINDS = ("messenger", "rule", "release", "spine", "neuron", "protocol")


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
    else:
        _part(str(name), find_part(str(name), kind, "name"), console)


def _names(kind: str) -> list[str]:
    if kind == "messenger":
        return list(catalogue())
    if kind == "protocol":
        return [name for name in protocols.__all__ if name != "Protocol"]
    return [name for name, part in PARTS.items() if part.kind == kind]


def _contents(kinds: tuple[str, ...], console: Console) -> None:
    for kind in kinds:
        console.print(f"[bold]{kind}[/]: {', '.join(_names(kind))}")
    console.print(f"\nMore: retrojax describe {kinds[0]} {_names(kinds[0])[0]}", highlight=False)


def _messenger(name: str, console: Console) -> None:
    records = catalogue()
    if name not in records:
        raise InputError("name", name, ", ".join(records), "choose one of these")
    record = records[name]
    console.print(f"[bold]{record.name}[/]: da/dt = D* lap(a) - k a + S, D* = D/tortuosity^2, a = volume_fraction x c; "
                  "S from rate x h, tau dh/dt = Ca^n/(K^n + Ca^n) - h", soft_wrap=True)
    table = Table("parameter", "value", "unit", "range", "status", "source")
    for row in describe_record(record):
        shown = "" if row.range is None else f"{row.range[0]:g} - {row.range[1]:g}"
        table.add_row(row.parameter, f"{row.value:.6g}", row.unit, shown, _mark(row.status), row.source)
    console.print(table)


def _part(name: str, part: Part, console: Console) -> None:
    console.print(f"[bold]{name}[/] ({part.kind})\n")
    console.print(inspect.getdoc(part.cls) or "", markup=False, highlight=False)
    table = Table("parameter", "default", "unit", "range", "status", "source")
    for key, entry in part.parameters.items():
        default = part.default(key)
        value = f"{default:.6g}" if isinstance(default, int | float) else ("from the record" if default is None else "")
        table.add_row(key, value, entry.unit, f"{entry.low:g} - {entry.high:g}", _mark(entry.status), entry.source)
    console.print(table)
    if part.presets:
        console.print("presets: " + ", ".join(part.presets), highlight=False)


def _protocol(name: str, console: Console) -> None:
    if name not in _names("protocol"):
        raise InputError("name", name, ", ".join(_names("protocol")), "choose one of these")
    function = getattr(protocols, name)
    console.print(f"[bold]{name}[/]{inspect.signature(function)}\n", highlight=False)
    console.print(inspect.getdoc(function) or "", markup=False, highlight=False)


def _mark(status: str) -> str:
    return status if status in ("published", "computed") else f"[yellow]{status}[/]"
