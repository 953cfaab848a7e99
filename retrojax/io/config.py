"""Reading a config file: YAML to a validated model, every mistake as one sentence with its cure."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from retrojax.errors import InputError, naming_file
from retrojax.io.schema import RunConfig
from retrojax.validation import validate


def read_yaml(path: Path) -> dict:
    """The mapping that a YAML file holds.

    **Raises** `InputError` if the file is missing, is no YAML, or holds no mapping.
    """
    if not path.is_file():
        near = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*.y*ml")], 1) \
            if path.parent.is_dir() else []
        hint = f"; did you mean {path.parent / near[0]}?" if near else ""
        raise InputError("config file", str(path), "an existing YAML file", f"check the path{hint}")
    try:
        data = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError("config file", str(path), "valid YAML", " ".join(str(error).split()), path) from None
    if not isinstance(data, dict):
        raise InputError("config file", str(path), "keys and values", "start from configs/quickstart.yaml", path)
    return data


def load_config(path: Path, overrides: Sequence[str] = (), seed: int | None = None) -> RunConfig:
    """The run config in `path`, with `a.b=value` overrides applied before validation; paths made absolute."""
    data = read_yaml(path)
    for text in overrides:
        _override(data, text)
    if seed is not None:
        data["seed"] = seed
    config = validate(RunConfig, data, path)
    with naming_file(path):
        return _absolute(config, path.resolve().parent)


def _override(data: dict, text: str) -> None:
    path, sep, value = text.partition("=")
    if not sep or not path:
        raise InputError("--set", text, "name.of.key=value", "write for example --set duration=10s")
    try:
        content = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise InputError("--set", text, "a value as YAML has it", " ".join(str(error).split())) from None
    *parents, last = path.split(".")
    place: Any = data
    for number, step in enumerate(parents):
        place = place[_place(place, step, text)] if isinstance(place, list) else place.setdefault(step, {})
        if not isinstance(place, dict | list):
            raise InputError("--set", text, f"a key inside a table; {'.'.join(parents[: number + 1])} is {place!r}",
                             "shorten the name")
    place[_place(place, last, text) if isinstance(place, list) else last] = content


def _place(items: list, step: str, text: str) -> int:
    """The place in a list that a step of a name means."""
    if not step.isdigit() or int(step) >= len(items):
        raise InputError("--set", text, f"a place in the list, 0 to {len(items) - 1}" if items else
                         "nothing: the list is empty", f"correct '{step}', or set the whole list")
    return int(step)


def _absolute(config: RunConfig, folder: Path) -> RunConfig:
    """Paths of a config relative to its own folder, made absolute and checked."""

    def found(path: Path, field: str) -> Path:
        whole = path if path.is_absolute() else folder / path
        if not whole.is_file():
            raise InputError(field, str(path), "an existing file, relative to the config's folder",
                             f"put the file at {whole} or correct the path")
        return whole.resolve()

    update: dict[str, Any] = {"network": config.network.model_copy(
        update={"sonata": found(config.network.sonata, "network.sonata")})}
    if config.drive.replay:
        spikes = found(config.drive.replay.spikes, "drive.replay.spikes")
        replay = config.drive.replay.model_copy(update={"spikes": spikes})
        update["drive"] = config.drive.model_copy(update={"replay": replay})
    if config.sleep:
        update["sleep"] = config.sleep.model_copy(
            update={"hypnogram": found(config.sleep.hypnogram, "sleep.hypnogram")})
    grid = config.grid
    if grid.maps:
        maps = grid.maps.model_copy(update={"file": found(grid.maps.file, "grid.maps.file")})
        grid = grid.model_copy(update={"maps": maps})
    if grid.matrix and isinstance(grid.matrix.density, Path):
        matrix = grid.matrix.model_copy(update={"density": found(grid.matrix.density, "grid.matrix.density")})
        grid = grid.model_copy(update={"matrix": matrix})
    update["grid"] = grid
    if config.astrocytes:
        given = {name: getattr(config.astrocytes, name) for name in ("positions", "domains")}
        files = {name: found(value, f"astrocytes.{name}") for name, value in given.items() if isinstance(value, Path)}
        update["astrocytes"] = config.astrocytes.model_copy(update=files)
    update["messengers"] = {
        name: section if section.record_file is None else
        section.model_copy(update={"record": str(found(section.record_file, f"messengers.{name}.record"))})
        for name, section in config.messengers.items()}
    return config.model_copy(update=update)


def dump_config(config: RunConfig) -> str:
    """A resolved config as YAML; loading it gives the same config."""
    return yaml.safe_dump(config.model_dump(mode="json", exclude_none=True), sort_keys=False)
