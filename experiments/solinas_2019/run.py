"""Which signal carries timing-dependent LTP: a retrograde messenger after 1:1, BDNF after 1:4 pairing.

Solinas, Edelmann, Lessmann & Migliore (2019) PLoS Comput Biol 15:e1006975, reduced: calcium of the spine is given
instead of a CA1 morphology. 70 pulses of 20 ms at 0.06 stand for 1:1 pairing, 25 of 40 ms at 0.13 for 1:4 (scaled mM),
one every 2 s; calcium is 0 between them. Only the first may move the release probability, only the second may open the
vesicle gate, and at 0.05 Hz neither does.
"""

from pathlib import Path

import jax
import jax.numpy as jnp

from retrojax.numerics import euler, runge_kutta
from retrojax.parts.biochemistry import BDNFSignal, RetrogradeMessenger, VesicleGate
from retrojax.testing import Target, holds, targets, write_targets

PAPER = "Solinas et al. 2019, reduced to given calcium (ModelDB 244412)"
PULSE_STEP, PAUSE_STEP, WAIT_STEP = 0.05, 1.0, 10.0
HALF_HOUR = 1.8e6


def induction(calcium: float, lasts: float, count: int, period: float) -> dict:
    """Largest RM and RMBLK, the messenger's state 30 min after the last pulse, and the memory at every pulse."""
    messenger, gate = RetrogradeMessenger(), VesicleGate()

    def messenger_over(state, level, step, steps, advance):
        def one(state, _):
            state = advance(lambda *s: messenger.slope(s[-1], level), state, jnp.asarray(step))
            return state, (state.messenger, state.blocker)

        state, seen = jax.lax.scan(one, state, None, length=steps)
        return state, jnp.max(jnp.stack(seen), axis=1)

    def pulse(carried, _):
        state, memory = carried
        memory = gate.step(memory, jnp.asarray(calcium), jnp.asarray(0.0))
        at_pulse, committed = memory.memory, gate.commitment(memory, jnp.asarray(calcium)) * lasts
        memory = gate.step(gate.step(memory, jnp.asarray(calcium), jnp.asarray(lasts)), jnp.asarray(0.0),
                           jnp.asarray(period - lasts))
        state, peak = messenger_over(state, jnp.asarray(calcium), PULSE_STEP, round(lasts / PULSE_STEP), euler)
        state, later = messenger_over(state, jnp.asarray(0.0), PAUSE_STEP, round((period - lasts) / PAUSE_STEP),
                                      runge_kutta)
        return (state, memory), (jnp.maximum(peak, later), at_pulse, committed)

    start = messenger.init(()), gate.init(())
    (state, _), (peaks, memory, committed) = jax.lax.scan(pulse, start, None, length=count)
    left = HALF_HOUR - (period - lasts)
    state, _ = messenger_over(state, jnp.asarray(0.0), WAIT_STEP, round(left / WAIT_STEP), runge_kutta)
    return {"RM": peaks[:, 0].max(), "RMBLK": peaks[:, 1].max(), "memory": memory, "committed": committed.sum(),
            "expressed": state.expressed, "rise": messenger.rise(state)}


def bdnf_gain() -> float:
    """AMPA conductance after 30 min of which all 300 vesicles discharge 25."""
    model = BDNFSignal()

    def one(state, k):
        n = jnp.where(k * WAIT_STEP < model.T, 300.0, 0.0)
        return runge_kutta(lambda _, s: model.slope(s, n), state, jnp.asarray(WAIT_STEP)), None

    return float(model.conductance(jax.lax.scan(one, model.init(()), jnp.arange(round(HALF_HOUR / WAIT_STEP)))[0]))


def table() -> list[Target]:
    """Both inductions, the slow one, and the bounds of the two effects."""
    run = jax.jit(induction, static_argnums=(0, 1, 2, 3))
    one, four = run(0.06, 20.0, 70, 2000.0), run(0.13, 40.0, 25, 2000.0)
    slow = run(0.13, 40.0, 25, 20_000.0)["memory"]
    return [
        *targets(["1:1, largest RM", "1:1, expressed after 30 min", "1:1, rise of U_SE"], PAPER, (0.0341, 0.582, 1.1),
                 (one["RM"], one["expressed"], one["rise"]), relative=0.02),
        Target("1:1, largest RMBLK", PAPER, 0.0, 1e-9, float(one["RMBLK"])),
        Target("1:1, memory of the vesicle gate", PAPER, 0.0, 1e-9, float(one["memory"].max())),
        *targets(["1:4, largest RM", "1:4, largest RMBLK", "1:4, memory at the 2nd pulse", "1:4, memory at the 25th"],
                 PAPER, (0.00102, 11.9, 0.182, 0.548),
                 (four["RM"], four["RMBLK"], four["memory"][1], four["memory"][24]), relative=0.02),
        Target("1:4, expressed after 30 min", PAPER, 0.0, 1e-9, float(four["expressed"])),
        Target("1:4, rise of U_SE", PAPER, 0.0, 1e-9, float(four["rise"])),
        *targets(["1:4 at 0.05 Hz, memory saturates"], PAPER, [0.116], slow[-1], relative=0.02),
        holds("1:4 opens the vesicle gate at 0.5 Hz", PAPER, four["memory"][1] > 0.15 and four["committed"] > 0),
        holds("1:4 at 0.05 Hz never opens it", PAPER, slow.max() < 0.15),
        *targets(["AMPA conductance at most", "release probability at most"], PAPER, (2.5, 2.1),
                 (bdnf_gain(), 1 + float(one["rise"])), relative=0.02),
    ]


def main() -> None:
    """Compute all targets in double precision."""
    with jax.enable_x64(True):
        rows = table()
    write_targets(rows, Path(__file__).parent)


if __name__ == "__main__":
    main()
