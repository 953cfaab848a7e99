"""Endocannabinoids depress the synapses of the neuron that makes them and, through astrocytes, potentiate others.

Navarrete & Araque (2010) Neuron 68:113: 2-AG of a stimulated pyramidal cell closes calcium channels of its own inputs'
terminals by CB1; it also makes IP3 in astrocytes by their CB1, whose calcium releases glutamate, which raises release
at more distant terminals by metabotropic receptors. Targets are what the paper reports: both signs, and which block
ends which. The figure is `ecb_relay.png`.

A row of four astrocytes, a domain every 60 um. 400 synapses lie around the stimulated neuron, those of a bystander
along the row; the bystander and all axons are silent. Calcium of the astrocytes is NEST's, IP3 per 2-AG is that of
Manninen et al. (2020) PLoS Comput Biol 16:e1008360, release and receptors are those of De Pitta et al. (2011).
Calibrations: a depolarisation is 5 s of spikes at 100 Hz; each synapse of the stimulated neuron stands for ten
(`TENFOLD`), since a neuron has thousands; the terminals' receptors close in 30 s; and `alpha`.

Potentiation ends with the domain, though gap junctions are at the upper end of their range: the first astrocyte's IP3
peaks at 0.43 uM, the second's 0.18 uM lower, below the 0.4 uM or so that NEST's cell needs to fire. That cell does not
make IP3 from calcium, so nothing makes up for what each junction costs. Twice the IP3 per 2-AG recruits the second
astrocyte, and only that; cells that make IP3 pass a wave on without end (`goldberg_2010`).
"""

from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from retrojax.engine.assemble import Wiring, build_clocks
from retrojax.engine.lazy.assemble import Space, build_lazy, plan_times
from retrojax.engine.model import Astrocytes, Model, Secretion, Sensor
from retrojax.engine.rows import Synapse
from retrojax.engine.schedules import Lazy
from retrojax.io.astrocytes import Placed
from retrojax.io.parts import make_messengers, make_synthesis, messenger_values
from retrojax.io.schema import MessengerSection
from retrojax.parts import CB1, Astrocyte, GapJunctions, Gliorelease, Gliotransmission, TsodyksMarkram, calcium_rule
from retrojax.parts.delta_lif import DeltaLIF
from retrojax.parts.drive import Replay
from retrojax.space import Grid, reach_of, steps_needed
from retrojax.testing import Target, holds, write_targets

DT, END, STIMULUS, RATE = 1.0, 40e3, (2e3, 7e3), 100.0
CENTRE, TENFOLD, DISTANCE, P, THRESHOLD = np.array([30.0, 20.0, 20.0]), 10.0, 0.1, 0.3, 0.3
GRID = Grid((48, 8, 8), (5.0,) * 3)
CENTRES = np.array([[x, 20.0, 20.0] for x in (30.0, 90.0, 150.0, 210.0)])
NEAR, FAR = 400, 160
READ = 9  # place of the second that ends 3 s after the stimulus
PAPER = "Navarrete & Araque 2010"
MORE = "twice the IP3 per 2-AG"
BLOCKS = {  # what an experimenter changes, as a function of the model
    "control": lambda m: m,
    "BAPTA in astrocytes": lambda m: eqx.tree_at(lambda x: x.astrocytes.cell.Omega_C, m, replace_fn=jnp.zeros_like),
    "mGluR antagonist": lambda m: eqx.tree_at(lambda x: x.synapse.rules[1].O_G, m, replace_fn=jnp.zeros_like),
    "CB1 antagonist": lambda m: eqx.tree_at(
        lambda x: (x.synapse.rules[0].eff_kon, x.astrocytes.sensors[0].rate), m, replace_fn=jnp.zeros_like),
    MORE: lambda m: eqx.tree_at(lambda x: x.astrocytes.sensors[0].rate, m, replace_fn=lambda rate: 2 * rate),
}


def network():
    """Schedule, model, tissue and state at rest; and the distance of every synapse from the stimulated neuron [um]."""
    rng = np.random.default_rng(1)
    ball = rng.normal(size=(NEAR, 3))
    ball *= 10.0 * np.cbrt(rng.random((NEAR, 1))) / np.linalg.norm(ball, axis=1, keepdims=True)
    row = np.stack([np.linspace(2.0, 238.0, FAR), *rng.uniform(15.0, 25.0, (2, FAR))], axis=1)
    spines = np.concatenate([CENTRE + ball, row])
    count, one = NEAR + FAR, np.ones(NEAR + FAR, int)
    # neuron 0 is stimulated by source 2; the axon of all others, source 3, is silent
    wiring = Wiring(np.arange(count), 3 * one, np.repeat([0, 1], [NEAR, FAR]), 10 * one, np.zeros(count),
                    np.array([2]), np.array([0]), np.array([10]), np.array([50.0]), neurons=2, sources=2)
    sections = {"2-AG": MessengerSection(record="2-AG", step="50 ms"),
                "glio-glutamate": MessengerSection(record="glioglutamate", step="50 ms")}
    values = {name: messenger_values(section) for name, section in sections.items()}
    values["2-AG"]["rate"] *= TENFOLD
    spine, _ = calcium_rule("cortical_slices")
    rules = (CB1(x_half=0.1), Gliotransmission("glio-glutamate", alpha=0.5, Omega_G=1 / 30e3),
             make_synthesis("2-AG", values["2-AG"]))
    train = np.zeros((round(END / DT), 2), bool)
    train[np.arange(STIMULUS[0] / DT, STIMULUS[1] / DT, 1000 / RATE / DT).astype(int), 0] = True
    number = lambda x: jnp.asarray(x, float)  # noqa: E731
    glia = Astrocytes(Astrocyte.nest(), GapJunctions(F=2e-3), (Sensor(0, number(0.8e-3), number(1e3), number(1.0)),),
                      (Secretion(1, Gliorelease(C_theta=THRESHOLD)),), None, every=2, substeps=10)
    model = Model(number(DT), Synapse(spine, TsodyksMarkram(), rules, P), jnp.zeros(count), number([50.0]), number(1.0),
                  DeltaLIF(20.0, 0.0, 15.0, 0.0, 2.0), Replay(train),
                  make_messengers(values, (), {}, dict.fromkeys(values, "grid")), astrocytes=glia)
    clocks = build_clocks(DT, {name: v["step"] for name, v in values.items()}, 1000.0, 1000.0)
    times = plan_times(wiring, clocks)
    near = [steps_needed(GRID, v["diffusion"], v["loss"], v["step"], DISTANCE) for v in values.values()]
    space = Space(GRID, spines, spines, DISTANCE, [values["2-AG"]["rate"] * 50.0, 0.0], near)
    tissue, state = build_lazy(model, wiring, times, space, 2.0, 16.0, 0)
    tissue, state = Placed.of_centres(GRID, CENTRES, glia).put(model, tissue, state)
    reach = reach_of(values["2-AG"]["diffusion"], values["2-AG"]["loss"])
    return Lazy(clocks, times), model, tissue, state, np.linalg.norm(spines - CENTRE, axis=1), reach


