"""The figures of a run, drawn from `results.zarr` alone."""

from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from retrojax.report.field_figures import draw_fields

STAGE_COLOURS = {"W": "#fff3c4", "N1": "#dbe7f5", "N2": "#b9d0ec", "N3": "#8fb3de", "REM": "#e3d3ee"}
CLASS_COLOURS = {"e": "#c0392b", "i": "#2c6fbb"}


def draw_run(results: Path, folder: Path) -> list[Path]:
    """Draw every figure of a run that has at least one snapshot after its start.

    **Arguments**

    - `results`: the `results.zarr` of the run.
    - `folder`: where the PNG files go.
    """
    data = xr.open_zarr(results, consolidated=False)
    known = np.zeros(0, int)
    if data.sizes["synapse"]:
        known = np.flatnonzero(np.isfinite(data.weight.isel(synapse=0).values))
    data = data.isel(time=slice(0, int(known[-1]) + 1 if len(known) else 1))
    folder.mkdir(parents=True, exist_ok=True)
    figures = {"firing_rates": _rates(data), "strengths": _strengths(data), "plasticity_map": _map(data)}
    if data.sizes.get("messenger", 0):
        figures["messengers"] = _messengers(data)
        if "conc" in data:
            figures["field_slices"] = draw_fields(data, "slice")
            figures["field_projections"] = draw_fields(data, "projection")
    if "calcium" in data:
        figures["astrocytes"] = _astrocytes(data)
    return [_save(figure, folder / f"{name}.png") for name, figure in figures.items()]


def _save(figure: Figure, path: Path) -> Path:
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=130)
    return path


def _shade(axes: Axes, data: xr.Dataset) -> None:
    """Sleep stages as a background, each named where it starts."""
    ends, stages = data.bin.values / 1000, data.stage.values
    width = ends[0] if len(ends) else 0.0
    first = [0, *(np.flatnonzero(stages[1:] != stages[:-1]) + 1)]
    for start, stop in zip(first, [*first[1:], len(ends)], strict=True):
        if stop > start and stages[start] in STAGE_COLOURS:
            axes.axvspan(ends[start] - width, ends[stop - 1], color=STAGE_COLOURS[stages[start]], lw=0, zorder=0)
            axes.text(ends[start] - width, 1.0, f" {stages[start]}", transform=axes.get_xaxis_transform(),
                      va="bottom", fontsize=8)
    axes.set_xlim(0, max(float(data.time[-1]) / 1000, 1e-3))


