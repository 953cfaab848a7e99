"""One rule for several pathways: shared time constants, gains of each pathway's own, and drugs that remove a term."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from retrojax.engine.events import SpikeTable, run_events
from retrojax.engine.own_spine import OwnSpine, run_own_spine
from retrojax.engine.rows import Synapse, init_state
from retrojax.fit.spec import model_paths
from retrojax.numerics import Draws
from retrojax.parts import GraupnerBrunel, strength_change
from retrojax.parts.threshold_clock import ThresholdClock
from retrojax.types import Scalar


class Pathways(eqx.Module):
    """A kind of synapse that occurs in several pathways.

    **Arguments**

    - `synapse`: its parts, with every shared parameter.
    - `gains`: dotted path inside the synapse -> value in each pathway; these replace the synapse's own.
    - `messengers`: those that reach the synapse's own bouton; none by default.
    - `blocked`: static; dotted paths that are 0 where presynaptic NMDA receptors are blocked.
    - `down_fraction`: beta of a calcium-threshold rule, the fraction of synapses that start DOWN.
    """

    synapse: Synapse
    gains: dict[str, tuple[Scalar, ...]]
    messengers: tuple[OwnSpine, ...]
    down_fraction: Scalar
    blocked: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, synapse: Synapse, gains: dict[str, Any], messengers: tuple[OwnSpine, ...] = (),
                 blocked: tuple[str, ...] = (), down_fraction=0.5):
        self.synapse, self.messengers, self.blocked = synapse, messengers, blocked
        self.gains = {path: tuple(jnp.asarray(x, float) for x in values) for path, values in gains.items()}
        self.down_fraction = jnp.asarray(down_fraction, float)


class PathwayOutcome(eqx.Module):
    """Strength after / before of every row: one protocol in one pathway, with or without the block.

    w = P q/(P0 q0), times the population mean of `strength_change` where one of the rules is the calcium-threshold rule
    (which then runs as the clock of its two thresholds).

    **Arguments**

    - `tables`: one protocol per row, stacked. `pathway`: number of each row's pathway. `block`: NMDA receptors blocked.
    - `stretch`: static; entries between the states a reverse-mode gradient keeps, None for all (`fit.gradient`).
    """

    tables: SpikeTable
    pathway: Int[Array, " n"]
    block: Bool[Array, " n"]
    stretch: int | None = eqx.field(static=True, default=None)

    def __call__(self, model: Pathways) -> Float[Array, " n"]:
        return jax.vmap(lambda *row: self._one(model, *row))(self.tables, self.pathway, self.block)

    def _one(self, model: Pathways, table: SpikeTable, pathway: Array, block: Array) -> Array:
        synapse = _of_row(model, pathway, block)
        clocked = _clocked(synapse)
        draws, start = Draws(jax.random.key(0), jnp.zeros((), jnp.int32)), init_state(clocked, ())
        if model.messengers:
            final = run_own_spine(clocked, model.messengers, start, table, draws, self.stretch)
        else:
            final = run_events(clocked, start, table, draws, stretch=self.stretch)[0]
        w = final.expression.p_release / synapse.p_release * final.expression.q / synapse.q
        for rule, state in zip(synapse.rules, final.rules, strict=True):
            if isinstance(rule, GraupnerBrunel):
                w = w * strength_change(state.time_p, state.time_d, rule, model.down_fraction)
        return w


def _of_row(model: Pathways, pathway: Array, block: Array) -> Synapse:
    """The synapse with the gains of one pathway, and what the block removes taken out."""
    leaves, structure = jax.tree.flatten(model.synapse)
    places = model_paths(model.synapse)
    for path, values in model.gains.items():
        leaves[places[path]] = jnp.stack(values)[pathway]
    for path in model.blocked:
        leaves[places[path]] = jnp.where(block, 0.0, leaves[places[path]])
    return jax.tree.unflatten(structure, leaves)


def carried(model: Pathways) -> int:
    """Numbers that a run of one row carries from event to event."""
    state = jax.eval_shape(lambda: init_state(_clocked(model.synapse), ()))
    return len(jax.tree.leaves(state)) + len(model.messengers)


def _clocked(synapse: Synapse) -> Synapse:
    return Synapse(synapse.spine, synapse.release, tuple(_clock(rule) for rule in synapse.rules), synapse.p_release,
                   synapse.q, synapse.bounds)


def _clock(rule: Any) -> Any:
    return ThresholdClock(rule.theta_d, rule.theta_p) if isinstance(rule, GraupnerBrunel) else rule
