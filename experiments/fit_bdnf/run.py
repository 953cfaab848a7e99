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
import matplotlib.pyplot as plt
import numpy as np
from curves import ERROR_SHARE, Curve, read
from shapes import (
    AIC,
    MODELS,
    PRIOR_SD,
    amplitude,
    chi2,
    fit,
    left_out,
    padded,
    rows_of,
    shape,
    solvers,
    spread,
    synthetic,
)

from retrojax.testing import Target, held_back, holds, keep, kept, recordings, write_targets

FILE, HERE = "bdnf_signalling_findsim/time_courses.csv", Path(__file__).parent
PAPER = "Yuen & Mobley 1999; Dijkhuizen & Ghosh 2005; Ji et al. 2010"
NAMES = "tau_rise [s]", "tau_decay [s]", "f"


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
        error = np.where(np.isnan(curve.error), ERROR_SHARE * largest, curve.error)
        if curve.t.size < 1 or not known and (np.isnan(zero) or curve.t.size < 2) or not np.all(error > 0):
            print(f"--score, {curve.readout} of {curve.experiment or 'an unnamed experiment'}: needs a value after "
                  "BDNF; if it was not fitted one before and two after, since its scale is free, and errors or a "
                  "value above 0; left out")
            continue
        row = {"t": curve.t, "y": curve.y - zero, "w": (w := 1 / error)}
        for model, u in mine["u"].items():
            u = np.array(u)
            scale = mine["scale"][model] if known else amplitude(u, row, model)
            value = float(np.sum((w * (row["y"] - scale * shape(u, curve.t, model))) ** 2))
            found[f"{curve.experiment} {curve.readout}, {model}"] = value
            of = "" if known else f" of {curve.experiment or 'an unnamed experiment'}"
            print(f"--score, {curve.readout}{of}, {model}: chi2 {value:.2f}, log-likelihood "
                  f"{-(value - 2 * np.sum(np.log(w / np.sqrt(2 * np.pi)))) / 2:.2f} ({curve.t.size} points, "
                  f"{'scale of the fit' if known else 'scale free'})")
    return found


def describe(curve: Curve, values, known, misfits: dict[str, float], power: float) -> None:
    """One line: the parameters of a curve, how well each model fits it, and whether a decay is shown."""
    told = ", ".join(f"{n} {x:.3g}{'' if r else ' (mostly prior)'}"
                     for n, x, r in zip(NAMES, values, known, strict=True))
    fallen = misfits[MODELS[1]] - misfits[MODELS[0]]
    print(f"  {curve.readout}: {told}; chi2 of {curve.t.size} points "
          + ", ".join(f"{model} {x:.2f}" for model, x in misfits.items())
          + f"; decay {'shown' if fallen > AIC else 'unidentified'} (chi2 falls by {fallen:.1f}); as fitted it "
          f"would be shown in {power:.0%} of experiments like this")


def to_keep(curves: list[Curve], data: dict[str, np.ndarray], found: dict[str, np.ndarray]) -> dict[str, dict]:
    """What scoring another file needs, by readout."""
    return {curve.readout: {"experiment": curve.experiment, "zero": curve.zero, "largest": float(curve.y.max()),
                            "u": {model: u[k].tolist() for model, u in found.items()},
                            "scale": {model: float(amplitude(u[k], row, model)) for model, u in found.items()}}
            for k, (curve, row) in enumerate(zip(curves, rows_of(data), strict=True))}


def required(curves, values, misfits, outside, errors) -> list[Target]:
    """The table of what has to hold."""
    fallen = {curve.readout: misfits[MODELS[1]][k] - misfits[MODELS[0]][k] for k, curve in enumerate(curves)}
    return [
        *(holds(f"{curve.readout}: a constant level is worse by more than 4", PAPER,
                misfits[MODELS[2]][k] - misfits[MODELS[0]][k] > AIC) for k, curve in enumerate(curves)),
        *(holds(f"{name}: decay lowers chi2 by more than 4, the AIC of its two parameters", PAPER, fallen[name] > AIC)
          for name in ("TrkB", "ERK")),
        holds("points left out: rise and decay better than rise only", PAPER, outside[MODELS[0]] < outside[MODELS[1]]),
        Target("synthetic curves: worst median of a parameter that is known [sd]", "simulation", 0.0, 1.0, max(errors)),
        holds("TrkB rises within 5 min and adapts within the hour", PAPER,
              values["TrkB"][0] < 300 and values["TrkB"][1] < 3600),
        holds("ERK decays slower than TrkB adapts", PAPER, values["ERK"][1] > values["TrkB"][1]),
    ]


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
    values, errors = {}, []
    for k, (curve, row) in enumerate(zip(curves, rows_of(data), strict=True)):
        u = found[MODELS[0]][k]
        sd = spread(u, row)
        copies, power = synthetic(solve, u, row)
        values[curve.readout] = (*np.exp(u[:2]), 1 / (1 + np.exp(-u[2])))
        known_ones = sd < 0.5 * PRIOR_SD
        errors += [abs(np.median(copies[:, j]) - u[j]) / sd[j] for j in np.flatnonzero(known_ones)]
        describe(curve, values[curve.readout], known_ones, {model: x[k] for model, x in misfits.items()}, power)
    outside = left_out(solve, data)
    print("  points left out one by one, chi2: " + ", ".join(f"{model} {x:.1f}" for model, x in outside.items()))
    print("  not in the data, priors of the model: off-rates after washout of BDNF, and expression of receptors")
    fitted = to_keep(curves, data, found)
    keep(given, HERE, fitted)
    draw(curves, data, found)
    if held is not None:
        score(held, fitted)
    write_targets(required(curves, values, misfits, outside, errors), HERE)


if __name__ == "__main__":
    with jax.enable_x64(True):
        main()
