"""Short-term plasticity of 17 connections onto VIP interneurons at 2-50 Hz: all cells fitted in one call.

Trains of five EPSPs (mean and SD over sweeps; the number of sweeps is not known, so there is no SEM) of McFarlan et al.
(2024) Front Synaptic Neurosci 16:1433977. Per cell U, tau_rec, tau_fac of Tsodyks & Markram are shared over rates; the
amplitude is free for every cell and rate, and solved linearly. Fitted at 2, 10, 20, 40 Hz; 5, 30, 50 Hz are predicted,
up to their amplitude. SciPy minimises the same loss, with the same bounds and starts, over a NumPy model.
"""

import time
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import least_squares

from retrojax.errors import InputError
from retrojax.fit.batch import best_starts, compile_batch, linear_amplitude
from retrojax.fit.data import Column, read_csv
from retrojax.fit.table import read_table
from retrojax.fit.trains import train_responses
from retrojax.parts import TsodyksMarkram
from retrojax.testing import Target, held_back, holds, keep, kept, recordings, say_unused, write_targets

FILE = "stp_vip_mcfarlan2024/epsp_trains_by_cell.csv"
PAPER = "McFarlan et al. 2024"
FITTED_HZ, PREDICTED_HZ = (2, 10, 20, 40), (5, 30, 50)
LOW, HIGH = np.log([1e-3, 1.0, 1.0]), np.log([1.0, 5000.0, 5000.0])  # U, tau_rec [ms], tau_fac [ms]
STARTS, SD_FLOOR_MV = 16, 0.05
POOLED, HERE = "all cells", Path(__file__).parent


def read(path: Path, protocols: Path | None = None) -> dict[str, dict[str, np.ndarray]]:
    """Per cell: spike times [ms], amplitudes and SD [mV], each [rate, pulse]; and the rates [Hz].

    With `protocols`, a file that has no `frequency_hz` names its trains in a column `protocol`. **Raises** `InputError`
    as `read_csv`, and for a train of fewer than five spikes.
    """
    value, sd = (Column(tuple(f"{name}{k}_V" for k in range(1, 6)), "V", "mV") for name in ("epsp", "sd"))
    header = read_table(path)
    labelled = "frequency_hz" not in header and (protocols is not None or "protocol" in header)
    if not labelled:
        say_unused(protocols, f"as {path.name} has frequency_hz")
    read_table(path, ("cell", "protocol" if labelled else "frequency_hz", *value.name, *sd.name))
    when = {"label": Column("protocol")} if labelled else {"rate": Column("frequency_hz", "Hz")}
    data = read_csv(path, {"value": value, "sem": sd, "cell": Column("cell"), **when}, protocols)
    for number, protocol in enumerate(data.protocols):
        if protocol.pre.size < 5:
            raise InputError(f"row {number + 1}, protocol", f"{protocol.pre.size} spikes", "five, one for each EPSP",
                             "correct the protocol", path.name)
    # a protocol repeated over sweeps was averaged over them: its first five spikes are one sweep
    t = np.stack([protocol.pre[:5] for protocol in data.protocols])
    table = {"hz": np.round(1e3 / np.diff(t[:, :2])[:, 0], 6), "t": t, "y": data.values,
             "sd": np.maximum(data.sem, SD_FLOOR_MV)}
    return {cell: {key: column[np.array(data.cell) == cell] for key, column in table.items()}
            for cell in dict.fromkeys(data.cell)}


def residuals(u, row):
    """(y - amplitude x response)/SD of all rates of one cell."""
    p, tau_rec, tau_fac = jnp.exp(u)
    shape = jax.vmap(lambda t: train_responses(TsodyksMarkram(tau_rec, tau_fac), p, t))(row["t"])
    amplitude = linear_amplitude(shape, row["y"], 1 / row["sd"])
    return ((row["y"] - amplitude[:, None] * shape) / row["sd"]).ravel()


def numpy_residuals(u, row):
    """The same, for SciPy: vectorised over rates."""
    p, tau_rec, tau_fac = np.exp(u)
    r, f, t = np.ones(len(row["t"])), np.zeros(len(row["t"])), row["t"]
    shape = np.empty_like(row["y"])
    for k in range(t.shape[1]):
        if k:
            r = 1 - (1 - r) * np.exp(-(t[:, k] - t[:, k - 1]) / tau_rec)
            f = f * np.exp(-(t[:, k] - t[:, k - 1]) / tau_fac)
        shape[:, k] = (p + (1 - p) * f) * r
        r, f = r - shape[:, k], f + p * (1 - f)
    weight = row["sd"] ** -2
    amplitude = np.sum(weight * shape * row["y"], 1) / np.sum(weight * shape**2, 1)
    return ((row["y"] - amplitude[:, None] * shape) / row["sd"]).ravel()


def constant_loss(row) -> float:
    """Loss of a train without plasticity, its amplitude free at every rate."""
    weight = row["sd"] ** -2
    amplitude = np.sum(weight * row["y"], 1) / np.sum(weight, 1)
    return float(np.sum(((row["y"] - amplitude[:, None]) / row["sd"]) ** 2))


def loss(u, row) -> float:
    """Loss of one cell at fixed U and time constants."""
    return float(np.sum(numpy_residuals(u, row) ** 2))


def at(row, rates):
    """The rows of those rates."""
    return {key: value[np.isin(row["hz"], rates)] for key, value in row.items() if key != "hz"}


