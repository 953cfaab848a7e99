"""Progress and closing words of `run` and `resume`."""

import json
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress as Bar, TextColumn

from retrojax.cli.plotting import draw
from retrojax.io.run import OnProgress, Progress

console = Console(stderr=True)


def execute(job: Callable[[OnProgress], dict], folder: Path, where: str, quiet: bool, as_json: bool) -> None:
    """Run a job with a progress bar, draw its figures, and say what it left."""
    if not (quiet or as_json):
        console.print(where)
    with _bar(quiet or as_json) as bar:
        task = bar.add_task("reading inputs, compiling", total=1.0, text="")

        def on_progress(progress: Progress) -> None:
            factor = progress.now / 1000 / max(progress.wall, 1e-9)
            left = (progress.end - progress.now) / 1000 / max(factor, 1e-9)
            bar.update(task, completed=progress.now, total=progress.end, description="running", text=(
                f"{progress.now / 1000:g} / {progress.end / 1000:g} s biological, x{factor:.2f} real time, "
                f"{left:.0f} s left, checkpoint {progress.checkpoint_age:.0f} s old"))

        summary = job(on_progress)
    if summary.get("already_finished"):
        message = f"{folder} is finished ({summary['duration_ms'] / 1000:g} s of biology); nothing to do."
        print(json.dumps(summary)) if as_json else console.print(message)
        return
    figures = draw(folder)
    if as_json:
        print(json.dumps({**summary, "folder": str(folder), "figures": [str(path) for path in figures]}))
    elif not quiet:
        console.print(f"{summary['duration_ms'] / 1000:g} s of biology in {summary['wall_s']:.1f} s "
                      f"on {summary['device']}, {summary['peak_rss_bytes'] / 1e9:.2f} GB.", highlight=False)
        if summary["schedule"] == "lazy":
            work = summary["work"]
            console.print(f"Lazy schedule: {work['blocks_with_more_than_one_pass']:,} of {work['blocks']:,} blocks "
                          f"took several passes over the rows, {work['early_syncs']:,} early syncs.", highlight=False)
        console.print(f"Results: {folder / 'results.zarr'}\nFigures: {folder / 'figures'}", soft_wrap=True)


def _bar(hidden: bool) -> Bar:
    return Bar(TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}"), console=console,
               disable=hidden)
