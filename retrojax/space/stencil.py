"""The 7-point Laplacian in space: how fast a field changes by diffusion in a uniform box and by first-order loss."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from retrojax.space.grid import Boundary
from retrojax.types import Field


def slope(
    field: Field, coupling: Float[Array, "3"], loss: Float[Array, ""], boundary: tuple[Boundary, Boundary, Boundary]
) -> Field:
    """D lap(a) - k a [nM/ms], from differences across faces: what leaves a voxel enters its neighbour.

    **Arguments** `field` a [nM]; `coupling`: D*/dx^2 along x, y, z [1/ms]; `loss` k [1/ms]; `boundary` per axis, where
    an absorbing wall is a ghost voxel of opposite sign.
    """
    total = -loss * field
    for axis, kind in enumerate(boundary):
        faces = jnp.concatenate(_faces(field, axis, kind), axis)
        total += coupling[axis] * jnp.diff(faces, axis=axis)
    return total


def _faces(field: Array, axis: int, kind: Boundary) -> list[Array]:
    """Differences across all faces along an axis, the two walls first and last."""
    n = field.shape[axis]
    first, last = (jax.lax.slice_in_dim(field, at, at + 1, axis=axis) for at in (0, n - 1))
    if kind == "absorbing":
        low, high = 2 * first, -2 * last
    elif kind == "periodic":
        low = high = first - last
    else:
        low = high = jnp.zeros_like(first)
    return [low, jnp.diff(field, axis=axis), high]
