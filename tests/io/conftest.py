"""The shipped data, copies of it that a test may damage, and the refusal of a damaged circuit."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from retrojax.errors import InputError
from retrojax.io.sonata import Circuit, load_circuit


@pytest.fixture(scope="session")
def quickstart() -> Path:
    """Folder of the shipped data."""
    return Path(__file__).parents[2] / "configs" / "quickstart"


@pytest.fixture(scope="session")
def circuit(quickstart) -> Circuit:
    """The shipped circuit; tests must not change it."""
    return load_circuit(quickstart / "circuit_config.json")


@pytest.fixture
def folder(quickstart, tmp_path) -> Path:
    """A copy of the shipped data that a test may damage."""
    return Path(shutil.copytree(quickstart, tmp_path / "copy"))


@pytest.fixture
def refused() -> Callable[[Path], InputError]:
    """Loads the circuit in a folder and returns the error, which must come."""
    def load(folder: Path) -> InputError:
        with pytest.raises(InputError) as caught:
            load_circuit(folder / "circuit_config.json")
        return caught.value
    return load


@pytest.fixture
def edit_json() -> Callable[[Path, Callable[[dict], object]], None]:
    """Changes the circuit configuration in a folder."""
    def edit(folder: Path, change: Callable[[dict], object]) -> None:
        path = folder / "circuit_config.json"
        config = json.loads(path.read_text())
        change(config)
        path.write_text(json.dumps(config))
    return edit
