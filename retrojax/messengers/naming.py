"""A wrong name answered with the nearest right one."""

import difflib
from collections.abc import Iterable

from retrojax.errors import InputError


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
