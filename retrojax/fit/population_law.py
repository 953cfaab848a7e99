"""How the coordinates of cells scatter over a population: a normal law with independent or correlated coordinates.

    u_c = m + diag(s) R e_c,   e_c ~ N(0, I),   covariance diag(s) R R^T diag(s)

R is the Cholesky factor of the correlation matrix. Its row i is the unit vector along (z_i1, ..., z_i,i-1, 1), so any
real z gives a correlation matrix, the spreads s keep their meaning, and z = 0 is independence. The hyperparameters
theta are m, ln s and, where correlated, z row by row.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


class Law(NamedTuple):
    """The population at theta: `mean` m [P], `log_spread` ln s [P], `root` R [P, P], None where independent."""

    mean: Float[Array, " P"]
    log_spread: Float[Array, " P"]
    root: Float[Array, "P P"] | None

    def cell(self, e: Float[Array, "*C P"]) -> Float[Array, "*C P"]:
        """Coordinates u of cells at standard normal e."""
        return self.mean + jnp.exp(self.log_spread) * (e if self.root is None else e @ self.root.T)

    def standard(self, u: Float[Array, " P"]) -> Float[Array, " P"]:
        """e of a cell at u."""
        z = (u - self.mean) * jnp.exp(-self.log_spread)
        return z if self.root is None else _forward(self.root, z)

    def log_density(self, u: Float[Array, " P"]) -> Float[Array, ""]:
        """ln N(u; m, covariance)."""
        e = self.standard(u)
        volume = jnp.sum(self.log_spread)
        if self.root is not None:
            volume = volume + jnp.sum(jnp.log(jnp.diagonal(self.root)))
        return -jnp.sum(0.5 * e**2 + 0.5 * jnp.log(2 * jnp.pi)) - volume


def law(theta: Float[Array, " H"], size: int) -> Law:
    """The law of `size` = P coordinates at theta, of length 2 P, or 2 P + P (P - 1)/2 where correlated."""
    mean, log_spread, z = theta[:size], theta[size : 2 * size], theta[2 * size :]
    return Law(mean, log_spread, root_of(z, size) if theta.shape[0] > 2 * size else None)


def root_of(z: Float[Array, " Z"], size: int) -> Float[Array, "P P"]:
    """R [P, P] at z."""
    rows, columns = np.tril_indices(size, -1)
    free = jnp.eye(size).at[rows, columns].set(z)
    return free / jnp.sqrt(jnp.sum(free**2, -1, keepdims=True))


def correlation_of(z: Float[Array, " Z"], size: int) -> Float[Array, "P P"]:
    """Correlation matrix R R^T at z."""
    root = root_of(z, size)
    return root @ root.T


def lkj(z: Float[Array, " Z"], size: int, eta: float | Array) -> Float[Array, ""]:
    """ln density of z, up to a constant, where the correlation matrix has one proportional to its determinant to the
    power eta - 1: all correlation matrices are equally likely at eta = 1, weak correlations likelier above.

    With R_ii = (1 + |z_i|^2)^{-1/2}, density and Jacobian together are R_ii to the power P + 2 eta - 1 in every row.

    Reference: Lewandowski, Kurowicka & Joe (2009) J Multivar Anal 100:1989.
    """
    return (size + 2 * eta - 1) * jnp.sum(jnp.log(jnp.diagonal(root_of(z, size))))


def _forward(root: Float[Array, "P P"], right: Float[Array, " P"]) -> Float[Array, " P"]:
    """R^-1 right by unrolled forward substitution: a batch of tiny library calls would spend its time on dispatch."""
    found: list[Array] = []
    for i in range(right.shape[0]):
        found.append((right[i] - sum(root[i, j] * found[j] for j in range(i))) / root[i, i])
    return jnp.stack(found)
