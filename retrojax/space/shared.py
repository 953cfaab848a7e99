"""A step of a box whose products are shared among devices that all have the field.

A folded axis makes two halves of a field, even and odd about its middle, that need different products and meet again
only when they are unfolded. Each device takes one half, of up to three axes, so up to eight devices share the work;
then they tell each other their results, one field in all. Every number comes of the same products as on one device.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from retrojax.space.eigenbasis import fold, unfold
from retrojax.space.grid import Grid
from retrojax.types import Field

Odd = dict[int, Int[Array, ""]]
"""Per axis that is halved: 1 if this device's half is the odd one, 0 if the even one."""


class Shared(NamedTuple):
    """Static: `devices` along the axis `name` of a mesh, each of which makes the step with the same values."""

    name: str
    devices: int

    def odd(self, grid: Grid, folded: Sequence[bool]) -> Odd:
        """What this device takes of the axes whose halves are equally long, while devices last; one that is left over
        does what another does."""
        axes = [axis for axis in range(3) if folded[axis] and grid.shape[axis] % 2 == 0]
        axes = axes[: self.devices.bit_length() - 1]
        number = jax.lax.axis_index(self.name)
        return {axis: (number >> (len(axes) - 1 - place)) & 1 for place, axis in enumerate(axes)}

    def joined(self, part: Float[Array, "_ _ _"], axes: Iterable[int]) -> Field:
        """The whole field, from the half of each of `axes` that every device has made."""
        halved = [axis in axes for axis in range(3)]
        if not any(halved):
            return part
        parts = jax.lax.all_gather(part, self.name)
        return unfold([parts[number] for number in range(2 ** sum(halved))], halved)


def half(field: Field, odd: Odd) -> Float[Array, "_ _ _"]:
    """This device's half, along every axis that is halved."""
    for axis, number in odd.items():
        even, other = fold(field, [axis == k for k in range(3)])
        field = jnp.where(number > 0, other, even)
    return field


def own(axes: Sequence[Sequence[Array]], odd: Odd) -> Any:
    """Of what each axis has by half, even and odd, only this device's where it is halved."""
    return tuple((jnp.where(odd[axis] > 0, *reversed(halves)),) if axis in odd else tuple(halves)
                 for axis, halves in enumerate(axes))
