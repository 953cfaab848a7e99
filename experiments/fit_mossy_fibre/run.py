"""Mossy fibre trains: residual-calcium release against Tsodyks-Markram with three and four parameters.

Single sweeps of six train protocols, normalised per cell (Chamberland et al. 2018, PNAS; as used by Rossbroich et al.
2021), under a gamma law with a fitted CV. Five protocols are fitted; `111` stays a check, as its interval is given both
as 5 and as 9 ms. Cells are not named and their sweeps are not independent: each gave 20 (Fig. 2 of 2018: 19 cells for
the 379 sweeps of `20`), so a sweep counts as 1/20 of an observation, and all log-likelihoods are in that unit.

All models have the same priors, because one protocol left out can leave saturation open (without `100` nothing but the
prior bounds growth past the fifth pulse at 10 ms): U is low, 0.1 within a factor of 2 (variance against mean is a line
at these synapses, so P is well below the 0.34-0.51 found at interneurons, Lawrence et al. 2004); time constants of
calcium and facilitation are several hundred ms (Chamberland et al. 2018); recovery and increments are as in the starts.
The judge is each protocol predicted from the others. Two other priors of U were looked at before, without the 1/20.
Tsodyks-Markram without priors is kept as a baseline: there U goes to 0 and growth never ends, yet it predicts well.
Residual calcium is ahead of the others with these priors, in four of five protocols, and ties with that one (behind by
2.6 +- 5.0, one standard error over protocols): that target fails and stays.

What decides it is the left-out `100` alone. Like with like: with priors for both residual calcium wins by 8.0; without
priors for both it loses by 14.2, of which 15.3 in `100`. No other protocol has more than five pulses at 10 ms, so from
them alone the end of growth there is a guess: residual calcium, growing with a fourth power, puts the tenth pulse at
12.9 times the first without priors and at 4.3 with them, Tsodyks-Markram without priors, growing along a line, at 7.8;
6.9 were measured. It is not a solve that stopped early: a separate NumPy and SciPy model (BFGS, 8 to 12 starts) gives
every score within 0.01; with priors of U narrower by a tenth residual calcium loses 3.9 more. Nor is it the gamma law:
its CV, fitted to each of the 38 pulses alone, stands between 0.55 and 0.77 while means grow sevenfold.
What all five protocols say, and `111`, which nobody fits, is clear: residual calcium with or without priors is ahead of
the best Tsodyks-Markram by 6.4 (128 without the 1/20) and, on the 180 sweeps of `111`, by 27 at 9 ms and 22 at 5 ms.
No plasticity, with its own level and CV, stands at -1393 (left out: -1422).

The pair of trains at 1.2 and 2.5 mM calcium (Chamberland et al. 2014) then has to follow from one set in which calcium
influx alone changes. With the facilitation of the 2018 trains, and U, amplitude and K free, chi2 of its ten points is
19.1 (Tsodyks-Markram 18.8); with facilitation free too, as these are other slices, 8.1 (17.5).
"""

from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
from models import FACILITATION, FLAT, MODELS, OF_PAIR
from trains import INTERVALS, Terminal, chi2, mean_and_sem, means, named_protocols, observed, read, read_pair, start

from retrojax.fit import Likelihood, MaximumLikelihood, Spec, compare, maximise
from retrojax.fit.compare import table
from retrojax.fit.spec import fix
from retrojax.testing import Target, held_back, holds, keep, kept, parameters, recordings, write_targets

matplotlib.use("Agg")
import matplotlib.pyplot as plt

SWEEPS, CALCIUM = (f"stp_mossyfiber_chamberland/{name}" for name in
                   ("responses_normalized.csv.gz", "calcium_dependence_2014.csv"))
SWEEPS_PER_CELL = 20
BEST, BASE, HERE = "residual calcium, 4", "Tsodyks-Markram, 3", Path(__file__).parent


def calcium_pair(pair, fits: dict[str, MaximumLikelihood], free: bool) -> dict[str, MaximumLikelihood]:
    """Ten points by U, amplitude, K and, if `free`, the facilitation; the time constants are those of the trains."""
    data = Likelihood(pair, ("all",) * 10)
    return {name: maximise(data, fit.model, OF_PAIR | (FACILITATION[name] if free else {}), starts=8,
                           key=jax.random.key(2)) for name, fit in fits.items() if name in FACILITATION}


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
        for style, (model, fit) in zip(("-", ":", "-", "--", "-.", ":", "--"), fits.items(), strict=True):
            axis.plot(time, means(fit.model, jnp.asarray([INTERVALS[name]]))[0], style, label=model)
        axis.set(title=f"protocol {name}", xlabel="time [ms]", ylabel="amplitude / first")
    axis = axes.flat[5]
    for k, level in enumerate(np.asarray(pair.level)):
        axis.errorbar(np.arange(1, 6), pair.epsc[k], pair.sem[k], fmt="o", color=f"C{k + 4}", label=f"{level} mM")
        axis.plot(np.arange(1, 6), pair.mean(pairs[BEST].model)[k], color=f"C{k + 4}")
    axis.set(title="one set, calcium changed", xlabel="pulse at 50 Hz", ylabel="EPSC [pA]")
    figure.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=7)
    axis.legend(fontsize=7, loc="upper left")
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
        if name in pairs:
            print(f"calcium pair: chi2 {pair_chi2(pair, pairs[name]):.2f}\n{pairs[name].summary()}")


