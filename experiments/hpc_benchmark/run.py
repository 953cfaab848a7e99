"""The parts of NEST's hpc_benchmark, and a small network of them, against NEST itself (needs `nest-simulator`).

Power-law STDP (Morrison, Aertsen & Diesmann 2007, Neural Comput 19:1437), cells with alpha-function currents, and 100
such cells with 2,000 synapses each, as dense as the benchmark at a scale of 0.05, connected in one way on both sides
and driven by the same spikes, on the lazy schedule; they fire in volleys. A delay lies in the dendrite both ways, as in
NEST. Spikes are to agree one by one. The network of full size is `experiments/benchmarks/hpc.py`.
"""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from retrojax.engine.assemble import Wiring
from retrojax.engine.events import run_events, spike_table
from retrojax.engine.lazy.assemble import build_lazy, plan_times
from retrojax.engine.lazy.network import run_chunk
from retrojax.engine.lazy.readout import in_order
from retrojax.engine.model import Clocks, Model
from retrojax.engine.rows import Bounds, Synapse, init_state
from retrojax.numerics import Draws
from retrojax.parts import AlphaLIF, ConstantRelease, PowerLawSTDP, SilentSpine
from retrojax.parts.drive import Replay
from retrojax.readouts import spike_times
from retrojax.testing import SKIPPED, Target, holds, targets, write_targets

DT, DELAY, END, NETWORK_END = 0.1, 1.5, 600.0, 150.0  # ms; a full ring, of a longer run, would bring weights up to date
MEMBRANE = {"C_m": 250.0, "tau_m": 10.0, "E_L": 0.0, "V_th": 20.0, "V_reset": 0.0, "t_ref": 0.5,
            "tau_syn_ex": 0.3258, "tau_syn_in": 0.3258}
LAMBDA, ALPHA, MU, TAU_PLUS, TAU_MINUS, START = 0.1, 0.0513, 0.4, 15.0, 30.0, 45.6
EXCITATORY, INHIBITORY, HEARD = 80, 20, 2000
NEST = "NEST 3.10"


def synapse() -> Synapse:
    """A synapse whose q is its weight [pA]."""
    rule = PowerLawSTDP(LAMBDA, LAMBDA * ALPHA, MU, 1.0, TAU_PLUS, TAU_MINUS)
    return Synapse(SilentSpine(), ConstantRelease(), (rule,), 1.0, START, Bounds(q_max=1e4))


def fresh(nest) -> None:
    """A NEST kernel with nothing in it but the synapse model `plastic`."""
    nest.ResetKernel()
    nest.resolution = DT
    nest.CopyModel("stdp_pl_synapse_hom", "plastic", {"lambda": LAMBDA, "alpha": ALPHA, "mu": MU, "tau_plus": TAU_PLUS})


def rule(nest, random: np.random.Generator) -> list[Target]:
    """What a synapse sends at 60 presynaptic spikes among 60 postsynaptic ones, no two at the synapse at once."""
    steps = random.permutation(np.arange(20, round(END / DT) - 20))[:120]
    pre, post = np.sort(steps[:60]) * DT, np.sort(steps[60:]) * DT - DELAY
    post = post[post > 2 * DT]
    fresh(nest)
    ends = [nest.Create("parrot_neuron", params=p) for p in ({}, {"tau_minus": TAU_MINUS})]
    for times, parrot in zip((pre, post), ends, strict=True):
        # a generator's spikes reach a parrot a step later
        source = nest.Create("spike_generator", params={"spike_times": np.round(times - DT, 1)})
        nest.Connect(source, parrot, syn_spec={"delay": DT})
    seen = nest.Create("weight_recorder")
    nest.CopyModel("plastic", "watched", {"weight_recorder": seen})
    # parrots do not repeat what comes in at port 1
    nest.Connect(*ends, syn_spec={"synapse_model": "watched", "weight": START, "delay": DELAY, "receptor_type": 1})
    nest.Simulate(END + 5.0)
    expected = np.asarray(seen.events["weights"])
    part = synapse()
    draws = Draws(jax.random.key(0), jnp.zeros((), jnp.int32))
    _, sent = run_events(part, init_state(part, ()), spike_table(pre, post + DELAY, END), draws, lambda _, x: x)
    ours = np.asarray(sent)[np.asarray(sent) > 0]
    return [holds("presynaptic spikes of one synapse, count", NEST, ours.size == expected.size == 60),
            *targets(["weight that one synapse last sent [pA]"], NEST, expected[-1:], ours[-1], relative=1e-9),
            *targets(["largest distance of 60 weights sent [pA]"], NEST, [0.0], np.abs(ours - expected).max(),
                     absolute=1e-8)]


