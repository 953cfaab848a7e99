"""Figures of a fit: data against model, and what the starts and uncertainties look like."""

import json
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from retrojax.errors import InputError, naming_file
from retrojax.fit import FitResult
from retrojax.fit.report import FitReport, report_from_json
from retrojax.fit.result import HeldOut
from retrojax.report import fit_report_figures as more
from retrojax.report.style import DATA, HELD, MODEL, SPREAD


def draw_fit(report: FitReport, folder: Path) -> list[Path]:
    """Draw data and model, residuals and parameters into `folder` (made if missing), and what else the report holds.

    **Arguments**

    - `report`: what `fit_config` returned. `folder`: where the PNG files go.

    **Returns** the paths written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    figures = {"data_and_model.png": _data_and_model(report.fit), "residuals.png": more.residuals(report),
               "parameters.png": _parameters(report.fit)}
    if report.profiles:
        figures["profiles.png"] = more.profiles(report)
    if report.predictive is not None:
        figures["predictive.png"] = more.predictive(report)
    if report.fit.recovery is not None:
        figures["ranks.png"] = more.ranks(report)
    for name, figure in figures.items():
        FigureCanvasAgg(figure).print_png(str(folder / name))
    return [folder / name for name in figures]


def draw_fit_file(json_path: Path, folder: Path) -> list[Path]:
    """Draw the figures of a fit again, from its `fit.json` alone.

    **Arguments**

    - `json_path`: the `fit.json`. `folder`: where the PNG files go.

    **Returns** the paths written. **Raises** `InputError` for a file that is no fit's, or an older version's.
    """
    with naming_file(json_path):
        try:
            content = json.loads(json_path.read_text())
        except json.JSONDecodeError as error:
            raise InputError("fit.json", str(error), "JSON as `retrojax fit` writes it", "fit again") from None
        return draw_fit(report_from_json(content), folder)


def _data_and_model(result: FitResult) -> Figure:
    """One panel per series, all on one scale: data with SEM, the fit, and each point as predicted without its group."""
    names = list(dict.fromkeys(result.problem.series))
    figure = Figure(figsize=(4.2 * len(names) + 0.6, 4.0), layout="constrained", dpi=150)
    axes = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    low, high = _limits(result)
    axes[0].set_ylim(low, high)
    axes[0].set_ylabel(result.problem.y_label)
    for axis, name in zip(axes, names, strict=True):
        here = np.flatnonzero(np.asarray(result.problem.series) == name)
        here = here[np.argsort(result.problem.x[here], kind="stable")]
        _one_series(axis, result, here)
        if result.heldout:
            _held_out(axis, result.problem.x, result.heldout, here[result.problem.is_data[here]], (low, high))
        axis.set_title(name, fontsize=10)
    drawn = {label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(drawn.values(), drawn.keys(), loc="outside lower center", ncols=len(drawn), frameon=False, fontsize=9)
    held = f"; held out {result.heldout.chi2:.2f}" if result.heldout else ""
    sizes = f"{result.n_points} points, {len(result.parameters)} parameters"
    figure.suptitle(f"$\\chi^2$: fit {result.chi2:.2f}{held} ({sizes})", fontsize=11)
    return figure


def _one_series(axis: Axes, result: FitResult, here: np.ndarray) -> None:
    problem = result.problem
    x, measured = problem.x[here], problem.is_data[here].all()
    axis.axhline(1, color=SPREAD, lw=0.8, zorder=0)
    axis.errorbar(x, problem.mean[here], problem.sem[here], fmt="o" if measured else "D", color=DATA, capsize=3,
                  label="data, mean ± SEM" if measured else "assumed ± sd")
    axis.plot(x, result.prediction[here], "-s", color=MODEL, ms=4, label="fit")
    axis.set_xlabel(problem.x_label)
    axis.spines[["top", "right"]].set_visible(False)


def _held_out(axis: Axes, at: np.ndarray, heldout: HeldOut, here: np.ndarray, limits: tuple[float, float]) -> None:
    """Crosses; a prediction far outside the data is a triangle at the edge with its value: it sets no scale."""
    (low, high), x, value = limits, at[here], heldout.prediction[here]
    edge = 0.04 * (high - low)
    inside = (value > low + edge) & (value < high - edge)
    axis.plot(x[inside], value[inside], "x", color=HELD, ms=7, mew=1.8, label="predicted with its group left out")
    for place, number in zip(x[~inside], value[~inside], strict=True):
        height = np.clip(number, low + edge, high - edge)
        axis.plot(place, height, marker="^" if number > height else "v", color=HELD, ms=8, clip_on=False)
        axis.annotate(f"{number:.2f}", (place, height), color=HELD, fontsize=8, xytext=(-7, 0),
                      textcoords="offset points", ha="right", va="center")


def _limits(result: FitResult) -> tuple[float, float]:
    """Scale set by data and fit."""
    problem = result.problem
    low = float(min(np.min(problem.mean - problem.sem), np.min(result.prediction)))
    high = float(max(np.max(problem.mean + problem.sem), np.max(result.prediction)))
    margin = 0.12 * (high - low)
    return low - margin, high + margin


def _parameters(result: FitResult) -> Figure:
    """Left: loss of every start, sorted. Right: value of each parameter relative to the best, over starts and noise."""
    figure = Figure(figsize=(10, 0.45 * len(result.parameters) + 2.4), layout="constrained", dpi=150)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.5))
    _draw_losses(left, result)
    _draw_values(right, result)
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return figure


def _draw_losses(axis: Axes, result: FitResult) -> None:
    order = np.argsort(result.starts.loss, kind="stable")
    loss, converged = result.starts.loss[order] - np.min(result.starts.loss), result.starts.converged[order]
    rank = np.arange(1, loss.size + 1)
    shown = np.isfinite(loss)
    axis.plot(rank[shown & converged], loss[shown & converged], "o", color=MODEL, ms=4, label="converged")
    if np.any(shown & ~converged):
        axis.plot(rank[shown & ~converged], loss[shown & ~converged], "o", mfc="none", color=HELD, ms=4,
                      label="stopped at the step limit")
    axis.set_xlabel("start, best first")
    axis.set_yscale("symlog", linthresh=0.1)
    axis.set_ylim(-0.05, 2 * max(1.0, float(loss[shown].max())))
    axis.set_ylabel("final loss above that of the best")
    axis.legend(frameon=False, fontsize=8)
    axis.spines[["top", "right"]].set_visible(False)


def _draw_values(axis: Axes, result: FitResult) -> None:
    """Ratios to the best fit on a logarithmic axis, cut at factors of 100."""
    widest = 100.0
    paths, starts = list(result.parameters), result.starts
    good = starts.loss < np.min(starts.loss) + 1.0
    for row, path in enumerate(paths):
        found = result.parameters[path]
        ratio = starts.values[good, row] / found.value
        axis.plot(np.clip(ratio, 1 / widest, widest), np.full(ratio.size, row - 0.18), "|", color=SPREAD, ms=9, mew=1.2,
                  label="starts within 1 of the best loss" if row == 0 else None)
        factor = widest if found.sd is None else min(np.exp(found.sd / abs(found.value)), widest)
        axis.plot([1 / factor, factor], [row, row], "-", color=MODEL if found.identified else HELD, lw=3)
        axis.plot(1, row, "o", color=MODEL if found.identified else HELD, ms=5)
        if result.recovery is not None:
            again = result.recovery["parameters"][path]
            ends = np.clip(np.array([again["low"], again["median"], again["high"]]) / again["true"], 1 / widest, widest)
            axis.plot(ends[[0, 2]], [row + 0.2, row + 0.2], "-", color=DATA, lw=1)
            axis.plot(ends[1], row + 0.2, "d", color=DATA, ms=4,
                      label="synthetic data, median and 16-84 %" if row == 0 else None)
    axis.plot([], [], "-o", color=MODEL, lw=3, label="best fit ± 1 sd, identified")
    axis.plot([], [], "-o", color=HELD, lw=3, label="best fit ± 1 sd, not identified")
    axis.set_yticks(range(len(paths)), [_label(path, result) for path in paths])
    axis.invert_yaxis()
    axis.set_xscale("log")
    axis.set_xlim(1 / widest / 1.3, widest * 1.3)
    axis.set_xlabel("value / best fit (cut at a factor of 100)")
    axis.spines[["top", "right"]].set_visible(False)


def _label(path: str, result: FitResult) -> str:
    found = result.parameters[path]
    unit = "" if found.unit == "1" else f" {found.unit}"
    return f"{path.rsplit('.', 1)[-1]} = {found.value:.3g}{unit}"
