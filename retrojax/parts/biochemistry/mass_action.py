"""Mass-action kinetics from a list of reactions."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax.numpy as jnp

from retrojax.errors import InputError
from retrojax.types import PerRow


class Reaction(NamedTuple):
    """`left` -> `right`, names of species; a species that stands on both sides is a catalyst."""

    left: tuple[str, ...]
    right: tuple[str, ...]


def reactions(text: str) -> tuple[Reaction, ...]:
    """One reaction per line, "A + B <-> C" or "C -> D + E"; "<->" gives two, forward first; "0" is nothing.

    **Raises** `InputError` at a line without an arrow.
    """
    found: list[Reaction] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        left, arrow, right = line.partition("<->") if "<->" in line else line.partition("->")
        if not arrow:
            raise InputError("reactions", line, "lines like 'A + B <-> C' or 'A -> 0'", "write the arrow")
        sides = [tuple(name.strip() for name in side.split("+") if name.strip() != "0") for side in (left, right)]
        found.append(Reaction(*sides))
        if arrow == "<->":
            found.append(Reaction(*reversed(sides)))
    return tuple(found)


def mass_action(
    network: Sequence[Reaction], rates: Sequence[PerRow], amounts: Mapping[str, PerRow]
) -> dict[str, PerRow]:
    """Derivative of every species in `amounts` that takes part.

    **Arguments**

    - `network`: reactions. `rates`: one constant each [1/time, or 1/(concentration time) for two reactants].
    - `amounts`: concentrations by name.
    """
    change: dict[str, PerRow] = {}
    for reaction, rate in zip(network, rates, strict=True):
        speed = rate
        for name in reaction.left:
            speed = speed * amounts[name]
        for name in reaction.left:
            change[name] = change.get(name, jnp.zeros(())) - speed
        for name in reaction.right:
            change[name] = change.get(name, jnp.zeros(())) + speed
    return change
