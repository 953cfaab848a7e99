"""Sizes of the same synapses over weeks: what is read, and the likelihood of a drift with two time scales and noise."""

from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from retrojax.errors import InputError, naming_file
from retrojax.fit import Likelihood
from retrojax.fit.data import Column, column_numbers, column_texts
from retrojax.fit.table import read_table

TYPES = {"pyr": "pyramidal", "pv": "PV"}
FOLDS = 4
MOST_PATTERNS = 64
"""Patterns of presence over eight sessions; the recordings show 36."""


class Imaged(NamedTuple):
    """`size` [synapses, sessions], not-a-number where absent; `presence` (1, 0, or not-a-number where not imaged);
    number of the `dendrite` of each synapse; `day` of each session."""

    size: np.ndarray
    presence: np.ndarray
    dendrite: np.ndarray
    day: np.ndarray


class Drift(eqx.Module):
    """Stationary y = ln(size + offset): two Ornstein-Uhlenbeck processes around `mean`, and noise of each measurement.

        cov(t, t') = sd_1^2 e^{-|t - t'|/tau_1} + sd_2^2 e^{-|t - t'|/tau_2} + noise^2 [t = t']

    All synapses of a dendrite share one more noise of each session, of SD `shared`: how bright it was imaged.
    Days and months of Loewenstein et al. (2011) J Neurosci 31:9481. `offset` [size] makes the error of small synapses
    additive and that of large ones relative (the shifted logarithm of Box & Cox 1964; for fluorescence, Rocke & Durbin
    2003 Bioinformatics 19:966); 0 is ln size.
    """

    mean: jax.Array
    offset: jax.Array
    sd_1: jax.Array
    tau_1: jax.Array
    sd_2: jax.Array
    tau_2: jax.Array
    noise: jax.Array
    shared: jax.Array

    def covariance(self, day):
        """Of y of one synapse between sessions, without what is shared."""
        lag = jnp.abs(day[:, None] - day[None, :])
        slow, fast = self.sd_2**2 * jnp.exp(-lag / self.tau_2), self.sd_1**2 * jnp.exp(-lag / self.tau_1)
        return slow + fast + self.noise**2 * jnp.eye(day.size)


class Sizes(eqx.Module):
    """Log density of the ln sizes of every synapse, whatever the scale on which they drift.

    `there`: the distinct patterns of sessions in which a synapse was measured [patterns, sessions]; one inverse per
    pattern serves all synapses that share it. `which`, `dendrite`: pattern and dendrite of each synapse; `count`
    [dendrites, patterns] of these; `size` [synapses, sessions].

    Without what is shared synapses are independent, with inverse covariances W_i. The shared noise of variance s^2 adds
    a block of rank `sessions` per dendrite (matrix determinant lemma and Woodbury identity):

        ln p = sum_i ln p_i - 1/2 ln det K + s^2/2 b^T K^-1 b,   K = 1 + s^2 sum_i W_i,   b = sum_i W_i y_i

    of which each synapse of the dendrite is given an equal part.

    Sizes of 0 or less have a share of the normal law of y, which is given to no synapse: densities are that much too
    low, under 2 % where the offset is a fifth of the typical size.
    """

    there: jax.Array
    which: jax.Array
    dendrite: jax.Array
    count: jax.Array
    size: jax.Array
    day: jax.Array

    def __call__(self, model: Drift):
        pairs = self.there[:, :, None] * self.there[:, None, :]
        # a session that is missing becomes a standard normal that no other session knows of, measured as 0
        covariance = model.covariance(self.day) * pairs + jnp.eye(self.day.size) * (1 - self.there[:, :, None])
        inverse, log_det = swept(covariance)
        constant = log_det + jnp.sum(self.there, -1) * jnp.log(2 * jnp.pi)
        measured, raised = self.there[self.which], jnp.log(self.size + model.offset)
        y = measured * (raised - model.mean)
        weighed = jnp.einsum("nij,nj->ni", inverse[self.which], y)
        # d y/d ln size = size/(size + offset)
        slope = jnp.sum(measured * (jnp.log(self.size) - raised), -1)
        own = slope - 0.5 * (constant[self.which] + jnp.sum(weighed * y, -1))
        b = jax.ops.segment_sum(weighed, self.dendrite, len(self.count))
        total, variance = jnp.einsum("dp,pij->dij", self.count, inverse * pairs), model.shared**2
        inverse_k, log_det_k = swept(jnp.eye(self.day.size) + variance * total)
        together = -0.5 * log_det_k + 0.5 * variance * jnp.einsum("di,dij,dj->d", b, inverse_k, b)
        return own + (together / jnp.sum(self.count, -1))[self.dendrite]


