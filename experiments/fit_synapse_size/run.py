"""Synapse size over 28 days in vivo: drift with two time scales, measurement noise and turnover, pyramidal against PV.

PSD-95 fluorescence of the same synapses every 4 days (Melander et al. 2021, Cell Rep 37:109972). ln size is the sum of
two stationary Ornstein-Uhlenbeck processes and a noise of each measurement; whole dendrites are left out together. The
slow scale is longer than the recording, so it is given as a lower bound (95 % profile likelihood). Drift faster than
the interval of 4 days cannot be told from noise and counts as noise: the fast scale is bounded by one interval and the
whole recording. (With a bound of 0.1 days pyramidal cells gave 3.3 d without any noise, and synthetic sizes of PV cells
returned their noise as a fast scale.) Two targets fail and stay: at pyramidal cells the fast scale stands at its bound
and noise adds nothing to what it predicts; at PV cells one scale and noise predict best.
Synapses count only while they are present; as small ones are lost first, the spread is that of the survivors.
"""

from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
from sizes import TYPES, Drift, Imaged, likelihood, read, simulated, turnover, variogram

from retrojax.errors import InputError
from retrojax.fit import MaximumLikelihood, Parameter, Spec, Transform, compare, maximise, profile
from retrojax.fit.compare import table
from retrojax.fit.spec import fix
from retrojax.testing import Target, held_back, holds, keep, kept, parameters, recordings, write_targets

matplotlib.use("Agg")
import matplotlib.pyplot as plt

FILE, HERE = "synapse_size_melander2021/psd95_weights.csv.gz", Path(__file__).parent
LOG = Transform("log")
WITHIN = Transform("logit", 4.0, 28.0)  # one interval to the whole recording: faster drift is noise by definition
NOISE = {"noise": Parameter(LOG, 0.2, 0.3)}
SLOW = {"sd_2": Parameter(LOG, 0.6, 0.3)}
FAST = {"sd_1": Parameter(LOG, 0.3, 0.3), "tau_1": Parameter(WITHIN, 8.0, 0.5, "d")}
TAU = {"tau_2": Parameter(LOG, 100.0, 0.5, "d")}
ABSENT, FOREVER = 1e-4, 1e8
MODELS: dict[str, tuple[dict[str, float], Spec]] = {
    "two scales and noise": ({}, FAST | SLOW | TAU | NOISE),
    "two scales, no noise": ({"noise": ABSENT}, FAST | SLOW | TAU),
    "one scale and noise": ({"sd_1": ABSENT}, SLOW | TAU | NOISE),
    "fixed size and noise": ({"sd_1": ABSENT, "tau_2": FOREVER}, SLOW | NOISE),
}
BEST, BASE = "two scales and noise", "fixed size and noise"


def start(values: dict[str, float]) -> Drift:
    """The model with what is not fitted."""
    default = {"sd_1": 0.3, "tau_1": 8.0, "sd_2": 0.6, "tau_2": 100.0, "noise": 0.2}
    return Drift(**{name: jnp.asarray(value) for name, value in (default | values).items()})


def fit_all(data: Imaged) -> dict[str, MaximumLikelihood]:
    """Every model, with folds."""
    return {name: maximise(likelihood(data), start(values), spec, starts=4, key=jax.random.key(0), folds=True)
            for name, (values, spec) in MODELS.items()}


def recovered(data: Imaged, fit: MaximumLikelihood) -> float:
    """Largest |ln fitted/true|/sd over the parameters that the synthetic sizes identify; not-a-number without one."""
    spec = MODELS[BEST][1]
    again = maximise(likelihood(simulated(data, fit.model, 3)), start({}), spec, starts=4, key=jax.random.key(1))
    print(f"synthetic sizes: {again.summary()}")
    known = {path: found for path, found in again.parameters.items() if found.identified}
    return max((abs(np.log(found.value / fit.parameters[path].value)) / (found.sd / found.value)
                for path, found in known.items()), default=float("nan"))


