"""How far messengers reach, sqrt(D*/k), in default tissue, awake, asleep and with the matrix digested.

D* = D/lambda^2 (Nicholson & Phillips 1981 J Physiol 321:225). Uptake at membranes has a rate u per tissue volume, so
that k = u/alpha follows the volume fraction; loss in the fluid does not. Awake and asleep: alpha 0.14 and 0.23 (Xie
et al. 2013 Science 342:373); Miao et al. (2024 Nat Neurosci) find no such change. Digested: alpha x1.05, lambda
x0.95, an estimate. Expected values follow from published coefficients by hand; half a unit of the last digit is
allowed. Most losses are not measured: `retrojax describe messenger NAME` says which, and the bars show the range of
each record.

Writes `result.json` and `reach.png`.
"""

from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np

from retrojax.messengers import MessengerRecord, catalogue, load_record
from retrojax.space import point_steady
from retrojax.testing import Target, holds, targets, write_targets

FOLDER = Path(__file__).parent


class Tissue(NamedTuple):
    """`alpha`: volume fraction, None as in the record. `stretch`: factors on volume fraction and tortuosity."""

    alpha: float | None = None
    stretch: tuple[float, float] = (1.0, 1.0)


TISSUES = {"default": Tissue(), "awake": Tissue(0.14), "asleep": Tissue(0.23),
           "matrix digested": Tissue(None, (1.05, 0.95))}


def reach(record: MessengerRecord, tissue: Tissue = TISSUES["default"], **changed: float) -> float:
    """sqrt(D*/k) [um]; `changed` are fields of `MessengerBase` in base units."""
    base = record.base()._replace(**changed)
    if record.space == "tissue":
        return base.reach
    alpha = (tissue.alpha or base.volume_fraction) * tissue.stretch[0]
    slower = base.volume_fraction / alpha if base.sink_kind == "surface" else 1.0
    return base._replace(tortuosity=base.tortuosity * tissue.stretch[1], loss=base.loss * slower,
                         vmax=base.vmax * slower).reach


def extremes(record: MessengerRecord) -> tuple[float, float]:
    """Least and largest reach [um] as the loss runs through its range; a saturable loss through that of its Vmax."""
    entry, field, unit = record.loss, "loss", "1/ms"
    if record.saturable is not None:
        entry, field, unit = record.saturable.vmax, "vmax", "nM/ms"
    ends = entry.range or (entry.number, entry.number)
    found = [reach(record, **{field: end * entry.to(unit) / entry.number}) for end in ends]
    return min(found), max(found)


def published() -> list[Target]:
    """Reaches that follow from published coefficients."""
    no, lipid, bdnf = load_record("NO"), load_record("2-AG"), load_record("BDNF")
    half = np.array([0.01, 0.1, 0.5, 1.0, 5.0])
    found = [reach(no, loss=np.log(2) / (1e3 * t)) for t in half]
    rows = targets([f"NO, half-life {t:g} s" for t in half[:3]], "D of Santos et al. 2011", (5.6, 17.8, 39.8),
                   found[:3], absolute=0.05)
    rows += targets([f"NO, half-life {t:g} s" for t in half[3:]], "D of Santos et al. 2011", (56, 126), found[3:],
                    absolute=0.5)
    rows += targets(["NO, half-life 5 s, D 3300"], "D of Malinski et al. 1993", (154,),
                    reach(no, loss=np.log(2) / 5e3, diffusion_free=3.3), absolute=0.5)
    rows += targets(["2-AG, loss 0.5 /s", "2-AG, loss 5 /s"], "D of Kim et al. 2013",
                    (8.3, 2.6), [reach(lipid, loss=k * 1e-3) for k in (0.5, 5)], absolute=0.05)
    rows += targets(["BDNF, loss 0.1 /s", "BDNF, loss 1 /s"], "D* of Stroh et al. 2003", (16.6, 5.2),
                    [reach(bdnf, loss=k * 1e-3) for k in (0.1, 1)], absolute=0.05)
    rows += targets(["BDNF, loss 0.01 /s"], "D* of Stroh et al. 2003, loss of Solinas et al. 2019", (52,),
                    reach(bdnf, loss=1e-5), absolute=0.5)
    rows += targets(["dynorphin", "adenosine"], "D and loss not measured", (34, 23),
                    [reach(load_record(name)) for name in ("dynorphin", "adenosine")], absolute=0.5)
    return rows


def sleep() -> list[Target]:
    """What sleep does to the reach, and to the concentration beside a steady source."""
    awake, asleep, lipid = TISSUES["awake"], TISSUES["asleep"], load_record("2-AG")
    near, far = reach(lipid, awake), reach(lipid, asleep)
    steady = lambda r, L, alpha: float(point_steady(r, 1.0, lipid.base().effective_diffusion,  # noqa: E731
                                                    lipid.base().effective_diffusion / L**2)) / alpha
    ratio = [steady(r, far, 0.23) / steady(r, near, 0.14) for r in (1e-6 * near, near)]
    paper = "alpha of Xie et al. 2013"
    rows = targets(["2-AG (surface), reach asleep / awake"], paper, (1.28,), far / near, absolute=0.005)
    rows += targets(["2-AG, concentration asleep / awake, close by", "2-AG, the same at the reach awake"], paper,
                    (0.609, 0.758), ratio, absolute=0.0005)
    no = load_record("NO")
    rows.append(holds("NO (bulk) reaches as far asleep", paper, reach(no, awake) == reach(no, asleep)))
    pair = [1e3 * float(point_steady(r, no.base().rate, 2.2, no.base().loss)) for r in (0.1, 1.0)]
    rows += targets(["NO of one spine at 0.1 um [pM]", "NO of one spine at 1 um [pM]"],
                    "turnover of Dormanns et al. 2016, 10 enzymes", (11.38, 1.113), pair, relative=5e-4)
    return rows


def draw() -> None:
    """Reach of every record in the four tissues, and its range."""
    records = sorted(catalogue().values(), key=reach)
    figure, axes = plt.subplots(figsize=(8, 6.2), layout="constrained")
    place = np.arange(len(records))
    for row, record in enumerate(records):
        axes.plot(extremes(record), (row, row), color="0.82", linewidth=7, solid_capstyle="butt", zorder=0)
    looks = {"default": ("o", "black"), "awake": ("<", "tab:orange"), "asleep": (">", "tab:blue"),
             "matrix digested": ("d", "tab:green")}
    for shift, (name, tissue) in zip((0.0, 0.22, -0.22, 0.0), TISSUES.items(), strict=True):
        marker, colour = looks[name]
        axes.plot([reach(r, tissue) for r in records], place + shift, marker, color=colour, markersize=5, label=name)
    names = [r.name if r.enabled else f"{r.name} (low confidence)" for r in records]
    axes.set(xscale="log", yticks=place, yticklabels=names, xlabel="reach $\\sqrt{D^*/k}$ (µm)")
    axes.plot([], [], color="0.82", linewidth=7, label="range of the loss")
    axes.legend(loc="lower right")
    axes.grid(axis="x", color="0.93")
    axes.set_axisbelow(True)
    figure.savefig(FOLDER / "reach.png", dpi=150)


if __name__ == "__main__":
    for each in sorted(catalogue().values(), key=reach):
        print(f"{each.name:<18}" + "".join(f"{name} {reach(each, t):8.2f}   " for name, t in TISSUES.items()))
    write_targets(published() + sleep(), FOLDER)
    draw()
