"""Records from YAML; every mistake named with its dotted path and its file."""

import functools
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from retrojax.errors import InputError
from retrojax.messengers.citations import bibtex
from retrojax.messengers.record import MessengerRecord, Sourced
from retrojax.validation import require_known, validate

RECORD_SUFFIXES = (".yaml", ".yml")
"""What the name of a record of one's own ends in."""


def load_record(name_or_path: str | Path) -> MessengerRecord:
    """A messenger of the catalogue by id or name (any case), or the record in a YAML file of one's own.

    **Raises** `InputError` for an unknown name (with the nearest), a missing or unreadable file, an unknown key, a
    wrong unit, a value out of range or a citation key that neither the package nor the record's `references` holds.
    """
    path = Path(name_or_path)
    if path.suffix in RECORD_SUFFIXES:
        if not path.is_file():
            raise InputError("messenger record", str(path), "an existing YAML file", "check the path")
        return _record(path.read_text(encoding="utf-8"), path)
    known = catalogue()
    names = {alias.lower(): record for record in known.values() for alias in (record.id, record.name)}
    wanted = str(name_or_path)
    if wanted.lower() not in names:
        require_known(wanted, (r.name for r in known.values()), "messenger")
    return names[wanted.lower()]


@functools.cache
def _shipped() -> tuple[MessengerRecord, ...]:
    files = sorted(resources.files("retrojax.messengers").iterdir(), key=lambda f: f.name)
    records = [f for f in files if f.name.endswith(".yaml") and f.name != "citations.yaml"]
    return tuple(_record(f.read_text(encoding="utf-8"), f.name) for f in records)


def catalogue() -> dict[str, MessengerRecord]:
    """The records that come with the package, by id."""
    return {record.id: record for record in _shipped()}


def _record(text: str, file: object) -> MessengerRecord:
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError("messenger record", str(file), "valid YAML", " ".join(str(error).split()), file) from None
    if not isinstance(data, dict):
        raise InputError("messenger record", type(data).__name__, "keys and values", "start from a shipped one", file)
    record = validate(MessengerRecord, data, file, "the shipped records show how")
    try:
        bibtex(cited_keys(record), record.references)
    except InputError as error:
        raise InputError(error.field, error.value, error.allowed, f"{error.cure} Or add it under 'references'.",
                         file) from None
    return record


def cited_keys(record: MessengerRecord) -> list[str]:
    """Every citation key that a record names, sorted."""
    return sorted({key for _, entry in sourced_values(record) for key in entry.source.keys})


def sourced_values(item: Any, path: str = "") -> list[tuple[str, Sourced]]:
    """(dotted path, value) of every number in a record, in the record's order."""
    if isinstance(item, Sourced):
        return [(path, item)]
    if isinstance(item, BaseModel):
        item = {name: getattr(item, name) for name in type(item).model_fields}
    if not isinstance(item, dict):
        return []
    prefix = f"{path}." if path else ""
    return [found for name, value in item.items() for found in sourced_values(value, prefix + name)]
