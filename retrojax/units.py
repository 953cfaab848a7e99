"""Units, converted once at the edge.

Inside retrojax every array is in **ms, um, nM, mV, pA, nS, pF** and amounts in **molecules**. Text such as
`"3300 um^2/s"` becomes a number in those units here and nowhere else.
"""

import functools
import math
from typing import Any

import pint

from retrojax.errors import InputError

MOLECULES_PER_NM_UM3 = 0.602214076
"""Molecules in 1 um^3 at 1 nM (Avogadro's number x 1e-15 l x 1e-9 mol/l)."""


@functools.cache
def _registry() -> Any:  # a pint.UnitRegistry, whose generics beartype cannot evaluate on Python 3.12
    return pint.UnitRegistry()


def to_unit(value: object, unit: str, field: str, file: object = None) -> float:
    """The number that `value` is, in `unit`.

    **Arguments**

    - `value`: a number (taken to be in `unit` already) or text with a unit, as `"2 uM"`.
    - `unit`: the unit wanted, as `"nM"`; `"1"` for a pure number.
    - `field`: name used in the error text.
    - `file`: file named in the error text.

    **Raises** `InputError` if the text cannot be read, has another dimension, or is not finite.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise InputError(field, value, *_wanted(unit), file)
    registry = _registry()
    try:
        quantity = registry.Quantity(value)
        number = quantity if quantity.dimensionless and isinstance(value, int | float) else quantity.to(unit)
        result = float(number.magnitude)
    except (pint.errors.PintError, ValueError, AttributeError, TypeError, AssertionError) as error:
        allowed, cure = _wanted(unit)
        raise InputError(field, value, allowed, f"{cure} ({error})", file) from None
    if not math.isfinite(result):
        raise InputError(field, value, "a finite number", "replace it by a finite number", file)
    return result


def _wanted(unit: str) -> tuple[str, str]:
    """What is allowed, and the cure."""
    if unit == "1":
        return "a number without unit", "write a plain number"
    return f"a quantity convertible to '{unit}'", f'give a unit of that kind, for example "1 {unit}"'


def check_range(
    number: float, low: float | int, high: float | int, unit: str, field: str, file: object = None
) -> float:
    """`number`, if it lies in [low, high]; else an `InputError` that names the range."""
    if not low <= number <= high:
        side, of = "at least" if number < low else "at most", "" if unit == "1" else f" {unit}"
        raise InputError(field, f"{number:g}{of}", f"{low:g} to {high:g}{of}",
                         f"use a value of {side} {low if number < low else high:g}{of}", file)
    return number
