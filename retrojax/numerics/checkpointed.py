"""A scan whose reverse pass keeps one state per stretch and runs every stretch once more."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def scan_in_stretches(body: Callable, carry: Any, xs: Any, length: int) -> Any:
    """Final carry of `jax.lax.scan(body, carry, xs)`, for reverse-mode gradients of long scans.

    The forward pass keeps the carry at the start of every stretch of `length` steps; the reverse pass runs each stretch
    again and keeps its intermediate values only while it is there (Griewank & Walther 2000, one level). T steps in
    stretches of sqrt(T) need memory of order sqrt(T) and one more evaluation.

    **Arguments**

    - `body`: (carry, x) -> (carry, ignored). A step of zeros must leave the carry as it is: the last stretch is
      filled with them.
    - `carry`: start. `xs`: what each step reads, stacked along the first axis.
    - `length`: steps per stretch, >= 1; static.

    Reference: Griewank & Walther (2000) ACM Trans Math Softw 26:19.
    """
    steps = jax.tree.leaves(xs)[0].shape[0]
    count = math.ceil(steps / length)

    def stretches(x: Any) -> Any:
        filled = jnp.concatenate([x, jnp.zeros((count * length - steps, *x.shape[1:]), x.dtype)])
        return filled.reshape(count, length, *x.shape[1:])

    @jax.checkpoint
    def stretch(start: Any, part: Any) -> Any:
        return jax.lax.scan(lambda c, x: (body(c, x)[0], None), start, part)

    return jax.lax.scan(stretch, carry, jax.tree.map(stretches, xs))[0]
