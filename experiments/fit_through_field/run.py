"""Diffusion, loss and emission of a messenger, and the speed of its receptor, fitted through the simulated field.

A network of 60 synapses from 20 sources onto 6 neurons, in tissue of 32 x 16 x 16 um, whose spikes are known. For a
second the sources and the neuron of ten neighbouring synapses fire at 30 Hz, everything else at 2 Hz. Calcium makes the
spines emit, the messenger diffuses on the voxel grid and is lost, and receptors move release probability, which is seen
at every synapse every 250 ms with noise of SD 0.03. Synthetic: the truth is known, as in no recording.

The fit differentiates the run itself - kernel, calcium, synthesis, transport, receptors - 3,000 steps for each of its
evaluations (`retrojax.fit.NetworkOutcome`). `experiments/fit_space` asks the same of closed forms, and 400 times over.

From release probability alone the concentration has no unit: emission over (volume fraction x half-saturation) is all
that can be known of the three. They are fitted together in a second fit, whose report must say so.
"""

from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib
import numpy as np

from retrojax.engine.assemble import Wiring, build_tissue, initial_state
from retrojax.engine.model import Clocks, Messenger, Model
from retrojax.engine.rows import Synapse
from retrojax.fit import FitResult, NetworkOutcome, Parameter, Problem, Spec, Transform, fit
from retrojax.parts import DeltaLIF, HillSynthesis, MessengerFacilitation, TsodyksMarkram, calcium_rule
from retrojax.parts.drive import Poisson
from retrojax.space import Grid
from retrojax.testing import Target, holds, write_targets

matplotlib.use("Agg")
import matplotlib.pyplot as plt

HERE = Path(__file__).parent
NAME, GRID, DT = "2-AG", Grid((16, 8, 8), (2.0,) * 3), 1.0
CLOCKS = Clocks(steps=25, every=(1,), slow=4, chunk=10)
READINGS, TICKS, STIMULUS_MS, NOISE = 12, 10, 1000.0, 0.03
NEURONS, SOURCES, COUNT, CLUSTER, OFFSET_UM = 6, 20, 60, 10, 0.1
TRUTH = {"messengers.0.diffusion": 0.0346, "messengers.0.loss": 1e-3, "synapse.rules.1.rate": 20.0,
         "synapse.rules.2.tau": 300.0}
MORE = {"messengers.0.volume_fraction": 0.2, "synapse.rules.2.half": 100.0}
UNITS = ("um^2/ms", "1/ms", "1/ms", "ms", "1", "nM")


def network() -> Model:
    """The model with the true parameters."""
    spine, efficacy = calcium_rule("cortical_slices")
    rules = (efficacy, HillSynthesis(NAME, 1.0, 3.0, TRUTH["synapse.rules.1.rate"]),
             MessengerFacilitation(NAME, -0.6, MORE["synapse.rules.2.half"], TRUTH["synapse.rules.2.tau"]))
    messenger = Messenger(NAME, *(jnp.asarray(x) for x in (
        TRUTH["messengers.0.diffusion"], TRUTH["messengers.0.loss"], MORE["messengers.0.volume_fraction"])))
    return Model(jnp.asarray(DT), Synapse(spine, TsodyksMarkram(), rules), jnp.full(COUNT, 25.0), jnp.zeros(0),
                 jnp.asarray(1.0), DeltaLIF(20.0, 0.0, 15.0, 5.0, 2.0), Poisson(np.full(SOURCES, 0.002), DT),
                 (messenger,))


def recording(model: Model, rng: np.random.Generator) -> tuple[NetworkOutcome, np.ndarray]:
    """Tissue, start and spikes; and the place of every synapse along the tissue [um]."""
    x = np.sort(rng.uniform(1, 31, COUNT))
    spines = np.stack([x, *rng.uniform(6, 10, (2, COUNT))], -1)
    # the ten at the left end share one neuron and five sources that nothing else has
    near = np.arange(COUNT) < CLUSTER
    post = np.where(near, 0, 1 + np.arange(COUNT) % (NEURONS - 1))
    pre = NEURONS + np.where(near, np.arange(COUNT) % 5, 5 + np.arange(COUNT) % (SOURCES - 5))
    none = np.zeros(0, int)
    wiring = Wiring(np.arange(COUNT), pre, post, np.ones(COUNT, int), np.full(COUNT, 25.0), none, none, none,
                    none + 0.0, neurons=NEURONS, sources=SOURCES)
    tissue = build_tissue(wiring, GRID, spines, spines + OFFSET_UM / np.sqrt(3), OFFSET_UM, 6.0, 16.0, [1000.0])
    rate = np.full((READINGS * TICKS * CLOCKS.steps, NEURONS + SOURCES), 2.0)
    rate[: round(STIMULUS_MS / DT), [0, *range(NEURONS, NEURONS + 5)]] = 30.0
    fired = (rng.random(rate.shape) < rate * DT / 1000).reshape(READINGS, TICKS, CLOCKS.steps, -1)
    return NetworkOutcome(tissue, initial_state(model, tissue, [4], 1), jnp.asarray(fired), CLOCKS), x


