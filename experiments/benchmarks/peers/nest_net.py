"""W1 in NEST as far as NEST has it: pair STDP at the mean release of 10 Hz, as no built-in synapse has both.

It does less per event than the others, so its time is a lower bound and its means are not comparable. Transmission
takes 1 ms. A run cannot be wound back, so every run builds the network anew, outside the time that counts.
"""

import time

import nest
import numpy as np
import specification as spec

MEAN_RELEASE = spec.X_START * (spec.U0 + (1 - spec.U0) * spec.U_START)
"""Release u x of the start values, which are those of the mean at 10 Hz."""

FULL = spec.JUMP * MEAN_RELEASE
"""Jump at w = 1 [mV]."""

MODEL = {"Wmax": FULL, "tau_plus": spec.TAU_STDP, "mu_plus": 0.0, "mu_minus": 0.0, "lambda": spec.A_PLUS,
         "alpha": spec.A_MINUS / spec.A_PLUS}
"""What all synapses of a model share; their memory is that of NEST's smaller addressing."""

DELAY_MS = 1.0
SAMPLED = 200
"""Sources whose weights are read; NEST takes longer to hand out all than to run."""


def build(given):
    """The network at its start; returns the relays of the sources."""
    random = np.random.default_rng(given.seed)
    wires = spec.wiring(given.synapses, random)
    nest.ResetKernel()
    nest.resolution, nest.local_num_threads, nest.rng_seed = given.dt, given.threads, given.seed
    nest.CopyModel("stdp_synapse_hpc", "plastic", MODEL)
    drive = nest.Create("poisson_generator", params={"rate": spec.RATE_HZ})
    relays = nest.Create("parrot_neuron", wires.neurons)
    neurons = nest.Create("iaf_psc_delta", wires.neurons, params={
        "E_L": 0.0, "V_reset": 0.0, "V_th": spec.THRESHOLD, "tau_m": spec.TAU_M, "t_ref": 0.0, "C_m": 1.0, "I_e": 0.0,
        "tau_minus": spec.TAU_STDP})
    neurons.V_m = random.uniform(0, spec.THRESHOLD, wires.neurons)
    nest.Connect(drive, relays, syn_spec={"delay": DELAY_MS})
    alike = np.ones(wires.pre.size)
    nest.Connect(wires.pre.astype(np.int64) + relays[0].global_id, wires.post.astype(np.int64) + neurons[0].global_id,
                 "one_to_one",
                 {"synapse_model": "plastic", "weight": spec.W_START * FULL * alike, "delay": DELAY_MS * alike})
    return relays


def prepare(given):
    """What runs the network from its start."""
    nest.verbosity = nest.VerbosityLevel.ERROR

    def run():
        relays = build(given)
        nest.Prepare()
        nest.Run(DELAY_MS)  # makes the buffers and sorts the connections
        begin = time.perf_counter()
        nest.Run(given.seconds * 1e3)
        wall = time.perf_counter() - begin
        spikes = nest.local_spike_counter  # of the last call alone
        nest.Cleanup()
        # relays and neurons share one counter; recorders would cost time
        expected = round(len(relays) * spec.RATE_HZ * given.seconds)
        weight = np.asarray(nest.GetConnections(relays[:SAMPLED], synapse_model="plastic").weight) / FULL
        return spec.outcome(wall, given, expected, spikes - expected, weight)

    return run


def main():
    """Read the command line and serve."""
    given = spec.arguments(__doc__)
    spec.serve("nest", f"nest {nest.__version__}", given, lambda: prepare(given))


if __name__ == "__main__":
    main()
