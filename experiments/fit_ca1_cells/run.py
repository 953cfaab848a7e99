"""Pairs and doublets at single CA1 cells: a calcium rule under measurement error and between-cell scatter.

57 cells of Wittenberg & Wang (2006) J Neurosci 26:6610, Figs 1d and 3e: 200 pairs, or 100 times one presynaptic spike
with two postsynaptic ones 11.5 ms apart, at 5 Hz (the repetition with which Graupner & Brunel 2012 model them). Cells
scatter several times more than their own standard errors, so each is normal around the rule with its SEM^2 plus one
between-cell variance. The rule is refitted from the set published for these slices; cells are left out by fifths. The
published set was itself fitted to these panels, so its held-out score is flattered: six parameters refitted to four
fifths of the cells predict the rest worse than it does, and that target fails and stays.
How the outcome grows with the number of pairings is not in the data and is a prediction; the paper's abstract says that
potentiation shows after tens of pairings and depression needs hundreds. That 30 doublets give half of what 100 give
was asked before the fit; it predicts a third, and the target fails.
"""

import csv
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
from cells import Protocols, Slice, outcome

from retrojax.fit import Likelihood, Parameter, Transform, compare, likelihoods, maximise
from retrojax.fit.compare import table
from retrojax.parts import calcium_rule
from retrojax.testing import Target, holds, recordings, write_targets

matplotlib.use("Agg")
import matplotlib.pyplot as plt

FILE, HERE = "stdp_ca1_wittenberg2006/cells_fig1d_fig3e.csv", Path(__file__).parent
PATTERNS = {"fig1d": (200.0, 1), "fig3e": (100.0, 2)}  # repetitions, postsynaptic spikes
LOG = Transform("log")
BETWEEN = {"between": Parameter(LOG, 0.25, 0.3)}
LEVELS = {f"level_{n}": Parameter(LOG, 1.0, 0.2) for n in (1, 2)}
RULE = {"spine.C_pre": Parameter(LOG, 1.0, 0.2), "spine.C_post": Parameter(LOG, 0.275865, 0.3),
        "spine.tau_Ca": Parameter(LOG, 48.8373, 0.2, "ms"), "spine.delay": Parameter(LOG, 18.8008, 0.3, "ms"),
        "rule.gamma_d": Parameter(LOG, 313.0965, 0.5), "rule.gamma_p": Parameter(LOG, 1645.59, 0.5)}
NAMES = ("rule, refitted", "rule, published", "a mean for each pattern")


class Density(eqx.Module):
    """ln p of every cell; `constant` ignores timing and takes one level for pairs and one for doublets."""

    protocols: Protocols
    ratio: jax.Array
    sem: jax.Array
    constant: bool = eqx.field(static=True)

    def mean(self, model: Slice):
        """Expected strength after / before of every cell."""
        if self.constant:
            return jnp.where(self.protocols.doublet, model.level_2, model.level_1)
        return outcome(model, self.protocols)

    def __call__(self, model: Slice):
        return likelihoods.between_cells(self.ratio, self.mean(model), self.sem, model.between)


def read(path: Path, patterns: dict[str, tuple[float, int]]) -> tuple[Protocols, jax.Array, jax.Array]:
    """Protocols, ratios and standard errors of the cells whose figure is known."""
    rows = list(csv.DictReader(path.open()))
    for label in sorted({row["figure"] for row in rows} - set(patterns)):
        print(f"cells of {label} are left out: say what it means with --protocols FILE (figure,pairs,post_spikes)")
    rows = [row for row in rows if row["figure"] in patterns]
    count, spikes = np.array([patterns[row["figure"]] for row in rows]).T
    numbers = np.array([[float(row[name]) for name in ("dt_ms", "strength_ratio", "sem")] for row in rows])
    return Protocols.of(numbers[:, 0], count, spikes == 2), *(jnp.asarray(x) for x in numbers[:, 1:].T)


def named_patterns(path: Path | None) -> dict[str, tuple[float, int]]:
    """Figure -> (repetitions, postsynaptic spikes) from a table with columns figure, pairs, post_spikes."""
    rows = csv.DictReader(path.open()) if path else []
    return {row["figure"]: (float(row["pairs"]), int(row["post_spikes"])) for row in rows}


def fitted(data: tuple, start: Slice, spec: dict, constant: bool, folds: bool = True):
    """Maximum likelihood; cells are left out by fifths."""
    groups = tuple(f"fifth {k % 5}" for k in range(data[1].size))
    return maximise(Likelihood(Density(*data, constant), groups), start, spec, starts=6, key=jax.random.key(0),
                    folds=folds, max_steps=80, tolerance=1e-5)


