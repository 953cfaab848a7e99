"""Gliotransmission: calcium of an astrocyte, release of glutamate, and the sign of its action on a terminal.

De Pitta, Volman, Berry & Ben-Jacob (2011) PLoS Comput Biol 7:e1002293 and De Pitta & Brunel (2016) Neural Plast
2016:7607924, with the parameters of the code of Stimberg, Goodman, Brette & De Pitta (2019), Fig. 3.

The numbers marked "computed" are not printed in the papers: they follow from the published equations and parameters.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from retrojax.engine.field_step import sense
from retrojax.engine.kernel import effective_p
from retrojax.engine.rows import Synapse, init_state
from retrojax.parts import Astrocyte, GapJunctions, Gliorelease, Gliotransmission, SilentSpine, TsodyksMarkram
from retrojax.testing import Target, holds, targets, write_targets

CROSSINGS = {0.8: (2.085, 19.35, 36.41, 53.46), 1.25: (1.059, 10.342)}
DT = 1.0
CODE = "computed from Stimberg et al. 2019, Fig. 3"


def crossings(bias: float, seconds: int = 60) -> np.ndarray:
    """Times [s] at which calcium rises through 0.5 uM while a reservoir holds IP3 near `bias` [uM]."""
    cell, exchange = Astrocyte(O_beta=0.0), GapJunctions(F=2e-3).reservoir(jnp.asarray(bias))

    def step(s, _):
        s = cell.step(s, jnp.asarray(DT), jnp.zeros(1), exchange)
        return s, s.C[0]

    start = cell.init(1, C=0.0, h=0.9, I=0.4)
    C = np.asarray(jax.jit(lambda: jax.lax.scan(step, start, None, length=round(1000 * seconds / DT))[1])())
    k = np.flatnonzero((C[:-1] < 0.5) & (C[1:] >= 0.5))
    return (k + 1 + (0.5 - C[k]) / (C[k + 1] - C[k])) * DT / 1000  # the k-th value is that after k + 1 steps


def one_release(alpha: float, seconds: float = 30.0, dt: float = 0.1) -> tuple[np.ndarray, np.ndarray, float]:
    """Gamma_S and release probability [T] after one release at t = 0 from rest, and the peak of G [uM]."""
    synapse = Synapse(SilentSpine(), TsodyksMarkram(), (Gliotransmission("glutamate", alpha),), 0.6)
    release = Gliorelease()
    glia = release.step(release.init(1), jnp.asarray(0.0), jnp.zeros(1), jnp.ones(1))

    def step(carry, _):
        glia, state = carry
        state = sense(synapse, state, "glutamate", release.mean(glia, jnp.asarray(dt)), jnp.asarray(dt))
        glia = release.step(glia, jnp.asarray(dt), jnp.zeros(1), jnp.zeros(1))
        return (glia, state), (state.rules[0].Gamma_S[0], effective_p(synapse, state)[0])

    start = (glia, init_state(synapse, (1,)))
    run = jax.jit(lambda: jax.lax.scan(step, start, None, length=round(1000 * seconds / dt)))
    Gamma, P = run()[1]
    return np.asarray(Gamma), np.asarray(P), float(glia.G[0]) / 1000


def calcium() -> list[Target]:
    """When calcium crosses the threshold of release."""
    rows = []
    for bias, expected in CROSSINGS.items():
        found = crossings(bias)
        names = [f"AT-D1 crossing {k + 1} at I_bias {bias:g} uM [s]" for k in range(len(expected))]
        padded = np.append(found, np.full(len(expected), np.nan))[: len(expected)]
        rows += targets(names, CODE, expected, padded, relative=0.02)
        rows += targets([f"AT-D1 number of crossings in 60 s at I_bias {bias:g} uM"], CODE, [len(expected)], len(found))
    period = np.diff(crossings(0.8))[-1]
    return [*rows, *targets(["AT-D1 period at I_bias 0.8 uM [s]"], CODE, [17.06], period, relative=0.02)]


def transmission() -> list[Target]:
    """One release: what reaches the terminal, and what becomes of its release probability."""
    Gamma, depressed, peak = one_release(0.0)
    _, facilitated, _ = one_release(1.0)
    at = round(300 / 0.1) - 1
    tau = -10.0 / np.log(Gamma[-1] / Gamma[-1 - 100_000])
    where = "computed from De Pitta & Brunel 2016"
    return [
        *targets(["AT-D2 peak of G_A [uM]"], where, [78.0], peak, absolute=1e-9),
        *targets(["AT-D2 peak of Gamma_S", "AT-D2 U_0 at that peak, alpha 0"], where, (0.857, 0.086),
                 (Gamma.max(), depressed.min()), absolute=2e-3),
        *targets(["Gamma_S 0.3 s after the release"], where, [0.856], Gamma[at], absolute=5e-3),
        *targets(["U_0 0.3 s after the release, alpha 0", "U_0 0.3 s after the release, alpha 1"], where,
                 (0.0865, 0.942), (depressed[at], facilitated[at]), absolute=2e-3),
        *targets(["time constant with which Gamma_S decays [s]"], where, [120.0], tau, relative=0.001),
        holds("alpha below U_0* depresses, above it facilitates", "De Pitta et al. 2011",
              depressed[at] < 0.6 < facilitated[at]),
        holds("alpha = U_0* changes nothing", "De Pitta et al. 2011", np.abs(one_release(0.6)[1] - 0.6).max() < 1e-12),
    ]


def main() -> None:
    """Compute all targets in double precision."""
    with jax.enable_x64(True):
        rows = calcium() + transmission()
    write_targets(rows, Path(__file__).parent)


if __name__ == "__main__":
    main()
