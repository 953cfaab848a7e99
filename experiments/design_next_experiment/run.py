"""Which pairing experiment to do next: the one whose outcome tells two rules apart best.

The unified pre/post rule (Costa et al. 2015) and the nearest-spike triplet rule (Pfister & Gerstner 2006) are fitted to
the 24 recordings between layer-5 cells (collected by Chindemi et al. 2022). What those leave open is described by draws
from the normal distribution at each optimum, widened by the misfit. Candidates are bursts of five pairs, by timing,
rate and drug (none, or presynaptic NMDA receptors blocked). The worth of a candidate is the expected information gain
on which rule is right, the two being equally likely before (Lindley 1956; Box & Hill 1967):

    I = ln 2 - E_y H(rule | y),   y = prediction of a draw + noise of SD `NOISE`

with p(y | rule) the mean over all draws of the rule. All candidates and draws run in one vmap; I is at most ln 2.
Both rules are wrong to some degree: the numbers hold for the choice between these two.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np

from retrojax.errors import InputError
from retrojax.fit import fit
from retrojax.fit.spec import Spec, prior_coordinates, set_coordinates
from retrojax.fit.stdp_rules import RULES
from retrojax.io.pairing_table import PairingRow, pairing_problem, read_pairing_table
from retrojax.protocols import bursts
from retrojax.testing import Target, held_back, holds, keep, kept, recordings, say_left_out, write_targets

matplotlib.use("Agg")
import matplotlib.pyplot as plt

HERE = Path(__file__).parent
TABLE, LAYER_5 = "stdp_neocortex_pairs/paired_recordings.csv", ("L5TTPC>L5TTPC",)
PAIR = ("unified", "triplet_nearest")
LAGS_MS, RATES_HZ, DRUGS = (-25.0, -15.0, -10.0, -5.0, 5.0, 10.0, 15.0, 25.0), (1.0, 5.0, 10.0, 20.0, 35.0, 50.0), (
    "none", "NMDA block")
DRAWS, NOISE, OUTCOMES = 200, 0.15, 100


def candidates() -> list[PairingRow]:
    """Fifteen bursts of five pairs every 10 s, by timing, rate and drug."""
    return [PairingRow(f"{rate:g} Hz, {lag:+g} ms, {drug}", LAYER_5[0], "next", drug != "none", rate, lag,
                       bursts(rate, lag), 1.0, NOISE) for drug in DRUGS for rate in RATES_HZ for lag in LAGS_MS]


def posterior(problem, name: str, rng: np.random.Generator) -> tuple[object, Spec, np.ndarray]:
    """Model, spec and draws of the coordinates: normal at the optimum, variance times chi2 per degree of freedom."""
    model, spec = RULES[name](1)
    result = fit(problem, model, spec, starts=16, screen=16, key=jax.random.key(0), max_steps=80, recovery=0)
    u = np.log([p.value for p in result.parameters.values()])
    slope = jax.jit(jax.jacfwd(lambda v, predict: predict(set_coordinates(model, spec, v))))
    slopes = np.asarray(slope(jnp.asarray(u), problem.predict))
    scaled = np.concatenate([slopes / problem.sem[:, None], np.diag(prior_coordinates(spec)[1])])
    misfit = max(1.0, result.chi2 / (problem.mean.size - len(spec)))
    covariance = misfit * np.linalg.inv(scaled.T @ scaled)
    print(f"{name}: chi2 {result.chi2:.1f} of {problem.mean.size} rows, variances x {misfit:.1f}")
    return model, spec, rng.multivariate_normal(u, covariance, DRAWS)


def predictions(problem, model, spec: Spec, u: np.ndarray) -> np.ndarray:
    """Outcome of every candidate for every draw, [candidates, draws]."""
    many = jax.jit(jax.vmap(lambda v, predict: predict(set_coordinates(model, spec, v)), (0, None)))
    return np.asarray(many(jnp.asarray(u), problem.predict)).T


def log_evidence(y: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """ln p(y | rule) up to a constant: y [candidates, n], predicted [candidates, draws]."""
    exponent = -0.5 * ((y[:, :, None] - predicted[:, None, :]) / NOISE) ** 2
    top = exponent.max(-1, keepdims=True)
    return np.log(np.exp(exponent - top).mean(-1)) + top[..., 0]


def simulate(predicted: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Outcomes [candidates, OUTCOMES] of one rule."""
    chosen = rng.integers(predicted.shape[1], size=OUTCOMES)
    return predicted[:, chosen] + NOISE * rng.standard_normal((len(predicted), OUTCOMES))


