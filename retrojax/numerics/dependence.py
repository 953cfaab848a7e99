"""What a function does with its arguments, read off its trace: which it hands back untouched, which it needs at all."""

from collections.abc import Callable
from typing import Any

import jax
from jax.extend.core import Literal


def untouched(function: Callable, *args: Any) -> list[bool]:
    """For every leaf of `args`: whether `function(*args)`, of the same structure, returns that very value.

    Decided on the trace, not on values: `x + 0.0` counts as touched.
    """
    closed = jax.make_jaxpr(function)(*args)
    given, returned = closed.jaxpr.invars, closed.jaxpr.outvars
    return [new is old for new, old in zip(returned, given, strict=True)]


def needed(function: Callable, *args: Any) -> list[bool]:
    """For every leaf of `args`: whether anything that `function(*args)` returns may depend on it.

    A call inside the trace counts as needing all its arguments, so the answer errs towards True.
    """
    jaxpr = jax.make_jaxpr(function)(*args).jaxpr
    wanted = {id(v) for v in jaxpr.outvars if not isinstance(v, Literal)}
    for equation in reversed(jaxpr.eqns):
        if any(id(v) in wanted for v in equation.outvars):
            wanted.update(id(v) for v in equation.invars if not isinstance(v, Literal))
    return [id(v) in wanted for v in jaxpr.invars]
