"""What the synapses of a network show during a recording in which it is known who fired when."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from retrojax.engine.given import run_given
from retrojax.engine.kernel import effective_p, strength
from retrojax.engine.model import Clocks, Model, NetworkState, Tissue
from retrojax.engine.rows import unpack
from retrojax.errors import InputError


class NetworkOutcome(eqx.Module):
    """Release probability or strength of every synapse, relative to its start, at equally spaced times of a recording.

    The network runs clocked with the given spikes (`engine.given.run_given`), so a fit may move everything between one
    spine and another's bouton: emission, D*, loss, volume fraction, receptors, rules. Paths of a spec start at the
    model: `messengers.0.diffusion`, `synapse.rules.1.rate`.

    **Arguments**

    - `tissue`, `state`, `clocks`: wiring and geometry, the state at the start, and the time structure (static), as of a
      network run on the clocked schedule.
    - `fired`: who spikes at which step of which tick before each of R readings; sources count on after the neurons.
    - `quantity`: static; `P`, release probability with the factors that rules hold on it, or `w`, that times the
      postsynaptic response to a full release.

    **Returns**, called with a `Model`, R x S numbers: all S synapses at the first reading, then at the next.

    **Raises** `InputError` for another quantity, or spikes that do not fill whole ticks of this network.

    **Limits** Those of `run_given`: membranes do not fire by themselves, astrocytes do not step, and the spine's delay
    and dt have no gradient.
    """

    tissue: Tissue
    state: NetworkState
    fired: Bool[Array, "R T steps A"]
    clocks: Clocks = eqx.field(static=True)
    quantity: str = eqx.field(static=True, default="P")

    def __check_init__(self):
        if self.quantity not in ("P", "w"):
            raise InputError("quantity", self.quantity, "P or w", "choose one of the two")
        expected = (self.clocks.steps, self.state.fired.shape[1])
        if self.fired.shape[2:] != expected:
            raise InputError("fired", f"shape {self.fired.shape}", f"(readings, ticks, {expected[0]} steps of a tick, "
                             f"{expected[1]} neurons and sources)", "cut the recording into whole ticks")

    def __call__(self, model: Model) -> Float[Array, " n"]:
        def stretch(state: NetworkState, fired: Array) -> tuple[NetworkState, Array]:
            state = run_given(model, self.tissue, state, self.clocks, fired)
            return state, self._shown(model, state)

        seen = jax.lax.scan(stretch, self.state, self.fired)[1]
        return (seen / self._shown(model, self.state)).ravel()

    def _shown(self, model: Model, state: NetworkState) -> Float[Array, " S"]:
        synapses = unpack(model.synapse, state.rows)
        p = jnp.broadcast_to(effective_p(model.synapse, synapses), state.rows.shape[1:])
        return p if self.quantity == "P" else p * strength(model.synapse, synapses)
