"""Fixed steps for equations that have no closed-form flow; the loop around them is the caller's."""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp

from retrojax.types import PerRow

State = TypeVar("State")


def euler(slope: Callable[[State], State], state: State, step: PerRow) -> State:
    """State after one explicit Euler step, x + step f(x).

    **Arguments**

    - `slope`: derivative of a state, of the same structure. `state`: a pytree of arrays.
    - `step`: length of the step [time unit of `slope`]; one, or one per row.
    """
    return _moved(state, step, slope(state))


def runge_kutta(slope: Callable[[PerRow, State], State], state: State, step: PerRow) -> State:
    """State after one classical fourth-order Runge-Kutta step.

    **Arguments**

    - `slope`: derivative at (time since the start of the step, state). `state`: a pytree of arrays.
    - `step`: length of the step [time unit of `slope`]; one, or one per row. Jumps belong between steps.

    References: Hairer, Norsett & Wanner (1993) Solving Ordinary Differential Equations I, section II.1.
    """
    half = 0.5 * step
    k1 = slope(jnp.zeros_like(step), state)
    k2 = slope(half, _moved(state, half, k1))
    k3 = slope(half, _moved(state, half, k2))
    k4 = slope(step, _moved(state, step, k3))
    mean = jax.tree.map(lambda a, b, c, d: (a + 2 * (b + c) + d) / 6, k1, k2, k3, k4)
    return _moved(state, step, mean)


def _moved(state: State, step: PerRow, slope: State) -> State:
    return jax.tree.map(lambda x, dx: x + step * dx, state, slope)
