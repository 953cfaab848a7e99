"""Parts as a config names them: numbers with units, a catalogue name, a preset, and what overrides it."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, WithJsonSchema

from retrojax.errors import InputError
from retrojax.parts.catalogue import Part, find_part
from retrojax.units import check_range, to_unit
from retrojax.validation import proposal


def quantity(unit: str, low: float | int, high: float | int) -> Any:
    """A number in `unit`, given as a number or as text with a unit."""

    def convert(value: object, info: Any) -> float:
        name = info.field_name or "value"
        return check_range(to_unit(value, unit, name), low, high, unit, name)

    schema = {"anyOf": [{"type": "number"}, {"type": "string"}], "description": f"{low:g} to {high:g} {unit}"}
    return Annotated[float, BeforeValidator(convert), WithJsonSchema(schema)]


class Section(BaseModel):
    """A part of a config: frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PartChoice(BaseModel):
    """A part by its catalogue name, a preset, and parameters that override it."""

    model_config = ConfigDict(extra="allow", frozen=True)
    model: str
    preset: str | None = None


def check_start(p_release: float, p_range: tuple[float, float], q: float, q_range: tuple[float, float]) -> None:
    """Nothing, if release probability and quantal amplitude start within their ranges; else an `InputError`."""
    for name, start, (low, high) in (("p_release", p_release, p_range), ("q", q, q_range)):
        if not low < high:
            raise InputError(f"{name[0]}_range", f"[{low:g}, {high:g}]", "low before high", "order the two")
        if not low <= start <= high:
            raise InputError(name, start, f"{low:g} to {high:g}, its range", "move it inside, or widen the range")


def make_part(choice: PartChoice, kind: str, field: str, file: Path | None = None) -> Any:
    """The part that a choice describes.

    **Raises** `InputError` for an unknown part, preset or parameter (with the nearest name), a wrong unit, or a value
    out of range.
    """
    part = find_part(choice.model, kind, f"{field}.model")
    values: dict[str, Any] = {}
    if choice.preset is not None:
        if choice.preset not in part.presets:
            raise InputError(f"{field}.preset", choice.preset, ", ".join(part.presets) or "none for this part",
                             "choose one of these names", file)
        values.update(part.presets[choice.preset])
    for name, value in (choice.model_extra or {}).items():
        values[name] = parameter(part, name, value, f"{field}.{name}", file)
    missing = [name for name in part.parameters if name not in values and not part.has_default(name)]
    if missing:
        raise InputError(f"{field}.{missing[0]}", "missing", f"a value, which {choice.model} has no default for",
                         "add this key", file)
    return part.cls(**values)


def parameter(part: Part, name: str, value: object, field: str, file: Path | None = None) -> Any:
    """One parameter in base units.

    **Raises** `InputError` for an unknown parameter (with the nearest name), a wrong unit, or a value out of range.
    """
    if name not in part.parameters:
        raise InputError(field, "unknown key", ", ".join(part.parameters),
                         proposal(name, part.parameters, "remove it"), file)
    entry = part.parameters[name]
    if entry.unit == "" or isinstance(part.default(name), bool):
        return value
    number = check_range(to_unit(value, entry.unit, field, file), entry.low, entry.high, entry.unit, field, file)
    return int(number) if name == "most_sites" else number
