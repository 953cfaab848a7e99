"""A calcium wave along a ring of astrocytes: gap junctions with a threshold recruit neighbours, linear ones do not.

Goldberg, De Pitta, Volman, Berry & Ben-Jacob (2010) PLoS Comput Biol 6:e1000909, in the form and with the parameters of
the code of Stimberg, Goodman, Brette & De Pitta (2019), Fig. 5: 50 cells, one of which a reservoir of IP3 at 1 uM
drives for 20 of every 50 s. As there, the others exchange with a reservoir at 0; without it every cell fires once by
itself some 17 s after the start, neighbour or not. Times of arrival are held against SciPy's solution of the equations
written out here; later firing is irregular and depends on the solver.
"""

from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from scipy.integrate import solve_ivp

from retrojax.parts import Astrocyte, GapJunctions
from retrojax.parts.astrocyte import neighbour_table
from retrojax.testing import Target, holds, targets, write_targets

CELLS, END, DT, FIRES = 50, 410.0, 25.0, 0.5
"""Cells; time [s]; step [ms]; calcium at which a cell counts as firing [uM]."""

DRIVEN, BIAS, ON, PERIOD = CELLS // 2, 1.0, 20.0, 50.0
"""Cell, IP3 [uM] and times [s] of the drive."""

LINEAR = (0.01, 0.03, 0.1, 0.3, 1.0)
"""Strengths of linear junctions [1/s]."""

CODE, PAPER = "equations of Stimberg et al. 2019, Fig. 5, by SciPy", "Goldberg et al. 2010"


def bias_of(t, driven):
    """IP3 of each cell's reservoir [uM] at `t` [s]."""
    return BIAS * driven * (t % PERIOD < ON)


def arrivals(exchange: Callable) -> np.ndarray:
    """Time at which calcium of each cell first rises through `FIRES` [s], infinite if never.

    `exchange` of the IP3 of all cells [uM] is what they receive from their neighbours [uM/ms].
    """
    cell, reservoir = Astrocyte(O_beta=0.0), GapJunctions()
    driven = jnp.arange(CELLS) == DRIVEN

    def step(s, number):
        outside = reservoir.reservoir(bias_of(number * DT / 1000, driven))
        s = cell.step(s, jnp.asarray(DT), jnp.zeros(CELLS), lambda ip3: exchange(ip3) + outside(ip3))
        return s, s.C

    start = cell.init(CELLS, C=0.0, h=0.9, I=0.0)
    C = np.asarray(jax.jit(lambda: jax.lax.scan(step, start, jnp.arange(round(1000 * END / DT)))[1])())
    return first((np.arange(len(C)) + 1) * DT / 1000, C)


def first(times: np.ndarray, C: np.ndarray) -> np.ndarray:
    """The same of calcium [T, A] at `times` [s], linear in between."""
    up = (C[:-1] < FIRES) & (C[1:] >= FIRES)
    k, cells = up.argmax(axis=0), np.arange(C.shape[1])
    share = (FIRES - C[k, cells]) / np.where(up.any(axis=0), C[k + 1, cells] - C[k, cells], 1.0)
    return np.where(up.any(axis=0), times[k] + share * (times[k + 1] - times[k]), np.inf)


def written_out() -> np.ndarray:
    """The same for the published code: its equations in seconds, solved by SciPy between switches of the drive."""
    driven = np.arange(CELLS) == DRIVEN

    def through(difference):
        return -0.09 / 2 * (1 + np.tanh((np.abs(difference) - 0.3) / 0.05)) * np.sign(difference)

    def slope(bias, y):
        C, h, I = y.reshape(3, CELLS)  # noqa: E741
        Q = 1.05 * (I + 0.13) / (I + 0.9434)
        opened = (I / (I + 0.13) * C / (C + 0.08) * h) ** 3
        dC = (6 * opened + 0.1) * (2 - 1.18 * C) - 0.9 * C**2 / (C**2 + 0.05**2)
        dh = (Q / (Q + C) - h) * 0.2 * (Q + C)
        dI = (0.6 / (1 + I / 1.5) * C**2 / (C**2 + 0.1**2) - 4.5 * C**4 / (C**4 + 0.7**4) * I / (I + 1) - 0.05 * I
              + through(I - bias) + through(I - np.roll(I, 1)) + through(I - np.roll(I, -1)))
        return np.concatenate([dC, dh, dI])

    y, times, calcium = np.repeat([0.0, 0.9, 0.0], CELLS), [], []
    switches = np.sort(np.concatenate([np.arange(0, END, PERIOD), np.arange(ON, END, PERIOD), [END]]))
    for begin, end in zip(switches, switches[1:], strict=False):
        read = np.linspace(begin, end, round((end - begin) * 100) + 1)
        bias = bias_of(begin, driven)
        run = solve_ivp(lambda _, y, bias=bias: slope(bias, y), (begin, end), y, "DOP853", read, rtol=1e-7, atol=1e-9)
        y = run.y[:, -1]
        times.append(read)
        calcium.append(run.y[:CELLS].T)
    return first(np.concatenate(times), np.concatenate(calcium))


def rows() -> list[Target]:
    """Arrivals along the ring, and what linear junctions do."""
    cells = np.arange(CELLS)
    neighbours = jnp.asarray(neighbour_table(np.stack([cells, (cells + 1) % CELLS], axis=1), CELLS))
    ours, theirs = arrivals(GapJunctions().network(neighbours)), written_out()
    away = np.abs(cells - DRIVEN)
    linear = [arrivals(lambda ip3, k=k: k / 1000 * jnp.sum(ip3[neighbours] - ip3[:, None], axis=1)) for k in LINEAR]
    reached = [int(np.isfinite(found[away > 0]).sum()) for found in linear]
    print("first firing [s] by distance from the driven cell:", ours[DRIVEN:].round(1))
    return [
        *targets([f"first firing {k} cells away [s]" for k in (0, 1, 2, 12, 24)], CODE,
                 theirs[DRIVEN + np.array([0, 1, 2, 12, 24])], ours[DRIVEN + np.array([0, 1, 2, 12, 24])],
                 absolute=0.02),
        *targets(["largest distance of 50 first firings [s]"], CODE, [0.0], np.abs(ours - theirs).max(),
                 absolute=0.02),
        holds("the wave reaches all 50 cells, each later than the one before", PAPER, np.isfinite(ours).all()
              and all((np.diff(side) > 0).all() for side in (ours[DRIVEN:], ours[DRIVEN::-1]))),
        holds("linear junctions recruit no neighbour, whatever their strength", PAPER, max(reached) == 0),
    ]


def main() -> None:
    """Compute all targets in double precision."""
    with jax.enable_x64(True):
        found = rows()
    write_targets(found, Path(__file__).parent)


if __name__ == "__main__":
    main()
