"""Emission, loss and diffusion of a messenger from profiles of plasticity around a stimulated cluster of spines.

Synthetic recordings on real layouts: positions of excitatory and inhibitory synapses along basal dendrites (Horton et
al. 2024). Five neighbouring spines make a messenger at Q molecules/ms each from time 0 on; each of the 40 nearest other
synapses changes by its known receptor, A c/(c + K), seen at six times with noise of SD 0.1, a fifth of A. c is the sum
of the closed forms of point sources that were switched on (`point_response`; Carslaw & Jaeger 1959). Q, the loss k and
the diffusion D of every data set are drawn around those of 2-AG, fitted by least squares in ln Q, ln k, ln D from one
common start, and given 90 % intervals by the curvature there.

From a steady profile only sqrt(k/D) and Q/D can be known, because c = Q exp(-r sqrt(k/D))/(4 pi D r) holds nothing
else: those two are fitted and covered, and the report on all three must call D and k undetermined.
"""

import math
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import optimistix

from retrojax.errors import InputError, naming_file
from retrojax.fit.data import Column, column_numbers, column_texts, read_table
from retrojax.fit.identify import identify
from retrojax.fit.spec import Parameter, Transform
from retrojax.space import point_response, point_steady
from retrojax.testing import Target, held_back, holds, keep, kept, recordings, write_targets

matplotlib.use("Agg")
import matplotlib.pyplot as plt

HERE = Path(__file__).parent
TABLE = "dendrite_ei_synapses_horton2024/synapses_along_branch.csv"
SETS, SOURCES, SITES = 400, 5, 40
TIMES_MS = np.array([250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0])
CENTRE = np.log([20.0, 5e-4, 0.0346])  # Q [molecules/ms], k [1/ms], D [um^2/ms]
START, SPREAD = CENTRE + np.log([2.0, 0.5, 1.5]), 0.3
A, K_NM, FRACTION, OFFSET_UM, NOISE = 0.5, 100.0, 0.2, 0.3, 0.1
NORMAL_95 = 1.6448536
SPEC = {name: Parameter(Transform("log"), 1.0, 1.0) for name in ("emission", "loss", "diffusion")}
TIME_NAMES, STEADY_NAMES = ("Q", "k", "D"), ("Q/D", "sqrt(k/D)")


class Layout(NamedTuple):
    """Distances from every readout synapse to every source [um], and the place of the readouts from the cluster."""

    distance: np.ndarray
    place: np.ndarray


def read_branches(path: Path, protocols: Path | None = None) -> list[tuple[np.ndarray, np.ndarray]]:
    """(position [um], is excitatory) of the synapses of every branch that has enough of them."""
    if protocols is not None:
        raise InputError("--protocols", str(protocols), "nothing: branches have no protocol label", "leave it out")
    branches: dict[str, list[tuple[float, bool]]] = {}
    with naming_file(path.name):
        table = read_table(path, ("branch", "synapse_type", "um_along_branch"))
        place = column_numbers(table, "um_along_branch", Column("um_along_branch"))[:, 0].tolist()
        names, kinds = (column_texts(table, name, Column(name)) for name in ("branch", "synapse_type"))
        if unknown := sorted({kind for kind in kinds if not kind.startswith(("exc", "inh"))}):
            raise InputError("synapse_type", ", ".join(unknown), "excitatory_spine, inhibitory_shaft",
                             "leave these synapses out")
    for name, x, kind in zip(names, place, kinds, strict=True):
        branches.setdefault(name, []).append((x, kind.startswith("exc")))
    arrays = [(np.array([x for x, _ in rows]), np.array([e for _, e in rows])) for rows in branches.values()]
    found = [pair for pair in arrays if pair[0].size >= SITES + SOURCES and pair[1].sum() >= SOURCES]
    if not found:
        raise InputError("branch", f"{len(arrays)} branches", f"one with {SITES + SOURCES} synapses, {SOURCES} of them "
                         "excitatory", "give a longer branch", path.name)
    return found


