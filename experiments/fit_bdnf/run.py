"""What BDNF leaves behind: rise and adaptation of TrkB, decay of AKT and ERK, from published time courses.

TrkB after 7.3 nM BDNF in fibroblasts (Yuen & Mobley 1999), AKT after 2 nM in cortical neurons (Dijkhuizen & Ghosh
2005), ERK after 1 nM in hippocampal neurons (Ji et al. 2010), as curated in FindSim (Viswan et al. 2018). Shape only:
the levels of two of the three were scaled to another model's pools, so each curve has a free scale, and its value
before BDNF is its zero.

    response(t) = scale (1 - e^{-t/tau_rise}) (f + (1 - f) e^{-t/tau_decay})

Baselines are a rise without decay and a constant level. BDNF stays on in all three: how fast TrkB and its targets
switch off without it, and how many receptors a cell expresses, are not in these data. Both stay priors of the model.
Time constants here are in seconds. Where the source gives no error, 10 % of the curve's largest value stands for it.

Whether a curve decays is a verdict, by a fall of chi2 of more than 4 (the AIC of two parameters). It is a target for
TrkB and ERK, which fall by half while they are watched. That AKT decays is unidentified: chi2 falls by 2.7, and if AKT
did decay as fitted, 44 % of experiments with these five points and errors would show it.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from curves import ERROR_SHARE, Curve, read

from retrojax.fit.batch import BatchSolver, best_starts, compile_batch, linear_amplitude
from retrojax.testing import Target, held_back, holds, keep, kept, recordings, write_targets

FILE, HERE = "bdnf_signalling_findsim/time_courses.csv", Path(__file__).parent
PAPER = "Yuen & Mobley 1999; Dijkhuizen & Ghosh 2005; Ji et al. 2010"
PRIOR_MEAN, PRIOR_SD = np.array([np.log(120.0), np.log(1800.0), 0.0]), np.array([1.5, 1.5, 1.5])
LOW, HIGH = np.array([np.log(1.0), np.log(30.0), -6.0]), np.array([np.log(1e4), np.log(1e6), 6.0])
NAMES, STARTS, POINTS, SETS, AIC = ("tau_rise [s]", "tau_decay [s]", "f"), 16, 8, 50, 4.0
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


def draw(curves: list[Curve], data: dict[str, np.ndarray], found: dict[str, np.ndarray]) -> None:
    """Data and both models on a logarithmic time axis."""
    page, axes = plt.subplots(1, len(curves), figsize=(12, 4), layout="constrained")
    for k, (axis, curve, row) in enumerate(zip(axes, curves, rows_of(data), strict=True)):
        t = np.geomspace(10, row["t"].max(), 200)
        for model in MODELS[:2]:
            axis.semilogx(t, amplitude(found[model][k], row, model) * shape(found[model][k], t, model), label=model)
        used = row["w"] > 0
        axis.errorbar(row["t"][used], row["y"][used], 1 / row["w"][used], fmt="ko")
        axis.set(title=curve.readout, xlabel="s after BDNF", ylabel="response above its start")
        axis.legend()
    page.savefig(HERE / "time_courses.png", dpi=120)


def score(held: list[Curve], fitted: dict[str, dict]) -> dict[str, float]:
    """Chi2 of held-back curves, not refitted: points of a fitted experiment with its zero, error and scale; another
    experiment with its own, its scale free as in the fit."""
    found = {}
    for curve in held:
        mine = fitted[curve.readout]
        known = curve.experiment == mine["experiment"]
        zero, largest = (mine["zero"], mine["largest"]) if known else (curve.zero, curve.y.max(initial=0.0))
        w = 1 / np.where(np.isnan(curve.error), ERROR_SHARE * largest, curve.error)
        row = {"t": curve.t, "y": curve.y - zero, "w": w}
        if not known and (np.isnan(zero) or curve.t.size < 2):
            print(f"--score, {curve.readout} of {curve.experiment or 'an unnamed experiment'}: needs a value before "
                  "BDNF and two after, since its scale is free; left out")
            continue
        for model, u in mine["u"].items():
            u = np.array(u)
            scale = mine["scale"][model] if known else amplitude(u, row, model)
            value = float(np.sum((w * (row["y"] - scale * shape(u, curve.t, model))) ** 2))
            found[f"{curve.experiment} {curve.readout}, {model}"] = value
            print(f"--score, {curve.readout}, {model}: chi2 {value:.2f}, log-likelihood "
                  f"{-(value - 2 * np.sum(np.log(w / np.sqrt(2 * np.pi)))) / 2:.2f} ({curve.t.size} points, "
                  f"{'scale of the fit' if known else 'scale free'})")
    return found


def main() -> None:
    """Fit the three curves at once, say what they determine, and score another file if one is given."""
    given = recordings(__doc__.splitlines()[0], [FILE])
    held, known = held_back(given, read), kept(given, HERE)
    if known is not None:
        score(held, known)
        return
    curves = read(given.data / FILE)
    data, solve = padded(curves), solvers()
    found = {model: fit(solve[model], data) for model in MODELS[:2]} | {MODELS[2]: np.zeros((len(curves), 3))}
    misfits = {model: chi2(u, data, model) for model, u in found.items()}
    values, errors, decays = {}, [], {}
    for k, (curve, row) in enumerate(zip(curves, rows_of(data), strict=True)):
        u, name = found[MODELS[0]][k], curve.readout
        sd = spread(u, row)
        copies, power = synthetic(solve, u, row)
        fallen = misfits[MODELS[1]][k] - misfits[MODELS[0]][k]
        values[name], decays[name] = (*np.exp(u[:2]), 1 / (1 + np.exp(-u[2]))), fallen > AIC
        known_ones = sd < 0.5 * PRIOR_SD
        errors += [abs(np.median(copies[:, j]) - u[j]) / sd[j] for j in np.flatnonzero(known_ones)]
        told = ", ".join(f"{n} {x:.3g}{'' if r else ' (mostly prior)'}"
                         for n, x, r in zip(NAMES, values[name], known_ones, strict=True))
        print(f"  {name}: {told}; chi2 of {curve.t.size} points "
              + ", ".join(f"{model} {x[k]:.2f}" for model, x in misfits.items())
              + f"; decay {'shown' if fallen > AIC else 'unidentified'} (chi2 falls by {fallen:.1f}); as fitted it "
              f"would be shown in {power:.0%} of experiments like this")
    outside = left_out(solve, data)
    print("  points left out one by one, chi2: " + ", ".join(f"{model} {x:.1f}" for model, x in outside.items()))
    print("  not in the data, priors of the model: off-rates after washout of BDNF, and expression of receptors")
    fitted = {curve.readout: {"experiment": curve.experiment, "zero": curve.zero, "largest": float(curve.y.max()),
                              "u": {model: u[k].tolist() for model, u in found.items()},
                              "scale": {model: float(amplitude(u[k], row, model)) for model, u in found.items()}}
              for k, (curve, row) in enumerate(zip(curves, rows_of(data), strict=True))}
    keep(given, HERE, fitted)
    draw(curves, data, found)
    if held is not None:
        score(held, fitted)
    write_targets([
        *(holds(f"{curve.readout}: a constant level is worse by more than 4", PAPER,
                misfits[MODELS[2]][k] - misfits[MODELS[0]][k] > AIC) for k, curve in enumerate(curves)),
        *(holds(f"{name}: decay lowers chi2 by more than 4, the AIC of its two parameters", PAPER, decays[name])
          for name in ("TrkB", "ERK")),
        holds("points left out: rise and decay better than rise only", PAPER, outside[MODELS[0]] < outside[MODELS[1]]),
        Target("synthetic curves: worst median of a parameter that is known [sd]", "simulation", 0.0, 1.0, max(errors)),
        holds("TrkB rises within 5 min and adapts within the hour", PAPER,
              values["TrkB"][0] < 300 and values["TrkB"][1] < 3600),
        holds("ERK decays slower than TrkB adapts", PAPER, values["ERK"][1] > values["TrkB"][1]),
    ], HERE)


if __name__ == "__main__":
    with jax.enable_x64(True):
        main()
