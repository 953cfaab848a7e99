"""NEST's hpc_benchmark in NEST itself, with the synapses of its smaller addressing.

A run cannot be wound back, so every run builds the network anew and warms it up, outside the time that counts.
"""

import time

import hpc_specification as spec
import nest
import numpy as np
from specification import serve

SAMPLED = 50
"""Cells whose outgoing weights are read; NEST takes longer to hand out all than to run."""


def build(given):
    """The network at its start; returns its excitatory cells."""
    nest.ResetKernel()
    nest.resolution, nest.local_num_threads, nest.rng_seed = spec.DT_MS, given.threads, given.seed
    excitatory, inhibitory = (nest.Create("iaf_psc_alpha", count, params={
        "E_L": 0.0, "V_reset": 0.0, "V_th": spec.V_TH, "C_m": spec.C_M, "tau_m": spec.TAU_M, "t_ref": spec.T_REF,
        "tau_syn_ex": spec.TAU_SYN, "tau_syn_in": spec.TAU_SYN, "tau_minus": spec.TAU_MINUS})
        for count in spec.cells(given.scale))
    start = spec.potentials(given.scale, given.seed)
    excitatory.V_m, inhibitory.V_m = start[: len(excitatory)], start[len(excitatory) :]
    weight = spec.weight_pa()
    nest.CopyModel("static_synapse_hpc", "excites", {"weight": weight, "delay": spec.DELAY_MS})
    nest.CopyModel("static_synapse_hpc", "inhibits", {"weight": spec.INHIBITION * weight, "delay": spec.DELAY_MS})
    nest.CopyModel("stdp_pl_synapse_hom_hpc", "plastic", {
        "weight": weight, "delay": spec.DELAY_MS, "lambda": spec.LAMBDA, "alpha": spec.ALPHA, "mu": spec.MU,
        "tau_plus": spec.TAU_PLUS})
    outside = nest.Create("poisson_generator", params={"rate": 1e3 * spec.outside_per_ms()})
    nest.Connect(outside, excitatory + inhibitory, syn_spec={"synapse_model": "excites"})
    heard = spec.sources(given.heard)
    for source, target, model, number in (
            (excitatory, excitatory, "plastic", heard[0]), (excitatory, inhibitory, "excites", heard[0]),
            (inhibitory, excitatory + inhibitory, "inhibits", heard[1])):
        nest.Connect(source, target, {"rule": "fixed_indegree", "indegree": number, "allow_autapses": False,
                                      "allow_multapses": True}, {"synapse_model": model})
    return excitatory


def prepare(given):
    """What runs the network from its start."""
    nest.verbosity = nest.VerbosityLevel.ERROR

    def run():
        excitatory = build(given)
        recorder = nest.Create("spike_recorder") if given.recorded else None
        if recorder is not None:
            nest.Connect(nest.NodeCollection(list(range(1, sum(spec.cells(given.scale)) + 1))), recorder)
        nest.Prepare()
        nest.Run(given.warm_up)
        begin = time.perf_counter()
        nest.Run(given.duration)
        wall = time.perf_counter() - begin
        spikes = nest.local_spike_counter  # of the last call alone
        nest.Cleanup()
        weight = np.asarray(nest.GetConnections(excitatory[:SAMPLED], synapse_model="plastic").weight)
        found = spec.outcome(wall, spikes, given, weight)
        return found if recorder is None else found | spec.activity(
            recorder.events["senders"] - 1, np.round(recorder.events["times"] / spec.DT_MS).astype(int) - 1,
            round((given.warm_up + given.duration) / spec.DT_MS), given.scale)

    return run


def main():
    """Read the command line and serve."""
    given = spec.arguments(__doc__)
    serve("nest", f"nest {nest.__version__}", given, lambda: prepare(given))


if __name__ == "__main__":
    main()