def _rates(data: xr.Dataset) -> Figure:
    figure = Figure(figsize=(9, 6), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    kinds = data.cell_class.values
    seconds, neuron = data.spike_time.values / 1000, data.spike_neuron.values
    edges = np.arange(0.0, max(float(data.time[-1]) / 1000, 0.5) + 1e-9, 0.5)
    for kind in np.unique(kinds):
        chosen = kinds[neuron] == kind
        colour = CLASS_COLOURS.get(str(kind), "#555555")
        top.plot(seconds[chosen], neuron[chosen], ",", color=colour)
        counts, _ = np.histogram(seconds[chosen], edges)
        bottom.step(edges[1:], counts / 0.5 / max((kinds == kind).sum(), 1), color=colour, label=f"class {kind}")
    _shade(bottom, data)
    top.set_ylabel("neuron")
    top.set_title("Spikes and mean firing rate")
    bottom.set(xlabel="time (s)", ylabel="rate (Hz)", ylim=(0, 1.3 * bottom.get_ylim()[1]))
    bottom.legend(loc="upper right", frameon=False, ncols=2, fontsize=8)
    return figure


def _strengths(data: xr.Dataset) -> Figure:
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels = figure.subplots(1, 2)
    for axes, (name, label) in zip(panels, (("p_release", "release probability"), ("weight", "weight (pA)")),
                                   strict=True):
        before, after = data[name].isel(time=0).values, data[name].isel(time=-1).values
        low, high = float(min(before.min(), after.min())), float(max(before.max(), after.max()))
        bins = np.linspace(low, max(high, low + 1e-3), 50)
        for values, text, colour in ((before, "before", "#9aa3ab"), (after, "after", "#b5442e")):
            axes.hist(values, bins, histtype="stepfilled", alpha=0.55, color=colour,
                      label=f"{text}, mean {values.mean():.3g}")
        axes.set(xlabel=label, ylabel="synapses", yscale="log")
        axes.legend(frameon=False, fontsize=8)
    figure.suptitle(f"Plastic synapses at 0 s and {float(data.time[-1]) / 1000:g} s")
    return figure


def _messengers(data: xr.Dataset) -> Figure:
    names = data.messenger.values
    figure = Figure(figsize=(9, 2.6 * len(names)), layout="constrained")
    for axes, name in zip(np.atleast_1d(figure.subplots(len(names), 1, sharex=True)), names, strict=True):
        one = data.sel(messenger=name)
        seconds = data.bin.values / 1000
        axes.plot(seconds, one.conc_bouton_max, color="#d0a24c", lw=0.7, label="highest at a bouton")
        axes.plot(seconds, one.conc_bouton_mean, color="#b5442e", lw=1, label="mean at boutons")
        axes.plot(seconds, one.conc_mean, color="#33475b", lw=1, label="mean in the box")
        positive = one.conc_mean.values[np.isfinite(one.conc_mean.values) & (one.conc_mean.values > 0)]
        axes.set_ylabel(f"{name} (nM)")
        if positive.size:  # a messenger that nothing made has no logarithm
            axes.set(yscale="log", ylim=(np.quantile(positive, 0.02) / 3, None))
        _shade(axes, data)
    axes.legend(frameon=False, fontsize=8, ncols=3, loc="lower right")
    axes.set_xlabel("time (s)")
    return figure


def _astrocytes(data: xr.Dataset, most: int = 6) -> Figure:
    """Calcium of all astrocytes over time, single cells that moved most, and their domains in the middle plane."""
    figure = Figure(figsize=(11, 5), layout="constrained")
    panels = figure.subplot_mosaic([["all", "domains"], ["some", "domains"]], width_ratios=(2, 1))
    seconds, calcium = data.bin.values / 1000, data.calcium.values
    known = np.isfinite(calcium).all(axis=1)
    seconds, calcium = seconds[known], calcium[known]
    image = panels["all"].pcolormesh(seconds, np.arange(calcium.shape[1]), calcium.T, cmap="viridis", vmin=0,
                                     shading="nearest", rasterized=True)
    panels["all"].set(ylabel="astrocyte", title="Calcium of astrocytes")
    figure.colorbar(image, ax=panels["all"], label="calcium (uM)")
    for cell in np.argsort(-np.ptp(calcium, axis=0), kind="stable")[:most]:
        panels["some"].plot(seconds, calcium[:, cell], lw=1, label=str(cell))
    panels["some"].legend(frameon=False, fontsize=8, title="astrocyte", ncols=2)
    panels["some"].set(xlabel="time (s)", ylabel="calcium (uM)")
    domain = data.astrocyte_domain.isel(z=data.sizes["z"] // 2).values
    peak = np.where(domain >= 0, calcium.max(axis=0)[np.maximum(domain, 0)], np.nan)
    image = panels["domains"].pcolormesh(data.x, data.y, peak.T, cmap="viridis", vmin=0, rasterized=True)
    x, y, half = data.x.values, data.y.values, (_half(data.x), _half(data.y))
    right, above = np.nonzero(domain[1:] != domain[:-1]), np.nonzero(domain[:, 1:] != domain[:, :-1])
    panels["domains"].vlines(x[right[0]] + half[0], y[right[1]] - half[1], y[right[1]] + half[1], "white", lw=0.8)
    panels["domains"].hlines(y[above[1]] + half[1], x[above[0]] - half[0], x[above[0]] + half[0], "white", lw=0.8)
    panels["domains"].set(xlabel="x (um)", ylabel="y (um)", aspect="equal", title="Domains, by peak calcium")
    figure.colorbar(image, ax=panels["domains"], label="calcium (uM)", shrink=0.8)
    return figure


def _half(axis: xr.DataArray) -> float:
    """Half a voxel [um]; 0 on an axis of one."""
    return float(axis[1] - axis[0]) / 2 if axis.size > 1 else 0.0


def _map(data: xr.Dataset) -> Figure:
    figure = Figure(figsize=(9, 5.2), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    place = data.spine_position.values
    for axes, name, label in zip(panels, ("p_release", "weight"),
                                 ("change of release probability", "change of weight (pA)"), strict=True):
        change = (data[name].isel(time=-1) - data[name].isel(time=0)).values
        limit = max(float(np.quantile(np.abs(change), 0.99)), 1e-9)
        order = np.argsort(np.abs(change))
        dots = axes.scatter(place[order, 0], place[order, 1], c=change[order], s=2, cmap="coolwarm", vmin=-limit,
                            vmax=limit, lw=0, rasterized=True)
        axes.set(xlabel="x (um)", aspect="equal")
        figure.colorbar(dots, ax=axes, label=label, shrink=0.8)
    panels[0].set_ylabel("y (um)")
    figure.suptitle("Where plasticity happened: one dot per spine, strongest change on top")
    return figure
