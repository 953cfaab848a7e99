"""LTP at CA1 synapses: how a change splits between release probability and quantal size, from the state before.

Quantal analysis of ten synapses (Larkman et al. 1992, Nature 360:70; as collected in Costa et al. 2017, Neuron 96:177).
Given N, P and q before and the total change T = ln(P'q'/Pq), each rule predicts the presynaptic part ln P'/P. The rule
fitted here has one number k. A drive s moves logit P, which saturates at P = 1; the receptors move only when
transmitter reaches them, so with P,

    d logit P = ds,   d ln q = k P ds:   ln P'/P + k ln((1 - P)/(1 - P')) = T,   logit P' = logit P + s

so the presynaptic share of a small change is (1 - P)/(1 - P + k P): 1 - P where k = 1, all where k = 0. Each synapse is
predicted from the other nine, with a prior of one factor e on k around 1. With n = 10 a difference of a few hundredths
in mean error is no evidence between rules; the paired differences are printed. A rule whose receptors move whether or
not transmitter comes (d ln q = k ds) was tried first, and predicted worse (0.136) than the share 1 - P (0.116).
"""

from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib
import numpy as np

from retrojax.errors import InputError, naming_file
from retrojax.fit import Likelihood, Parameter, Transform, likelihoods, maximise
from retrojax.fit.data import Column, column_numbers
from retrojax.fit.spec import fix
from retrojax.fit.table import read_table
from retrojax.testing import Target, held_back, holds, keep, kept, parameters, recordings, say_unused, write_targets

matplotlib.use("Agg")
import matplotlib.pyplot as plt

COLUMNS, HIGHEST_P = (("pr_before", "pr_after"), ("q_before_uV", "q_after_uV")), 1 - 1e-6
FILE, HERE = "ltp_quantal_larkman1992/ltp_p_q_by_cell.csv", Path(__file__).parent
SPEC = {"k": Parameter(Transform("log"), 1.0, 1.0, prior=(1.0, 1.0)), "sd": Parameter(Transform("log"), 0.1, 0.5)}
BASELINES = {"equal split": lambda p, total: total / 2, "all postsynaptic": lambda p, total: 0 * total,
             "share 1 - P": lambda p, total: (1 - p) * total}


class Split(eqx.Module):
    """`k`: ln q per unit of drive while transmitter is there. `sd`: scatter of ln P'/P around the prediction."""

    k: jax.Array
    sd: jax.Array


class Cells(eqx.Module):
    """P before, total change and measured presynaptic part of every synapse."""

    p: jax.Array
    total: jax.Array
    change: jax.Array

    def predict(self, model: Split):
        """ln P'/P of every synapse, by Newton steps for s (the left side only rises with s)."""
        odds = jnp.log(self.p) - jnp.log1p(-self.p)

        def step(_, s):
            after = jax.nn.sigmoid(odds + s)
            receptors = jax.nn.softplus(odds + s) - jax.nn.softplus(odds)  # the integral of P ds
            now = jax.nn.log_sigmoid(odds + s) - jnp.log(self.p) + model.k * receptors
            return s - (now - self.total) / (1 - after + model.k * after)

        s = jax.lax.fori_loop(0, 40, step, jnp.zeros_like(self.total))
        return jax.nn.log_sigmoid(odds + s) - jnp.log(self.p)

    def __call__(self, model: Split):
        return likelihoods.gaussian(self.change, self.predict(model), model.sd)


def read(path: Path, protocols: Path | None = None) -> Cells:
    """The table; synapses differ in their state before, so there are no labels that `protocols` could explain.

    **Raises** `InputError` for a missing column, and P outside 0..1 or q not above 0.
    """
    say_unused(protocols, "synapses have no protocol label")
    with naming_file(path.name):
        table = read_table(path, sum(COLUMNS, ()))
        p, q = (np.stack([column_numbers(table, name, Column(name))[:, 0] for name in names]) for names in COLUMNS)
        for field, values, good in (("pr_before, pr_after", p, (p > 0) & (p <= 1)),
                                    ("q_before_uV, q_after_uV", q, q > 0)):
            if not good.all():
                row = int(np.argwhere(~good.all(0))[0, 0])
                raise InputError(f"{field}, row {row + 1}", values[:, row].tolist(), "0 < P <= 1 and q > 0",
                                 "leave the row out")
    change, before = np.log(p[1] / p[0]), np.minimum(p[0], HIGHEST_P)
    return Cells(*(jnp.asarray(x) for x in (before, change + np.log(q[1] / q[0]), change)))


def fitted(cells: Cells, weight: np.ndarray | None = None):
    """Maximum likelihood over the synapses of weight 1."""
    return maximise(Likelihood(cells, ("all",) * cells.p.size, weight), Split(jnp.asarray(1.0), jnp.asarray(0.1)), SPEC,
                    starts=8, key=jax.random.key(0))


