"""`retrojax fit`: config in, fit.json and figures out."""

import json
from pathlib import Path

import jax
import yaml
from rich.console import Console

from retrojax.errors import InputError, naming_file
from retrojax.fit import FitConfig, build, fit
from retrojax.fit.data_config import beside
from retrojax.io.config import read_yaml
from retrojax.io.folder import write_atomic
from retrojax.report.fit_figures import draw_fit
from retrojax.validation import validate

RESOLVED, RESULT = "fit.resolved.yaml", "fit.json"
console = Console(stderr=True)


def execute_fit(file: Path, folder: Path, where: str, quiet: bool, as_json: bool) -> None:
    """Fit a config into a folder and print what was found.

    A folder that holds the same fit is done again; another fit's folder is refused.
    """
    with naming_file(file):
        config = validate(FitConfig, beside(read_yaml(file), file.parent), file)
        resolved = yaml.safe_dump(config.model_dump(mode="json", exclude_none=True), sort_keys=False)
        _claim(folder, resolved)
        if not (quiet or as_json):
            console.print(where)
        with console.status("fitting from many starts", spinner="line") if not (quiet or as_json) else _Nothing():
            problem, model, spec = build(config)
            solver = config.solver
            result = fit(problem, model, spec, starts=solver.starts, key=jax.random.key(solver.seed),
                         screen=solver.screen, max_steps=solver.max_steps, tolerance=solver.tolerance,
                         recovery=config.report.recovery, recover=config.report.recover,
                         batch=solver.batch, enough=solver.enough)
    content = result.to_json()
    write_atomic(folder / RESULT, json.dumps(content, indent=2) + "\n")
    figures = draw_fit(result, folder / "figures")
    if as_json:
        print(json.dumps({**content, "folder": str(folder), "figures": [str(path) for path in figures]}))
    elif not quiet:
        print(result.summary())
        console.print(f"{folder / RESULT}, figures in {folder / 'figures'}", soft_wrap=True)


def _claim(folder: Path, resolved: str) -> None:
    present = folder / RESOLVED
    if present.is_file() and present.read_text() != resolved:
        raise InputError("--out", str(folder), "a folder that does not hold a different fit",
                         "choose another with --out")
    if not present.is_file() and folder.exists() and any(folder.iterdir()):
        raise InputError("--out", str(folder), "an empty or new folder", "choose another with --out")
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(present, resolved)


class _Nothing:
    def __enter__(self):
        return self

    def __exit__(self, *details):
        return None
