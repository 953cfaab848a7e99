"""The figure of the fits to hippocampal traces."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np


def draw(traces: list[dict], folder: Path) -> None:
    """RMSE against RMSE, and the traces at three quantiles of ours, in each clamp."""
    page, axes = plt.subplots(2, 4, figsize=(15, 7), layout="constrained")
    for line, clamp in zip(axes, (True, False), strict=True):
        some = sorted((row for row in traces if row["clamp"] == clamp), key=lambda row: _relative(row, "ours"))
        for kind, mark in (("digitized", "."), ("reconstructed", "x")):
            xy = [[_relative(row, name) for name in ("theirs", "ours")] for row in some if row["kind"] == kind]
            label = f"{kind}, {'voltage' if clamp else 'current'} clamp"
            line[0].loglog(*np.maximum(xy, 1e-4).T, mark, ms=4, label=label)
        line[0].plot([1e-4, 10], [1e-4, 10], "k", lw=0.5)
        line[0].set(xlabel="RMSE / largest deviation, published", ylabel="RMSE / largest deviation, ours")
        line[0].legend(fontsize=7)
        for axis, share in zip(line[1:], (0.25, 0.5, 0.9), strict=True):
            row = some[int(share * len(some))]
            # points by number: pauses of seconds would hide the trains
            axis.plot(row["y"], "k.", label="trace")
            axis.plot(row["ours"], "C0-", lw=1, label="ours")
            axis.plot(row["theirs"], "C1--", lw=1, label="published parameters")
            axis.set(title=f"quantile {share:g} ({row['kind']})", xlabel="point", ylabel="pA" if clamp else "mV")
        line[1].legend(fontsize=7)
    page.savefig(folder / "traces.png", dpi=120)


def _relative(row: dict, name: str) -> float:
    return row["rmse"][name] / np.abs(row["y"]).max()
