"""A scan whose reverse pass keeps one state per stretch and runs every stretch once more."""

import math
from collections.abc import Callable
from typing import Any

import jax


def scan_in_stretches(
    body: Callable, carry: Any, read: Callable[[Any], tuple[Any, Any]], place: Any, steps: int, length: int
) -> Any:
    """Final carry of a long scan whose inputs are read a stretch at a time, for reverse-mode gradients.

    The forward pass keeps the carry at the start of every stretch of `length` steps; the reverse pass runs each stretch
    again and keeps its intermediate values only while it is there (Griewank & Walther 2000, one level). T steps in
    stretches of sqrt(T) need memory of order sqrt(T) and one more evaluation. Nothing as long as the whole scan is
    made: inputs stacked over all steps would be copied into the shape of the stretches, and that copy grows with T.

    **Arguments**

    - `body`: (carry, x) -> (carry, ignored).
    - `carry`: start.
    - `read`: place -> (what each of the next `length` steps reads, stacked along the first axis; the place after them).
      Past the last step it must give steps that leave the carry as it is.
    - `place`: where reading starts. `steps`: steps in all. `length`: steps per stretch, >= 1. Both are static.

    Reference: Griewank & Walther (2000) ACM Trans Math Softw 26:19.
    """

    @jax.checkpoint
    def stretch(start: Any, _: None) -> Any:
        held, here = start
        part, there = read(here)
        return (jax.lax.scan(lambda c, x: (body(c, x)[0], None), held, part)[0], there), None

    return jax.lax.scan(stretch, (carry, place), None, length=math.ceil(steps / length))[0][0]
