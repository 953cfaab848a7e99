"""The compiled primitives: built once per machine with the system's C compiler, kept in the user's cache."""

import ctypes
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import jax

SOURCES = ("team.c", "collect.c", "put.c", "note.c", "stock.c", "deliver.c", "field.c")
HEADERS = ("common.h", "pending.h")
TARGETS = ("retrojax_collect", "retrojax_put", "retrojax_note", "retrojax_send", "retrojax_stock", "retrojax_settle",
           "retrojax_deliver", "retrojax_deposit", "retrojax_lift", "retrojax_lower")
FLAGS = ("-O3", "-march=native", "-std=c11", "-shared", "-fPIC", "-pthread", "-w")


def ready() -> bool:
    """Whether the primitives can be called; the first call in a process compiles or loads them."""
    return _load() == ""


def status() -> str:
    """Why the primitives cannot be called, in words; empty if they can."""
    return _load()


def share(callers: int) -> None:
    """From now on each of so many threads that call the primitives at once has an equal share of the cores."""
    if ready():
        _library[0].limit_threads(max(cores() // callers, 1))


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_library: list[ctypes.CDLL] = []


@functools.cache
def _load() -> str:
    if os.environ.get("RETROJAX_NATIVE", "1") == "0":
        return "turned off by RETROJAX_NATIVE=0"
    compiler = shutil.which(os.environ.get("CC", "cc")) or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return "no C compiler (cc, gcc or clang) on PATH"
    try:
        library = ctypes.CDLL(str(_compiled(compiler)))
        _library.append(library)
        for target in TARGETS:
            jax.ffi.register_ffi_target(target, jax.ffi.pycapsule(getattr(library, target)), platform="cpu")
    except (OSError, subprocess.SubprocessError, AttributeError, RuntimeError) as error:
        text = getattr(error, "stderr", None) or str(error)
        return f"could not be built: {' '.join(str(text).split())[:300]}"
    return ""


def _compiled(compiler: str) -> Path:
    """The library for these sources, this jaxlib and this processor; compiled if it is not in the cache."""
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for name in (*SOURCES, *HEADERS):
        digest.update((here / name).read_bytes())
    for part in (jax.lib.__version__, compiler, sys.platform, _processor(), *FLAGS):
        digest.update(part.encode())
    folder = _cache()
    target = folder / f"movement-{digest.hexdigest()[:20]}.so"
    if not target.is_file():
        with tempfile.TemporaryDirectory(dir=folder) as fresh:
            built = Path(fresh) / "movement.so"
            command = [compiler, *FLAGS, f"-I{jax.ffi.include_dir()}", *(str(here / name) for name in SOURCES), "-o",
                       str(built)]
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
            os.replace(built, target)  # complete or absent, whoever else compiles at the same time
    return target


def _cache() -> Path:
    """A folder of the user's for compiled code; a private temporary one if the home folder cannot be written."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "retrojax"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="retrojax-"))


def _processor() -> str:
    """What the compiler's `native` depends on: code built for one processor must not run on another."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")
