"""The scripts of experiments as modules, for tests of what they read and print."""

import importlib.util
import sys
from pathlib import Path

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def experiment(name: str):
    """The `run` module of a folder under experiments."""
    folder = EXPERIMENTS / name
    siblings = [path.stem for path in folder.glob("*.py")]
    sys.path.insert(0, str(folder))
    try:
        spec = importlib.util.spec_from_file_location(f"{name}_run", folder / "run.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(folder))
        for sibling in siblings:
            sys.modules.pop(sibling, None)
    return module
