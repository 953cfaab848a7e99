"""Hundreds of published hippocampal synaptic trains, each fitted in its own clamp, against the published parameters.

Traces digitised from figures, or rebuilt from published amplitudes, kinetics and paired-pulse ratios, and their fits:
Moradi & Ascoli (2020) Hippocampus 30:314 and Moradi et al. (2022). Free: G, tau_d, tau_r, tau_f, U; Erev, Vm, Rin and Cm
as published; the loss is the RMSE over all points of a trace, of which the first is the baseline. The published
parameters are judged in the same model, which is the authors' own (`ThreeStateRelease`); they minimise another, robust
loss over data corrected for drift, and are no start of this fit. A presynaptic spike falls on every third point: the onset
in current clamp, the peak in voltage clamp. A time that runs backwards (12 traces) counts as no time elapsed.
"""

import csv
import gzip
import time
from collections import Counter, defaultdict
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from retrojax.fit.batch import best_starts, compile_batch
from retrojax.fit.traces import Points, clamp_current, membrane_response
from retrojax.parts.three_state_release import ThreeStateRelease
from retrojax.testing import Target, holds, recordings, write_targets

FOLDER = "stp_hippocampome/"
TRACES, PUBLISHED = FOLDER + "digitized_traces.csv.gz", FOLDER + "published_tm_fits.csv.gz"
PAPER = "Moradi & Ascoli 2020; Moradi et al. 2022"
LOW, HIGH = np.log([1e-3, 0.1, 1.0, 1.0, 1e-3]), np.log([1e5, 1e3, 3e4, 3e4, 0.999])  # G, tau_d, tau_r, tau_f, U
LENGTHS, STARTS, BATCH = (36, 100, 440), 8, 256
FREE, FIXED = ("g_syn", "tau_d", "tau_r", "tau_f", "U"), ("Erev", "Vm", "Rin", "Cm")


