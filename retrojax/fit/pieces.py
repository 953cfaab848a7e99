"""Observations a few at a time: the arrays of all stay on the host, and a compiled step is given only its own.

What a step of a mini-batch needs then grows with the mini-batch, not with the data set; and what is wanted of all
observations (their predictions, slopes, densities) is put together from pieces of the same size. The tables of spikes
of a piece stay as long as the longest protocol of all, so that every piece has the shapes of the first.
"""

from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from retrojax.fit.solve import batches
from retrojax.fit.spec import Spec, set_coordinates


def on_host(tree: Any) -> Any:
    """The tree with its arrays, but for keys of random numbers, in the host's memory."""
    return jax.tree.map(lambda x: np.asarray(x) if eqx.is_array(x) and not _is_key(x) else x, tree)


def part_of(tree: Any, rows: Int[np.ndarray, " b"]) -> Any:
    """What belongs to these observations: by the tree's own `take`, or these rows of each of its arrays."""
    if hasattr(tree, "take"):
        return tree.take(rows)
    return jax.tree.map(lambda x: x[rows] if eqx.is_array(x) or isinstance(x, np.ndarray) else x, tree)


def pieces_of(tree: Any, count: int, size: int | None) -> Iterator[tuple[Any, Int[np.ndarray, " b"], int]]:
    """(part, rows, new) of every `size` of `count` observations, or of all of them as they are; rows of the last piece
    beyond `new` repeat its first."""
    if size is None:
        yield tree, np.arange(count), count
        return
    held = on_host(tree)
    for first, rows in zip(range(0, count, size), batches(count, size), strict=True):
        yield part_of(held, rows), rows, min(size, count - first)


def predicted_in_pieces(
    predict: Any, model: Any, spec: Spec, u: Float[np.ndarray, "K P"], batch: int, size: int, count: int
) -> tuple[Float[np.ndarray, "K n"], Float[np.ndarray, "K n P"]]:
    """`count` predictions and their slopes d prediction/du at coordinates u, of `batch` models and `size` points."""
    found: list[list[np.ndarray]] = []
    for part, _, new in pieces_of(predict, count, size):
        several = [_predicted(part, model, tuple(spec.items()), jnp.asarray(u[some]))
                   for some in batches(len(u), batch)]
        found.append([np.concatenate(parts)[: len(u), :new] for parts in zip(*several, strict=True)])
    value, slopes = (np.concatenate(parts, 1) for parts in zip(*found, strict=True))
    return value, slopes


@eqx.filter_jit
def _predicted(predict: Any, model: Any, items: Any, u: Array) -> tuple[Array, Array]:
    def one(v):
        value = predict(set_coordinates(model, dict(items), v))
        return value, value

    slopes, value = jax.vmap(jax.jacfwd(one, has_aux=True))(u)
    return value, slopes


def evaluated_in_pieces(function: Any, model: Any, count: int, size: int | None) -> Float[np.ndarray, " n"]:
    """What `function` says of `count` observations under a model, `size` of them at a time."""
    run = eqx.filter_jit(lambda part, model: part(model))
    return np.concatenate([np.asarray(run(part, model))[:new] for part, _, new in pieces_of(function, count, size)])


def stacked_pieces(
    tree: Any, weight: Float[np.ndarray, " n"], size: int
) -> tuple[Any, Any, Float[np.ndarray, "pieces size"]]:
    """All pieces at once for a loop inside a compiled step: their arrays along a new first axis, what is no array
    (`equinox.combine` puts the two together), and the weights, 0 where a row of the last piece repeats its first."""
    pieces = list(pieces_of(tree, weight.size, size))
    weights = np.stack([weight[rows] * (np.arange(rows.size) < new) for _, rows, new in pieces])
    arrays, rest = zip(*(eqx.partition(part, lambda x: isinstance(x, jax.Array | np.ndarray)) for part, _, _ in pieces),
                       strict=True)
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *arrays), rest[0], weights


def _is_key(x: Any) -> bool:
    return jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
