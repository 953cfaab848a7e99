"""Mossy fibre trains: residual-calcium release against Tsodyks-Markram with three and four parameters.

Single sweeps of six train protocols, normalised per cell (Chamberland et al. 2018, PNAS; as used by Rossbroich et al.
2021), under a gamma law with a fitted CV. Five protocols are fitted; `111` stays a check, as its interval is given both
as 5 and as 9 ms. Sweeps of one cell are not independent and cells are not named, so differences of log-likelihood are
too large by an unknown factor: the judge is each protocol predicted from the others. The pair of trains at 1.2 and
2.5 mM calcium (Chamberland et al. 2014) then has to follow from one set in which calcium influx alone changes.

Residual calcium describes the trains better, and three of five protocols when they are left out. It is behind in the
sum because of protocol 100: without that train nothing limits growth past the fifth pulse at 10 ms, and a fourth power
then overshoots, where Tsodyks-Markram, being nearly linear, does not. Those two targets fail and stay.
"""

from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
from trains import INTERVALS, chi2, mean_and_sem, means, named_protocols, observed, read, read_pair, start

from retrojax.fit import Likelihood, MaximumLikelihood, Parameter, Spec, Transform, compare, maximise
from retrojax.fit.compare import table
from retrojax.parts import ExtendedTsodyksMarkram, ResidualCalciumRelease, TsodyksMarkram
from retrojax.testing import Target, holds, recordings, write_targets

matplotlib.use("Agg")
import matplotlib.pyplot as plt

SWEEPS, CALCIUM = (f"stp_mossyfiber_chamberland/{name}" for name in
                   ("responses_normalized.csv.gz", "calcium_dependence_2014.csv"))
FRACTION, LOG = Transform("logit", 0.0, 1.0), Transform("log")
COMMON = {"U": Parameter(FRACTION, 0.05, 0.7), "scale": Parameter(LOG, 1.0, 0.1), "cv": Parameter(LOG, 0.7, 0.2)}
RECOVERY = {"release.tau_rec": Parameter(LOG, 100.0, 1.0, "ms")}
TAU_FAC = {"release.tau_fac": Parameter(LOG, 300.0, 1.0, "ms")}
STEP = {"release.step": Parameter(FRACTION, 0.1, 0.7)}
RISE = {"release.rise": Parameter(LOG, 0.2, 0.7)}
TAU_CA = {"release.tau_ca": Parameter(LOG, 200.0, 1.0, "ms")}
MODELS: dict[str, tuple[eqx.Module, Spec]] = {
    "Tsodyks-Markram, 3": (TsodyksMarkram(), COMMON | RECOVERY | TAU_FAC),
    "Tsodyks-Markram, 4": (ExtendedTsodyksMarkram(), COMMON | RECOVERY | TAU_FAC | STEP),
    "residual calcium, 4": (ResidualCalciumRelease(), COMMON | RECOVERY | TAU_CA | RISE),
    # resources that recover at once: no depletion
    "residual calcium, 3": (ResidualCalciumRelease(tau_rec=1e-3), COMMON | TAU_CA | RISE),
}
OF_PAIR = {"U": Parameter(FRACTION, 0.1, 0.7), "scale": Parameter(LOG, 2000.0, 0.7, "pA"),
           "K": Parameter(LOG, 1.5, 0.5, "mM")}
FACILITATION = {"Tsodyks-Markram, 3": TAU_FAC, "Tsodyks-Markram, 4": STEP, "residual calcium, 4": RISE,
                "residual calcium, 3": RISE}
BEST, BASE, HERE = "residual calcium, 4", "Tsodyks-Markram, 3", Path(__file__).parent


def calcium_pair(pair, fits: dict[str, MaximumLikelihood], free: bool) -> dict[str, MaximumLikelihood]:
    """Ten points by U, amplitude, K and, if `free`, the facilitation; the time constants are those of the trains."""
    data = Likelihood(pair, ("all",) * 10)
    return {name: maximise(data, fit.model, OF_PAIR | (FACILITATION[name] if free else {}), starts=8,
                           key=jax.random.key(2)) for name, fit in fits.items()}


def synthetic(fit: MaximumLikelihood, sweeps: dict[str, np.ndarray], spec: Spec) -> float:
    """Largest |fitted - true|/sd after fitting sweeps drawn from the fit, missing where they were."""
    rng, cv = np.random.default_rng(5), float(fit.model.cv)
    made = {}
    for name, x in sweeps.items():
        mean = np.full(10, np.nan)
        mean[: len(INTERVALS[name]) + 1] = means(fit.model, jnp.asarray([INTERVALS[name]]))[0]
        made[name] = np.where(np.isnan(x), np.nan, mean * rng.gamma(cv**-2, cv**2, x.shape))
    again = maximise(observed(made, INTERVALS), start(fit.model.release), spec, starts=8, key=jax.random.key(3))
    print(f"\nsynthetic sweeps\n{again.summary()}")
    return max(abs(again.parameters[path].value - fit.parameters[path].value) /
               (np.nan if again.parameters[path].sd is None else again.parameters[path].sd) for path in spec)


