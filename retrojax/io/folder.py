"""A run's folder: who may write to it, what it must hold, and what is written when."""

import fcntl
import json
import os
import shutil
from pathlib import Path
from typing import IO

from retrojax.errors import InputError

CONFIG = "config.resolved.yaml"
SUMMARY = "run.json"


class RunFolder:
    """The folder of one run. While open it is locked; the lock of a dead process is gone with it."""

    def __init__(self, path: Path):
        self.path = path
        self._lock: IO | None = None

    def start(self, resolved: str) -> None:
        """Claim an empty folder for a run with that resolved config.

        **Raises** `InputError` if the folder holds a run, this one or another, or files of somebody else.
        """
        present = self.path / CONFIG
        if present.is_file():
            same = present.read_text() == resolved
            cure = f"continue it with: retrojax resume {self.path}" if same else "choose another folder with --out"
            held = "this run already" if same else "a different run"
            raise InputError("--out", str(self.path), f"a folder that does not hold {held}", cure)
        if self.path.exists() and any(self.path.iterdir()):
            raise InputError("--out", str(self.path), "an empty or new folder", "choose another folder with --out")
        self.path.mkdir(parents=True, exist_ok=True)
        self.lock()
        write_atomic(present, resolved)

    def abandon(self) -> None:
        """Give back a folder that `start` has just claimed."""
        for name in (CONFIG, ".lock"):
            (self.path / name).unlink(missing_ok=True)
        self.path.rmdir()

    def lock(self) -> None:
        """Take the folder for this process.

        **Raises** `InputError` if a living process has it.
        """
        self._lock = open(self.path / ".lock", "w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError("folder", str(self.path), "a folder no other process writes to",
                             "wait for the other run to end, or stop it") from None

    def config_file(self) -> Path:
        """The resolved config.

        **Raises** `InputError` if the folder holds no run.
        """
        path = self.path / CONFIG
        if not path.is_file():
            raise InputError("folder", str(self.path), "a folder made by `retrojax run`", "check the path")
        return path

    def summary(self) -> dict:
        """`run.json`, or {} if the run has not ended."""
        path = self.path / SUMMARY
        try:
            return json.loads(path.read_text()) if path.is_file() else {}
        except ValueError as error:
            raise InputError(SUMMARY, "unreadable", "JSON", f"delete it and resume ({error})", path) from None

    def write_summary(self, content: dict) -> None:
        """Write `run.json`."""
        write_atomic(self.path / SUMMARY, json.dumps(content, indent=2) + "\n")

    def clear_results(self, name: str) -> None:
        """Remove results that no checkpoint vouches for."""
        shutil.rmtree(self.path / name, ignore_errors=True)


def write_atomic(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(text)
    os.replace(part, path)
