"""W1-W3 in NumPy, vectorised per step, the field by SciPy's cosine transform: what one writes first, by hand.

Conventions are those of retrojax, so that means can be compared: transmission takes 1 ms, and spikes of one step do not
see each other's traces. As every peer does, it samples calcium for emission once per field step, at the end of a step;
`--exact-emission` integrates it instead.
"""

import time

import numpy as np
import specification as spec

F = np.float32
DELAY_MS = 1.0


class Network:
    """State of one network, and its steps."""

    def __init__(self, given):
        self.given, self.dt = given, given.dt
        random = np.random.default_rng(given.seed)
        wiring = spec.wiring(given.synapses, random)
        self.pre, self.post, neurons = wiring.pre, wiring.post, wiring.neurons
        self.order = np.argsort(self.pre, kind="stable").astype(np.int32)
        self.first = np.concatenate([[0], np.cumsum(np.bincount(self.pre, minlength=neurons))])
        size = self.pre.size
        self.u, self.x = np.full(size, spec.U_START, F), np.full(size, spec.X_START, F)
        self.v, self.last = random.uniform(0, spec.THRESHOLD, neurons).astype(F), np.zeros(neurons)
        self.release = np.full(size, spec.U0, F) if given.workload == "w3" else F(spec.U0)
        self.weight = np.full(size, spec.W_START if given.workload == "w1" else spec.RHO_START, F)
        self.trace, self.y = np.zeros(neurons, F), np.zeros(neurons, F)
        self.c = np.zeros(size, F)
        self.voxel = random.integers(spec.SIDE**3, size=size, dtype=np.int32) if given.workload == "w3" else None
        self.level, self.multiplier = np.zeros((spec.SIDE,) * 3, F), spec.propagator()
        self.lag = round(DELAY_MS / self.dt)
        self.arriving = np.zeros((self.lag + 1, neurons), F)
        self.random = random

    def synapses_of(self, sources):
        """Synapses of some sources, one after another, and how many each has."""
        rows = [self.order[self.first[i]:self.first[i + 1]] for i in sources]
        return np.concatenate(rows) if rows else np.zeros(0, np.int32), self.first[sources + 1] - self.first[sources]

    def deliver(self, step, sources):
        """Spikes of the sources: release, what will arrive, and what each does to its synapses."""
        s, counts = self.synapses_of(sources)
        gap = step * self.dt - self.last[sources]
        self.last[sources] = step * self.dt
        u = self.u[s] * np.repeat(np.exp(-gap / spec.TAU_F).astype(F), counts)
        u += (self.release[s] if self.voxel is not None else self.release) * (1 - u)
        x = 1 - (1 - self.x[s]) * np.repeat(np.exp(-gap / spec.TAU_D).astype(F), counts)
        released = u * x
        self.u[s], self.x[s] = u, x - released
        post = self.post[s]
        sent = np.bincount(post, weights=self.weight[s] * released, minlength=self.v.size).astype(F)
        self.arriving[(step + self.lag) % (self.lag + 1)] += sent * F(spec.JUMP)
        if self.given.workload == "w1":
            self.weight[s] = np.maximum(self.weight[s] - F(spec.A_MINUS) * self.y[post], 0)
        else:
            self.c[s] += F(spec.C_PRE)

    def fire(self, step):
        """Input arrives, neurons above threshold spike; how many did."""
        here = step % (self.lag + 1)
        self.v *= F(np.exp(-self.dt / spec.TAU_M))
        self.v += self.arriving[here]
        self.arriving[here] = 0
        fired = np.flatnonzero(self.v >= F(spec.THRESHOLD))
        if fired.size:
            self.v[fired] = 0
            s = (fired[:, None] * spec.DEGREE + np.arange(spec.DEGREE)).ravel()
            if self.given.workload == "w1":
                self.weight[s] = np.minimum(self.weight[s] + F(spec.A_PLUS) * self.trace[self.pre[s]], 1)
                self.y[fired] += 1
            else:
                self.c[s] += F(spec.C_POST)
        return fired.size

    def decay(self):
        """Traces, or calcium and efficacy, over one step."""
        if self.given.workload == "w1":
            stay = F(np.exp(-self.dt / spec.TAU_STDP))
            self.trace *= stay
            self.y *= stay
            return
        self.c *= F(np.exp(-self.dt / spec.TAU_CA))
        rho, rest, step = self.weight, 1 - self.weight, self.dt / spec.TAU_RHO
        change = -F(step) * rho * rest * (F(spec.RHO_STAR) - rho)
        change += F(step * spec.GAMMA_P) * rest * (self.c >= F(spec.THETA_P))
        change -= F(step * spec.GAMMA_D) * rho * (self.c >= F(spec.THETA_D))
        rho += change

    def emitted(self, span):
        """What all synapses make in `span` ms at the calcium of now, by voxel."""
        active = np.flatnonzero(self.c > F(spec.THETA_D))
        return self.in_voxels(active, (self.c[active] - F(spec.THETA_D)) * span)

    def emitted_while_decaying(self):
        """What all synapses make in a step that begins now, by voxel, with the decay of calcium within the step."""
        active = np.flatnonzero(self.c > F(spec.THETA_D))
        c = self.c[active].astype(float)
        above = np.minimum(self.dt, spec.TAU_CA * np.log(c / spec.THETA_D))
        return self.in_voxels(active, -c * spec.TAU_CA * np.expm1(-above / spec.TAU_CA) - spec.THETA_D * above)

    def in_voxels(self, synapses, amounts):
        """Sum by voxel."""
        made = np.bincount(self.voxel[synapses], weights=amounts, minlength=self.level.size)
        return (made * (spec.EMISSION / self.c.size)).astype(F).reshape(self.level.shape)

    def field_step(self, made):
        """Field and release probabilities over one field step."""
        from scipy import fft

        threads = self.given.threads
        modes = fft.dctn(self.level + made, workers=threads) * self.multiplier
        self.level = fft.idctn(modes, workers=threads)
        m = self.level.ravel()[self.voxel]
        goal = F(spec.U0) * (1 + F(spec.ALPHA) * m / (m + F(spec.K_M)))
        self.release += F(spec.FIELD_MS / spec.TAU_U) * (goal - self.release)

    def run(self):
        """All steps; spikes of the sources and of the neurons."""
        probability, per = spec.RATE_HZ * self.dt * 1e-3, round(spec.FIELD_MS / self.dt)
        exact, made, arrived, spikes = self.voxel is not None and self.given.exact_emission, None, 0, 0
        for step in range(round(self.given.seconds * 1e3 / self.dt)):
            sources = np.flatnonzero(self.random.random(self.v.size, dtype=F) < probability)
            due = self.voxel is not None and (step + 1) % per == 0
            if exact:
                made = self.emitted_while_decaying() + (made if step % per else 0)
            self.decay()
            if due and not exact:
                made = self.emitted(spec.FIELD_MS)
            if sources.size:
                self.deliver(step, sources)
            arrived += sources.size
            spikes += self.fire(step)
            self.trace[sources] += 1
            if due:
                self.field_step(made)
        return arrived, spikes


def prepare(given):
    """What runs the network from its start; nothing is compiled."""

    def run():
        network = Network(given)
        begin = time.perf_counter()
        arrived, spikes = network.run()
        wall = time.perf_counter() - begin
        field = (network.level, network.release) if given.workload == "w3" else ()
        return spec.outcome(wall, given, arrived, spikes, network.weight, *field)

    return run


def main():
    """Read the command line and serve."""
    given = spec.arguments(__doc__, "--exact-emission")
    spec.serve("numpy", f"numpy {np.__version__}", given, lambda: prepare(given))


if __name__ == "__main__":
    main()
