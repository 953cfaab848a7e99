"""Figures of messenger fields: planes, maximum projections, and their course in time as an animation."""

from pathlib import Path
from typing import Literal

import numpy as np
import xarray as xr
from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from retrojax.errors import InputError
from retrojax.validation import require_known

View = Literal["slice", "projection"]


def draw_fields(data: xr.Dataset, view: View, moments: int = 5) -> Figure:
    """Every messenger at some snapshots after the start: the middle plane, or the highest value along z.

    **Arguments**

    - `data`: results of a run, with `conc` by (time, messenger, x, y, z).
    - `view`: `slice` or `projection`. `moments`: snapshots shown, the last among them.
    """
    names, steps = data.messenger.values, data.sizes["time"]
    chosen = np.unique(np.linspace(min(1, steps - 1), steps - 1, moments).round().astype(int))
    figure = Figure(figsize=(2.3 * len(chosen) + 1.2, 3.9 * len(names)), layout="constrained")
    panels = figure.subplots(len(names), len(chosen), squeeze=False)
    for row, name in zip(panels, names, strict=True):
        shown, where = _flat(data.conc.sel(messenger=name).isel(time=chosen), view)
        top = float(shown.max()) or 1.0
        for axes, place in zip(row, range(len(chosen)), strict=True):
            image = axes.pcolormesh(data.x, data.y, shown.isel(time=place).transpose("y", "x"), cmap="magma", vmin=0,
                                    vmax=top, rasterized=True)
            axes.set_aspect("equal")
            moment = float(shown.time[place])
            axes.set_title(f"{moment / 1000:g} s{stage_at(data, moment)}", fontsize=9)
            axes.set_xlabel("x (um)", fontsize=8)
        row[0].set_ylabel(f"{name}\ny (um)")
        figure.colorbar(image, ax=list(row), label=f"{name} (nM), {where}", shrink=0.8)
    return figure


def animate_field(results: Path, messenger: str, path: Path, view: View = "projection", per_second: int = 8) -> Path:
    """Write a messenger's field over all snapshots of a run as an animated GIF, one colour scale throughout.

    **Arguments**

    - `results`: the `results.zarr` of the run. `path`: of the GIF. `per_second`: frames.

    **Raises** `InputError` if the run recorded no fields, or has no such messenger.
    """
    data = xr.open_zarr(results, consolidated=False)
    if "conc" not in data:
        raise InputError("record.fields", False, "true", "run with record.fields: true")
    require_known(messenger, [str(name) for name in data.messenger.values], "messenger")
    shown, where = _flat(data.conc.sel(messenger=messenger), view)
    shown = shown.load()
    written = np.flatnonzero(np.isfinite(shown.values).all(axis=(1, 2)))
    figure = Figure(figsize=(5, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    image = axes.pcolormesh(data.x, data.y, shown.isel(time=0).transpose("y", "x"), cmap="magma", vmin=0,
                            vmax=float(np.nanmax(shown.values)) or 1.0)
    axes.set(xlabel="x (um)", ylabel="y (um)", aspect="equal")
    figure.colorbar(image, ax=axes, label=f"{messenger} (nM), {where}")

    def frame(number: int):
        image.set_array(shown.isel(time=number).transpose("y", "x").values)
        moment = float(shown.time[number])
        axes.set_title(f"{messenger}, {moment / 1000:g} s{stage_at(data, moment)}")
        return [image]

    path.parent.mkdir(parents=True, exist_ok=True)
    FuncAnimation(figure, frame, frames=written.tolist(), blit=False).save(path, PillowWriter(fps=per_second), dpi=90)
    return path


def _flat(conc: xr.DataArray, view: View) -> tuple[xr.DataArray, str]:
    """The field by x and y, and what that is of it."""
    if view == "projection":
        return conc.max("z"), "highest along z"
    middle = conc.isel(z=conc.sizes["z"] // 2)
    return middle, f"plane z = {float(middle.z):.0f} um"


def stage_at(data: xr.Dataset, moment_ms: float) -> str:
    """Stage in force just before a moment, as a title says it; empty without sleep."""
    place = min(int(np.searchsorted(data.bin.values, moment_ms)), data.sizes["bin"] - 1)
    stage = str(data.stage.values[place]) if place >= 0 else "none"
    return "" if stage == "none" else f", {stage}"