def courses(schedule, model, tissue, state) -> tuple[np.ndarray, np.ndarray]:
    """Release relative to rest at the end of every second, [T, S], and calcium of the astrocytes [T, A] [uM]."""
    release, calcium, state = [], [], jax.tree.map(jnp.copy, state)
    for _ in range(round(END / 1000)):
        state, record = schedule.run(model, tissue, state, 20)
        release.append(schedule.strengths(model, tissue, state).p_effective / P)
        calcium.append(np.asarray(record.calcium))
    assert int(state.errors) == 0
    return np.array(release), np.concatenate(calcium)


def draw(found: dict, distance: np.ndarray) -> None:
    """Release over distance and time, and calcium."""
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    left, middle, right = figure.subplots(1, 3)
    order = np.argsort(distance)
    for name, (release, _) in ((name, found[name]) for name in found if name != MORE):
        left.plot(distance[order], 100 * release[READ][order], label=name)
    left.set(xlabel="distance from the stimulated neuron (um)", ylabel="release 3 s after it (% of rest)")
    left.legend(frameon=False, fontsize=8)
    release, calcium = found["control"]
    for low, high in ((0, 10), (20, 30), (40, 90), (90, 220)):
        chosen = (distance >= low) & (distance < high)
        middle.plot(np.arange(1, len(release) + 1), 100 * release[:, chosen].mean(axis=1), label=f"{low}-{high} um")
    middle.set(xlabel="time (s)", ylabel="release (% of rest)")
    middle.legend(frameon=False, fontsize=8)
    for cell, course in enumerate(calcium.T):
        right.plot(0.05 * np.arange(1, len(course) + 1), course, label=f"{60 * cell} um")
    right.set(xlabel="time (s)", ylabel="calcium of astrocytes (uM)")
    right.legend(frameon=False, fontsize=8)
    figure.savefig(Path(__file__).parent / "ecb_relay.png", dpi=120)


def recruited(calcium: np.ndarray) -> list[int]:
    """Astrocytes whose calcium [T, A] reaches the threshold of release [uM]."""
    return np.flatnonzero(calcium.max(axis=0) > THRESHOLD).tolist()


def rows(found: dict, distance: np.ndarray, reach: float) -> list[Target]:
    """What the paper reports, read 3 s after the stimulus."""
    own, far = np.arange(distance.size) < NEAR, (distance > 20) & (distance < 30)
    near = {name: release[READ, own].mean() for name, (release, _) in found.items()}
    away = {name: release[READ, far].mean() for name, (release, _) in found.items()}
    for name in found:
        print(f"{name:<20} inputs of the stimulated neuron {100 * near[name]:5.1f} %, inputs of the other at 20-30 um "
              f"{100 * away[name]:5.1f} %, astrocytes up to {found[name][1].max():.2f} uM")
    raised = distance[~own & (found["control"][0][READ] > 1.01)].max()
    print(f"2-AG reaches {reach:.1f} um; release is raised by more than 1 % up to {raised:.1f} um away")
    return [
        holds("inputs of the stimulated neuron are depressed", PAPER, near["control"] < 0.9),
        holds("inputs of a more distant neuron are potentiated", PAPER, away["control"] > 1.1),
        holds("the latter needs calcium of astrocytes ...", PAPER, away["BAPTA in astrocytes"] < 1.01),
        holds("... and metabotropic receptors", PAPER, away["mGluR antagonist"] < 1.01),
        holds("depression needs no calcium of astrocytes", PAPER, near["BAPTA in astrocytes"] < 0.9),
        holds("both need CB1", PAPER, max(abs(near["CB1 antagonist"] - 1), abs(away["CB1 antagonist"] - 1)) < 1e-3),
        holds("astrocytes recruited: the first", "computed", recruited(found["control"][1]) == [0]),
        holds(f"... and by {MORE} the second", "computed", recruited(found[MORE][1]) == [0, 1]),
        holds("potentiation reaches beyond twice the reach of 2-AG", "computed", raised > 2 * reach),
    ]


def main() -> None:
    """All blocks, the table and the figure."""
    schedule, model, tissue, state, distance, reach = network()
    found = {name: courses(schedule, change(model), tissue, state) for name, change in BLOCKS.items()}
    draw(found, distance)
    write_targets(rows(found, distance, reach), Path(__file__).parent)


if __name__ == "__main__":
    main()
