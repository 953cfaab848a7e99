"""What BDNF leaves behind: rise and adaptation of TrkB, decay of AKT and ERK, from published time courses.

TrkB after 7.3 nM BDNF in fibroblasts (Yuen & Mobley 1999), AKT after 2 nM in cortical neurons (Dijkhuizen & Ghosh
2005), ERK after 1 nM in hippocampal neurons (Ji et al. 2010), as curated in FindSim (Viswan et al. 2018). Shape only:
the levels of two of the three were scaled to another model's pools, so each curve has a free scale, and its value
before BDNF is its zero.

    response(t) = scale (1 - e^{-t/tau_rise}) (f + (1 - f) e^{-t/tau_decay})

BDNF stays on in all three: how fast TrkB and its targets switch off without it, and how many receptors a cell
expresses, are not in these data. Both stay priors of the model. Time constants here are in seconds. Where the source
gives no error, 10 % of the curve's largest value stands for it. With these errors the decay of AKT is not established
(it lowers chi2 by 2.7): that target fails, and the curve says no more.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from retrojax.fit.batch import best_starts, compile_batch, linear_amplitude
from retrojax.fit.data import read_table
from retrojax.testing import holds, recordings, write_targets

FILE = "bdnf_signalling_findsim/time_courses.csv"
PAPER = "Yuen & Mobley 1999; Dijkhuizen & Ghosh 2005; Ji et al. 2010"
CURVES = {"BDNF_act_TrKB": "TrkB", "aAKT": "AKT", "pERK": "ERK"}
PRIOR_MEAN, PRIOR_SD = np.array([np.log(120.0), np.log(1800.0), 0.0]), np.array([1.5, 1.5, 1.5])
LOW, HIGH = np.array([np.log(1.0), np.log(30.0), -6.0]), np.array([np.log(1e4), np.log(1e6), 6.0])
NAMES, STARTS, POINTS = ("tau_rise [s]", "tau_decay [s]", "f"), 16, 8


def read(path: Path) -> dict[str, dict[str, np.ndarray]]:
    """Per curve: times after BDNF [s], response above its start, 1/error; padded to one length with weight 0."""
    table = read_table(path)
    out = {}
    for readout, name in CURVES.items():
        at = [k for k, r in enumerate(table["readout"]) if r == readout]
        if not at:
            continue
        t, y = (np.array([float(table[key][k]) for k in at]) for key in ("t_after_ligand_s", "value"))
        error = np.array([float(table["error"][k] or 0.1 * y.max()) for k in at])
        pad = POINTS - t.size + 1  # the value before BDNF is the zero of the curve, not a point
        out[name] = {"t": np.pad(t[1:], (0, pad), mode="edge"), "y": np.pad(y[1:] - y[0], (0, pad)),
                     "w": np.pad(1 / error[1:], (0, pad))}
    return out


def shape(u, t, decays: bool):
    """Response at times t, without its scale."""
    f = jax.nn.sigmoid(u[2])
    adapted = f + (1 - f) * jnp.exp(-t / jnp.exp(u[1])) if decays else 1.0
    return (1 - jnp.exp(-t / jnp.exp(u[0]))) * adapted


def misfit(u, row, decays: bool = True):
    """Weighted distance of the data from the best scale of the shape."""
    curve = shape(u, row["t"], decays)
    return row["w"] * (row["y"] - linear_amplitude(curve, row["y"], row["w"]) * curve)


def fit(data: dict, decays: bool) -> np.ndarray:
    """Coordinates of the best of the starts, per curve."""
    starts = np.random.default_rng(0).uniform([1, 4, -2], [7, 10, 2], (STARTS, 3))
    u0, rows = np.tile(starts, (len(data["t"]), 1)), {key: np.repeat(value, STARTS, 0) for key, value in data.items()}

    def residuals(u, row):
        return jnp.concatenate([misfit(u, row, decays), (u - PRIOR_MEAN) / PRIOR_SD])

    return best_starts(compile_batch(residuals, u0, rows, LOW, HIGH)(u0, rows), STARTS)[0]


def draw(curves: dict, found: np.ndarray, flat: np.ndarray, folder: Path) -> None:
    """Data and both models on a logarithmic time axis."""
    page, axes = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
    for axis, (name, row), u, v in zip(axes, curves.items(), found, flat, strict=True):
        used = row["w"] > 0
        t = np.geomspace(10, row["t"].max(), 200)
        for w, decays, label in ((u, True, "rise and decay"), (v, False, "rise only")):
            scale = linear_amplitude(shape(w, row["t"], decays), row["y"], row["w"])
            axis.semilogx(t, scale * shape(w, t, decays), label=label)
        axis.errorbar(row["t"][used], row["y"][used], 1 / row["w"][used], fmt="ko")
        axis.set(title=name, xlabel="s after BDNF", ylabel="response above its start")
        axis.legend()
    page.savefig(folder / "time_courses.png", dpi=120)


def main() -> None:
    """Fit the three curves at once, say what they determine, and score another file if one is given."""
    given = recordings(__doc__.splitlines()[0], [FILE])
    curves = read(given.data / FILE)
    data = {key: np.stack([row[key] for row in curves.values()]) for key in ("t", "y", "w")}
    found, flat = fit(data, True), fit(data, False)
    chi2, without = ({name: float(np.sum(misfit(v, row, decays) ** 2)) for v, (name, row) in
                      zip(u, curves.items(), strict=True)} for u, decays in ((found, True), (flat, False)))
    values, relative = {}, {}
    for u, (name, row) in zip(found, curves.items(), strict=True):
        jacobian = np.asarray(jax.jacfwd(lambda v, row=row: misfit(v, row))(jnp.asarray(u)))
        sd = np.sqrt(np.diag(np.linalg.inv(jacobian.T @ jacobian + np.diag(PRIOR_SD**-2.0))))
        values[name], relative[name] = (*np.exp(u[:2]), 1 / (1 + np.exp(-u[2]))), sd / PRIOR_SD
        told = ", ".join(f"{n} {x:.3g}{'' if r < 0.5 else ' (mostly prior)'}"
                         for n, x, r in zip(NAMES, values[name], relative[name], strict=True))
        print(f"  {name}: {told}; chi2 {chi2[name]:.2f}, rise only {without[name]:.2f}, "
              f"{int(sum(row['w'] > 0))} points")
    print("  not in the data, priors of the model: off-rates after washout of BDNF, and expression of receptors")
    draw(curves, found, flat, Path(__file__).parent)
    if given.score is not None:
        for name, row in read(given.score).items():
            u, v = (group[list(curves).index(name)] for group in (found, flat))
            print(f"score {given.score.name}, {name}: chi2 {np.sum(misfit(u, row) ** 2):.2f}, rise only "
                  f"{np.sum(misfit(v, row, False) ** 2):.2f}, no response {np.sum((row['w'] * row['y']) ** 2):.2f}")
    write_targets([
        *(holds(f"{name}: decay lowers chi2 by more than 4, the AIC of its two parameters", PAPER,
                without[name] - chi2[name] > 4) for name in curves),
        holds("TrkB rises within 5 min and adapts within the hour", PAPER,
              values["TrkB"][0] < 300 and values["TrkB"][1] < 3600),
        holds("ERK decays slower than TrkB adapts", PAPER, values["ERK"][1] > values["TrkB"][1]),
    ], Path(__file__).parent)


if __name__ == "__main__":
    with jax.enable_x64(True):
        main()