def membrane(nest, random: np.random.Generator) -> list[Target]:
    """Potential at every step of one cell under 1,500 inputs of either sign."""
    steps = np.sort(random.integers(1, round(END / DT), 1500))
    weight = random.choice([400.0, -900.0], 1500, p=[0.9, 0.1])
    fresh(nest)
    cell = nest.Create("iaf_psc_alpha", params={**MEMBRANE, "V_m": 0.0})
    meter, spikes = nest.Create("multimeter", params={"record_from": ["V_m"], "interval": DT}), nest.Create(
        "spike_recorder")
    source = nest.Create("spike_generator", params={"spike_times": np.round(steps * DT, 1), "spike_weights": weight})
    nest.Connect(source, cell, syn_spec={"delay": DT})
    nest.Connect(meter, cell)
    nest.Connect(cell, spikes)
    nest.Simulate(END)
    arriving = np.zeros((2, round(END / DT) + 2))
    np.add.at(arriving, ((weight < 0).astype(int), steps), weight)
    neuron = AlphaLIF(**MEMBRANE)
    step = lambda s, x: (lambda s, fired: (s, (fired[0], s.v[0])))(*neuron.step(s, jnp.asarray(DT), *x))  # noqa: E731
    _, (fired, v) = jax.lax.scan(step, neuron.init(1), tuple(jnp.asarray(x)[:, None] for x in arriving))
    expected, at = np.asarray(meter.events["V_m"]), np.round(np.asarray(meter.events["times"]) / DT).astype(int) - 1
    ours = np.flatnonzero(np.asarray(fired)[: at[-1] + 1]) + 1
    theirs = np.round(np.asarray(spikes.events["times"]) / DT).astype(int)
    same = np.array_equal(ours, theirs[theirs <= at[-1] + 1])
    return [holds("spike times of one cell", NEST, same and ours.size > 20),
            *targets(["largest distance of potentials of one cell [mV]"], NEST, [0.0],
                     np.abs(np.asarray(v)[at] - expected).max(), absolute=1e-9)]


def network(nest, random: np.random.Generator) -> list[Target]:
    """Spikes and weights of 100 cells that hear 2,000 times from the others."""
    cells, steps, lag = EXCITATORY + INHIBITORY, round(NETWORK_END / DT), round(DELAY / DT)
    post = np.repeat(np.arange(cells), HEARD)
    pre = random.integers(cells - 1, size=post.size)
    pre = pre + (pre >= post)
    plastic = (pre < EXCITATORY) & (post < EXCITATORY)
    fixed = np.where(pre < EXCITATORY, START, -5 * START)
    given = (pre, post, plastic, fixed, random.random((steps, cells)) < 0.13, 8 * START)
    ours, weights = _ours(*given, lag)
    theirs, held = _theirs(nest, *given)
    apart = np.abs(weights[np.lexsort((weights, post[plastic], pre[plastic]))] - held)
    fired = np.zeros((cells, steps + lag + 1), bool)
    fired[theirs[0], theirs[1]] = True
    # where spikes of either side are at the synapse in one step, NEST depresses the potentiated weight, ours both start
    # from the weight before: A_plus A_minus w^mu x y apart
    met = fired[pre[plastic], lag:-1] & fired[post[plastic], : -lag - 1]
    met = met.any(axis=1)[np.lexsort((weights, post[plastic], pre[plastic]))]
    print(f"{theirs.shape[1]} spikes, {theirs.shape[1] / cells / NETWORK_END * 1e3:.1f} Hz; weights "
          f"{weights.mean():.3f} +- {weights.std():.3f} pA")
    return [holds("all spikes of 100 cells", NEST, np.array_equal(ours, theirs) and theirs.shape[1] > 150),
            *targets([f"largest distance of {(~met).sum()} weights [pA]"], NEST, [0.0], apart[~met].max(),
                     absolute=1e-9),
            *targets([f"the same, {met.sum()} where spikes met at the synapse [pA]"], NEST, [0.0], apart[met].max(),
                     absolute=5e-3)]