def pair_chi2(pair, fit: MaximumLikelihood) -> float:
    """Of the ten points."""
    return float(jnp.sum(((pair.epsc - pair.mean(fit.model)) / pair.sem) ** 2))


def read_held(path: Path, protocols: Path | None) -> Likelihood:
    """Held-back sweeps; those of `111` count at 9 ms unless a table says otherwise."""
    meaning = INTERVALS | named_protocols(protocols)
    return observed(read(path, meaning), meaning)


def score(held: Likelihood, models: dict[str, Terminal]) -> dict[str, float]:
    """Log-likelihood of held-back sweeps, each counted as one, under every model."""
    groups, found = np.array(held.groups), {}
    for name, model in models.items():
        density = np.where(held.weights > 0, np.asarray(eqx.filter_jit(held.log_density)(model)), 0.0)
        found[name] = float(density.sum())
        each = ", ".join(f"{label} {density[groups == label].sum():.1f}" for label in dict.fromkeys(held.groups))
        print(f"--score, {name}: log-likelihood {found[name]:.2f} ({each})")
    return found


def main() -> None:
    """Fit, compare, check and write the table."""
    given = recordings(__doc__.splitlines()[0], [SWEEPS, CALCIUM])
    with jax.enable_x64(True):
        held, saved = held_back(given, read_held), kept(given, HERE)
        if saved is not None:
            score(held, {name: fix(start(MODELS[name][0]), values) for name, values in saved.items()})
            return
        sweeps, pair = read(given.data / SWEEPS, INTERVALS), read_pair(given.data / CALCIUM)
        check = {"111": sweeps.pop("111")}
        data = observed(sweeps, INTERVALS)
        data = data._replace(weight=data.weights / SWEEPS_PER_CELL)
        fits = {name: maximise(data, start(release), spec, starts=8, key=jax.random.key(1), folds=True)
                for name, (release, spec) in MODELS.items()}
        keep(given, HERE, {name: parameters(fit.model) for name, fit in fits.items()})
        squares = {name: chi2(fit.model, sweeps) for name, fit in fits.items()}
        pairs, fixed = calcium_pair(pair, fits, True), calcium_pair(pair, fits, False)
        report(fits, check, pair, pairs)
        print("\nchi2 of 38 means: " + ", ".join(f"{name} {value:.0f}" for name, value in squares.items()))
        print("calcium pair with the facilitation of the trains, chi2: " +
              ", ".join(f"{name} {pair_chi2(pair, fit):.1f}" for name, fit in fixed.items()))
        if held is not None:
            score(held, {name: fit.model for name, fit in fits.items()})
        worst, of_pair = synthetic(fits[BEST], sweeps, MODELS[BEST][1]), pair_chi2(pair, pairs[BEST])
        draw(fits, sweeps, pair, pairs)
    where = "Chamberland et al. 2018; Rossbroich et al. 2021"
    mine, base = fits[BEST], fits[BASE]
    ahead = sum(mine.heldout[name] > base.heldout[name] for name in mine.heldout)
    write_targets([
        holds("log-likelihood: residual calcium, 4 above every Tsodyks-Markram", where,
              mine.log_likelihood > max(fits[name].log_likelihood for name in (BASE, "Tsodyks-Markram, 4", FLAT))),
        *(holds(f"held out: residual calcium, 4 above {name}", where, mine.heldout_total > fits[name].heldout_total)
          for name in (BASE, "Tsodyks-Markram, 4", FLAT)),
        Target("held out: protocols of 5 in which residual calcium, 4 is ahead", where, 5, 2, ahead),
        holds("chi2 of the means below Tsodyks-Markram, 3, with and without priors", where,
              squares[BEST] < min(squares[BASE], squares[FLAT])),
        Target("synthetic sweeps: worst parameter [sd]", "simulation", 0.0, 3.0, worst),
        Target("calcium pair: chi2 of ten points, four parameters", "Chamberland et al. 2014", 6.0, 6.6,
               of_pair),
    ], HERE)


if __name__ == "__main__":
    main()