def spec_of(truth: dict[str, float]) -> Spec:
    """Starts around 1.5 times the truth, by a factor of 1.6 (1 SD), without priors."""
    return {path: Parameter(Transform("log"), 1.5 * value, 0.5, unit)
            for (path, value), unit in zip(truth.items(), UNITS, strict=False)}


def draw(result: FitResult, x: np.ndarray) -> None:
    """Release probability along the tissue at four readings: data and fit."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    data, model = (values.reshape(READINGS, COUNT) for values in (result.problem.mean, result.prediction))
    for color, reading in enumerate((1, 3, 6, 11)):
        left.plot(x, model[reading], color=f"C{color}", label=f"{(reading + 1) * 0.25:g} s")
        left.plot(x, data[reading], ".", color=f"C{color}", ms=4)
    left.set(xlabel="place along the tissue [um]", ylabel="release probability / start", title="data and fit")
    left.legend(fontsize=8)
    names = [path.rsplit(".", 1)[1] for path in TRUTH]
    ratio = np.array([p.value / TRUTH[path] for path, p in result.parameters.items()])
    sd = np.array([p.sd / TRUTH[path] for path, p in result.parameters.items()])
    right.errorbar(names, ratio, sd, fmt="o", capsize=4)
    right.axhline(1, color="k", lw=0.8)
    right.set(ylabel="estimate / truth", title="one standard deviation")
    figure.savefig(HERE / "field_fit.png", dpi=130)


def main() -> None:
    """One fit of four parameters with its recovery test, one of six for its verdict."""
    rng = np.random.default_rng(4)
    with jax.enable_x64(True):
        model = network()
        outcome, x = recording(model, rng)
        clean = np.asarray(eqx.filter_jit(outcome)(model))
        n, when = clean.size, np.repeat(0.25 * np.arange(1, READINGS + 1), COUNT)
        problem = Problem(
            clean + NOISE * rng.standard_normal(n), np.full(n, NOISE), outcome,
            tuple(f"synapse {k % COUNT}, {t:g} s" for k, t in enumerate(when)), np.tile(x, READINGS),
            tuple(f"{t:g} s" for t in when), ("recording",) * n, np.ones(n, bool),
            "place [um]", "release probability / start")
        result = fit(problem, model, spec_of(TRUTH), starts=4, screen=2, key=jax.random.key(1), recovery=4)
        print(result.summary())
        wider = fit(problem, model, spec_of(TRUTH | MORE), starts=1, screen=1, key=jax.random.key(1), recovery=0)
        print("with volume fraction and half-saturation free: " + "; ".join(wider.undetermined))
    draw(result, x)
    paper, found = "synthetic data", result.parameters
    unknown = " ".join(wider.undetermined)
    write_targets([
        *[Target(f"{path.rsplit('.', 1)[1]}: (estimate - truth)/SD", paper, 0.0, 3.0,
                 (found[path].value - value) / (found[path].sd or np.nan)) for path, value in TRUTH.items()],
        *[Target(f"{path.rsplit('.', 1)[1]}: SD/truth", paper, 0.0, 0.2, (found[path].sd or np.nan) / value)
          for path, value in TRUTH.items()],
        Target("chi2 per degree of freedom", paper, 1.0, 0.16, result.chi2 / (n - len(TRUTH))),
        holds("six parameters: emission, volume fraction and half-saturation called undetermined", "c / (c + half)",
              all(name in unknown for name in ("rate", "volume_fraction", "half"))),
    ], HERE)


if __name__ == "__main__":
    main()
