"""W1-W3 in Brian2: W1 and W2 as standalone C++ (OpenMP with two threads), W3 with Cython and the field in Python.

W3 cannot run standalone, whose loop calls no Python between steps. STDP traces live in the neurons, which computes the
same as Brian2's textbook form in less time.
"""

import subprocess
import tempfile
import time
from pathlib import Path

import brian2 as b2
import numpy as np
import specification as spec

CONSTANTS = {
    "J": spec.JUMP, "U0": spec.U0, "threshold": spec.THRESHOLD, "rate": spec.RATE_HZ * b2.Hz, "A_plus": spec.A_PLUS,
    "A_minus": spec.A_MINUS, "c_pre": spec.C_PRE, "c_post": spec.C_POST, "theta_d": spec.THETA_D,
    "theta_p": spec.THETA_P, "gamma_d": spec.GAMMA_D, "gamma_p": spec.GAMMA_P, "rho_star": spec.RHO_STAR,
    "tau_m": spec.TAU_M * b2.ms, "tau_d": spec.TAU_D * b2.ms, "tau_f": spec.TAU_F * b2.ms,
    "tau_stdp": spec.TAU_STDP * b2.ms, "tau_ca": spec.TAU_CA * b2.ms, "tau_rho": spec.TAU_RHO * b2.ms,
}

RELEASE = """du/dt = -u/tau_f : 1 (event-driven)
             dx/dt = (1 - x)/tau_d : 1 (event-driven)
             """
TRANSMIT = "u += {U}*(1 - u); r = u*x; x -= r; v_post += J*{w}*r; "
CALCIUM = """dc/dt = -c/tau_ca : 1 (clock-driven)
             drho/dt = (-rho*(1 - rho)*(rho_star - rho) + gamma_p*(1 - rho)*int(c >= theta_p)
                        - gamma_d*rho*int(c >= theta_d))/tau_rho : 1 (clock-driven)
             """


class Net:
    """The groups of one network."""

    def __init__(self, given):
        random = np.random.default_rng(given.seed)
        wires = spec.wiring(given.synapses, random)
        stdp, field = given.workload == "w1", given.workload == "w3"
        faded = "drecent/dt = -recent/tau_stdp : 1" if stdp else ""
        exact = {"namespace": CONSTANTS, "method": "exact"}
        self.sources = b2.NeuronGroup(wires.neurons, faded, threshold="rand() < rate*dt",
                                      reset="recent += A_plus" if stdp else "", **exact)
        self.neurons = b2.NeuronGroup(
            wires.neurons, "dv/dt = -v/tau_m : 1\n" + faded, threshold="v >= threshold",
            reset="v = 0; recent += A_minus" if stdp else "v = 0", **exact)
        if stdp:
            model, on_post = RELEASE + "w : 1", "w = clip(w + recent_pre, 0, 1)"
            on_pre, method = TRANSMIT.format(U="U0", w="w") + "w = clip(w - recent_post, 0, 1)", "exact"
        else:
            model, on_post = RELEASE + CALCIUM + "U : 1" * field, "c += c_post"
            on_pre, method = TRANSMIT.format(U="U" if field else "U0", w="rho") + "c += c_pre", "euler"
        self.synapses = b2.Synapses(self.sources, self.neurons, model, on_pre=on_pre, on_post=on_post,
                                    method=method, namespace=CONSTANTS)
        self.synapses.connect(i=wires.pre, j=wires.post)
        self.synapses.u, self.synapses.x = spec.U_START, spec.X_START
        self.neurons.v = random.uniform(0, spec.THRESHOLD, wires.neurons)
        self.weight = self.synapses.w if stdp else self.synapses.rho
        self.weight[:] = spec.W_START if stdp else spec.RHO_START
        self.counts = [b2.SpikeMonitor(group, record=False) for group in (self.sources, self.neurons)]
        self.level = np.zeros((spec.SIDE,) * 3)
        parts = [self.sources, self.neurons, self.synapses, *self.counts]
        if field:
            self.synapses.U = spec.U0
            parts.append(self.field_step(given, random.integers(spec.SIDE**3, size=given.synapses, dtype=np.int32)))
        self.network = b2.Network(*parts)
        # input before threshold, as everywhere else
        self.network.schedule = ["start", "groups", "synapses", "thresholds", "resets", "end"]

    def field_step(self, given, voxel):
        """The field and its effect on release, between steps."""
        from scipy import fft

        multiplier, shape, threads = spec.propagator(), self.level.shape, given.threads

        @b2.network_operation(dt=spec.FIELD_MS * b2.ms, when="end")
        def step():
            over = np.maximum(self.synapses.c_[:] - spec.THETA_D, 0)
            made = np.bincount(voxel, weights=over, minlength=self.level.size).reshape(shape)
            self.level += made * (spec.EMISSION / given.synapses * spec.FIELD_MS)
            self.level = fft.idctn(fft.dctn(self.level, workers=threads) * multiplier, workers=threads)
            m, release = self.level.ravel()[voxel], self.synapses.U_[:]
            goal = spec.U0 * (1 + spec.ALPHA * m / (m + spec.K_M))
            self.synapses.U_[:] = release + spec.FIELD_MS / spec.TAU_U * (goal - release)

        return step

    def outcome(self, given, wall):
        """Record of a run that has just ended."""
        field = (self.level, np.asarray(self.synapses.U[:])) if given.workload == "w3" else ()
        return spec.outcome(wall, given, *(count.num_spikes for count in self.counts), np.asarray(self.weight[:]),
                            *field)


def prepare_standalone(given, folder):
    """W1 or W2 as a program; returns what runs it. The time is the one Brian2 takes around its loop."""
    b2.set_device("cpp_standalone", directory=folder, build_on_run=False)
    b2.prefs.devices.cpp_standalone.openmp_threads = given.threads if given.threads > 1 else 0
    b2.seed(given.seed)
    b2.defaultclock.dt = given.dt * b2.ms
    net = Net(given)
    net.network.run(given.seconds * b2.second)
    device = b2.get_device()
    device.build(directory=folder, compile=True, run=False, with_output=False)

    def run():
        subprocess.run(["./main"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        device.has_been_run = True
        wall = float((Path(folder) / "results" / "last_run_info.txt").read_text().split()[0])
        return net.outcome(given, wall)

    return run


def prepare_runtime(given):
    """W3, compiled; returns what runs it from its start."""
    b2.prefs.codegen.target = "cython"
    b2.defaultclock.dt = given.dt * b2.ms
    net = Net(given)
    net.network.run(0 * b2.ms)
    net.network.store()

    def run():
        net.network.restore()
        net.level[:] = 0
        b2.seed(given.seed)
        begin = time.perf_counter()
        net.network.run(given.seconds * b2.second)
        return net.outcome(given, time.perf_counter() - begin)

    return run


def main():
    """Read the command line and serve."""
    given = spec.arguments(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        spec.serve("brian2", f"brian2 {b2.__version__}", given,
                   lambda: prepare_runtime(given) if given.workload == "w3" else prepare_standalone(given, folder))


if __name__ == "__main__":
    main()
