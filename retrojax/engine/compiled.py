"""How chunks are compiled."""

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax

OPTIONS = {"xla_cpu_prefer_vector_width": 512}
"""Vectors as wide as the processor has: XLA's own choice stops at 256 bits, with which a calcium rule is slower
(experiments/benchmarks/README.md). Processors without 512 bits pay no heed to it."""


class compiled:
    """`eqx.filter_jit(function, **options)` with `OPTIONS`, which XLA takes for a whole program alone: inside another
    traced function, as where a run is differentiated, that one's options hold.

    - `whole`, `part`: the function as a program, and inside one.
    """

    def __init__(self, function: Callable[..., Any], **options: Any):
        jit: Any = eqx.filter_jit  # hands on more options than its signature says
        self.whole, self.part = jit(function, compiler_options=OPTIONS, **options), jit(function, **options)
        functools.update_wrapper(self, function)

    def __call__(self, *args: Any) -> Any:
        traced = any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(args))
        return (self.part if traced else self.whole)(*args)
