"""Which rule explains pairing experiments of neocortex: five rules through the literal protocols of 37 recordings.

Change of the unitary EPSP between pairs of neocortical neurons after pre/post pairing, as collected for Chindemi et al.
(2022) Nat Commun 13:3038 from Markram et al. 1997, Egger et al. 1999, Sjostrom et al. 2001, Banerjee et al. 2014,
Zilberter et al. 2009, Sjostrom & Hausser 2006. One function predicts every row: the rule's time constants are shared,
its gains belong to the pathway, and MK-801 in the presynaptic pipette sets the block of presynaptic NMDA receptors.

First the 24 rows between layer-5 cells, leaving out one paper at a time; then all 37 rows, started from there. The
baseline is the unified pre/post rule (Costa et al. 2015) alone. Two rows that are one pooled measurement count once.
chi2 is minus twice the log-likelihood of the means with their SEM, up to a constant.

The pathways oppose one another at the same protocol, so shared gains could not describe them. With one row, the gains
of L2/3 to layer 5 are known by that row and their prior only.

What came out. The retrograde model has by far the smallest misfit, on the 24 rows and on all 37, and held out it does
better than the unified rule and than the mean of the other papers. Held out, the nearest-spike triplets, with five
parameters, are better still: without the Sjostrom rows nine others are left for twelve parameters. Thresholds on
calcium make the loss rough: of 96 starts one reached the lowest value, and 32 had stopped at 45 instead of 20, so the
rules with calcium get more starts. The data cannot separate the gain of nitric oxide from its time constants (printed).
The recovery target asks the median of eight synthetic fits for 20 %, and gets 0.11 (0.04 with 64 sets). The fit stands
1.9 standard deviations of the priors from their centre in tau_y_plus and 1.8 in d_plus, which the data barely hold:
where the priors' means were not drawn anew with the data, every synthetic fit was pulled there and took d_minus along
(0.22; 0.27 with 64 sets). The two stay the least certain: with 64 sets d_plus comes back at 0.62 of its value.
"""

from pathlib import Path

import jax
import matplotlib
import numpy as np

from retrojax.fit import FitResult, Problem, fit
from retrojax.fit.spec import double, fix
from retrojax.fit.stdp_rules import RULES
from retrojax.io.pairing_table import PairingRow, pairing_problem, read_pairing_table
from retrojax.testing import (
    Target,
    held_back,
    holds,
    keep,
    kept,
    parameters,
    recordings,
    say_left_out,
    write_targets,
)

matplotlib.use("Agg")
import matplotlib.pyplot as plt

HERE = Path(__file__).parent
TABLE = "stdp_neocortex_pairs/paired_recordings.csv"
LAYER_5 = ("L5TTPC>L5TTPC",)
STARTS = {"retrograde": 96, "graupner_brunel": 48, "unified": 48}
KEY = 0


def fit_layer_5(problem: Problem, name: str) -> FitResult:
    """One rule on the pairs of layer-5 cells, with the score of every paper left out in turn."""
    model, spec = RULES[name](1)
    return fit(problem, model, spec, starts=STARTS.get(name, 16), screen=8, key=jax.random.key(KEY), max_steps=80,
               recovery=8 if name == "unified" else 0)


def fit_all(problem: Problem, name: str, pathways: int, start: FitResult) -> FitResult:
    """One rule on all rows; the first start stands at the layer-5 fit, its gains taken for every pathway."""
    model, spec = RULES[name](pathways)
    known = {path: result.value for path, result in start.parameters.items()}
    spec = {path: p._replace(centre=known[path if path in known else path.rsplit(".", 1)[0] + ".0"], spread=0.4)
            for path, p in spec.items()}
    return fit(problem, model, spec, starts=6, screen=4, key=jax.random.key(KEY), max_steps=40, recovery=0)


def score(rows: list[PairingRow], models: dict, pathways: tuple[str, ...], constant: float) -> dict[str, float]:
    """Chi2 of every rule on held-back rows beside the two simplest answers."""
    used = [row for row in rows if row.pathway in pathways]
    print(f"--score: {len(used)} of {len(rows)} rows are of fitted pathways")
    say_left_out("pathway", [row.pathway for row in rows if row.pathway not in pathways], "as they are not fitted")
    if not used:
        return {}
    problem = pairing_problem(used, pathways, "none")
    z = lambda guess: float(np.sum(((guess - problem.mean) / problem.sem) ** 2))  # noqa: E731
    scores = {name: z(np.asarray(problem.predict(model))) for name, model in models.items()}
    scores |= {"no change": z(1.0), "mean of fitted rows": z(constant)}
    constant_part = float(np.sum(np.log(2 * np.pi * problem.sem**2)))
    for name, value in scores.items():
        print(f"--score, {name}: log-likelihood {-(value + constant_part) / 2:.2f}, chi2 {value:.2f}")
    return scores