def left_out(cells: Cells) -> np.ndarray:
    """Each synapse predicted from the others."""
    keep = 1 - np.eye(cells.p.size)
    return np.array([cells.predict(fitted(cells, row).model)[number] for number, row in enumerate(keep)])


def errors(cells: Cells, prediction) -> dict[str, np.ndarray]:
    """|error of ln P'/P| of every synapse, of the fitted rule and of the baselines."""
    named = {"fitted rule": prediction} | {name: rule(cells.p, cells.total) for name, rule in BASELINES.items()}
    return {name: np.abs(np.asarray(value - cells.change)) for name, value in named.items()}


def score(held: Cells, model: Split, spread: dict[str, float]) -> dict[str, float]:
    """Log-likelihood of held-back synapses under rule and baselines, each with its scatter in the fitted ones."""
    found = {}
    for name, error in errors(held, held.predict(model)).items():
        found[name] = float(jnp.sum(likelihoods.gaussian(error, 0.0, spread[name])))
        print(f"--score, {name}: log-likelihood {found[name]:.3f}, mean |error of ln P'/P| {error.mean():.3f} "
              f"(n = {error.size})")
    return found


def recovery(cells: Cells, fit, sets: int = 20) -> tuple[float, float]:
    """Median k over synthetic data sets of the fit relative to the true one, and the largest |ln k error|/sd."""
    rng, true = np.random.default_rng(4), float(fit.model.k)
    centre = np.asarray(cells.predict(fit.model))
    found = []
    for _ in range(sets):
        made = centre + float(fit.model.sd) * rng.standard_normal(centre.shape)
        again = fitted(eqx.tree_at(lambda c: c.change, cells, jnp.asarray(made))).parameters["k"]
        found.append((again.value / true, abs(np.log(again.value / true)) / (again.sd / again.value)))
    ratio, distance = np.array(found).T
    return float(np.median(ratio)), float(np.mean(distance < 2))


def draw(cells: Cells, prediction, fit) -> None:
    """Presynaptic share against P before, and predicted against measured change."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
    left.plot(cells.p, cells.change / cells.total, "ko", label="measured")
    p = jnp.linspace(0.05, 0.95, 50)
    for total in (0.3, 0.7):
        curve = Cells(p, jnp.full(50, total), p).predict(fit.model) / total
        left.plot(p, curve, label=f"rule, ln change {total}")
    left.plot(p, 1 - p, "k:", label="1 - P")
    left.set(xlabel="P before", ylabel="presynaptic share of ln change")
    left.legend(fontsize=8)
    right.plot(cells.change, prediction, "o", label="left out in turn")
    right.axline((0, 0), slope=1, color="k", lw=0.7)
    right.set(xlabel="measured ln P'/P", ylabel="predicted")
    right.legend(fontsize=8)
    figure.savefig(HERE / "figure.png", dpi=130)


def main() -> None:
    """Fit, predict each synapse from the others, and write the table."""
    given = recordings(__doc__.splitlines()[0], [FILE])
    with jax.enable_x64(True):
        held, known = held_back(given, read), kept(given, HERE)
        if known is not None:
            score(held, fix(Split(jnp.asarray(0.5), jnp.asarray(0.1)), known["rule"]), known["spread"])
            return
        cells = read(given.data / FILE)
        fit, prediction = fitted(cells), left_out(cells)
        print(fit.summary())
        found = errors(cells, prediction)
        for name, error in found.items():
            paired = found["fitted rule"] - error
            print(f"{name:<18} mean |error of ln P'/P| {error.mean():.3f}; rule minus this {paired.mean():+.3f} "
                  f"+- {paired.std(ddof=1) / np.sqrt(paired.size):.3f} (SEM, n = {paired.size})")
        spread = {name: float(np.sqrt(np.mean(error**2)))
                  for name, error in errors(cells, cells.predict(fit.model)).items()}
        keep(given, HERE, {"rule": parameters(fit.model), "spread": spread})
        if held is not None:
            score(held, fit.model, spread)
        ratio, inside = recovery(cells, fit)
        draw(cells, prediction, fit)
    where, mean = "Larkman et al. 1992", {name: float(error.mean()) for name, error in found.items()}
    write_targets([
        holds("left out: below the equal split", where, mean["fitted rule"] < mean["equal split"]),
        holds("left out: below all postsynaptic", where, mean["fitted rule"] < mean["all postsynaptic"]),
        holds("left out: below the share 1 - P", where, mean["fitted rule"] < mean["share 1 - P"]),
        Target("synthetic synapses: median k / true k", "simulation", 1.0, 0.3, ratio),
        Target("synthetic synapses: fraction within 2 sd", "simulation", 1.0, 0.2, inside),
    ], HERE)


if __name__ == "__main__":
    main()