def with_scipy(u0, row) -> float:
    """Best loss over the starts."""
    return min(2 * least_squares(numpy_residuals, u, args=(row,), bounds=(LOW, HIGH)).cost for u in u0)


def score(held, fitted: dict[str, list[float]]) -> dict[str, float]:
    """Loss of held-back trains: parameters of their own cell, where it was fitted, or of all cells; only the amplitude
    of each train is free, as in the fit."""
    pooled = np.array(fitted[POOLED])
    names = "own parameters, else those of all cells", "one set of parameters for all cells", "constant train"
    losses = {cell: (loss(np.array(fitted.get(cell, pooled)), row), loss(pooled, row), constant_loss(row))
              for cell, row in held.items()}
    found = dict(zip(names, np.sum(list(losses.values()), 0).tolist(), strict=True))
    trains = sum(len(row["hz"]) for row in held.values())
    print(f"--score: {trains} trains of {len(held)} cells, {sum(cell in fitted for cell in held)} of them fitted")
    for name, value in found.items():
        print(f"--score, {name}: loss {value:.2f}")
    return found


def draw(cells, found, folder: Path) -> None:
    """Trains, fitted (filled) and predicted (open), each over the first EPSP of the model."""
    figure, axes = plt.subplots(3, 6, figsize=(15, 7), sharex=True, layout="constrained")
    axes.flat[-1].axis("off")
    responses = jax.jit(jax.vmap(lambda u, t: train_responses(TsodyksMarkram(u[1], u[2]), u[0], t), in_axes=(None, 0)))
    for axis, (name, row), u in zip(axes.flat, cells.items(), found, strict=False):
        p, tau_rec, tau_fac = np.exp(u)
        for k, (hz, shape) in enumerate(zip(row["hz"], np.asarray(responses(np.exp(u), row["t"])), strict=True)):
            first = float(linear_amplitude(shape, row["y"][k], 1 / row["sd"][k])) * shape[0]
            colour = plt.cm.viridis(k / 6)
            axis.plot(range(1, 6), shape / shape[0], color=colour, lw=1)
            axis.plot(range(1, 6), row["y"][k] / first, "o", color=colour, ms=4, label=f"{hz:g} Hz",
                      mfc=colour if hz in FITTED_HZ else "none")
        axis.set_title(f"{name[-8:]}: U {p:.2f}, rec {tau_rec:.0f}, fac {tau_fac:.0f} ms", fontsize=8)
    axes[0, 0].legend(fontsize=6)
    figure.supxlabel("pulse")
    figure.supylabel("EPSP / first EPSP of the model")
    figure.savefig(folder / "trains.png", dpi=130)


def main() -> None:
    """Fit, time, predict, and score another file if one is given."""
    given = recordings(__doc__.splitlines()[0], [FILE])
    back, known = held_back(given, read), kept(given, HERE)
    if known is not None:
        score(back, known)
        return
    cells = read(given.data / FILE)
    rng = np.random.default_rng(0)
    u0 = rng.uniform(LOW, HIGH, (STARTS, 3))
    train = [at(row, FITTED_HZ) for row in cells.values()]
    stacked = {key: np.stack([row[key] for row in train]) for key in train[0]}
    repeated = {key: np.repeat(value, STARTS, 0) for key, value in stacked.items()}
    starts = np.tile(u0, (len(cells), 1))
    solver = compile_batch(residuals, starts, repeated, LOW, HIGH)
    solved = solver(starts, repeated)
    found, best = best_starts(solved, STARTS)
    pooled_data = {key: value.reshape(1, -1, 5).repeat(STARTS, 0) for key, value in stacked.items()}
    pooled = best_starts(compile_batch(residuals, u0, pooled_data, LOW, HIGH)(u0, pooled_data), STARTS)[0][0]
    began = time.perf_counter()
    theirs = np.array([with_scipy(u0, row) for row in train])
    scipy_s = time.perf_counter() - began
    print(f"{len(starts)} problems: {solved.wall_s:.4f} s, of it compiled before in {solver.compile_s:.2f} s; "
          f"SciPy {scipy_s:.2f} s; converged {solved.converged.mean():.1%}")
    held = [at(row, PREDICTED_HZ) for row in cells.values()]
    ours, flat = (np.array([f(*a) for a in args]) for f, args in (
        (loss, zip(found, held, strict=True)), (constant_loss, ((row,) for row in held))))
    for name, u, b, o, f in zip(cells, np.exp(found), best, ours, flat, strict=True):
        print(f"  {name}: U {u[0]:.3f}, tau_rec {u[1]:6.0f} ms, tau_fac {u[2]:6.0f} ms, loss {b:6.2f}; "
              f"predicted rates {o:6.2f}, constant train {f:6.2f}")
    draw(cells, found, HERE)
    fitted = {name: u.tolist() for name, u in zip([*cells, POOLED], [*found, pooled], strict=True)}
    keep(given, HERE, fitted)
    if back is not None:
        score(back, fitted)
    write_targets([
        Target("cells whose loss is not above SciPy's by 1e-4", PAPER, 17, 0, int(sum(best <= theirs * 1.0001))),
        holds("run time at least 20 times shorter than SciPy's", PAPER, scipy_s >= 20 * solved.wall_s),
        holds("predicted rates beat a constant train in >= 15 cells", PAPER, sum(ours < flat) >= 15),
    ], HERE)


if __name__ == "__main__":
    with jax.enable_x64(True):
        main()
