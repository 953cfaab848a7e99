"""Hundreds of published hippocampal synaptic trains, each fitted in its own clamp, against the published parameters.

Traces digitised from figures, or rebuilt from published amplitudes, kinetics and paired-pulse ratios, and their fits:
Moradi & Ascoli (2020) Hippocampus 30:314 and Moradi et al. (2022). Free: G, tau_d, tau_r, tau_f, U; Erev, Vm, Rin and
Cm as published; the loss is the RMSE over all points of a trace, of which the first is the baseline. The published
parameters are judged in the same model, which is the authors' own (`ThreeStateRelease`); they minimise another, robust
loss over data corrected for drift, and are no start of this fit. A presynaptic spike falls on every third point: the
onset in current clamp, the peak in voltage clamp. A time that runs backwards (12 traces) counts as no time elapsed.
"""

import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import figure
import jax
import jax.numpy as jnp
import numpy as np
from reading import read

from retrojax.fit.batch import best_starts, compile_batch, linear_amplitude
from retrojax.fit.traces import Points, clamp_current, membrane_response
from retrojax.parts.three_state_release import ThreeStateRelease
from retrojax.testing import Target, held_back, holds, keep, kept, recordings, write_targets

TRACES = "stp_hippocampome/digitized_traces.csv.gz"
PUBLISHED = "stp_hippocampome/published_tm_fits.csv.gz"
HERE = Path(__file__).parent
PAPER = "Moradi & Ascoli 2020; Moradi et al. 2022"
LOW, HIGH = np.log([1e-3, 0.1, 1.0, 1.0, 1e-3]), np.log([1e5, 1e3, 3e4, 3e4, 0.999])  # G, tau_d, tau_r, tau_f, U
UP_TO, STARTS, BATCH = {True: (36, 100, 440), False: (36, 440)}, 8, 256
"""Points of the traces that are solved together, by clamp: each group is padded to its longest, and compiled once."""


def predict(clamp: bool, u, row):
    """The trace at coordinates u (logarithms of the free parameters)."""
    g, tau_d, tau_r, tau_f, p = jnp.exp(u)
    e_rev, rest, resistance, capacitance = row["fixed"]
    release, points = ThreeStateRelease(tau_d, tau_r, tau_f), Points(row["elapsed"], row["spike"])
    if clamp:
        return clamp_current(release, p, g, rest - e_rev, points)
    return membrane_response(release, p, g, rest - e_rev, resistance, capacitance, points)


def stack(group: list[dict], length: int) -> dict[str, np.ndarray]:
    """Traces of one group, padded to a common length; weights are 0 in the padding."""
    pad = {key: np.stack([np.pad(row[key], (0, length - row["y"].size)) for row in group])
           for key in ("elapsed", "spike", "y")}
    used = np.arange(length) < np.array([row["y"].size for row in group])[:, None]
    scale = np.abs(pad["y"]).max(1, keepdims=True)
    return {**pad, "weight": used / scale, "fixed": np.stack([row["fixed"] for row in group])}


def first_guess(data: dict, clamp: bool, rng: np.random.Generator) -> np.ndarray:
    """Starts [trace x STARTS, 5]: decay from peak to third point, G from the first peak, the rest drawn."""
    size = (len(data["y"]), STARTS)
    ratio = np.clip(np.abs(data["y"][:, 1]) / np.maximum(np.abs(data["y"][:, 2]), 1e-9), 1.05, 20)
    tau = np.clip(data["elapsed"][:, 2] / np.log(ratio), 0.5, 100)[:, None] * np.exp(0.5 * rng.normal(size=size))
    others = rng.uniform(np.log([5, 2, 0.02]), np.log([3e3, 1e3, 0.95]), (*size, 3))
    e_rev, rest, resistance, capacitance = data["fixed"].T[..., None]
    g = np.abs(data["y"][:, 1:2] / (rest - e_rev)) * (1.0 if clamp else capacitance / tau + 1e3 / resistance)
    columns = [np.log(np.maximum(g, 1e-3)) - others[..., 2], np.log(tau), *np.moveaxis(others, -1, 0)]
    return np.clip(np.stack(columns, -1), LOW, HIGH).reshape(-1, 5)


def solve(solver, u0, data) -> np.ndarray:
    """A few steps from every start, then the best two of each trace to the end."""
    begun = solver(u0, {key: np.repeat(value, STARTS, 0) for key, value in data.items()}, 20)
    best = np.argsort(begun.loss.reshape(-1, STARTS), 1)[:, :2]
    u = np.take_along_axis(begun.u.reshape(-1, STARTS, 5), best[..., None], 1).reshape(-1, 5)
    return best_starts(solver(u, {key: np.repeat(value, 2, 0) for key, value in data.items()}), 2)[0]


def rmse(a, b) -> float:
    """Root mean square of a - b."""
    return float(np.sqrt(np.mean((a - b) ** 2)))


def evaluate(clamp: bool, group: list[dict]) -> float:
    """Fit one group with and without the last event; each trace gets its scores. Returns the time compiling [s].

    Groups run in two threads, one compiling while the other solves; double precision is a setting of the thread.
    """
    with jax.enable_x64(True):
        return _evaluate(clamp, group)