def information(first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Expected information gain [nats] on the rule, per candidate."""
    total = 0.0
    for truth in (first, second):
        y = simulate(truth, rng)
        a, b = log_evidence(y, first), log_evidence(y, second)
        own = a if truth is first else b
        total = total + (np.log(2) + own - np.logaddexp(a, b)).mean(1) / 2
    return total


def found_right(first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Share of simulated experiments after which the rule that made them is the likelier one, per candidate."""
    y, z = simulate(first, rng), simulate(second, rng)
    right = log_evidence(y, first) > log_evidence(y, second)
    also = log_evidence(z, second) > log_evidence(z, first)
    return (right.mean(1) + also.mean(1)) / 2


def draw(gain: np.ndarray) -> None:
    """Information by timing and rate, one panel per drug."""
    figure, axes = plt.subplots(1, len(DRUGS), figsize=(10, 3.6), layout="constrained", sharey=True)
    maps = gain.reshape(len(DRUGS), len(RATES_HZ), len(LAGS_MS)) / np.log(2)
    for axis, values, drug in zip(axes, maps, DRUGS, strict=True):
        image = axis.imshow(values, origin="lower", vmin=0, vmax=1, aspect="auto")
        axis.set_xticks(range(len(LAGS_MS)), [f"{x:+g}" for x in LAGS_MS])
        axis.set(title=f"drug: {drug}", xlabel="t_post - t_pre [ms]")
    axes[0].set_yticks(range(len(RATES_HZ)), [f"{x:g}" for x in RATES_HZ])
    axes[0].set_ylabel("pairing rate [Hz]")
    figure.colorbar(image, ax=axes, label="expected information on the rule [bit]")
    figure.savefig(HERE / "information.png", dpi=130)


def read_held(path: Path, protocols: Path | None) -> list[PairingRow]:
    """Held-back rows between layer-5 cells."""
    every = read_pairing_table(path, protocols)
    rows = [row for row in every if row.pathway in LAYER_5]
    say_left_out("pathway", [row.pathway for row in every if row.pathway not in LAYER_5], "as they are not fitted")
    if not rows:
        raise InputError("pre_mtype, post_mtype", "no row", LAYER_5[0], "give rows between layer-5 cells", path.name)
    return rows


def score(rows: list[PairingRow], models: dict) -> dict[str, float]:
    """Log-likelihood of held-back rows under each rule, ln of the mean likelihood of its draws, beside no change."""
    problem = pairing_problem(rows, LAYER_5, "none", False)
    constant = float(np.sum(np.log(2 * np.pi * problem.sem**2)))
    guesses = {name: predictions(problem, *model) for name, model in models.items()} | {"no change": np.ones((1, 1))}
    found = {}
    for name, guess in guesses.items():
        chi2 = np.sum(((guess - problem.mean[:, None]) / problem.sem[:, None]) ** 2, 0)
        found[name] = float(np.logaddexp.reduce(-(chi2 + constant) / 2) - np.log(chi2.size))
        print(f"--score, {name}: log-likelihood {found[name]:.2f}, chi2 {np.median(chi2):.2f} (median of {chi2.size} "
              f"draws) of {len(rows)} rows")
    return found


def main() -> None:
    """Fit, weigh all candidates, simulate the best."""
    given = recordings(__doc__.splitlines()[0], [TABLE])
    rng = np.random.default_rng(10)
    with jax.enable_x64(True):
        held, known = held_back(given, read_held), kept(given, HERE)
        if known is not None:
            score(held, {name: (*RULES[name](1), np.array(u)) for name, u in known.items()})
            return
        done = [row for row in read_pairing_table(given.data / TABLE) if row.pathway in LAYER_5]
        models = {name: posterior(pairing_problem(done, LAYER_5, ticks=False), name, rng) for name in PAIR}
        problem, repeats = (pairing_problem(rows, LAYER_5, "none", False) for rows in (candidates(), done))
        outcome = [predictions(problem, *models[name]) for name in PAIR]
        again = [predictions(repeats, *models[name]) for name in PAIR]
        keep(given, HERE, {name: u.tolist() for name, (_, _, u) in models.items()})
        if held is not None:
            score(held, models)
    gain, repeat_gain = information(*outcome, rng), information(*again, rng)
    share = found_right(*outcome, rng)
    order = np.argsort(-gain)
    for k in order[:5]:
        means = ", ".join(f"{name} {o[k].mean():.2f} +- {o[k].std():.2f}"
                          for name, o in zip(PAIR, outcome, strict=True))
        print(f"{problem.labels[k]:<28} {gain[k] / np.log(2):.2f} bit; {means}; right in {100 * share[k]:.0f} %")
    print(f"best repeat: {done[int(repeat_gain.argmax())].label}, {repeat_gain.max() / np.log(2):.2f} bit")
    draw(gain)
    far = information(np.zeros((1, 9)), np.full((1, 9), 20 * NOISE), rng)[0]
    paper = "Lindley 1956; Box & Hill 1967"
    write_targets([
        Target("two outcomes far apart: information [bit]", paper, 1.0, 1e-6, float(far / np.log(2))),
        Target("two equal rules: information [bit]", paper, 0.0, 1e-9,
               float(information(outcome[0], outcome[0].copy(), rng).max() / np.log(2))),
        holds("chosen protocol tells more than repeating any that was done", paper, gain.max() > repeat_gain.max()),
        holds("chosen protocol: rule recovered more often than at the median candidate", paper,
              share[order[0]] > np.median(share)),
    ], HERE)


if __name__ == "__main__":
    main()