def _theirs(nest, pre, post, plastic, fixed, raster, outside: float) -> tuple[np.ndarray, np.ndarray]:
    """Spikes of the network in NEST, [2, spikes], and its plastic weights by source, target and size [pA]."""
    steps, cells = raster.shape
    fresh(nest)
    group = nest.Create("iaf_psc_alpha", cells, params={**MEMBRANE, "V_m": 0.0, "tau_minus": TAU_MINUS})
    first = group[0].global_id
    for which, model, weight in ((plastic, "plastic", np.full(pre.size, START)), (~plastic, "static_synapse", fixed)):
        nest.Connect(pre[which] + first, post[which] + first, "one_to_one",
                     {"synapse_model": model, "weight": weight[which], "delay": np.full(which.sum(), DELAY)})
    sources = nest.Create("spike_generator", cells, params=[
        {"spike_times": np.round((np.flatnonzero(column) + 1) * DT, 1)} for column in raster.T])
    nest.Connect(sources, group, "one_to_one", {"weight": outside, "delay": DELAY})
    recorder = nest.Create("spike_recorder")
    nest.Connect(group, recorder)
    nest.Simulate(NETWORK_END + DELAY)  # spikes of the last delay are not sent yet
    spikes = np.stack([np.asarray(recorder.events["senders"]) - first,
                       np.round(np.asarray(recorder.events["times"]) / DT).astype(int)])
    spikes = spikes[:, spikes[1] <= steps]
    held = nest.GetConnections(synapse_model="plastic")
    order = np.lexsort((held.weight, np.asarray(held.target), np.asarray(held.source)))
    return spikes[:, np.lexsort(spikes[::-1])], np.asarray(held.weight)[order]


def _ours(pre, post, plastic, fixed, raster, outside: float, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """Spikes of the same network here, [2, spikes], and its weights as they were last sent [pA]."""
    cells, delays = raster.shape[1], lambda n: np.full(n, lag)
    own = np.arange(cells)
    fixed_pre, fixed_post = np.append(pre[~plastic], own + cells), np.append(post[~plastic], own)
    weight = np.append(fixed[~plastic], np.full(cells, outside))
    wiring = Wiring(np.arange(plastic.sum()), pre[plastic], post[plastic], delays(plastic.sum()), np.ones(1),
                    fixed_pre, fixed_post, delays(fixed_pre.size), weight, neurons=cells, sources=cells)
    model = Model(jnp.asarray(DT), synapse(), jnp.asarray(1.0), jnp.asarray(weight), jnp.asarray(1.0),
                  AlphaLIF(**MEMBRANE), Replay(raster), ())
    times = plan_times(wiring, Clocks(2 * lag, (), raster.shape[0] // (2 * lag), raster.shape[0] // (2 * lag)),
                       backward=lag)
    tissue, state = build_lazy(model, wiring, times, None, 4 * START, 1.0, 1)
    state, record = run_chunk(model, tissue, state, times, jnp.asarray(times.chunk, jnp.int32))
    neuron, step = spike_times(np.asarray(record.spikes), times.block)
    spikes = np.stack([neuron, step + 1])
    q = in_order(tissue, np.asarray(state.channels[tissue.layout.names.index("expression.q")]))
    return spikes[:, np.lexsort(spikes[::-1])], q


def main() -> None:
    """Run all three."""
    try:
        import nest
    except ImportError:
        print("skipped: it needs nest-simulator")
        sys.exit(SKIPPED)
    nest.verbosity = nest.VerbosityLevel.ERROR
    jax.config.update("jax_enable_x64", True)
    random = np.random.default_rng(3)
    write_targets([*rule(nest, random), *membrane(nest, random), *network(nest, random)], Path(__file__).parent)


if __name__ == "__main__":
    main()