def rows(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file, packed or not."""
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", newline="") as file:
        return list(csv.DictReader(file))


def read(traces: Path, published: Path) -> dict[str, dict]:
    """Traces with a published fit and three or more events."""
    fits, points, kinds = {row["trace_id"]: row for row in rows(published)}, defaultdict(list), {}
    for row in rows(traces):
        points[row["trace_id"]].append((float(row["t_ms"]), float(row["y"])))
        kinds[row["trace_id"]] = row["kind"]
    out = {}
    for name, values in points.items():
        if name in fits and len(values) >= 9:
            t, y = np.array(values).T
            clamp = fits[name]["mode"] == "voltage-clamp"
            spike = np.arange(t.size) % 3 == clamp
            spike[-1] &= clamp
            fixed, free = ([float(fits[name][f"{key}_median"]) for key in keys] for keys in (FIXED, FREE))
            out[name] = {"elapsed": np.maximum(np.diff(t, prepend=t[0]), 0), "spike": spike, "y": y - y[0],
                         "clamp": clamp, "kind": kinds[name], "published": np.log(free), "fixed": np.array(fixed)}
    return out


def predict(clamp: bool, u, row):
    """The trace at coordinates u (logarithms of the free parameters)."""
    g, tau_d, tau_r, tau_f, p = jnp.exp(u)
    e_rev, rest, resistance, capacitance = row["fixed"]
    release, points = ThreeStateRelease(tau_d, tau_r, tau_f), Points(row["elapsed"], row["spike"])
    if clamp:
        return clamp_current(release, p, g, rest - e_rev, points)
    return membrane_response(release, p, g, rest - e_rev, resistance, capacitance, points)


def residuals(clamp: bool):
    """Residuals over the largest deviation of the trace; `weight` is 0 for padding and what is held out."""
    return lambda u, row: row["weight"] * (predict(clamp, u, row) - row["y"])


def stack(group: list[dict], length: int) -> dict[str, np.ndarray]:
    """Traces of one group, padded to a common length."""
    pad = {key: np.stack([np.pad(row[key], (0, length - row["y"].size)) for row in group])
           for key in ("elapsed", "spike", "y")}
    used = np.arange(length) < np.array([row["y"].size for row in group])[:, None]
    return {**pad, "weight": used / np.abs(pad["y"]).max(1, keepdims=True), "fixed": np.stack([r["fixed"] for r in group])}


def first_guess(data: dict, clamp: bool, rng: np.random.Generator) -> np.ndarray:
    """Starts [trace x STARTS, 5]: decay from peak to third point, G from the first peak, the rest drawn."""
    count = len(data["y"])
    ratio = np.clip(np.abs(data["y"][:, 1]) / np.maximum(np.abs(data["y"][:, 2]), 1e-9), 1.05, 20)
    tau = np.clip(data["elapsed"][:, 2] / np.log(ratio), 0.5, 100)[:, None] * np.exp(0.5 * rng.normal(size=(count, STARTS)))
    others = rng.uniform(np.log([5, 2, 0.02]), np.log([3e3, 1e3, 0.95]), (count, STARTS, 3))
    e_rev, rest, resistance, capacitance = data["fixed"].T[..., None]
    g = np.abs(data["y"][:, 1:2] / (rest - e_rev))
    g = g * np.ones_like(tau) if clamp else g * (capacitance / tau + 1e3 / resistance)
    columns = [np.log(np.maximum(g, 1e-3)) - others[..., 2], np.log(tau), *np.moveaxis(others, -1, 0)]
    return np.clip(np.stack(columns, -1), LOW, HIGH).reshape(-1, 5)


def solve(solver, u0, data):
    """A few steps from every start, then the best two of each trace to the end."""
    repeat = {key: np.repeat(value, STARTS, 0) for key, value in data.items()}
    begun = solver(u0, repeat, 20)
    best = np.argsort(begun.loss.reshape(-1, STARTS), 1)[:, :2]
    u = np.take_along_axis(begun.u.reshape(-1, STARTS, 5), best[..., None], 1).reshape(-1, 5)
    return best_starts(solver(u, {key: np.repeat(value, 2, 0) for key, value in data.items()}), 2)[0]


def evaluate(clamp: bool, length: int, group: list[dict]) -> float:
    """Fit one group with and without the last event; each trace gets its scores. Returns the time compiling [s]."""
    data, rng = stack(group, length), np.random.default_rng(length)
    u0 = first_guess(data, clamp, rng)
    example = {key: np.resize(value, (BATCH, *value.shape[1:])) for key, value in data.items()}
    solver = compile_batch(residuals(clamp), np.resize(u0, (BATCH, 5)), example, LOW, HIGH, max_steps=150, tolerance=1e-7)
    trace = jax.jit(jax.vmap(lambda u, row: predict(clamp, u, row)))
    last = np.array([np.flatnonzero(row["spike"])[-1 if row["spike"][-2:].sum() == 0 or not clamp else -1]
                     for row in group]) - clamp
    kept = {**data, "weight": data["weight"] * (np.arange(length) < last[:, None])}
    found, early = solve(solver, u0, data), solve(solver, u0, kept)
    published = np.stack([row["published"] for row in group])
    y = {name: np.asarray(trace(u, data)) for name, u in (("ours", found), ("theirs", published), ("early", early))}
    for k, row in enumerate(group):
        n, held = row["y"].size, slice(int(last[k]), row["y"].size)
        rmse = {name: float(np.sqrt(np.mean((v[k, :n] - row["y"]) ** 2))) for name, v in y.items()}
        # the baseline of a held-out event: the same points of the event before it
        before = row["y"][held.start - 3 : held.start - 3 + n - held.start]
        error = [float(np.sqrt(np.mean((v - row["y"][held]) ** 2))) for v in (y["early"][k, held], before)]
        row.update(rmse=rmse, u=found[k], model=y["ours"][k, :n], theirs=y["theirs"][k, :n], heldout=error)
    return solver.compile_s


def draw(traces: list[dict], folder: Path) -> None:
    """RMSE against RMSE, and the traces at three quantiles of ours, in each clamp."""
    figure, axes = plt.subplots(2, 4, figsize=(15, 7), layout="constrained")
    for line, clamp in zip(axes, (True, False), strict=True):
        some = sorted((r for r in traces if r["clamp"] == clamp), key=lambda r: r["rmse"]["ours"] / np.abs(r["y"]).max())
        for kind, mark in (("digitized", "."), ("reconstructed", "x")):
            xy = [[r["rmse"][name] / np.abs(r["y"]).max() for name in ("theirs", "ours")] for r in some if r["kind"] == kind]
            line[0].loglog(*np.maximum(xy, 1e-4).T, mark, ms=4, label=f"{kind}, {'voltage' if clamp else 'current'} clamp")
        line[0].plot([1e-4, 10], [1e-4, 10], "k", lw=0.5)
        line[0].set(xlabel="RMSE of published parameters / largest deviation", ylabel="RMSE of ours / largest deviation")
        line[0].legend(fontsize=7)
        for axis, share in zip(line[1:], (0.25, 0.5, 0.9), strict=True):
            row = some[int(share * len(some))]
            t = np.cumsum(row["elapsed"])
            axis.plot(t, row["y"], "k.", label="trace")
            axis.plot(t, row["model"], "C0-", lw=1, label="ours")
            axis.plot(t, row["theirs"], "C1--", lw=1, label="published parameters")
            axis.set(title=f"quantile {share:g} ({row['kind']})", xlabel="ms", ylabel="pA" if clamp else "mV")
        line[1].legend(fontsize=7)
    figure.savefig(folder / "traces.png", dpi=120)


def main() -> None:
    """Fit, compare, and score another file of traces if one is given."""
    given = recordings(__doc__.splitlines()[0], [TRACES, PUBLISHED])
    began, compiled = time.perf_counter(), 0.0
    traces = read(given.data / TRACES, given.data / PUBLISHED)
    groups = defaultdict(list)
    for row in traces.values():
        groups[row["clamp"], min(n for n in LENGTHS if n >= row["y"].size)].append(row)
    for (clamp, length), group in groups.items():
        compiled += evaluate(clamp, length, group)
    wall = time.perf_counter() - began
    print(f"{len(traces)} traces in {wall:.1f} s, of it {compiled:.1f} s compiling the solves; {Counter(r['kind'] for r in traces.values())}")
    every = list(traces.values())
    for name, some in [("all", every)] + [(kind, [r for r in every if r["kind"] == kind]) for kind in ("digitized", "reconstructed")]:
        won = np.mean([r["rmse"]["ours"] <= r["rmse"]["theirs"] for r in some])
        ratio = np.median([r["rmse"]["ours"] / r["rmse"]["theirs"] for r in some])
        held = np.array([r["heldout"] for r in some])
        print(f"  {name:<13} {len(some)}: ours <= published in {won:.1%}, median ratio of RMSE {ratio:.3f}; "
              f"last event held out: better than the event before in {np.mean(held[:, 0] < held[:, 1]):.1%}")
    draw(every, Path(__file__).parent)
    won = np.mean([r["rmse"]["ours"] <= r["rmse"]["theirs"] for r in every])
    write_targets([
        Target("traces fitted", PAPER, 715, 0, len(every)),
        holds("RMSE not above that of the published parameters in >= 85 %", PAPER, won >= 0.85),
        holds("all fits within 120 s", PAPER, wall <= 120),
    ], Path(__file__).parent)


if __name__ == "__main__":
    with jax.enable_x64(True):
        main()
