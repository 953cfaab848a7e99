"""Pairs and doublets at single CA1 cells: a calcium rule under measurement error and between-cell scatter.

57 cells of Wittenberg & Wang (2006) J Neurosci 26:6610, Figs 1d and 3e: 200 pairs, or 100 times one presynaptic spike
with two postsynaptic ones 11.5 ms apart, at 5 Hz (the repetition with which Graupner & Brunel 2012 model them). Cells
scatter several times more than their own standard errors, so each is normal around the rule with its SEM^2 plus one
between-cell variance. The rule is refitted from the set published for these slices, freely and with normal priors
around the published logarithms; no uncertainty is published, so their one strength is chosen by cross-validation among
the cells that are not left out (by fifths). The published set was itself fitted to these panels, so its held-out score
is flattered, and a prior around it has seen the cells that are left out.

Every fifth chooses the strongest prior (SD 0.03), and the less freedom the better the others are predicted: SD 0.3
gives 2.1, 0.1 5.2, 0.03 7.0, the published set itself 8.7. These cells give no reason to leave it; both targets that
ask a refit to beat it fail and stay. Nor do they without any cell left out: six free parameters gain 2.6 in ln
likelihood (32 starts find nothing better than the six do), where fitting noise alone would gain 3. A separate NumPy
model (calcium on a grid of 0.1 ms) scores the published set alike, 8.69. Scatter around it is even: SD 0.20 at pairs
and 0.20 at doublets, kurtosis 3.1, so the normal law with one variance stands.
How the outcome grows with the number of pairings is not in the data and is a prediction; the paper's abstract says that
potentiation shows after tens of pairings and depression needs hundreds. That 30 doublets give half of what 100 give
was asked before the fit; it predicts about a quarter, and the target fails: with every set (refitted 0.31, published
0.28 of the potentiation by 100), because a synapse switches only once its efficacy has drifted past the middle.
"""

from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
from cells import PATTERNS, Protocols, Slice, named_patterns, outcome, read
from nested import nested

from retrojax.fit import Likelihood, Parameter, Spec, Transform, compare, likelihoods, maximise
from retrojax.fit.compare import table
from retrojax.fit.spec import fix
from retrojax.parts import calcium_rule
from retrojax.testing import Target, held_back, holds, keep, kept, parameters, recordings, write_targets

matplotlib.use("Agg")
import matplotlib.pyplot as plt

FILE, HERE = "stdp_ca1_wittenberg2006/cells_fig1d_fig3e.csv", Path(__file__).parent
LOG = Transform("log")
BETWEEN = {"between": Parameter(LOG, 0.25, 0.3)}
LEVELS = {f"level_{n}": Parameter(LOG, 1.0, 0.2) for n in (1, 2)}
RULE = {"spine.C_pre": Parameter(LOG, 1.0, 0.2), "spine.C_post": Parameter(LOG, 0.275865, 0.3),
        "spine.tau_Ca": Parameter(LOG, 48.8373, 0.2, "ms"), "spine.delay": Parameter(LOG, 18.8008, 0.3, "ms"),
        "rule.gamma_d": Parameter(LOG, 313.0965, 0.5), "rule.gamma_p": Parameter(LOG, 1645.59, 0.5)}
STRENGTHS = (0.03, 0.1, 0.3)
NAMES = ("rule, refitted", "rule, published", "a mean for each pattern", "rule, near published")


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


def read_held(path: Path, protocols: Path | None) -> tuple:
    """Held-back cells."""
    return read(path, PATTERNS | named_patterns(protocols))


def near_published(strength: float) -> Spec:
    """The rule's parameters with a prior around the published set, of SD `strength` in the logarithm."""
    return {path: p._replace(spread=strength, prior=(p.centre, strength)) for path, p in RULE.items()} | BETWEEN


def cells_of(data: tuple, constant: bool) -> Likelihood:
    """The cells, left out by fifths."""
    return Likelihood(Density(*data, constant), tuple(f"fifth {k % 5}" for k in range(data[1].size)))


def fitted(data: tuple, start: Slice, spec: Spec, constant: bool, folds: bool = True):
    """Maximum likelihood, or of the posterior where the spec holds priors."""
    return maximise(cells_of(data, constant), start, spec, starts=6, key=jax.random.key(0), folds=folds, max_steps=80,
                    tolerance=1e-5)


