"""Shapes of a time course, how they are fitted to many curves at once, and what synthetic and left-out points say."""

import jax
import jax.numpy as jnp
import numpy as np
from curves import ERROR_SHARE, Curve

from retrojax.fit.batch import BatchSolver, best_starts, compile_batch, linear_amplitude

PRIOR_MEAN, PRIOR_SD = np.array([np.log(120.0), np.log(1800.0), 0.0]), np.array([1.5, 1.5, 1.5])
LOW, HIGH = np.array([np.log(1.0), np.log(30.0), -6.0]), np.array([np.log(1e4), np.log(1e6), 6.0])
STARTS, POINTS, SETS, AIC = 16, 8, 50, 4.0
MODELS = ("rise and decay", "rise only", "constant level")


def padded(curves: list[Curve]) -> dict[str, np.ndarray]:
    """Times, response above zero and 1/error of all curves, [curves, POINTS], weight 0 in the padding."""
    rows = []
    for curve in curves:
        error = np.where(np.isnan(curve.error), ERROR_SHARE * curve.y.max(), curve.error)
        pad = (0, POINTS - curve.t.size)
        rows.append((np.pad(curve.t, pad, mode="edge"), np.pad(curve.y - curve.zero, pad), np.pad(1 / error, pad)))
    return dict(zip(("t", "y", "w"), (np.stack(column) for column in zip(*rows, strict=True)), strict=True))


def shape(u, t, model: str):
    """Response at times t, without its scale."""
    if model == MODELS[2]:
        return jnp.ones_like(t)
    f = jax.nn.sigmoid(u[2])
    adapted = f + (1 - f) * jnp.exp(-t / jnp.exp(u[1])) if model == MODELS[0] else 1.0
    return (1 - jnp.exp(-t / jnp.exp(u[0]))) * adapted


def amplitude(u, row, model: str):
    """Best scale of the shape."""
    return linear_amplitude(shape(u, row["t"], model), *(jnp.asarray(row[key]) for key in ("y", "w")))


def misfit(u, row, model: str = MODELS[0]):
    """Weighted distance of the data from the best scale of the shape."""
    return row["w"] * (row["y"] - amplitude(u, row, model) * shape(u, row["t"], model))


def solvers() -> dict[str, BatchSolver]:
    """One compiled solve per model with time constants."""
    row = {key: np.ones((SETS * STARTS, POINTS)) for key in ("t", "y", "w")}
    return {model: compile_batch(lambda u, row, model=model: jnp.concatenate(
        [misfit(u, row, model), (u - PRIOR_MEAN) / PRIOR_SD]), np.zeros((SETS * STARTS, 3)), row, LOW, HIGH)
        for model in MODELS[:2]}


def fit(solver: BatchSolver, data: dict[str, np.ndarray]) -> np.ndarray:
    """Coordinates of the best of the starts, per curve."""
    starts = np.random.default_rng(0).uniform([1, 4, -2], [7, 10, 2], (STARTS, 3))
    rows = {key: np.repeat(value, STARTS, 0) for key, value in data.items()}
    return best_starts(solver(np.tile(starts, (len(data["t"]), 1)), rows), STARTS)[0]


def chi2(u, data, model: str) -> np.ndarray:
    """Of every curve."""
    return np.array([np.sum(np.square(misfit(v, row, model))) for v, row in zip(u, rows_of(data), strict=True)])


def rows_of(data: dict[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """One row per curve."""
    return [{key: value[k] for key, value in data.items()} for k in range(len(data["t"]))]


def spread(u, row) -> np.ndarray:
    """Standard deviations of the coordinates, by the curvature."""
    jacobian = np.asarray(jax.jacfwd(lambda v: misfit(v, row))(jnp.asarray(u)))
    return np.sqrt(np.diag(np.linalg.inv(jacobian.T @ jacobian + np.diag(PRIOR_SD**-2.0))))


def left_out(solve: dict[str, BatchSolver], data: dict[str, np.ndarray]) -> dict[str, float]:
    """Chi2 of every point of all curves, predicted from the other points of its curve."""
    total = dict.fromkeys(MODELS, 0.0)
    for row in rows_of(data):
        points = np.flatnonzero(row["w"])
        others = {key: np.tile(value, (points.size, 1)) for key, value in row.items()}
        others["w"][np.arange(points.size), points] = 0.0
        for model in MODELS:
            found = fit(solve[model], others) if model in solve else np.zeros((points.size, 3))
            for k, u, other in zip(points, found, rows_of(others), strict=True):
                guess = amplitude(u, other, model) * shape(u, row["t"], model)[k]
                total[model] += float((row["w"][k] * (row["y"][k] - guess)) ** 2)
    return total


def synthetic(solve: dict[str, BatchSolver], u, row) -> tuple[np.ndarray, float]:
    """Over `SETS` noisy copies of a fitted curve: the coordinates found, and the share that shows the decay."""
    made = {key: np.tile(value, (SETS, 1)) for key, value in row.items()}
    noise = np.random.default_rng(3).standard_normal(made["y"].shape) / np.where(row["w"] > 0, row["w"], np.inf)
    made["y"] = np.asarray(amplitude(u, row, MODELS[0]) * shape(u, row["t"], MODELS[0])) + noise
    found, flat = (fit(solve[model], made) for model in MODELS[:2])
    return found, float(np.mean(chi2(flat, made, MODELS[1]) - chi2(found, made, MODELS[0]) > AIC))
