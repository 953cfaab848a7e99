"""Figures of a fit: data against model, and what the starts and uncertainties look like."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from retrojax.fit import FitResult

DATA, MODEL, HELD, SPREAD = "black", "#0072b2", "#d55e00", "#999999"
"""Colours that stay apart for colour-blind readers."""


def draw_fit(result: FitResult, folder: Path) -> list[Path]:
    """Draw `data_and_model.png` and `parameters.png` into `folder` (made if missing).

    **Arguments**

    - `result`: what `fit` returned. `folder`: where the PNG files go.

    **Returns** the paths written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    figures = {"data_and_model.png": _data_and_model(result), "parameters.png": _parameters(result)}
    for name, figure in figures.items():
        FigureCanvasAgg(figure).print_png(str(folder / name))
    return [folder / name for name in figures]


def _data_and_model(result: FitResult) -> Figure:
    """One panel per series, all on one scale: data with SEM, the fit, and each point as predicted without its group."""
    names = list(dict.fromkeys(result.problem.series))
    figure = Figure(figsize=(4.2 * len(names) + 0.6, 4.0), layout="constrained", dpi=150)
    axes = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for axis, name in zip(axes, names, strict=True):
        _one_series(axis, result, name)
    axes[0].set_ylabel(result.problem.y_label)
    _limits(axes, result)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    held = f", held out {result.heldout.chi2:.2f}" if result.heldout else ""
    figure.suptitle(f"$\\chi^2$ = {result.chi2:.2f} over {result.n_points} points, {len(result.parameters)} parameters{held}",
                    fontsize=11)
    return figure


def _one_series(axis: Axes, result: FitResult, name: str) -> None:
    problem = result.problem
    here = np.flatnonzero(np.asarray(problem.series) == name)
    here = here[np.argsort(problem.x[here], kind="stable")]
    x, measured = problem.x[here], problem.is_data[here]
    axis.axhline(1, color=SPREAD, lw=0.8, zorder=0)
    axis.errorbar(x, problem.mean[here], problem.sem[here], fmt="o" if measured.all() else "D", color=DATA, capsize=3,
                  label="data, mean ± SEM" if measured.all() else "assumed ± sd")
    axis.plot(x, result.prediction[here], "-s", color=MODEL, ms=4, label="fit")
    if result.heldout and measured.any():
        axis.plot(x[measured], result.heldout.prediction[here][measured], "x", color=HELD, ms=7, mew=1.8,
                  label="predicted with its group left out")
    axis.set_title(name, fontsize=10)
    axis.set_xlabel(problem.x_label)
    axis.spines[["top", "right"]].set_visible(False)


def _limits(axes: np.ndarray, result: FitResult) -> None:
    """Leave the scale to data and fit; a held-out prediction far outside is drawn at the edge with its value."""
    problem = result.problem
    low = min(np.min(problem.mean - problem.sem), np.min(result.prediction))
    high = max(np.max(problem.mean + problem.sem), np.max(result.prediction))
    margin = 0.12 * (high - low)
    low, high = low - margin, high + margin
    if result.heldout is not None:
        inside = np.clip(result.heldout.prediction, low + margin / 3, high - margin / 3)
        names = list(dict.fromkeys(problem.series))
        for number in np.flatnonzero(inside != result.heldout.prediction):
            axis, value = axes[names.index(problem.series[number])], result.heldout.prediction[number]
            axis.plot(problem.x[number], inside[number], marker="^" if value > high - margin / 3 else "v", color=HELD, ms=8)
            axis.annotate(f"{value:.2f}", (problem.x[number], inside[number]), color=HELD, fontsize=8,
                          xytext=(-7, 0), textcoords="offset points", ha="right", va="center")
    axes[0].set_ylim(low, high)


def _parameters(result: FitResult) -> Figure:
    """Left: loss of every start, sorted. Right: value of each parameter relative to the best, over starts and noise."""
    figure = Figure(figsize=(10, 0.45 * len(result.parameters) + 2.4), layout="constrained", dpi=150)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.5))
    _draw_losses(left, result)
    _draw_values(right, result)
    return figure


def _draw_losses(axis: Axes, result: FitResult) -> None:
    order = np.argsort(result.starts.loss, kind="stable")
    loss, converged = result.starts.loss[order], result.starts.converged[order]
    rank = np.arange(1, loss.size + 1)
    shown = np.isfinite(loss)
    axis.semilogy(rank[shown & converged], loss[shown & converged], "o", color=MODEL, ms=4, label="converged")
    if np.any(shown & ~converged):
        axis.semilogy(rank[shown & ~converged], loss[shown & ~converged], "o", mfc="none", color=HELD, ms=4,
                      label="stopped at the step limit")
    axis.set_xlabel("start, best first")
    axis.set_ylabel("final loss")
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
            axis.plot(ends[1], row + 0.2, "d", color=DATA, ms=4, label="synthetic data, median and 16-84 %" if row == 0 else None)
    axis.plot([], [], "-o", color=MODEL, lw=3, label="best fit ± 1 sd, identified")
    axis.plot([], [], "-o", color=HELD, lw=3, label="best fit ± 1 sd, not identified")
    axis.set_yticks(range(len(paths)), [_label(path, result) for path in paths])
    axis.invert_yaxis()
    axis.set_xscale("log")
    axis.set_xlim(1 / widest / 1.3, widest * 1.3)
    axis.set_xlabel("value / best fit (cut at a factor of 100)")
    axis.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2)
    axis.spines[["top", "right"]].set_visible(False)


def _label(path: str, result: FitResult) -> str:
    found = result.parameters[path]
    unit = "" if found.unit == "1" else f" {found.unit}"
    return f"{path.rsplit('.', 1)[-1]} = {found.value:.3g}{unit}"