def recovered(data: tuple, fit, start: Slice) -> float:
    """Largest |ln fitted/true|/sd of what cells drawn from the fit identify."""
    mean = np.asarray(outcome(fit.model, data[0]))
    spread = np.hypot(np.asarray(data[2]), float(fit.model.between))
    made = jnp.asarray(mean + spread * np.random.default_rng(6).standard_normal(mean.size))
    again = fitted((data[0], made, data[2]), start, RULE | BETWEEN, False, folds=False)
    print(f"\nsynthetic cells: {again.summary()}")
    return max(abs(np.log(found.value / fit.parameters[path].value)) / (found.sd / found.value)
               for path, found in again.parameters.items() if found.identified)


def draw(data: tuple, fits) -> None:
    """Cells and curves of pairs and doublets; outcome against the number of repetitions."""
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
    dt = np.linspace(-100, 100, 201)
    for axis, (label, (count, spikes)) in zip(axes, PATTERNS.items(), strict=False):
        mine = np.asarray(data[0].doublet) == (spikes == 2)
        axis.errorbar(data[0].dt[mine], data[1][mine], data[2][mine], fmt="ko", ms=3)
        many = Protocols.of(dt, np.full(dt.size, count), np.full(dt.size, spikes == 2))
        for name in NAMES[:2]:
            axis.plot(dt, outcome(fits[name].model, many), label=name)
        axis.axhline(float(getattr(fits[NAMES[2]].model, f"level_{spikes}")), color="0.6", label=NAMES[2])
        axis.set(title=f"{label}: {count:g} x {spikes} post", xlabel="dt [ms]", ylabel="strength after / before")
    number = np.arange(1.0, 301.0)
    for lag, doublet in ((10.0, True), (-20.0, True), (10.0, False)):
        many = Protocols.of(np.full(300, lag), number, np.full(300, doublet))
        what = f"{'doublet' if doublet else 'pair'}, {lag:+g} ms"
        axes[2].plot(number, outcome(fits[NAMES[0]].model, many), label=what)
    axes[2].set(xlabel="repetitions", ylabel="predicted strength")
    for axis in axes:
        axis.legend(fontsize=7)
    figure.savefig(HERE / "figure.png", dpi=130)


def main() -> None:
    """Fit, compare, predict and write the table."""
    given = recordings(__doc__.splitlines()[0], [FILE])
    with jax.enable_x64(True):
        data = read(given.data / FILE, PATTERNS)
        start = Slice(*calcium_rule("hippocampal_slices"))
        fits = {NAMES[0]: fitted(data, start, RULE | BETWEEN, False), NAMES[1]: fitted(data, start, BETWEEN, False),
                NAMES[2]: fitted(data, start, LEVELS | BETWEEN, True)}
        print(table(compare(fits)))
        for name, fit in fits.items():
            print(f"\n{name}\n{fit.summary()}")
        lag, doublet = np.repeat([10.0, -20.0, 10.0], 3), np.repeat([True, True, False], 3)
        grown = np.asarray(outcome(fits[NAMES[0]].model, Protocols.of(lag, np.tile([30.0, 100.0, 200.0], 3), doublet)))
        grown = grown.reshape(3, 3)
        for what, row in zip(("doublets, +10 ms", "doublets, -20 ms", "pairs, +10 ms"), grown, strict=True):
            print(f"predicted after 30, 100, 200 {what}: " + ", ".join(f"{w:.3f}" for w in row))
        if given.score:
            held = read(given.score, PATTERNS | named_patterns(given.protocols))
            for name, fit in fits.items():
                density = Density(*held, name == NAMES[2])(fit.model)
                print(f"--score, {name}: log-likelihood {float(jnp.sum(density)):.3f} (n = {density.size})")
        worst = recovered(data, fits[NAMES[0]], start)
        draw(data, fits)
    where, mine = "Wittenberg & Wang 2006", fits[NAMES[0]].heldout_total
    write_targets([
        holds("held out: refitted rule above a mean for each pattern", where, mine > fits[NAMES[2]].heldout_total),
        holds("held out: refitted rule above the published set", where, mine > fits[NAMES[1]].heldout_total),
        holds("30 doublets at +10 ms give half of the potentiation by 100 (prediction)", where,
              grown[0, 0] - 1 > 0.5 * (grown[0, 1] - 1) > 0),
        holds("30 pairs at +10 ms give less than half of the depression by 200 (prediction)", where,
              0 < 1 - grown[2, 0] < 0.5 * (1 - grown[2, 2])),
        Target("synthetic cells: worst known parameter [sd]", "simulation", 0.0, 3.0, worst),
    ], HERE)


if __name__ == "__main__":
    main()
