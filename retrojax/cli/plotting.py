"""Which figures a folder gets."""

from pathlib import Path

from retrojax.errors import InputError


def draw(folder: Path) -> list[Path]:
    """Draw the figures of a run or a fit folder; returns the PNG files.

    **Raises** `InputError` if the folder holds neither.
    """
    if (folder / "results.zarr").is_dir():
        from retrojax.report.run_figures import draw_run

        return draw_run(folder / "results.zarr", folder / "figures")
    if (folder / "fit.json").is_file():
        from retrojax.report.fit_figures import draw_fit_file

        return draw_fit_file(folder / "fit.json", folder / "figures")
    raise InputError("folder", str(folder), "a folder made by `retrojax run` or `retrojax fit`", "check the path")


def animate(folder: Path, messenger: str) -> Path:
    """The field of a messenger over a run, as `figures/<messenger>.gif`.

    **Raises** `InputError` if the folder is no run's, or has no fields of that messenger.
    """
    from retrojax.report.field_figures import animate_field

    if not (folder / "results.zarr").is_dir():
        raise InputError("folder", str(folder), "a folder made by `retrojax run`", "check the path")
    return animate_field(folder / "results.zarr", messenger, folder / "figures" / f"{messenger}.gif")
