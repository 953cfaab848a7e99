"""Maps of the medium: volume fraction, tortuosity and losses that differ from voxel to voxel.

    d(alpha c)/dt = div(alpha D* grad c) - alpha k c - u c + S,      D* = D / tortuosity^2

The volume fraction stands inside the divergence: at a jump of the medium both c and alpha D* dc/dn are continuous, and
without source or loss c becomes uniform, alpha c does not. Finite volumes on the amount per tissue volume, a = alpha c,
keep that exactly: what leaves one voxel through a face enters the next.

References: Nicholson & Phillips (1981) J Physiol 321:225-257 (volume fraction and tortuosity); Patankar (1980)
Numerical Heat Transfer and Fluid Flow, section 4.2-3 (harmonic mean at faces).
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from retrojax.errors import InputError
from retrojax.space.grid import Grid
from retrojax.types import Field


class Medium(eqx.Module):
    """What a molecule meets in each voxel. Each field is one number or a map, [X, Y, Z].

    **Fields**

    - `fraction`: alpha, share of the tissue that the molecule can occupy, 0 < alpha <= 1.
    - `tortuosity`: lambda, D* = D/lambda^2 (some papers call lambda^2 the tortuosity).
    - `loss`: k, chemistry in the fluid [1/ms] (independent of the volume fraction).
    - `uptake`: u, removal by surfaces per tissue volume [1/ms]; it acts on the fluid as u/alpha.
    """

    fraction: Float[Array, "..."]
    tortuosity: Float[Array, "..."]
    loss: Float[Array, "..."]
    uptake: Float[Array, "..."]

    @classmethod
    def build(
        cls,
        grid: Grid,
        fraction: float | Real[np.ndarray, "..."] = 0.2,
        tortuosity: float | Real[np.ndarray, "..."] = 1.6,
        loss: float | Real[np.ndarray, "..."] = 0.0,
        uptake: float | Real[np.ndarray, "..."] = 0.0,
    ) -> "Medium":
        """A checked medium (host side). Arguments as for the fields.

        **Raises** `InputError` naming the map, if its shape is not that of the grid or a value is out of range.
        """
        given = {"fraction": (fraction, 1e-6, 1.0), "tortuosity": (tortuosity, 1.0, 100.0),
                 "loss": (loss, 0.0, np.inf), "uptake": (uptake, 0.0, np.inf)}
        return cls(**{name: _checked(grid, name, *entry) for name, entry in given.items()})


class Exchange(eqx.Module):
    """The right-hand side of the transport equation, with every coefficient times one factor.

    **Fields**

    - `after`, `before`: per axis the conductance [1/ms] of the two faces of each voxel, [X, Y, Z]; 0 at a closed wall.
    - `removal`: rate at which the amount of a voxel vanishes [1/ms]: loss, uptake and absorbing walls, [X, Y, Z].
    - `room`: 1/alpha, [X, Y, Z].
    - `periodic`: which axes are.
    """

    after: tuple[Field, Field, Field]
    before: tuple[Field, Field, Field]
    removal: Field
    room: Field
    periodic: tuple[bool, bool, bool] = eqx.field(static=True)

    def __call__(self, amount: Field) -> Field:
        """d(amount)/dt without the source [nM/ms]; `amount` is alpha c [nM], both [X, Y, Z]."""
        padded = amount * self.room
        for axis, wraps in enumerate(self.periodic):
            width = [(1, 1) if i == axis else (0, 0) for i in range(3)]
            padded = jnp.pad(padded, width, mode="wrap") if wraps else jnp.pad(padded, width)
        own = padded[1:-1, 1:-1, 1:-1]
        change = -self.removal * amount
        for axis in range(3):
            # both voxels of a face compute its flux from the same numbers, so that nothing is lost between them
            following, previous = (padded[tuple(slice(1 + d, n + 1 + d) if i == axis else slice(1, n + 1)
                                                for i, n in enumerate(amount.shape))] for d in (1, -1))
            change = change + self.after[axis] * (following - own) - self.before[axis] * (own - previous)
        return change

    def times(self, factor: Float[Array, ""]) -> "Exchange":
        """The same with every rate multiplied by `factor`."""
        after, before, removal = jax.tree.map(lambda rate: factor * rate, (self.after, self.before, self.removal))
        return Exchange(after, before, removal, self.room, self.periodic)

    def stiffness(self) -> Float[Array, ""]:
        """A bound of the fastest rate of relaxation [1/ms] (Gershgorin's circles)."""
        total = sum(after + before for after, before in zip(self.after, self.before, strict=True))
        return jnp.max(2 * total * self.room + self.removal)


def exchange(grid: Grid, medium: Medium, diffusion: Float[Array, ""] | Float[Array, "3"] | float) -> Exchange:
    """Conductances of all faces: the two half voxels in series, i.e. the harmonic mean of alpha D* over dx^2.

    **Arguments**

    - `grid`: shape, spacing and boundary. An absorbing wall lies half a voxel from the centre of the last voxel.
    - `medium`: maps.
    - `diffusion`: D_free [um^2/ms], 0-d, or [3] along x, y and z.
    """
    fraction, tortuosity, loss, uptake = (
        jnp.broadcast_to(jnp.asarray(value, float), grid.shape)
        for value in (medium.fraction, medium.tortuosity, medium.loss, medium.uptake)
    )
    free = jnp.broadcast_to(jnp.asarray(diffusion, float), (3,))
    ease = fraction / tortuosity**2
    removal = loss + uptake / fraction
    after, before = [], []
    for axis, (n, dx, kind) in enumerate(zip(grid.shape, grid.spacing, grid.boundary, strict=True)):
        following = jnp.roll(ease, -1, axis)
        place = np.arange(n).reshape([-1 if i == axis else 1 for i in range(3)])
        is_open = (place < n - 1) | (kind == "periodic" and n > 1)
        after.append(jnp.where(is_open, free[axis] / dx**2 * 2 * ease * following / (ease + following), 0.0))
        before.append(jnp.roll(after[-1], 1, axis))
        if kind == "absorbing":
            walls = (place == 0).astype(int) + (place == n - 1)
            removal = removal + walls * 2 * free[axis] / dx**2 / tortuosity**2
    x, y, z = (kind == "periodic" for kind in grid.boundary)
    return Exchange((after[0], after[1], after[2]), (before[0], before[1], before[2]), removal, 1 / fraction, (x, y, z))


def rescale(
    concentration: Float[Array, "..."], before: Float[Array, "..."] | float, after: Float[Array, "..."] | float
) -> Float[Array, "..."]:
    """Concentration [nM] just after the volume fraction went from `before` to `after`: c alpha/alpha'.

    Solute stays in the extracellular space while fluid enters or leaves, so alpha c is kept: 0.14 to 0.23 on falling
    asleep (Xie et al.) multiplies c by 0.609 at once. A field holds alpha c, and needs no change.

    References: Xie et al. (2013) Science 342:373-377; Miao et al. (2024) Nat Neurosci 27:1046-1050 find no such change.
    """
    return concentration * before / after


def _checked(grid: Grid, name: str, value: object, low: float, high: float) -> Array:
    array = np.asarray(value, float)
    if array.shape not in ((), grid.shape):
        raise InputError(f"medium.{name}", f"a map of shape {array.shape}", f"one number, or shape {grid.shape}",
                         "give one value per voxel of the grid")
    wrong = np.flatnonzero(~(np.isfinite(array) & (array >= low) & (array <= high)))
    if wrong.size:
        where = f"[{', '.join(map(str, np.unravel_index(wrong[0], array.shape)))}]" if array.ndim else ""
        allowed = f"a finite value >= {low:g}" if high == np.inf else f"{low:g} to {high:g}"
        raise InputError(f"medium.{name}{where}", f"{array.flat[wrong[0]]:g}", allowed, "correct the map")
    return jnp.asarray(array)