def draw(data: dict[str, Imaged], fits) -> None:
    """Variograms and survival."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    for color, (kind, name) in zip(("C0", "C1"), TYPES.items(), strict=True):
        day, sizes = jnp.asarray(data[kind].day), variogram(data[kind])
        left.plot(data[kind].day[1:], sizes, "o", color=color, label=name)
        for style, model in zip(("-", "--", ":", "-."), MODELS, strict=True):
            covariance = fits[kind][model].model.covariance(day)
            left.plot(day[1:], (covariance[0, 0] - covariance[0])[1:], style, color=color,
                      label=model if kind == "pyr" else None)
        seen = data[kind].presence[data[kind].presence[:, 0] == 1]
        right.plot(day, np.nanmean(seen, 0), "o-", color=color, label=name)
    left.set(xlabel="lag [d]", ylabel="half mean square difference of ln size")
    right.set(xlabel="day", ylabel="present of those on day 0", ylim=(0.6, 1.01))
    left.legend(fontsize=7)
    right.legend(fontsize=7)
    figure.savefig(HERE / "figure.png", dpi=130)


def read_held(path: Path, protocols: Path | None) -> Path:
    """The held-back file itself: its sizes are taken relative to the mean of the fitted ones, known later."""
    if protocols is not None:
        raise InputError("--protocols", str(protocols), "nothing: imaging has no protocol label", "leave it out")
    if all(read(path, kind) is None for kind in TYPES):
        raise InputError("cell_type", "no synapse with a size", ", ".join(TYPES), "give synapses of these", path.name)
    return path


def score(path: Path, models: dict[str, dict[str, Drift]], mean: dict[str, float]) -> dict[str, float]:
    """Log-likelihood of held-back synapses, with the mean ln size of the fitted ones."""
    found = {}
    for kind, name in TYPES.items():
        held = read(path, kind, mean[kind])
        if held is None:
            print(f"--score: no {name} synapses")
            continue
        density = eqx.filter_jit(likelihood(held).log_density)
        for model, drift in models[kind].items():
            found[f"{name}, {model}"] = float(jnp.sum(density(drift)))
            print(f"--score, {name}, {model}: log-likelihood {found[f'{name}, {model}']:.2f} "
                  f"({len(held.fold)} synapses)")
    return found


def main() -> None:
    """Fit both types of cell and write the table."""
    given = recordings(__doc__.splitlines()[0], [FILE])
    rows, data, fits, change = [], {}, {}, {}
    where = "Melander et al. 2021"
    with jax.enable_x64(True):
        held, known = held_back(given, read_held), kept(given, HERE)
        if known is not None:
            models = {kind: {name: fix(start({}), values) for name, values in of.items()}
                      for kind, of in known["models"].items()}
            score(held, models, known["mean"])
            return
        for kind, name in TYPES.items():
            data[kind] = read(given.data / FILE, kind)
            fits[kind] = fit_all(data[kind])
            best = fits[kind][BEST]
            print(f"\n{name}: {len(data[kind].fold)} synapses\n{table(compare(fits[kind]))}\n{best.summary()}")
            slow = profile(likelihood(data[kind]), start({}), MODELS[BEST][1], best, "tau_2", span=3.0, points=13)
            print(f"slow scale, 95 % interval: {slow.low} to {slow.high} d")
            change[kind] = turnover(data[kind].presence)
            print("per 4 days: " + ", ".join(f"{what} {x:.4f} +- {e:.4f}" for what, (x, e) in change[kind].items()))
            worst = recovered(data[kind], best)
            outside = {model: fit.heldout_total for model, fit in fits[kind].items()}
            rows += [
                holds(f"{name}: held out above a fixed size with noise", where, outside[BEST] > outside[BASE]),
                holds(f"{name}: held out above one scale with noise", where,
                      outside[BEST] > outside["one scale and noise"]),
                holds(f"{name}: held out above two scales without noise by 1", where,
                      outside[BEST] > outside["two scales, no noise"] + 1),
                holds(f"{name}: slow scale above the 28 days of recording", where, (slow.low or 0) > 28),
                Target(f"{name}: synthetic sizes, worst known parameter [sd]", "simulation", 0.0, 3.0, worst),
            ]
        models = {kind: {name: fit.model for name, fit in of.items()} for kind, of in fits.items()}
        mean = {kind: imaged.mean for kind, imaged in data.items()}
        keep(given, HERE, {"mean": mean, "models": {kind: {name: parameters(model) for name, model in of.items()}
                                                    for kind, of in models.items()}})
        if held is not None:
            score(held, models, mean)
        draw(data, fits)
    rows += [holds(f"{what} per 4 days: PV below pyramidal by 3 standard errors", where,
                   change["pyr"][what][0] - change["pv"][what][0] > 3 * np.hypot(change["pyr"][what][1],
                                                                               change["pv"][what][1]))
             for what in ("loss", "gain")]
    write_targets(rows, HERE)


if __name__ == "__main__":
    main()
