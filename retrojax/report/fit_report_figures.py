"""Further figures of a fit: residuals by protocol, profile likelihoods, predictive check, ranks of recovered values."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from retrojax.fit.profile import HALF_CHI2_95
from retrojax.fit.recovery import DRAWS
from retrojax.fit.report import FitReport
from retrojax.report.style import DATA, HELD, MODEL, SPREAD


def residuals(report: FitReport) -> Figure:
    """One panel per series: (measured - fitted)/SEM of every point, and with its group left out; +-2 shaded."""
    problem, held = report.fit.problem, report.fit.heldout
    names = list(dict.fromkeys(problem.series))
    figure = Figure(figsize=(4.2 * len(names) + 0.6, 3.4), layout="constrained", dpi=150)
    axes = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    fitted = (problem.mean - report.fit.prediction) / problem.sem
    out = fitted if held is None else (problem.mean - held.prediction) / problem.sem
    edge = max(3.5, 1.15 * float(np.max(np.abs(fitted))))
    for axis, name in zip(axes, names, strict=True):
        here = np.flatnonzero(np.asarray(problem.series) == name)
        here = here[np.argsort(problem.x[here], kind="stable")]
        place = np.arange(here.size)
        axis.axhspan(-2, 2, color=SPREAD, alpha=0.2, lw=0)
        axis.axhline(0, color=SPREAD, lw=0.8)
        axis.plot(place, fitted[here], "s", color=MODEL, ms=5, label="fit")
        if held is not None and problem.is_data[here].all():
            shown = np.clip(out[here], -edge, edge)
            axis.plot(place, shown, "x", color=HELD, ms=7, mew=1.8, label="its group left out (cut at the edge)")
        axis.set_xticks(place, [f"{x:g}" for x in problem.x[here]])
        axis.set_xlabel(problem.x_label)
        axis.set_ylim(-edge * 1.05, edge * 1.05)
        axis.set_title(name, fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("(measured − model) / SEM")
    drawn = {label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(drawn.values(), drawn.keys(), loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure


def profiles(report: FitReport) -> Figure:
    """One panel per profiled parameter: fall of the log posterior, its 95 % line and the parabola of Laplace."""
    many = list(report.profiles.values())
    columns = min(3, len(many))
    rows = -(-len(many) // columns)
    figure = Figure(figsize=(3.6 * columns, 2.9 * rows), layout="constrained", dpi=150)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, one in zip(axes, many, strict=False):
        found = report.fit.parameters[one.path]
        log = bool(np.all(one.values > 0)) and one.values[-1] > 3 * one.values[0]
        axis.plot(one.values, one.drop, "-o", color=MODEL, ms=3, label="profile")
        if found.sd is not None:
            fine = (np.geomspace if log else np.linspace)(one.values[0], one.values[-1], 200)
            z = (fine - found.value) / found.sd if not log else np.log(fine / found.value) * found.value / found.sd
            axis.plot(fine, z**2 / 2, "--", color=SPREAD, lw=1, label="from the ± 1 sd")
        axis.axhline(HALF_CHI2_95, color=HELD, lw=0.8, label="95 %")
        for end in (one.low, one.high):
            if end is not None:
                axis.axvline(end, color=HELD, lw=0.8, ls=":")
        axis.set_ylim(-0.2, 5)
        axis.set_xscale("log" if log else "linear")
        axis.set_xlabel(one.path if found.unit == "1" else f"{one.path} [{found.unit}]", fontsize=9)
        axis.spines[["top", "right"]].set_visible(False)
    for axis in axes[len(many):]:
        axis.axis("off")
    for axis in axes[:: columns]:
        axis.set_ylabel("fall of log posterior")
    axes[0].legend(frameon=False, fontsize=8)
    return figure


def predictive(report: FitReport) -> Figure:
    """Every measured point beside the 5-95 % band of data that the fitted model would make."""
    check, problem = report.predictive, report.fit.problem
    assert check is not None
    order = np.flatnonzero(problem.is_data)
    figure = Figure(figsize=(7.5, 0.28 * order.size + 1.6), layout="constrained", dpi=150)
    axis = figure.subplots()
    place = np.arange(order.size)
    axis.hlines(place, check.low[order], check.high[order], color=MODEL, lw=5, alpha=0.35, label="model, 5-95 %")
    axis.plot(check.median[order], place, "|", color=MODEL, ms=10, mew=2, label="model, median")
    axis.errorbar(problem.mean[order], place, xerr=problem.sem[order], fmt="o", color=DATA, ms=4, capsize=2,
                  label="data, mean ± SEM")
    axis.set_yticks(place, [problem.labels[k] for k in order], fontsize=8)
    axis.invert_yaxis()
    axis.set_xlabel(problem.y_label)
    axis.set_title(f"predictive check, p = {check.p_value:.2f}; {100 * check.inside:.0f} % inside", fontsize=10)
    axis.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return figure


def ranks(report: FitReport) -> Figure:
    """Empirical distribution of the ranks of recovered parameters against the diagonal, with its 95 % band."""
    found = report.fit.recovery
    assert found is not None
    figure = Figure(figsize=(4.6, 4.2), layout="constrained", dpi=150)
    axis = figure.subplots()
    sets, grid = found["sets"], np.linspace(0, 1, 101)
    half = 1.36 / np.sqrt(sets)  # Kolmogorov's band for many sets
    axis.fill_between(grid, np.clip(grid - half, 0, 1), np.clip(grid + half, 0, 1), color=SPREAD, alpha=0.25, lw=0)
    _draw_ranks(axis, found, sets)
    axis.plot([0, 1], [0, 1], color=DATA, lw=0.8)
    axis.set_xlabel("rank of the truth in its posterior")
    axis.set_ylabel(f"share of {sets} synthetic data sets")
    axis.legend(frameon=False, fontsize=7)
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def _draw_ranks(axis: Axes, found: dict, sets: int) -> None:
    for path, one in found["parameters"].items():
        rank = np.sort(one["ranks"]) / DRAWS
        axis.step(np.concatenate([[0], rank, [1]]), np.concatenate([[0], np.arange(1, sets + 1) / sets, [1]]),
                  where="post", lw=1, label=path)
