"""Data from a file as a pydantic model; every mistake as one sentence with its cure, wrong names with the nearest."""

import difflib
from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic import AliasChoices, BaseModel, ValidationError

from retrojax.errors import InputError

Model = TypeVar("Model", bound=BaseModel)
BRANCHES = ("float", "str", "PartChoice")


def proposal(name: str, known: Iterable[str], otherwise: str) -> str:
    """What to do about a wrong `name`: the nearest of `known` in any case, or `otherwise` if none is near."""
    by_lower = {right.lower(): right for right in known}
    near = difflib.get_close_matches(name.lower(), list(by_lower), 1, 0.4)
    return f"did you mean '{by_lower[near[0]]}'?" if near else otherwise


def require_known(name: str, known: Iterable[str], field: str) -> None:
    """Nothing, if `name` is one of `known`; else an `InputError` that proposes the nearest."""
    names = list(known)
    if name not in names:
        raise InputError(field, name, ", ".join(names) or "none", proposal(name, names, "choose one of these"))


def validate(
    model: type[Model], data: dict, file: object = None, example: str = "see configs/quickstart.yaml"
) -> Model:
    """`data` as `model`.

    **Arguments**

    - `model`: a pydantic model. `data`: what the file holds. `file`: named in the error text.
    - `example`: where a user finds keys that are missing.

    **Raises** `InputError` about the first complaint, with its dotted path.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise _as_input_error(error, model, file, example) from None


def _as_input_error(error: ValidationError, model: type[BaseModel], file: object, example: str) -> InputError:
    first = error.errors()[0]
    # `value: float | str` adds the branch that failed to the path, a wrong key adds `[key]`; the user knows only the
    # keys of the file
    steps = [str(step) for step in first["loc"] if step not in BRANCHES and "[" not in str(step)]
    where = ".".join(steps) or "config"
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, InputError):
        if cause.file is not None:  # about a file that the config names
            return cause
        named = cause.field in steps or steps[-1:] == _spellings(_model_at(model, steps[:-1])).get(cause.field)
        inner = [] if named else [cause.field]
        return InputError(".".join(steps + inner), cause.value, cause.allowed, cause.cure, file)
    if first["type"] == "extra_forbidden":
        parent = _model_at(model, steps[:-1])
        names = [*parent.model_fields, *(name for other in _spellings(parent).values() for name in other)]
        return InputError(where, "unknown key", ", ".join(names), proposal(steps[-1], names, "remove it"), file)
    if first["type"] == "missing":
        return InputError(where, "missing", "a value", f"add this key ({example})", file)
    if first["type"] == "model_type":
        keys = ", ".join(_model_at(model, steps).model_fields)
        return InputError(where, first["input"], f"a table with {keys}", "write it with these keys", file)
    quoted = "put it in quotes: YAML reads no and yes as truth values"
    cure = quoted if isinstance(first["input"], bool) else "correct the value"
    return InputError(where, first["input"], first["msg"], cure, file)


def _model_at(model: type[BaseModel], steps: list[str]) -> type[BaseModel]:
    """The model whose keys stand at a dotted path of `model`."""
    for step in steps:
        if step in model.model_fields:
            model = _inner_model(model.model_fields[step].annotation) or model
    return model


def _spellings(model: type[BaseModel]) -> dict[str, list[str]]:
    """Field -> what else a file may call it, as `from` for `start`."""
    aliases = {name: field.validation_alias for name, field in model.model_fields.items()}
    return {name: [str(choice) for choice in alias.choices if choice != name] for name, alias in aliases.items()
            if isinstance(alias, AliasChoices)}


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation is or contains, as the `Point` of `list[Point]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = [_inner_model(part) for part in getattr(annotation, "__args__", ())]
    return next((found for found in inner if found), None)
