"""What a part of a synapse is: the hooks the kernel calls, and what each may touch.

A part is written for *one* synapse; every array it meets may carry any row shape. It keeps its parameters in 0-d arrays
(a new value never recompiles) and its state in a `NamedTuple` of arrays. The kernel calls, in this order:

1. `flow` - time passes without a spike, in closed form;
2. `on_landing`, `on_pre`, `on_post` - increments at a spike; every hook reads the same state and all are *summed*;
3. `on_pre` of the release part - vesicles leave, with the values after (2).

At field steps: `emit` (amounts, summed), then `field` (concentration in). At slow steps: `slow` (changes, summed). At
a release: `factor` on the release probability and `weight` on the response (both multiplied). What a rule holds on
other parts between field steps (`modulation`, multiplied) is there whenever they flow, jump or release. A rule
implements the hooks it needs and inherits the neutral rest.

Exponential traces of spikes are the engine's: a rule names their time constants and is handed their values. All
synapses of one axon share a presynaptic trace and all of one neuron a postsynaptic one, so a network keeps them there
and not in every synapse.
"""

import abc
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax.numpy as jnp

from retrojax.numerics import Draws, expm1
from retrojax.types import PerRow

PartState = Any
"""A NamedTuple of arrays with one common row shape; every part names its own."""


class NoState(NamedTuple):
    """State of a part that keeps nothing of its own."""


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


class Traces(NamedTuple):
    """Traces of one rule: each rises by 1 at a spike and decays exponentially; read before the spikes of the instant.

    - `pre`: of presynaptic spikes, one per time constant in `pre_traces`. `post`: of postsynaptic ones.
    """

    pre: tuple[PerRow, ...] = ()
    post: tuple[PerRow, ...] = ()


class Modulation(NamedTuple):
    """Factors on other parts that a rule holds between field steps; 1 is neutral.

    - `refill`: on the rate at which vesicles come back. `nmda`: on the calcium of a presynaptic spike.
    - `ltp`, `ltd`: on what rules do to strengthen and to weaken.
    """

    refill: PerRow | float = 1.0
    nmda: PerRow | float = 1.0
    ltp: PerRow | float = 1.0
    ltd: PerRow | float = 1.0


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
        return -self.tau * self.start * expm1(-self.elapsed * (1.0 / self.tau))

    def time_above(self, theta: PerRow) -> PerRow:
        """Time spent above `theta` [ms]; crossing at tau ln(start/theta)."""
        return jnp.clip(self.tau * (self._log_start() - jnp.log(theta)), 0.0, self.elapsed)

    def excess(self, theta: PerRow) -> PerRow:
        """Integral of (c - theta) where c is above `theta` [ms]."""
        duration = self.time_above(theta)
        return -self.tau * self.start * expm1(-duration * (1.0 / self.tau)) - theta * duration

    def hill_integral(self, half: PerRow, n: PerRow) -> PerRow:
        """Integral of c^n / (half^n + c^n) over the flow [ms]: (tau/n) ln[(half^n + c0^n) / (half^n + c1^n)].

        Written with x = (c0/half)^n as (tau/n) log1p[x (1 - e) / (1 + x e)], e = exp(-n elapsed/tau), which keeps
        relative precision when the flow is short or calcium low.
        """
        x = jnp.exp(n * (self._log_start() - jnp.log(half)))
        gone = expm1(self.elapsed * (-n / self.tau))
        return self.tau / n * jnp.log1p(-x * gone / (1 + x + x * gone))

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

    def modulated(self, by: Modulation) -> "AbstractSpine":
        """The spine under `by.nmda`; itself where presynaptic spikes bring no calcium."""
        return self


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

    def modulated(self, by: Modulation) -> "AbstractRelease":
        """The terminal under `by.refill`: its time constant of recovery `tau_rec`, if it has one, divided by that.

        One that draws recovery at a spike takes the factor of that moment.
        """
        if not hasattr(self, "tau_rec"):
            return self
        return eqx.tree_at(lambda r: r.tau_rec, self, self.tau_rec / by.refill)