def table(layer_5: dict[str, FitResult], everything: dict[str, FitResult]) -> None:
    """What every rule reaches, its parameters, and what it leaves open."""
    print(f"{'rule':<18}{'P':>3}{'chi2, 24':>10}{'held out':>10}   {'by paper left out':<58}{'P':>3}{'chi2, 37':>10}")
    for name, result in layer_5.items():
        by_paper = ", ".join(f"{paper} {value:.0f}" for paper, value in result.heldout.by_group.items())
        print(f"{name:<18}{len(result.parameters):>3}{result.chi2:>10.1f}{result.heldout.chi2:>10.1f}   {by_paper:<58}"
              f"{len(everything[name].parameters):>3}{everything[name].chi2:>10.1f}")
    first = next(iter(layer_5.values()))
    print("baselines, 24 rows: " + ", ".join(f"{k} {v:.1f}" for k, v in first.baselines.items() if "start" not in k))
    for name, result in layer_5.items():
        print(f"{name}: " + ", ".join(f"{path.rsplit('.', 1)[-1] if 'gains' not in path else path.split('.')[-2]} "
              f"{p.value:.3g}" for path, p in result.parameters.items()))
        print(f"  not determined: {len(result.undetermined)} combinations"
              + "".join(f"; {text}" for text in result.undetermined[:2]))


def draw(problem: Problem, fits: dict[str, FitResult]) -> None:
    """All rows with SEM, and every rule beside them."""
    order = np.argsort([problem.series.index(s) * 1000 + k for k, s in enumerate(problem.series)], kind="stable")
    figure, axis = plt.subplots(figsize=(13, 5), layout="constrained")
    place = np.arange(order.size)
    axis.errorbar(place, problem.mean[order], problem.sem[order], fmt="ko", capsize=2, label="data, SEM", zorder=3)
    for shift, (name, result) in enumerate(fits.items()):
        axis.plot(place + 0.12 * (shift - 2), result.prediction[order], "os^Dv"[shift], ms=5, alpha=0.8, label=name)
    axis.axhline(1, color="0.7", lw=0.8, zorder=0)
    axis.set_xticks(place, [problem.labels[k] for k in order], rotation=90, fontsize=7)
    series = np.array([problem.series[k] for k in order])
    for pathway in dict.fromkeys(series.tolist()):
        mine = place[series == pathway]
        axis.axvline(mine[-1] + 0.5, color="0.8", lw=0.8)
        axis.text(mine.mean(), 1.01, pathway.replace(">", "\n> "), transform=axis.get_xaxis_transform(), ha="center",
                  va="bottom", fontsize=7)
    axis.set_ylabel("EPSP after / before")
    axis.legend(ncol=3, fontsize=8)
    figure.savefig(HERE / "rows_and_rules.png", dpi=130)


def requirements(layer_5: dict[str, FitResult], everything: dict[str, FitResult]) -> list[Target]:
    """The retrograde model against the unified rule, and what synthetic data give back."""
    ours, base = layer_5["retrograde"], layer_5["unified"]
    known = [path for path, p in base.parameters.items() if p.identified]
    back = [abs(np.log(r["median"] / r["true"])) for path, r in base.recovery["parameters"].items() if path in known]
    simple = base.baselines["mean of data, held out"]
    where = "Chindemi et al. 2022, collected recordings"
    return [
        holds("24 L5-L5 rows: retrograde model fits better than the unified rule", where, ours.chi2 < base.chi2),
        holds("24 L5-L5 rows, papers left out: retrograde better than unified", where,
              ours.heldout.chi2 < base.heldout.chi2),
        holds("24 L5-L5 rows, papers left out: retrograde better than the mean", where, ours.heldout.chi2 < simple),
        holds("37 rows: retrograde model fits better than the unified rule", where,
              everything["retrograde"].chi2 < everything["unified"].chi2),
        Target("unified rule, synthetic data: largest |ln| of recovered over true, identified parameters",
               "recovery of the fit", 0.0, 0.2, float(max(back, default=np.inf))),
        Target("unified rule, synthetic data: share fitted as well as by the truth", "recovery of the fit", 1.0, 0.0,
               base.recovery["fitted_as_well_as_truth"]),
    ]


def main() -> None:
    """Fit, print, draw, score."""
    given = recordings(__doc__.splitlines()[0], [TABLE])
    with jax.enable_x64(True):
        held, known = held_back(given, read_pairing_table), kept(given, HERE)
        if known is not None:
            models = {name: fix(double(RULES[name](len(known["pathways"]))[0]), values)
                      for name, values in known["rules"].items()}
            score(held, models, tuple(known["pathways"]), known["mean"])
            return
        rows = read_pairing_table(given.data / TABLE)
        pathways = tuple(dict.fromkeys([*LAYER_5, *(row.pathway for row in rows)]))
        layer_5, everything = {}, {}
        for name in RULES:
            ticks = name == "retrograde"  # the others have no messenger to follow through long gaps
            few = pairing_problem([row for row in rows if row.pathway in LAYER_5], LAYER_5, ticks=ticks)
            many = pairing_problem(rows, pathways, "none", ticks)
            layer_5[name] = fit_layer_5(few, name)
            everything[name] = fit_all(many, name, len(pathways), layer_5[name])
            print(f"{name}: chi2 {layer_5[name].chi2:.1f} of 24 rows, {everything[name].chi2:.1f} of 37; "
                  f"{layer_5[name].wall_s:.0f} and {everything[name].wall_s:.0f} s", flush=True)
        table(layer_5, everything)
        draw(many, everything)
        models = {name: result.model for name, result in everything.items()}
        mean = float(np.average(many.mean, weights=many.sem**-2.0))
        keep(given, HERE, {"rules": {name: parameters(model) for name, model in models.items()},
                           "pathways": pathways, "mean": mean})
        if held is not None:
            score(held, models, pathways, mean)
        write_targets(requirements(layer_5, everything), HERE)


if __name__ == "__main__":
    main()
