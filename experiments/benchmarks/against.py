"""Peers in processes of their own: started, asked to run, compared in turns with our own runs."""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from retrojax.errors import InputError, RunError

HERE = Path(__file__).parent / "peers"
THREADS = (1, 2)
"""Thread counts that a peer may choose from, as far as the machine has as many cores."""


class Kind(NamedTuple):
    """`script`, its `flags`, the `workloads` it runs, and the packages it `needs`."""

    script: str
    flags: tuple[str, ...]
    workloads: tuple[str, ...]
    needs: str


KINDS = {
    "numba": Kind("numba_net.py", (), ("w1", "w2"), "numba"),
    "numba-lazy": Kind("numba_net.py", ("--lazy",), ("w2",), "numba"),
    "numba-dct": Kind("numba_net.py", (), ("w3",), "numba and scipy"),
    "numpy": Kind("numpy_net.py", (), ("w1", "w2", "w3"), "numpy, and scipy for w3"),
    "brian2": Kind("brian2_net.py", (), ("w1", "w2", "w3"), "brian2, cython and a C++ compiler"),
    "nest": Kind("nest_net.py", (), ("w1",), "nest-simulator"),
    "hpc-nest": Kind("hpc_nest.py", (), ("hpc",), "nest-simulator"),
    "box-rxd": Kind("box_rxd.py", (), ("box",), "neuron"),
    "box-numba": Kind("box_numba.py", (), ("box",), "numba"),
    "box-scipy": Kind("box_scipy.py", (), ("box",), "scipy"),
    "box-exponax": Kind("box_exponax.py", (), ("box",), "exponax"),
}


class Peer:
    """One peer process, ready to run.

    **Raises** `InputError` for a workload it does not run, `RunError` if it cannot start.
    """

    def __init__(self, name: str, python: str | None, threads: int, workload: str, options: list[str]):
        kind = KINDS[name]
        if workload not in kind.workloads:
            raise InputError("against", name, f"for {workload}: {', '.join(peers_of(workload))}", "choose another peer")
        self.name, self.needs = name, kind.needs
        command = [python or sys.executable, str(HERE / kind.script), "--workload", workload, "--threads", str(threads)]
        try:
            self.process = subprocess.Popen([*command, *kind.flags, *options], stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, text=True)
        except OSError as error:
            raise InputError("peer-python", python, "an interpreter that can be started", "change it") from error
        self.ready = self._answer("peer")

    def run(self) -> dict:
        """One run from the start; its record."""
        assert self.process.stdin is not None
        self.process.stdin.write("run\n")
        self.process.stdin.flush()
        return self._answer("sim_wall_s")

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()

    def _answer(self, key: str) -> dict:
        """The next line that is a record; simulators print banners of their own."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{") and f'"{key}"' in line:
                return json.loads(line)
        raise RunError(f"the peer {self.name} stopped (exit code {self.process.wait()}); it needs {self.needs}: "
                       "install them, or name an interpreter that has them with --peer-python")


def peers_of(workload: str) -> list[str]:
    """Peers that run a workload."""
    return [name for name, kind in KINDS.items() if workload in kind.workloads]


def best_threads(start: Callable[[int], Peer]) -> Peer:
    """The peer at its better thread count: the second run of each decides."""
    best, least = None, float("inf")
    for threads in THREADS:
        if threads > len(os.sched_getaffinity(0)):
            continue
        peer = start(threads)
        peer.run()
        wall = peer.run()["sim_wall_s"]
        if best is None or wall < least:
            loser, best, least = best, peer, wall
        else:
            loser = peer
        if loser is not None:
            loser.close()
    assert best is not None
    return best


def in_turns(peer: Peer, run: Callable[[], float], pairs: int) -> tuple[list[float], dict[str, Any], dict]:
    """Our times in turns with the peer's, which then ends; what every benchmark says of it, and its last record."""
    ours, theirs, record = [], [], {}
    for _ in range(pairs):
        ours.append(run())
        record = peer.run()
        theirs.append(record["sim_wall_s"])
    peer.close()
    return ours, {
        "peer": peer.ready["peer"], "peer_version": peer.ready["version"], "peer_threads": peer.ready["threads"],
        "pairs": pairs, "peer_wall_s": statistics.median(theirs), "peer_walls_s": theirs,
        "ratio": statistics.median(a / b for a, b in zip(ours, theirs, strict=True))}, record