def _evaluate(clamp: bool, group: list[dict]) -> float:
    length = max(row["y"].size for row in group)
    data = stack(group, length)
    u0 = first_guess(data, clamp, np.random.default_rng(length))
    example = {key: np.resize(value, (BATCH, *value.shape[1:])) for key, value in data.items()}
    solver = compile_batch(lambda u, row: row["weight"] * (predict(clamp, u, row) - row["y"]),
                           np.resize(u0, (BATCH, 5)), example, LOW, HIGH, max_steps=150, tolerance=1e-7)
    early = {**data, "weight": data["weight"] * (np.arange(length) < np.array([[row["last"]] for row in group]))}
    u = {"ours": solve(solver, u0, data), "early": solve(solver, u0, early),
         "theirs": np.stack([row["published"] for row in group])}
    trace = jax.jit(jax.vmap(lambda u, row: predict(clamp, u, row)))
    y = {name: np.asarray(trace(value, data)) for name, value in u.items()}
    for k, row in enumerate(group):
        n, last = row["y"].size, row["last"]
        row.update(u=u["ours"][k], **{name: y[name][k, :n] for name in ("ours", "theirs")})
        row["rmse"] = {name: rmse(row[name], row["y"]) for name in ("ours", "theirs")}
        # the last event, not fitted, against the same points of the event before it
        row["heldout"] = rmse(y["early"][k, last:n], row["y"][last:]), rmse(row["y"][last - 3 : n - 3], row["y"][last:])
    return solver.compile_s


def score(rows: dict[str, dict], fitted: dict[str, dict]) -> dict[str, float]:
    """Other traces, not refitted: own parameters, or for a new trace the median ones and a free amplitude.

    `fitted`: trace -> its coordinates `u` and whether it is in voltage clamp.
    """
    relative, longest = [], max(row["y"].size for row in rows.values())
    for clamp in (True, False):
        some = {name: row for name, row in rows.items() if row["clamp"] == clamp}
        if not some:
            continue
        middle = np.median([row["u"] for row in fitted.values() if row["clamp"] == clamp], 0)
        own = np.stack([fitted[name]["u"] if name in fitted else middle for name in some])
        data = stack(list(some.values()), longest)
        trace = jax.jit(jax.vmap(lambda u, row, clamp=clamp: predict(clamp, u, row)))
        every = zip(some.items(), trace(own, data), trace(np.stack([r["published"] for r in some.values()]), data),
                    strict=True)
        for (name, row), ours, theirs in every:
            n, y = row["y"].size, row["y"]
            scale = 1.0 if name in fitted else float(linear_amplitude(ours[:n], jnp.asarray(y), jnp.ones(n)))
            guesses = scale * np.asarray(ours[:n]), np.asarray(theirs[:n]), np.resize(y[:3], n)
            relative.append([rmse(guess, y) / np.abs(y).max() for guess in guesses])
    print(f"--score: {len(rows)} traces with a clamp and three events, {sum(name in fitted for name in rows)} of them "
          f"fitted, the others by the median parameters and their own amplitude")
    found = {}
    for name, values in zip(("ours", "published parameters", "first event repeated"), np.transpose(relative),
                            strict=True):
        there = values[np.isfinite(values)]
        if there.size:
            found[name] = float(np.median(there))
            print(f"--score, {name}: median RMSE / largest deviation {found[name]:.4f} (n = {there.size})")
        else:
            print(f"--score, {name}: not given for these traces")
    return found


def main() -> None:
    """Fit, compare, and score another file of traces if one is given."""
    given = recordings(__doc__.splitlines()[0], [TRACES, PUBLISHED])
    published = [given.data / PUBLISHED] if (given.data / PUBLISHED).is_file() else []
    held = held_back(given, lambda path, protocols: read(path, *([protocols] if protocols else []), *published))
    known = kept(given, HERE)
    if known is not None:
        score(held, known)
        return
    began, cpu, groups = time.perf_counter(), time.process_time(), defaultdict(list)
    traces = read(given.data / TRACES, given.data / PUBLISHED)
    for row in traces.values():
        groups[row["clamp"], min(n for n in UP_TO[row["clamp"]] if n >= row["y"].size)].append(row)
    with ThreadPoolExecutor(2) as threads:
        compiled = sum(threads.map(lambda item: evaluate(item[0][0], item[1]), groups.items()))
    wall = time.perf_counter() - began
    print(f"{len(traces)} traces, fitted twice, in {wall:.1f} s, {compiled:.1f} s in two threads compiling the "
          f"solves; processor time {time.process_time() - cpu:.1f} s")
    ahead = {}
    for name in ("digitized", "reconstructed"):
        some = [row for row in traces.values() if row["kind"] == name]
        ratio = np.array([row["rmse"]["ours"] / row["rmse"]["theirs"] for row in some])
        ours, before = np.transpose([row["heldout"] for row in some])
        ahead[name] = np.mean(ours < before)
        print(f"  {name:<13} {len(some)}: ours <= published in {np.mean(ratio <= 1):.1%}, median ratio of RMSE "
              f"{np.median(ratio):.3f}; last event held out: better than the event before in "
              f"{ahead[name]:.1%}, median ratio {np.median(ours / before):.2f}")
    figure.draw(list(traces.values()), HERE)
    fitted = {name: {"clamp": row["clamp"], "u": row["u"].tolist()} for name, row in traces.items()}
    keep(given, HERE, fitted)
    if held is not None:
        score(held, fitted)
    won = np.mean([row["rmse"]["ours"] <= row["rmse"]["theirs"] for row in traces.values()])
    write_targets([
        Target("traces fitted", PAPER, 715, 0, len(traces)),
        holds("RMSE not above that of the published parameters in >= 85 %", PAPER, won >= 0.85),
        *(holds(f"{name}: last event, held out, better than repeating the one before in > 50 %", PAPER, share > 0.5)
          for name, share in ahead.items()),
        holds("all fits within 120 s", PAPER, wall <= 120),
    ], HERE)


if __name__ == "__main__":
    with jax.enable_x64(True):
        main()
