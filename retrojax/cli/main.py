"""`retrojax`: run, resume, fit, check, plot, describe, cite, doctor."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from retrojax.cli.device import Device, choose
from retrojax.errors import InputError, RetrojaxError, explain, naming_file

app = typer.Typer(
    help="Synaptic plasticity with retrograde messengers that diffuse through tissue. Run a network, continue it to "
    "the bit, fit rule parameters to recorded data. Start with: retrojax run configs/quickstart.yaml",
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
)
console, notes = Console(), Console(stderr=True)

Config = Annotated[Path, typer.Argument(help="YAML config; see configs/quickstart.yaml, or configs/fit_rules.yaml")]
Folder = Annotated[Path, typer.Argument(help="folder of a run or a fit")]
Out = Annotated[Path | None, typer.Option("--out", help="output folder; default runs/<config name>")]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="override, as duration=10s")]
DeviceOption = Annotated[Device, typer.Option("--device", help="auto lets JAX choose")]
Quiet = Annotated[bool, typer.Option("--quiet", help="print nothing but errors")]
Json = Annotated[bool, typer.Option("--json", help="one JSON object on standard output, nothing else")]


@app.command()
def run(config: Config, out: Out = None, set_: Set = None, device: DeviceOption = Device.auto,
        seed: Annotated[int | None, typer.Option(help="overrides the config's seed")] = None,
        quiet: Quiet = False, json_: Json = False) -> None:
    """Run a network into a new folder: results.zarr, checkpoints, figures."""
    from retrojax.cli.running import execute
    from retrojax.io.config import load_config
    from retrojax.io.run import start_run

    loaded = load_config(config, set_ or (), seed)
    where = choose(device, loaded.network.devices)
    folder = out or Path("runs") / config.stem
    execute(lambda progress: start_run(loaded, config, folder, progress), folder, where, quiet, json_)


@app.command()
def resume(folder: Folder, device: DeviceOption = Device.auto, quiet: Quiet = False, json_: Json = False) -> None:
    """Continue a run where its last checkpoint stands, a fit after its last solve; of a finished one, say so."""
    from retrojax.cli.fitting import is_fit, resume_fit
    from retrojax.cli.running import execute
    from retrojax.io.config import load_config
    from retrojax.io.folder import RunFolder
    from retrojax.io.run import resume_run

    if is_fit(folder):
        return resume_fit(folder, choose(device), quiet, json_)
    where = choose(device, load_config(RunFolder(folder).config_file()).network.devices)
    execute(lambda progress: resume_run(folder, progress), folder, where, quiet, json_)


@app.command()
def fit(config: Config, out: Out = None, device: DeviceOption = Device.auto, quiet: Quiet = False,
        json_: Json = False) -> None:
    """Fit rule parameters to recorded data, by least squares or with one of eight likelihoods.

    Writes fit.json and figures: parameters with uncertainties, which of them the data determine, the score on points
    left out beside simpler answers, and a recovery test. The config's `report` section asks for profile likelihoods,
    a comparison of rules, a posterior-predictive check and a posterior sample. An interrupted fit goes on when the
    command is given again, or with `retrojax resume`.
    """
    from retrojax.cli.fitting import execute_fit

    where = choose(device)
    execute_fit(config, out or Path("runs") / config.stem, where, quiet, json_)


@app.command()
def check(config: Config, set_: Set = None) -> None:
    """Build nothing big: sizes, bytes per array, clocks, reach of each messenger in voxels, warnings.

    Of a fit: points, solves by stage, gradient mode, predicted memory, warnings.
    """
    from retrojax.cli.checking import print_check
    from retrojax.cli.checking_fit import print_fit_check
    from retrojax.cli.fitting import holds_fit, load_fit_config
    from retrojax.io.config import load_config

    if holds_fit(config):
        if set_:
            raise InputError("--set", " ".join(set_), "nothing, for a fit", "change the config")
        with naming_file(config):
            return print_fit_check(load_fit_config(config), console)
    print_check(load_config(config, set_ or ()), config, console)


@app.command()
def plot(
    folder: Folder,
    animate: Annotated[str | None, typer.Option(metavar="MESSENGER", help="its field as a GIF instead")] = None,
) -> None:
    """Draw the figures of a run or a fit."""
    from retrojax.cli import plotting

    for path in plotting.draw(folder) if animate is None else [plotting.animate(folder, animate)]:
        console.print(str(path), soft_wrap=True)


@app.command()
def describe(
    kind: Annotated[str | None, typer.Argument(help="messenger, rule, release, spine, neuron, protocol, drug")] = None,
    name: Annotated[str | None, typer.Argument(help="name in the catalogue")] = None,
) -> None:
    """Equation and parameters of a part, with units and sources; without a name, the catalogue."""
    from retrojax.cli.describing import print_description

    print_description(kind, name, console)


@app.command()
def cite(config: Config) -> None:
    """BibTeX of everything a config uses: of the parts and records of a run, or the rules of a fit."""
    from retrojax.cli.fitting import holds_fit, load_fit_config
    from retrojax.io.citing import citations, fit_citations
    from retrojax.io.config import load_config
    from retrojax.messengers import bibtex

    keys = fit_citations(load_fit_config(config)) if holds_fit(config) else citations(load_config(config))
    print(bibtex(keys))


@app.command()
def doctor() -> None:
    """Versions, devices, known problems, and a two-second smoke run."""
    from retrojax.cli.doctoring import examine

    raise typer.Exit(0 if examine(console) else 1)


def main() -> None:
    """Entry point: a mistake of the user is one sentence on standard error and exit status 1."""
    try:
        app()
    except (RetrojaxError, OSError) as error:
        text = explain(error) if isinstance(error, OSError) else str(error)
        if "--json" in sys.argv:
            print(json.dumps({"error": text}))
        notes.print(f"[bold red]Error:[/] {escape(text)}", soft_wrap=True, highlight=False)
        sys.exit(1)
    except KeyboardInterrupt:
        notes.print("Interrupted. `retrojax resume FOLDER` continues from what was saved last.")
        sys.exit(130)


if __name__ == "__main__":
    main()