def draw_layout(branches, rng: np.random.Generator) -> Layout:
    """A random cluster of neighbouring spines, and the synapses around it."""
    x, excitatory = branches[rng.integers(len(branches))]
    spines = np.sort(x[excitatory])
    first = rng.integers(spines.size - SOURCES + 1)
    cluster = spines[first : first + SOURCES]
    places = np.flatnonzero(excitatory)[np.argsort(x[excitatory], kind="stable")][first : first + SOURCES]
    others = np.delete(x, places)
    nearest = others[np.argsort(np.abs(others - cluster.mean()), kind="stable")[:SITES]]
    return Layout(np.hypot(nearest[:, None] - cluster, OFFSET_UM), nearest - cluster.mean())


def over_time(u, distance):
    """Change of every synapse at every time, [sites, times]."""
    Q, k, D = jnp.exp(u)
    amount = point_response(distance[..., None], jnp.asarray(TIMES_MS), Q, D, k).sum(-2) / FRACTION
    return A * amount / (amount + K_NM)


def steady(u, distance):
    """Change of every synapse in the steady state; u = ln (Q/D, sqrt(k/D))."""
    ratio, reach = jnp.exp(u)
    amount = point_steady(distance, ratio, 1.0, reach**2).sum(-1) / FRACTION
    return A * amount / (amount + K_NM)


def fit_many(predict, distance, data, start):
    """Estimate and standard deviation of every coordinate, for many data sets at once."""
    method = optimistix.LevenbergMarquardt(rtol=1e-8, atol=1e-8)

    def one(d, y):
        residual = lambda u, _: (predict(u, d) - y).ravel() / NOISE  # noqa: E731
        u = optimistix.least_squares(residual, method, start, max_steps=200, throw=False).value
        slopes = jax.jacfwd(lambda v: residual(v, None))(u)
        return u, jnp.sqrt(jnp.diag(jnp.linalg.inv(slopes.T @ slopes)))

    return [np.asarray(x) for x in jax.jit(jax.vmap(one))(distance, data)]


def in_steady_terms(u: np.ndarray) -> np.ndarray:
    """ln (Q/D, sqrt(k/D)) of ln (Q, k, D)."""
    return np.stack([u[..., 0] - u[..., 2], (u[..., 1] - u[..., 2]) / 2], -1)


