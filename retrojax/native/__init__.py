"""Data movement on the CPU in C, through `jax.ffi`: gathers, sorted lists and sums that XLA does slowly there.

Nothing here computes biology. Every primitive has its counterpart in plain JAX in `engine/lazy`, which other devices
and machines without a C compiler use; both give the same bits. `RETROJAX_NATIVE=0` turns this off.
"""

from retrojax.native.loading import cores as cores, ready as ready, share as share, status as status
from retrojax.native.primitives import (
    collect as collect,
    deliver as deliver,
    deposit as deposit,
    lift as lift,
    lower as lower,
    note as note,
    put as put,
    send as send,
    settle as settle,
    stock as stock,
)

__all__ = [
    "collect", "cores", "deliver", "deposit", "lift", "lower", "note", "put", "ready", "send", "settle", "share",
    "status", "stock",
]
