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
    """ln size [synapses, sessions] less `mean`, not-a-number where absent; `presence` (1, 0, or not-a-number where not
    imaged); `fold` of each synapse, whole dendrites together; `day` of each session."""

    log_size: np.ndarray
    presence: np.ndarray
    fold: np.ndarray
    day: np.ndarray
    mean: float


class Drift(eqx.Module):
    """Stationary ln size = sum of two Ornstein-Uhlenbeck processes, plus noise of each measurement.

        cov(t, t') = sd_1^2 e^{-|t - t'|/tau_1} + sd_2^2 e^{-|t - t'|/tau_2} + noise^2 [t = t']

    Days and months of Loewenstein et al. (2011) J Neurosci 31:9481.
    """

    sd_1: jax.Array
    tau_1: jax.Array
    sd_2: jax.Array
    tau_2: jax.Array
    noise: jax.Array

    def covariance(self, day):
        """Of ln size between sessions."""
        lag = jnp.abs(day[:, None] - day[None, :])
        slow, fast = self.sd_2**2 * jnp.exp(-lag / self.tau_2), self.sd_1**2 * jnp.exp(-lag / self.tau_1)
        return slow + fast + self.noise**2 * jnp.eye(day.size)


class Sizes(eqx.Module):
    """Log density of all synapses of a fold, from their scatter matrices.

    `there`: the distinct patterns of sessions in which a synapse was measured [patterns, sessions]; `count` [folds,
    patterns] and `scatter` [folds, patterns, sessions, sessions]: number and sum of x x^T of their synapses. One
    inverse per pattern serves all synapses that share it.
    """

    there: jax.Array
    count: jax.Array
    scatter: jax.Array
    day: jax.Array

    def __call__(self, model: Drift):
        pairs = self.there[:, :, None] * self.there[:, None, :]
        # a session that is missing becomes a standard normal that no other session knows of, measured as 0
        covariance = model.covariance(self.day) * pairs + jnp.eye(self.day.size) * (1 - self.there[:, :, None])
        inverse, log_det = swept(covariance)
        constant = log_det + jnp.sum(self.there, -1) * jnp.log(2 * jnp.pi)
        return -0.5 * (self.count @ constant + jnp.einsum("pij,fpij->f", inverse, self.scatter))


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


def read(path: Path, cell_type: str, mean: float | None = None) -> Imaged | None:
    """The synapses of one type of cell; ln size less `mean`, by default their own. None where there are none.

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
    log_size, presence = (np.full((len(synapses), len(days)), np.nan) for _ in range(2))
    for k in mine:
        place = row_of[dendrite[k], number[k]], column_of[float(day[k])]
        presence[place] = present[k]
        if present[k] and weight[k] > 0:
            log_size[place] = np.log(weight[k])
    if np.isnan(log_size).all():
        return None
    dendrites = sorted({name for name, _ in synapses})
    fold = np.array([dendrites.index(name) % FOLDS for name, _ in synapses])
    mean = float(np.nanmean(log_size)) if mean is None else mean
    return Imaged(log_size - mean, presence, fold, np.array(days), mean)


def likelihood(data: Imaged) -> Likelihood:
    """One observation per fold."""
    there = ~np.isnan(data.log_size)
    patterns, which = np.unique(there, axis=0, return_inverse=True)
    # padded with patterns that nobody shows, so that all sets of synapses use one compiled solve
    spare = max(0, MOST_PATTERNS - len(patterns))
    patterns = np.concatenate([patterns, np.zeros((spare, there.shape[1]))])
    x = np.nan_to_num(data.log_size)
    count = np.zeros((FOLDS, len(patterns)))
    scatter = np.zeros((FOLDS, len(patterns), there.shape[1], there.shape[1]))
    np.add.at(count, (data.fold, which), 1.0)
    np.add.at(scatter, (data.fold, which), x[:, :, None] * x[:, None, :])
    arrays = (jnp.asarray(a, float) for a in (patterns, count, scatter, data.day))
    return Likelihood(Sizes(*arrays), tuple(f"dendrites {k} mod {FOLDS}" for k in range(FOLDS)))


def turnover(presence: np.ndarray) -> dict[str, tuple[float, float]]:
    """Loss and gain per 4 days, relative to the synapses present, with binomial standard errors."""
    before, after = presence[:, :-1], presence[:, 1:]
    present = np.sum((before == 1) & ~np.isnan(after))
    found = {}
    for name, was, now in (("loss", 1, 0), ("gain", 0, 1)):
        share = np.sum((before == was) & (after == now)) / present
        found[name] = (float(share), float(np.sqrt(share * (1 - share) / present)))
    return found


def variogram(data: Imaged) -> np.ndarray:
    """Half the mean squared difference of ln size at every lag, in sessions from 1."""
    x = data.log_size
    return np.array([np.nanmean((x[:, k:] - x[:, :-k]) ** 2) / 2 for k in range(1, x.shape[1])])


def simulated(data: Imaged, model: Drift, seed: int) -> Imaged:
    """Sizes drawn from the model, missing where they were."""
    root = np.linalg.cholesky(np.asarray(model.covariance(jnp.asarray(data.day))))
    made = np.random.default_rng(seed).standard_normal(data.log_size.shape) @ root.T
    return data._replace(log_size=np.where(np.isnan(data.log_size), np.nan, made))
