"""`retrojax fit`, and `retrojax resume` of a fit: config in, fit.json, figures and posterior draws out."""

import json
import shutil
from pathlib import Path

import yaml
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from retrojax.cli.checking_fit import describe_cost
from retrojax.cli.fit_summary import print_summary
from retrojax.errors import InputError, naming_file
from retrojax.fit import FitConfig
from retrojax.fit.cost import predict_cost
from retrojax.fit.data_config import beside
from retrojax.fit.posterior import Posterior
from retrojax.fit.report import FitReport, fit_config, report_from_json
from retrojax.fit.saved import Saved
from retrojax.io.config import read_yaml
from retrojax.io.folder import RunFolder, write_atomic
from retrojax.report.fit_figures import draw_fit
from retrojax.validation import validate

RESOLVED, RESULT, SOLVES, SAMPLES = "fit.resolved.yaml", "fit.json", "solves", "samples.zarr"
EXAMPLE = "see configs/fit_rules.yaml"
console = Console(stderr=True)


def holds_fit(file: Path) -> bool:
    """True for the config of a fit rather than of a run. **Raises** `InputError` if the file is no YAML mapping."""
    return not {"data", "parameters"}.isdisjoint(read_yaml(file))


def load_fit_config(file: Path) -> FitConfig:
    """The fit config in a file. **Raises** `InputError` about the first thing that it may not say."""
    with naming_file(file):
        return validate(FitConfig, beside(read_yaml(file), file.parent), file, EXAMPLE)


def execute_fit(file: Path, folder: Path, where: str, quiet: bool, as_json: bool) -> None:
    """Fit a config into a folder and print what was found.

    A folder with the same fit is continued if that was interrupted; if it is finished, its result is printed again.
    **Raises** `InputError` for another fit's folder, and for what the config may not say.
    """
    with naming_file(file):
        config = load_fit_config(file)
        resolved = yaml.safe_dump(config.model_dump(mode="json", exclude_none=True), sort_keys=False)
        new = _claim(folder, resolved)
        try:
            _fit_into(folder, config, where, quiet, as_json)
        except InputError:
            if new and not (folder / SOLVES).exists():  # nothing was solved: a corrected config may have the folder
                shutil.rmtree(folder)
            raise


def resume_fit(folder: Path, where: str, quiet: bool, as_json: bool) -> None:
    """Continue an interrupted fit to the numbers of an uninterrupted one; of a finished fit, print the result again."""
    _fit_into(folder, load_fit_config(folder / RESOLVED), where, quiet, as_json)


def is_fit(folder: Path) -> bool:
    """True for a folder that `retrojax fit` has claimed."""
    return (folder / RESOLVED).is_file()


def _fit_into(folder: Path, config: FitConfig, where: str, quiet: bool, as_json: bool) -> None:
    hidden = quiet or as_json
    finished = (folder / RESULT).is_file()
    if finished:
        with naming_file(folder / RESULT):
            report = report_from_json(json.loads((folder / RESULT).read_text()))
            report = report._replace(posterior=_read_samples(folder / SAMPLES))
        if not hidden:
            console.print(f"{folder} is finished; this is its result. Use another --out to fit again.", soft_wrap=True)
    else:
        RunFolder(folder).lock()
        if not hidden:
            console.print(where)
            for cost in predict_cost(config):
                console.print(describe_cost(cost, config), highlight=False, soft_wrap=True)
        report = _fit_with_progress(folder, config, hidden)
        if report.posterior is not None:
            _write_samples(report.posterior, folder / SAMPLES)
        write_atomic(folder / RESULT, json.dumps(report.to_json(), indent=2) + "\n")
        shutil.rmtree(folder / SOLVES, ignore_errors=True)
    drawn = sorted((folder / "figures").glob("*.png")) if finished else []
    figures = drawn or draw_fit(report, folder / "figures")
    if as_json:
        content = json.loads((folder / RESULT).read_text())
        print(json.dumps({**content, "folder": str(folder), "figures": [str(path) for path in figures]}))
    elif not quiet:
        print_summary(report)
        samples = f", {folder / SAMPLES}" if (folder / SAMPLES).exists() else ""
        console.print(f"{folder / RESULT}{samples}, figures in {folder / 'figures'}", soft_wrap=True)


def _fit_with_progress(folder: Path, config: FitConfig, hidden: bool) -> FitReport:
    """Fit, showing the stage, batches of solves done and found, and the time."""
    columns = (SpinnerColumn("line"), TextColumn("{task.description}"), TimeElapsedColumn())
    counts = {True: 0, False: 0}
    with Progress(*columns, console=console, disable=hidden, transient=True) as bar:
        task, stage = bar.add_task("reading", total=None), ["reading"]

        def show() -> None:
            found = f", {counts[True]} found from before" if counts[True] else ""
            bar.update(task, description=f"{stage[0]}: {counts[False]} batches of solves{found}")

        def on_stage(name: str) -> None:
            stage[0] = name
            show()

        def on_solve(name: str, found: bool) -> None:
            counts[found] += 1
            show()

        report = fit_config(config, Saved(folder / SOLVES, on_solve), on_stage)
    if counts[True] and not hidden:
        console.print(f"Continued: {counts[True]} batches of solves were done before, {counts[False]} now.")
    return report


def _write_samples(drawn: Posterior, path: Path) -> None:
    """Draws as a zarr group: `draws` with dims chain, draw, parameter, in each parameter's unit; names as attribute."""
    import xarray

    dims = ("chain", "draw", "parameter")
    data = xarray.Dataset({"draws": (dims, drawn.draws), "coordinates": (dims, drawn.coordinates),
                           "r_hat": ("parameter", drawn.r_hat), "effective": ("parameter", drawn.effective)},
                          attrs={"parameters": list(drawn.paths), "divergences": drawn.divergences})
    data.to_zarr(path, mode="w", consolidated=False)


def _read_samples(path: Path) -> Posterior | None:
    """What `_write_samples` wrote, or None if there is nothing."""
    import xarray

    if not path.is_dir():
        return None
    data = xarray.open_zarr(path, consolidated=False)
    draws, coordinates, r_hat, effective = (data[name].to_numpy() for name in (
        "draws", "coordinates", "r_hat", "effective"))
    return Posterior(tuple(data.attrs["parameters"]), draws, coordinates, r_hat, effective, data.attrs["divergences"])


def _claim(folder: Path, resolved: str) -> bool:
    """Take a folder for a fit; True if it is new."""
    present = folder / RESOLVED
    if present.is_file():
        if present.read_text() != resolved:
            raise InputError("--out", str(folder), "a folder that does not hold a different fit",
                             "choose another with --out")
        return False
    if folder.exists() and any(folder.iterdir()):
        raise InputError("--out", str(folder), "an empty or new folder", "choose another folder with --out")
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(present, resolved)
    return True
