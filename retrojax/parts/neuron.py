"""What the engine asks of a neuron model."""

import abc
from typing import Any, ClassVar

import equinox as eqx

from retrojax.types import Flags, PerRow, Scalar


class AbstractNeuron(eqx.Module):
    """Membranes on the time grid; their state is a NamedTuple of arrays of shape [N], with the potential `v` [mV].

    `receptors`: 1 where excitation and inhibition that arrive together only add, so that they need not be kept apart.
    """

    receptors: ClassVar[int] = 2

    @abc.abstractmethod
    def init(self, count: int) -> Any:
        """Neurons at rest."""

    @abc.abstractmethod
    def step(self, s: Any, dt: Scalar, ex: PerRow, inh: PerRow) -> tuple[Any, Flags]:
        """Advance by `dt`, then add the excitation and inhibition that arrive at its end.

        **Returns** the new state, and which neurons spiked at the end of the step.
        """