def fit_all(data: tuple, start: Slice) -> dict:
    """The four of `NAMES`."""
    choice = nested(cells_of(data, False), start, near_published, STRENGTHS)
    print("strength chosen without each fifth: " + ", ".join(f"{s:g}" for s in choice.chosen.values()))
    near = fitted(data, start, near_published(choice.strength), False, folds=False)
    return {NAMES[0]: fitted(data, start, RULE | BETWEEN, False), NAMES[1]: fitted(data, start, BETWEEN, False),
            NAMES[2]: fitted(data, start, LEVELS | BETWEEN, True), NAMES[3]: near._replace(heldout=choice.heldout)}


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
        for name in (NAMES[0], NAMES[1], NAMES[3]):
            axis.plot(dt, outcome(fits[name].model, many), label=name)
        axis.axhline(float(getattr(fits[NAMES[2]].model, f"level_{spikes}")), color="0.6", label=NAMES[2])
        axis.set(title=f"{label}: {count:g} x {spikes} post", xlabel="dt [ms]", ylabel="strength after / before")
    number = np.arange(1.0, 301.0)
    for lag, doublet in ((10.0, True), (-20.0, True), (10.0, False)):
        many = Protocols.of(np.full(300, lag), number, np.full(300, doublet))
        what = f"{'doublet' if doublet else 'pair'}, {lag:+g} ms"
        axes[2].plot(number, outcome(fits[NAMES[3]].model, many), label=what)
    axes[2].set(xlabel="repetitions", ylabel="predicted strength")
    for axis in axes:
        axis.legend(fontsize=7)
    figure.savefig(HERE / "figure.png", dpi=130)


def predicted(model: Slice) -> np.ndarray:
    """Strength after 30, 100 and 200 repetitions: doublets at +10 and at -20 ms, pairs at +10 ms."""
    lag, doublet = np.repeat([10.0, -20.0, 10.0], 3), np.repeat([True, True, False], 3)
    grown = np.asarray(outcome(model, Protocols.of(lag, np.tile([30.0, 100.0, 200.0], 3), doublet))).reshape(3, 3)
    for what, row in zip(("doublets, +10 ms", "doublets, -20 ms", "pairs, +10 ms"), grown, strict=True):
        print(f"predicted after 30, 100, 200 {what}: " + ", ".join(f"{w:.3f}" for w in row))
    return grown


def score(held: tuple, models: dict[str, Slice]) -> dict[str, float]:
    """Log-likelihood of held-back cells under every model; the scatter between cells is part of each model."""
    found = {name: Density(*held, name == NAMES[2])(model) for name, model in models.items()}
    for name, density in found.items():
        print(f"--score, {name}: log-likelihood {float(jnp.sum(density)):.3f} (n = {density.size})")
    return {name: float(jnp.sum(density)) for name, density in found.items()}


def main() -> None:
    """Fit, compare, predict and write the table."""
    given = recordings(__doc__.splitlines()[0], [FILE])
    with jax.enable_x64(True):
        start = Slice(*calcium_rule("hippocampal_slices"))
        held, saved = held_back(given, read_held), kept(given, HERE)
        if saved is not None:
            score(held, {name: fix(start, values) for name, values in saved.items()})
            return
        data = read(given.data / FILE, PATTERNS)
        fits = fit_all(data, start)
        print(table(compare(fits)))
        for name, fit in fits.items():
            print(f"\n{name}\n{fit.summary()}")
        models = {name: fit.model for name, fit in fits.items()}
        keep(given, HERE, {name: parameters(model) for name, model in models.items()})
        grown = predicted(models[NAMES[3]])
        if held is not None:
            score(held, models)
        worst = recovered(data, fits[NAMES[0]], start)
        draw(data, fits)
    where, score_of = "Wittenberg & Wang 2006", {name: fit.heldout_total for name, fit in fits.items()}
    write_targets([
        *(holds(f"held out: {name} above {other}", where, score_of[name] > score_of[other])
          for name in (NAMES[0], NAMES[3]) for other in (NAMES[2], NAMES[1])),
        holds("30 doublets at +10 ms give half of the potentiation by 100 (prediction)", where,
              grown[0, 0] - 1 > 0.5 * (grown[0, 1] - 1) > 0),
        holds("30 pairs at +10 ms give less than half of the depression by 200 (prediction)", where,
              0 < 1 - grown[2, 0] < 0.5 * (1 - grown[2, 2])),
        Target("synthetic cells: worst known parameter [sd]", "simulation", 0.0, 3.0, worst),
    ], HERE)


if __name__ == "__main__":
    main()
