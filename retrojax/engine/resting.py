"""Where a run starts: what tonic sources and spines at rest keep up, and everything in balance with it. Host only."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from retrojax.engine.field_step import sense
from retrojax.engine.model import Messenger, Model
from retrojax.engine.reactions import first_order_loss
from retrojax.engine.rows import SynapseState
from retrojax.engine.transport import everywhere, make_plan, room, room_at, spread
from retrojax.space import Binding, Bound, Grid
from retrojax.types import Field, PerRow, Scalar
from retrojax.units import MOLECULES_PER_NM_UM3

BALANCE_MS = 1e7
"""Time in which receptors come into balance with what is there at rest [ms]."""


def resting_made(model: Model, which: int, count: int) -> np.ndarray:
    """What each of `count` spines makes of messenger number `which` at rest [molecules/ms]; host only."""
    rates = [rule.resting() for rule in model.synapse.rules if rule.makes == model.messengers[which].name]
    return sum((np.broadcast_to(np.asarray(rate, float), count) for rate in rates if rate is not None),
               start=np.zeros(count))


def resting_release(model: Model, which: int, count: int) -> np.ndarray:
    """What each of them releases into the medium [molecules/ms]; host only."""
    made, cis = resting_made(model, which, count), model.messengers[which].cis
    return made if cis is None else made * (1 - float(cis.fraction))


def resting_fields(model: Model, grid: Grid, spines: Int[np.ndarray, " S"]) -> tuple[Field, ...]:
    """Fields [nM] that tonic sources and what spines release at rest keep up, where a run starts; host only.

    **Arguments**

    - `spines`: voxel of every synapse, in the model's order.

    Exact for transport, first-order loss and conversion. Michaelis-Menten loss is taken at the messenger's tonic level,
    which is exact where that level is uniform; reactions of second order and internalisation are left out. A messenger
    without first-order loss starts at 0.
    """
    volume = MOLECULES_PER_NM_UM3 * grid.voxel_volume
    sources, fields = [], []
    for which in range(len(model.messengers)):
        per_voxel = np.bincount(spines, resting_release(model, which, spines.size), grid.n_voxels)
        sources.append(jnp.asarray(per_voxel.reshape(grid.shape) / volume, float))
    for which, messenger in enumerate(model.messengers):
        loss = first_order_loss(model, which)
        if messenger.saturable is not None:
            loss = loss + messenger.saturable.vmax / (messenger.saturable.km + messenger.saturable.level)
        source = sources[which]
        if messenger.tonic is not None:
            source = source + everywhere(messenger, messenger.tonic)
        field = _settled(messenger, grid, loss, source)
        fields.append(field)
        for r in model.reactions:
            if r.source == which and r.product is not None and r.kind in ("loss", "first"):
                rate = r.rate if r.kind == "first" else loss - first_order_loss(model, which) + messenger.loss
                if r.kind == "loss" and messenger.maps is not None:
                    rate = rate * messenger.maps.sink
                sources[r.product] = sources[r.product] + r.share * rate * field
    return tuple(fields)


def resting_bound(model: Model, fields: tuple[Field, ...]) -> tuple[tuple[Bound, ...], ...]:
    """What sites hold of each messenger in balance with its field [nM], where a run starts; host only.

        b = k_on c (B - i) / (k_on c + k_off + k_int),    i = k_int b / k_rec

    A site that takes up and never returns would all be inside at rest; it starts with none inside.
    """
    def held(messenger: Messenger, field: Field, site: Binding) -> Bound:
        grip, back = site.k_on * field / room(messenger), site.recycling > 0
        inside = jnp.where(back, site.internalisation / jnp.where(back, site.recycling, 1), 0)
        complexes = grip * site.sites / (grip * (1 + inside) + site.k_off + site.internalisation)
        return Bound(complexes, inside * complexes)

    return tuple(tuple(held(m, f, site) for site in m.binding) for m, f in zip(model.messengers, fields, strict=True))


def _settled(messenger: Messenger, grid: Grid, loss: Scalar, source: Field) -> Field:
    """The field that a source keeps up, or 0 without a source or loss; host only."""
    nothing = jnp.zeros(grid.shape)
    if not float(loss) > 0 or not float(jnp.max(source)) > 0:
        return nothing
    if messenger.saturable is not None:  # its loss follows the map like the first-order one of the record
        more = messenger.saturable.vmax / (messenger.saturable.km + messenger.saturable.level)
        messenger = eqx.tree_at(lambda m: m.loss, messenger, messenger.loss + more)
    # after 100 time constants nothing is left of the start
    return spread(make_plan(messenger, grid, loss, 100.0 / loss, False), nothing, source)


def settle_receptors(
    model: Model, state: SynapseState, fields: tuple[Field, ...], at_boutons: Callable[[Field], PerRow]
) -> SynapseState:
    """Synapses whose receptors are in balance with the messengers that are there at rest; host only."""
    for messenger, field in zip(model.messengers, fields, strict=True):
        if float(jnp.max(field)) > 0:
            conc = jnp.maximum(at_boutons(field), 0.0) / room_at(messenger, at_boutons)
            state = sense(model.synapse, state, messenger.name, conc, jnp.asarray(BALANCE_MS))
    return state


def resting_levels(model: Model, fields: tuple[Field, ...]) -> Float[jax.Array, "M 3"]:
    """Concentrations at the start [nM]: the mean over the box for the mean at boutons, and the largest anywhere."""
    rows = []
    for m, f in zip(model.messengers, fields, strict=True):
        mean = jnp.mean(f) / m.volume_fraction
        rows.append(jnp.stack([mean, mean, jnp.max(f / room(m))]))
    return jnp.stack(rows) if rows else jnp.zeros((0, 3))