def covered(estimate: np.ndarray, sd: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Share of 90 % intervals that hold the truth, per coordinate."""
    return (np.abs(estimate - truth) <= NORMAL_95 * sd).mean(0)


def steady_report(u: np.ndarray, distance: np.ndarray) -> tuple[str, ...]:
    """What the fit's own report says about Q, k and D from a steady profile."""
    three = lambda v: steady(jnp.stack([v[0] - v[2], (v[1] - v[2]) / 2]), distance)  # noqa: E731
    jacobian = np.asarray(jax.jacfwd(three)(jnp.asarray(u)))
    return identify(SPEC, np.exp(u), jacobian, np.full(len(jacobian), 1 / NOISE)).undetermined


def draw(layout: Layout, data: np.ndarray, estimate: np.ndarray, relative: np.ndarray, names) -> None:
    """One data set with its fit, and the errors of all estimates in standard deviations."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    order, model = np.argsort(layout.place), np.asarray(over_time(jnp.asarray(estimate), layout.distance))
    for j, time in enumerate(TIMES_MS):
        left.plot(layout.place[order], model[order, j], color=f"C{j}", label=f"{time / 1000:g} s")
        left.plot(layout.place, data[:, j], ".", color=f"C{j}", ms=3)
    left.set(xlabel="distance from the cluster [um]", ylabel="change of strength", title="one data set and its fit")
    left.legend(fontsize=7)
    grid = np.linspace(-4, 4, 200)
    for j, name in enumerate(names):
        right.hist(relative[:, j], np.linspace(-4, 4, 33), density=True, histtype="step", label=name)
    right.plot(grid, np.exp(-grid**2 / 2) / math.sqrt(2 * math.pi), "k", lw=0.8, label="normal")
    right.set(xlabel="(estimate - truth)/SD, logarithms", title=f"{SETS} data sets")
    right.legend(fontsize=7)
    figure.savefig(HERE / "profiles_and_errors.png", dpi=130)


def score(branches, estimate: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Parameters fitted on the first data set, on new profiles at held-back layouts: chi2 per point."""
    rng = np.random.default_rng(10)
    distance = np.stack([draw_layout(branches, rng).distance for _ in range(50)])
    fitted, start, clean = (np.asarray(jax.vmap(over_time, (None, 0))(jnp.asarray(u), distance))
                            for u in (estimate, START, truth))
    data = clean + NOISE * rng.standard_normal(clean.shape)
    found = {}
    for name, guess in (("fitted", fitted), ("start of the fit", start), ("mean", data.mean()), ("no messenger", 0.0)):
        found[name] = float(np.mean(((data - guess) / NOISE) ** 2))
        print(f"--score, {name}: chi2 per point {found[name]:.3f} on 50 clusters of {len(branches)} branches")
    return found


def main() -> None:
    """400 data sets over time, 400 steady ones, and the report on what a steady profile cannot say."""
    given = recordings(__doc__.splitlines()[0], [TABLE])
    held, known = held_back(given, read_branches), kept(given, HERE)
    if known is not None:
        with jax.enable_x64(True):
            score(held, np.array(known["estimate"]), np.array(known["truth"]))
        return
    rng = np.random.default_rng(9)
    branches = read_branches(given.data / TABLE)
    layouts = [draw_layout(branches, rng) for _ in range(SETS)]
    distance = np.stack([layout.distance for layout in layouts])
    truth = CENTRE + SPREAD * rng.standard_normal((SETS, 3))
    with jax.enable_x64(True):
        clean = np.asarray(jax.vmap(over_time)(truth, distance))
        data = clean + NOISE * rng.standard_normal(clean.shape)
        u, sd = fit_many(over_time, distance, data, START)
        flat = np.asarray(jax.vmap(steady)(in_steady_terms(truth), distance))
        flat_data = flat + NOISE * rng.standard_normal(flat.shape)
        v, v_sd = fit_many(steady, distance, flat_data, in_steady_terms(START))
        words = steady_report(CENTRE, distance[0])
        elsewhere = np.roll(distance, 1, axis=0)
        target, fitted, start = (np.asarray(jax.vmap(over_time)(x, elsewhere)) for x in (truth, u, 0 * truth + START))
        fitted_misfit, start_misfit = (float(np.mean(((x - target) / NOISE) ** 2)) for x in (fitted, start))
        keep(given, HERE, {"estimate": u[0].tolist(), "truth": truth[0].tolist()})
        if held is not None:
            score(held, u[0], truth[0])
        draw(layouts[0], data[0], u[0], (u - truth) / sd, TIME_NAMES)
    over, at_rest = covered(u, sd, truth), covered(v, v_sd, in_steady_terms(truth))
    for names, spread, error in ((TIME_NAMES, sd, u - truth), (STEADY_NAMES, v_sd, v - in_steady_terms(truth))):
        print("; ".join(f"{n}: SD {np.nanmedian(s):.3f} of ln, bias {np.median(e):+.3f}" for n, s, e in
                        zip(names, spread.T, error.T, strict=True)))
    without = [int(np.isnan(x).any(1).sum()) for x in (sd, v_sd)]
    print(f"data sets without an interval, counted as not covered: {without[0]} over time, {without[1]} steady")
    print(f"new clusters, mean square error over noise variance: fitted {fitted_misfit:.4f}, start {start_misfit:.4f}")
    print("steady profile, all three parameters: " + "; ".join(words))
    paper = "90 % intervals by curvature"
    write_targets([
        *[Target(f"{when}: coverage of {name}", paper, 0.9, 0.05, float(share))
          for when, names, shares in (("over time", TIME_NAMES, over), ("steady", STEADY_NAMES, at_rest))
          for name, share in zip(names, shares, strict=True)],
        holds("steady: the report calls D and k undetermined", "Carslaw & Jaeger 1959, 10.4",
              any("diffusion" in text and "loss" in text for text in words)),
        holds("over time: new profiles at other clusters predicted better than by the start of the fit", paper,
              fitted_misfit < start_misfit),
    ], HERE)


if __name__ == "__main__":
    main()