def draw(fits, sweeps, pair, pairs) -> None:
    """Means and fits of every protocol, and the calcium pair."""
    figure, axes = plt.subplots(2, 3, figsize=(11, 6), layout="constrained")
    for axis, (name, x) in zip(axes.flat, sweeps.items(), strict=False):
        time = np.concatenate([[0], np.cumsum(INTERVALS[name])])
        axis.errorbar(time, *mean_and_sem(x), fmt="ko", ms=4, label="mean and SEM")
        for style, (model, fit) in zip(("-", ":", "-", "--"), fits.items(), strict=True):
            axis.plot(time, means(fit.model, jnp.asarray([INTERVALS[name]]))[0], style, label=model)
        axis.set(title=f"protocol {name}", xlabel="time [ms]", ylabel="amplitude / first")
    axis = axes.flat[5]
    for k, level in enumerate(np.asarray(pair.level)):
        axis.errorbar(np.arange(1, 6), pair.epsc[k], pair.sem[k], fmt="o", color=f"C{k + 4}", label=f"{level} mM")
        axis.plot(np.arange(1, 6), pair.mean(pairs[BEST].model)[k], color=f"C{k + 4}")
    axis.set(title="one set, calcium changed", xlabel="pulse at 50 Hz", ylabel="EPSC [pA]")
    axes.flat[0].legend(fontsize=7)
    axis.legend(fontsize=7)
    figure.savefig(HERE / "figure.png", dpi=130)


def report(fits, check, pair, pairs) -> None:
    """Everything that is no target."""
    print(table(compare(fits)))
    for name, fit in fits.items():
        print(f"\n{name}\n{fit.summary()}")
        print("held out: " + ", ".join(f"{label} {score:.1f}" for label, score in fit.heldout.items()))
        for gap in (5.0, 9.0):
            density = observed(check, {"111": [gap] * 5}).log_density(fit.model)
            print(f"check on 111 at {gap:g} ms: {float(jnp.sum(density)):.1f}")
        print(f"calcium pair: chi2 {pair_chi2(pair, pairs[name]):.2f}\n{pairs[name].summary()}")


def pair_chi2(pair, fit: MaximumLikelihood) -> float:
    """Of the ten points."""
    return float(jnp.sum(((pair.epsc - pair.mean(fit.model)) / pair.sem) ** 2))


def score(given, fits) -> None:
    """The fitted models on held-back sweeps; those of `111` count at 9 ms unless a table says otherwise."""
    protocols = INTERVALS | named_protocols(given.protocols)
    held = observed(read(given.score, protocols), protocols)
    for name, fit in fits.items():
        print(f"--score, {name}: log-likelihood {float(jnp.sum(held.log_density(fit.model))):.2f}")


def main() -> None:
    """Fit, compare, check and write the table."""
    given = recordings(__doc__.splitlines()[0], [SWEEPS, CALCIUM])
    with jax.enable_x64(True):
        sweeps, pair = read(given.data / SWEEPS, INTERVALS), read_pair(given.data / CALCIUM)
        check = {"111": sweeps.pop("111")}
        data = observed(sweeps, INTERVALS)
        fits = {name: maximise(data, start(release), spec, starts=12, key=jax.random.key(1), folds=True)
                for name, (release, spec) in MODELS.items()}
        squares = {name: chi2(fit.model, sweeps) for name, fit in fits.items()}
        pairs, fixed = calcium_pair(pair, fits, True), calcium_pair(pair, fits, False)
        report(fits, check, pair, pairs)
        print("\nchi2 of 38 means: " + ", ".join(f"{name} {value:.0f}" for name, value in squares.items()))
        print("calcium pair with the facilitation of the trains, chi2: " +
              ", ".join(f"{name} {pair_chi2(pair, fit):.1f}" for name, fit in fixed.items()))
        if given.score:
            score(given, fits)
        worst, of_pair = synthetic(fits[BEST], sweeps, MODELS[BEST][1]), pair_chi2(pair, pairs[BEST])
        draw(fits, sweeps, pair, pairs)
    where = "Chamberland et al. 2018; Rossbroich et al. 2021"
    mine, base = fits[BEST], fits[BASE]
    ahead = sum(mine.heldout[name] > base.heldout[name] for name in mine.heldout)
    write_targets([
        holds("log-likelihood: residual calcium, 4 above both Tsodyks-Markram", where,
              mine.log_likelihood > max(base.log_likelihood, fits["Tsodyks-Markram, 4"].log_likelihood)),
        holds("held out: residual calcium, 4 above Tsodyks-Markram, 3", where, mine.heldout_total > base.heldout_total),
        holds("held out: residual calcium, 4 above Tsodyks-Markram, 4", where,
              mine.heldout_total > fits["Tsodyks-Markram, 4"].heldout_total),
        Target("held out: protocols of 5 in which residual calcium, 4 is ahead", where, 5, 2, ahead),
        holds("chi2 of the means below Tsodyks-Markram, 3", where, squares[BEST] < squares[BASE]),
        Target("synthetic sweeps: worst parameter [sd]", "simulation", 0.0, 3.0, worst),
        Target("calcium pair: chi2 of ten points, four parameters", "Chamberland et al. 2014", 6.0, 6.6,
               of_pair),
    ], HERE)


if __name__ == "__main__":
    main()
