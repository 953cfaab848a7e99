"""Depolarisation-induced suppression of inhibition in a minimal model: size, onset, recovery, three drugs.

A postsynaptic step of 0.1-10 s raises calcium from 0.05 to 4 uM. Read: the largest suppression of the IPSC, when it is
reached, when half of it was first reached (both from step onset), and how long from the peak until 1/e of it is left.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from retrojax.numerics import euler
from retrojax.parts.biochemistry import DepolarisationSuppression
from retrojax.testing import Target, holds, targets, write_targets

STEP, LASTS = 1e-3, 100.0
RESTING, DEPOLARISED = 0.05, 4.0
PAPER = "minimal DSI model (two independent computations)"
COLUMNS = ("peak %", "t_peak s", "onset t1/2 s", "recovery 1/e s")
ROWS = {  # depolarisation [s], what is changed, and the four columns
    "0.1 s": (0.1, {}, (6.98, 5.43, 1.34, 22.5)),
    "0.5 s": (0.5, {}, (28.62, 5.31, 1.40, 22.2)),
    "1 s": (1.0, {}, (45.81, 5.21, 1.51, 22.3)),
    "2 s": (2.0, {}, (63.04, 5.11, 1.76, 22.5)),
    "5 s": (5.0, {}, (75.24, 5.94, 1.98, 23.4)),
    "10 s": (10.0, {}, (76.72, 10.10, 2.01, 24.1)),
    "5 s, k_M x 0.15 (JZL184)": (5.0, {"k_M": 0.15}, (78.32, 6.07, 1.83, 72.6)),
    "5 s, S x 0.5": (5.0, {"S": 0.5}, (66.77, 6.86, 2.62, 22.6)),
    "5 s, k_on x 0.01 (AM251)": (5.0, {"k_on": 0.01}, (3.49, 8.45, 3.97, 22.1)),
}


def suppression(model: DepolarisationSuppression, depolarised: float) -> jax.Array:
    """Suppressed fraction at t = 0, 1 ms, 2 ms, ... for a step of `depolarised` seconds."""

    def step(state, k):
        calcium = jnp.where(k * STEP < depolarised - STEP / 2, DEPOLARISED, RESTING)
        state = euler(lambda s: model.slope(s, calcium), state, jnp.asarray(STEP))
        return state, model.suppression(state)

    course = jax.lax.scan(step, model.init(()), jnp.arange(round(LASTS / STEP)))[1]
    return jnp.concatenate([jnp.zeros(1), course])


def readings(course: np.ndarray) -> tuple[float, float, float, float]:
    """The four columns of one time course."""
    peak = int(course.argmax())
    half = int((course >= course[peak] / 2).argmax())
    gone = int((course[peak:] <= course[peak] / np.e).argmax())
    return 100 * course[peak], peak * STEP, half * STEP, gone * STEP


def table() -> list[Target]:
    """All rows, in one batch."""
    default = DepolarisationSuppression()
    models = [DepolarisationSuppression(**{name: float(getattr(default, name)) * factor for name, factor in f.items()})
              for _, f, _ in ROWS.values()]
    batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), *models)
    courses = np.asarray(jax.jit(jax.vmap(suppression))(batch, jnp.asarray([d for d, _, _ in ROWS.values()])))
    rows, read = [], {}
    for (name, (_, _, expected)), course in zip(ROWS.items(), courses, strict=True):
        read[name] = readings(course)
        rows += targets([f"{name}: {column}" for column in COLUMNS], PAPER, expected, read[name], relative=0.01)
    slower = read["5 s, k_M x 0.15 (JZL184)"][3] > 2 * read["5 s"][3]
    return [*rows, holds("blocking MAGL at least doubles the recovery time", PAPER, slower)]


def main() -> None:
    """Compute all targets in double precision."""
    with jax.enable_x64(True):
        rows = table()
    write_targets(rows, Path(__file__).parent)


if __name__ == "__main__":
    main()
