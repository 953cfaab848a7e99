"""The floors of the package: imports go down only, and heavy packages stay where they belong."""

import ast
from pathlib import Path

import retrojax

ROOT = Path(retrojax.__file__).parent
FLOORS = {
    "units": 0, "errors": 0, "types": 0, "validation": 0, "numerics": 1, "space": 1, "native": 1, "messengers": 2,
    "parts": 2, "engine": 3, "fit": 4, "protocols": 4, "readouts": 4, "io": 5, "parallel": 5, "cli": 6, "report": 6,
    "testing": 6,
}
ONLY_IN = {"optax": {"fit"}, "optimistix": {"fit"}, "orbax": {"io"}, "matplotlib": {"report"}}


def _modules():
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts != ("__init__",):
            yield path, parts[0]


def _imports(path: Path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "retrojax":
                yield from (f"retrojax.{alias.name}" for alias in node.names if alias.name in FLOORS)
            else:
                yield node.module


def test_every_folder_has_a_floor():
    assert {part for _, part in _modules()} <= set(FLOORS)


def test_imports_go_down_only():
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path, part in _modules() for name in _imports(path)
        if name.startswith("retrojax.") and FLOORS[name.split(".")[1]] > FLOORS[part]
    ]
    assert not wrong, wrong


def test_heavy_packages_stay_in_their_folder():
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path, part in _modules() for name in _imports(path)
        if part not in ONLY_IN.get(name.split(".")[0], {part})
    ]
    assert not wrong, wrong


def test_a_part_never_imports_the_engine_and_nothing_configures_jax_at_import():
    for path, _ in _modules():
        for node in ast.parse(path.read_text()).body:
            text = ast.unparse(node) if isinstance(node, ast.Expr) else ""
            assert "config.update" not in text and "jax.devices" not in text, path


def test_files_stay_readable():
    long = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path, _ in _modules()}
    assert {name: lines for name, lines in long.items() if lines > 400} == {}