class AbstractRule(eqx.Module):
    """Plasticity, sensing or synthesis. Implement any subset of the hooks.

    `senses` and `makes` name a messenger, or are None; the builder refuses a rule whose messenger the model lacks.
    `needs_voltage` marks rules that only the clocked schedule can run.
    """

    senses: ClassVar[str | None] = None
    makes: ClassVar[str | None] = None
    needs_voltage: ClassVar[bool] = False

    @abc.abstractmethod
    def init(self, shape: tuple[int, ...]) -> PartState:
        """Starting state for rows of that shape."""

    def pre_traces(self) -> tuple[PerRow, ...]:
        """Time constants of the presynaptic traces this rule reads [ms]; none by default."""
        return ()

    def post_traces(self) -> tuple[PerRow, ...]:
        """Time constants of the postsynaptic traces this rule reads [ms]; none by default."""
        return ()

    def flow(
        self, s: PartState, elapsed: PerRow, path: CalciumPath, pre: tuple[PerRow, ...], draws: Draws
    ) -> PartState:
        """State after `elapsed` ms without a spike, given the calcium on the way and the presynaptic traces at its
        start."""
        return s

    def on_pre(self, s: PartState, expression: Expression, traces: Traces) -> Change | None:
        """Changes at a presynaptic spike; None for none."""
        return None

    def on_post(self, s: PartState, expression: Expression, traces: Traces) -> Change | None:
        """Changes at a postsynaptic spike; None for none."""
        return None

    def emit(self, s: PartState, elapsed: PerRow) -> tuple[PartState, PerRow | None]:
        """Molecules made since the last field step of the messenger `makes`; None for none."""
        return s, None

    def resting(self) -> PerRow | None:
        """Molecules per ms that a spine makes without any spike; None for none. A run starts where that leads."""
        return None

    def most(self, elapsed: PerRow) -> PerRow | None:
        """Most molecules that a field step of `elapsed` ms can yield; None if there is no bound, or nothing is made."""
        return None

    def field(
        self, s: PartState, concentration: PerRow, elapsed: PerRow, expression: Expression, pre: tuple[PerRow, ...]
    ) -> PartState:
        """State after a field step at that bouton concentration [nM] of `senses`; `pre` are the traces at its end."""
        return s

    def overdue(self, before: PartState, after: PartState, elapsed: PerRow, pre: tuple[PerRow, ...]) -> PartState:
        """`after` a field step that met a synapse whose flow of the last `elapsed` ms was still to come.

        That flow will read what the field step left, where it should have read what was there `before`: a rule whose
        flow only adds to a total in proportion to what `field` changes makes the difference good here. `pre` are the
        traces at the start of the flow.
        """
        return after

    def slow(self, s: PartState, expression: Expression, elapsed: PerRow) -> Change | None:
        """Changes of P and q expressed at a slow step; None for none."""
        return None

    def factor(self, s: PartState) -> PerRow | None:
        """Factor on the release probability that this rule holds; None for 1."""
        return None

    def weight(self, s: PartState) -> PerRow | None:
        """Factor on the postsynaptic response that this rule holds; None for 1."""
        return None

    def modulation(self, s: PartState) -> Modulation | None:
        """Factors on other parts that this rule holds; only field steps may change them. None for none."""
        return None

    def modulated(self, by: Modulation) -> "AbstractRule":
        """The rule under `by.ltp` and `by.ltd`; itself where it neither strengthens nor weakens anything."""
        return self


class AbstractSynthesis(AbstractRule):
    """A messenger made at a rate that the spine's calcium gates; its state has a field `activated`.

    What a flow adds to `activated` follows from the calcium path alone, so a network may take stock of it at a field
    step without touching anything else of the synapse.
    """

    @abc.abstractmethod
    def gate(self, path: CalciumPath) -> PerRow:
        """What one flow adds to `activated`."""

    def floor(self) -> PerRow | None:
        """Calcium at or below which the gate is shut, or open by no more than rounding; None if there is no such level.

        Nothing is lost below it: what a flow adds there is handed over with what is made next.
        """
        return None

    def scale(self) -> PerRow:
        """An amount of `activated` of which a rounding may stay behind; only where there is a floor."""
        raise NotImplementedError

    def flow(
        self, s: PartState, elapsed: PerRow, path: CalciumPath, pre: tuple[PerRow, ...], draws: Draws
    ) -> PartState:
        return s._replace(activated=s.activated + self.gate(path))
