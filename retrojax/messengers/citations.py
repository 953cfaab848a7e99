"""BibTeX of everything that records, rules and file formats cite."""

import functools
from collections.abc import Iterable, Mapping
from importlib import resources

import yaml

from retrojax.errors import InputError
from retrojax.validation import require_known

Entry = Mapping[str, str | int]


@functools.cache
def references() -> dict[str, dict[str, str | int]]:
    """Every entry that comes with the package: citation key -> BibTeX fields, and the kind of entry under `type`."""
    return yaml.safe_load(resources.files("retrojax.messengers").joinpath("citations.yaml").read_text(encoding="utf-8"))


def bibtex(keys: Iterable[str], more: Mapping[str, Entry] | None = None) -> str:
    """BibTeX entries of `keys`, each once, in alphabetical order.

    - `more`: entries of one's own (the `references` of a record); they win over the package's.

    **Raises** `InputError` for an unknown key (with the nearest) or a text in place of a list of keys.
    """
    if isinstance(keys, str):
        raise InputError("keys", keys, "a list of citation keys", f"write ['{keys}']")
    known = {**references(), **(more or {})}
    wanted = sorted(set(keys))
    for key in wanted:
        require_known(key, known, "citation key")
    return "\n\n".join(_entry(key, known[key]) for key in wanted)


def _entry(key: str, fields: Entry) -> str:
    lines = [f"  {name} = {{{_escaped(value)}}}" for name, value in fields.items() if name != "type"]
    return f"@{fields.get('type', 'article')}{{{key},\n" + ",\n".join(lines) + "\n}"


def _escaped(value: str | int) -> str:
    return str(value).replace("&", r"\&").replace("%", r"\%")
