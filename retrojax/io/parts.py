"""Neurons and messengers of a config: names and units resolved, mistakes named."""

from pathlib import Path
from typing import Any

import numpy as np

from retrojax.errors import InputError
from retrojax.io.schema import MessengerSection
from retrojax.messengers import load_record
from retrojax.parts import HillSynthesis
from retrojax.parts.catalogue import find_part
from retrojax.parts.choice import parameter


def make_neurons(classes: dict[str, dict[str, Any]], kind: np.ndarray, file: Path | None = None) -> Any:
    """A LIF population from one parameter table per cell class; `default` serves classes not named."""
    part = find_part("lif", "neuron")
    missing = sorted(set(kind.tolist()) - set(classes))
    if missing and "default" not in classes:
        raise InputError("neurons", f"no entry for class '{missing[0]}'", "one table per class, or 'default'",
                         f"add neurons.{missing[0]}", file)
    tables = {
        name: {key: parameter(part, key, value, f"neurons.{name}.{key}", file) for key, value in table.items()}
        for name, table in classes.items()
    }
    columns = {
        name: np.array([tables.get(cell, tables.get("default", {})).get(name, part.default(name)) for cell in kind])
        for name in part.parameters
    }
    return part.cls(**columns)


def messenger_values(section: MessengerSection, file: Path | None = None) -> dict[str, Any]:
    """The messenger's record in base units, with the config's overrides."""
    path = Path(section.record)
    local = file.parent / path if file is not None and path.suffix else path
    record = load_record(str(local) if path.suffix else section.record)
    values = {**record.base()._asdict(), "space": record.space}
    given = section.model_dump(exclude={"record"}, exclude_none=True)
    if "diffusion" in given:
        given["diffusion_free"] = given.pop("diffusion")
    values.update(given)
    values["diffusion"] = values["diffusion_free"] / values["tortuosity"] ** 2
    return values


def make_synthesis(name: str, values: dict[str, Any]) -> HillSynthesis:
    """The rule that makes a messenger in every spine."""
    return HillSynthesis(name, values["half_activation"], values["hill"], values["rate"], values["tau"],
                         values["ca_scale"])