def swept(matrix):
    """Inverses and ln determinants of small positive definite matrices [B, n, n] by the sweep operator.

    A few element-wise operations, where batches of tiny factorisations inside a loop spend their time on dispatch
    (Goodnight 1979, Am Stat 33:149).
    """
    def sweep(carry, e):
        matrix, log_det = carry
        column = matrix @ e
        pivot = column @ e
        step = column * (1 - e) - e
        kept = matrix * (1 - e)[:, None] * (1 - e)[None, :]
        return (kept - step[:, :, None] * step[:, None, :] / pivot[:, None, None], log_det + jnp.log(pivot)), None

    start = matrix, jnp.zeros(matrix.shape[0])
    (matrix, log_det), _ = jax.lax.scan(sweep, start, jnp.eye(matrix.shape[-1]))
    return -matrix, log_det


def read(path: Path, cell_type: str) -> Imaged | None:
    """The synapses of one type of cell. None where there are none.

    **Raises** `InputError` for a missing column or a value that is no number.
    """
    with naming_file(path.name):
        table = read_table(path, ("cell_type", "dendrite", "synapse", "day", "present", "weight_norm"))
        names = ("cell_type", "dendrite", "synapse")
        kinds, dendrite, number = (column_texts(table, name, Column(name)) for name in names)
        day, present, weight = (column_numbers(table, name, Column(name))[:, 0]
                                for name in ("day", "present", "weight_norm"))
        if unknown := sorted(set(kinds) - set(TYPES)):
            raise InputError("cell_type", ", ".join(unknown), ", ".join(TYPES), "leave these synapses out")
        for k in np.flatnonzero(weight < 0):
            raise InputError(f"weight_norm, row {k + 1}", float(weight[k]), "0 or more", "correct the row")
    mine = [k for k, kind in enumerate(kinds) if kind == cell_type]
    if not mine:
        return None
    synapses, days = sorted({(dendrite[k], number[k]) for k in mine}), sorted({float(day[k]) for k in mine})
    row_of, column_of = ({key: i for i, key in enumerate(keys)} for keys in (synapses, days))
    size, presence = (np.full((len(synapses), len(days)), np.nan) for _ in range(2))
    for k in mine:
        place = row_of[dendrite[k], number[k]], column_of[float(day[k])]
        presence[place] = present[k]
        if present[k] and weight[k] > 0:
            size[place] = weight[k]
    if np.isnan(size).all():
        return None
    dendrites = sorted({name for name, _ in synapses})
    return Imaged(size, presence, np.array([dendrites.index(name) for name, _ in synapses]), np.array(days))


def likelihood(data: Imaged) -> Likelihood:
    """One observation per synapse."""
    there = ~np.isnan(data.size)
    patterns, which = np.unique(there, axis=0, return_inverse=True)
    # padded with patterns that nobody shows, so that as many synapses use one compiled solve whichever they show
    spare = max(0, MOST_PATTERNS - len(patterns))
    patterns = np.concatenate([patterns, np.zeros((spare, there.shape[1]))])
    count = np.zeros((data.dendrite.max() + 1, len(patterns)))
    np.add.at(count, (data.dendrite, which.ravel()), 1.0)
    size = np.where(there, data.size, 1.0)
    arrays = (patterns.astype(float), which.ravel(), data.dendrite, count, size, data.day)
    groups = tuple(f"dendrites {k % FOLDS} mod {FOLDS}" for k in data.dendrite)
    return Likelihood(Sizes(*(jnp.asarray(x) for x in arrays)), groups)


def turnover(presence: np.ndarray) -> dict[str, tuple[float, float]]:
    """Loss and gain per 4 days, relative to the synapses present, with binomial standard errors."""
    before, after = presence[:, :-1], presence[:, 1:]
    present = np.sum((before == 1) & ~np.isnan(after))
    found = {}
    for name, was, now in (("loss", 1, 0), ("gain", 0, 1)):
        share = np.sum((before == was) & (after == now)) / present
        found[name] = (float(share), float(np.sqrt(share * (1 - share) / present)))
    return found


def variogram(data: Imaged, offset: float) -> np.ndarray:
    """Half the mean squared difference of ln(size + offset) at every lag, in sessions from 1."""
    y = np.log(data.size + offset)
    return np.array([np.nanmean((y[:, k:] - y[:, :-k]) ** 2) / 2 for k in range(1, y.shape[1])])


def simulated(data: Imaged, model: Drift, seed: int) -> Imaged:
    """Sizes drawn from the model, missing where they were and where they come out as 0 or less."""
    root = np.linalg.cholesky(np.asarray(model.covariance(jnp.asarray(data.day))))
    rng = np.random.default_rng(seed)
    y = float(model.mean) + rng.standard_normal(data.size.shape) @ root.T
    y = y + float(model.shared) * rng.standard_normal((data.dendrite.max() + 1, data.day.size))[data.dendrite]
    made = np.exp(y) - float(model.offset)
    return data._replace(size=np.where(np.isnan(data.size) | (made <= 0), np.nan, made))
