"""Where synapses meet the grid: add amounts into voxels, read voxels back. Each is the other's adjoint.

Sites use the voxel that holds them. Depositing follows an order that was sorted once on the host, never an atomic
scatter-add, so the same input gives the same bits every time.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from retrojax.errors import InputError
from retrojax.types import Field

_INT32_MAX = 2**31 - 1


class Sites(eqx.Module):
    """Voxels of `S` sites, with the order in which they are summed.

    **Fields**

    - `voxel`: flat voxel index of each site, [S].
    - `order`: sites sorted by voxel, stably, [S].
    - `bounds`: `order[bounds[v]:bounds[v + 1]]` are the sites in voxel `v`, [n_voxels + 1].
    """

    voxel: Int[Array, " S"]
    order: Int[Array, " S"]
    bounds: Int[Array, " V1"]

    @classmethod
    def build(cls, voxels: Int[np.ndarray, " S"], n_voxels: int) -> "Sites":
        """Sort sites by voxel, on the host.

        **Arguments**

        - `voxels`: flat voxel index of each site, as from `Grid.voxel_of`, [S].
        - `n_voxels`: voxels in the grid.

        **Raises** `InputError` naming the first site whose voxel is not in the grid.
        """
        wrong = np.flatnonzero((voxels < 0) | (voxels >= n_voxels))
        if wrong.size:
            raise InputError(f"voxels[{wrong[0]}]", int(voxels[wrong[0]]), f"0 to {n_voxels - 1}",
                             "take the indices from Grid.voxel_of of the same grid")
        bounds = np.concatenate([[0], np.cumsum(np.bincount(voxels, minlength=n_voxels))])
        order = np.argsort(voxels, kind="stable")
        return cls(*(jnp.asarray(a, jnp.int32) for a in (voxels, order, bounds)))

    @property
    def most_per_voxel(self) -> int:
        """Sites in the fullest voxel; read on the host."""
        return int(np.diff(np.asarray(self.bounds)).max(initial=0))


def sample(sites: Sites, field: Field) -> Float[Array, " S"]:
    """Value of `field` in the voxel of each site, [S]; the adjoint of `deposit`."""
    return field.reshape(-1)[sites.voxel]


def deposit(
    sites: Sites, values: Float[Array, " S"] | Int[Array, " S"], shape: tuple[int, int, int]
) -> Float[Array, "X Y Z"] | Int[Array, "X Y Z"]:
    """Sum of `values` over the sites in each voxel, [X, Y, Z].

    Floating values are added in sorted order and carry gradients. Integer values are added as differences of one
    running sum: wrapping around cancels exactly, so the totals do not depend on the order of the sites, as long as each
    total itself fits (see `fixed_scale`).

    **Arguments**

    - `sites`: from `Sites.build`.
    - `values`: one per site, floating or int32, [S].
    - `shape`: shape of the grid.
    """
    ranked = values[sites.order]
    if jnp.issubdtype(values.dtype, jnp.floating):
        totals = jax.ops.segment_sum(ranked, sites.voxel[sites.order], math.prod(shape), indices_are_sorted=True)
    else:
        running = jnp.concatenate([jnp.zeros(1, ranked.dtype), jnp.cumsum(ranked, dtype=ranked.dtype)])
        totals = running[sites.bounds[1:]] - running[sites.bounds[:-1]]
    return totals.reshape(shape)


def fixed_scale(max_per_site: float, most_per_voxel: int) -> float:
    """Fixed-point units per unit of value: the largest power of two for which no voxel total can leave int32.

    **Arguments**

    - `max_per_site`: largest absolute value that one site may deposit; values above it may overflow and must be caught
      by the caller.
    - `most_per_voxel`: sites in the fullest voxel.

    **Raises** `InputError` if `max_per_site` is not a positive number, or the sites are too many for int32.
    """
    if not (math.isfinite(max_per_site) and max_per_site > 0):
        raise InputError("max_per_site", max_per_site, "a finite number > 0", "give the largest release of one site")
    sites = max(most_per_voxel, 1)
    room = _INT32_MAX - sites / 2  # rounding may add half a unit per site
    if room < sites:
        raise InputError("most_per_voxel", most_per_voxel, f"at most {_INT32_MAX // 2}", "use smaller voxels")
    return 2.0 ** math.floor(math.log2(room / (max_per_site * sites)))


def to_fixed(values: Float[Array, "*n"], scale: float | Float[Array, ""]) -> Int[Array, "*n"]:
    """`values` in fixed point, rounded to the nearest int32; no gradient passes."""
    return jnp.round(values * scale).astype(jnp.int32)


def from_fixed(totals: Int[Array, "*n"], scale: float | Float[Array, ""]) -> Float[Array, "*n"]:
    """The floating values that fixed-point `totals` stand for."""
    return totals.astype(float) / scale
