"""What a part of a synapse is: the hooks the kernel calls, and what each may touch.

A part is written for *one* synapse; every array it meets may carry any row shape. It keeps its parameters in 0-d arrays
(a new value never recompiles) and its state in a `NamedTuple` of arrays. The kernel calls, in this order:

1. `flow` - time passes without a spike, in closed form;
2. `on_landing`, `on_pre`, `on_post` - increments at a spike; every hook reads the same state and all are *summed*;
3. `on_pre` of the release part - vesicles leave, with the values after (2).

At field steps: `emit` (amounts, summed), then `field` (concentration in, factor on release probability out,
multiplied). At slow steps: `slow` (changes, summed). A rule implements the hooks it needs and inherits the neutral
rest.
"""

import abc
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax.numpy as jnp

from retrojax.numerics import Draws
from retrojax.types import PerRow

PartState = Any
"""A NamedTuple of arrays with one common row shape; every part names its own."""


class Expression(NamedTuple):
    """The two strengths every rule may move.

    - `p_release`: release probability P of a rested terminal, before modulation.
    - `q`: postsynaptic quantal amplitude relative to its start.
    """

    p_release: PerRow
    q: PerRow


class Change(NamedTuple):
    """What a hook asks for: increments of its own state, of P and of q. Changes of all rules are summed."""

    state: PartState
    p_release: PerRow | float = 0.0
    q: PerRow | float = 0.0


class CalciumPath(eqx.Module):
    """Calcium of a spine over one flow, and the integrals that rules and messenger synthesis ask of it.

    A path is exponential decay to zero, c(s) = start exp(-s/tau) for 0 <= s <= elapsed. All integrals are closed forms,
    so no rule ever steps through it.

    **Arguments**

    - `start`: calcium at the beginning of the flow [units of theta_d].
    - `tau`: decay time constant [ms].
    - `elapsed`: length of the flow [ms].
    """

    start: PerRow
    tau: PerRow
    elapsed: PerRow

    def integral(self) -> PerRow:
        """Integral of c over the flow [ms]."""
        return -self.tau * self.start * jnp.expm1(-self.elapsed / self.tau)

    def time_above(self, theta: PerRow) -> PerRow:
        """Time spent above `theta` [ms]; crossing at tau ln(start/theta)."""
        return jnp.clip(self.tau * (self._log_start() - jnp.log(theta)), 0.0, self.elapsed)

    def excess(self, theta: PerRow) -> PerRow:
        """Integral of (c - theta) where c is above `theta` [ms]."""
        duration = self.time_above(theta)
        return -self.tau * self.start * jnp.expm1(-duration / self.tau) - theta * duration

    def hill_integral(self, half: PerRow, n: PerRow) -> PerRow:
        """Integral of c^n / (half^n + c^n) over the flow [ms]: (tau/n) ln[(half^n + c0^n) / (half^n + c1^n)].

        Written with x = (c0/half)^n as (tau/n) log1p[x (1 - e) / (1 + x e)], e = exp(-n elapsed/tau), which keeps
        relative precision when the flow is short or calcium low.
        """
        x = jnp.exp(n * (self._log_start() - jnp.log(half)))
        exponent = -n * self.elapsed / self.tau
        return self.tau / n * jnp.log1p(-x * jnp.expm1(exponent) / (1 + x * jnp.exp(exponent)))

    def _log_start(self) -> PerRow:
        # one logarithm serves every threshold and gate; calcium of 0 counts as 1e-30, far below any of them
        return jnp.log(jnp.maximum(self.start, 1e-30))


class AbstractSpine(eqx.Module):
    """Postsynaptic calcium. `delay` [ms] is the time from a presynaptic spike to its calcium (the landing)."""

    delay: eqx.AbstractVar[PerRow]

    @abc.abstractmethod
    def init(self, shape: tuple[int, ...]) -> PartState:
        """Resting state for rows of that shape."""

    @abc.abstractmethod
    def flow(self, s: PartState, elapsed: PerRow) -> tuple[PartState, CalciumPath]:
        """State after `elapsed` ms without a spike, and the calcium path on the way."""

    @abc.abstractmethod
    def on_landing(self, s: PartState) -> PartState:
        """Increments when the calcium of a presynaptic spike arrives."""

    @abc.abstractmethod
    def on_post(self, s: PartState) -> PartState:
        """Increments at a postsynaptic spike."""


class AbstractRelease(eqx.Module):
    """Presynaptic release: short-term plasticity around the release probability `p`."""

    @abc.abstractmethod
    def init(self, shape: tuple[int, ...]) -> PartState:
        """Rested terminal."""

    @abc.abstractmethod
    def flow(self, s: PartState, elapsed: PerRow) -> PartState:
        """State after `elapsed` ms without a spike."""

    @abc.abstractmethod
    def on_pre(self, s: PartState, p: PerRow, draws: Draws) -> tuple[PartState, PerRow]:
        """State after a presynaptic spike, and the fraction of the full response that it released."""


class AbstractRule(eqx.Module):
    """Plasticity, sensing or synthesis. Implement any subset of the hooks.

    `senses` and `makes` name a messenger, or are None; the builder refuses a rule whose messenger the model lacks.
    `needs_voltage` marks rules that only the clocked schedule can run; `modulates` those whose `field` returns a
    factor.
    """

    senses: ClassVar[str | None] = None
    makes: ClassVar[str | None] = None
    needs_voltage: ClassVar[bool] = False
    modulates: ClassVar[bool] = False

    @abc.abstractmethod
    def init(self, shape: tuple[int, ...]) -> PartState:
        """Starting state for rows of that shape."""

    def flow(self, s: PartState, elapsed: PerRow, path: CalciumPath, draws: Draws) -> PartState:
        """State after `elapsed` ms without a spike, given the calcium on the way."""
        return s

    def on_pre(self, s: PartState, expression: Expression) -> Change | None:
        """Changes at a presynaptic spike; None for none."""
        return None

    def on_post(self, s: PartState, expression: Expression) -> Change | None:
        """Changes at a postsynaptic spike; None for none."""
        return None

    def emit(self, s: PartState, elapsed: PerRow) -> tuple[PartState, PerRow | None]:
        """Molecules made since the last field step of the messenger `makes`; None for none."""
        return s, None

    def field(
        self, s: PartState, concentration: PerRow, elapsed: PerRow, expression: Expression
    ) -> tuple[PartState, PerRow | None]:
        """State after a field step at that bouton concentration [nM] of `senses`, and the factor on P; None for 1."""
        return s, None

    def slow(self, s: PartState, expression: Expression, elapsed: PerRow) -> Change | None:
        """Changes of P and q expressed at a slow step; None for none."""
        return None

    def weight(self, s: PartState) -> PerRow | None:
        """Factor on the postsynaptic response that this rule holds; None for 1."""
        return None
