"""Reactions between messengers, inside a field step.

A messenger's step takes what others turned into it since its last one as a source, constant over the step, like what
spines made. So species on different clocks may react, the amount is conserved to rounding, and the messenger that is
converted is exact; of its product, only the time course *within* a step is replaced by its mean (second order).
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from retrojax.engine.model import Messenger, Model, Reaction
from retrojax.engine.transport import TransportPlan, everywhere, make_plan, room, spread, spread_with_exposure
from retrojax.numerics import phi1
from retrojax.space import (
    Bound,
    Grid,
    Shared,
    advance_flow,
    bilinear,
    bind,
    flow_steps,
    michaelis_menten,
    quadratic,
    saturable_steps,
)
from retrojax.types import Field, Scalar

MOST_PARTS = 1024
"""Parts of a field step at most."""


class Pools(NamedTuple):
    """Fields of all messengers [nM], and what others have turned into each since its last step [nM]; a messenger that
    nothing turns into has an empty array there. `bound`: what sites hold of each."""

    fields: tuple[Field, ...]
    pending: tuple[jax.Array, ...]
    bound: tuple[tuple[Bound, ...], ...]


def first_order_loss(model: Model, which: int) -> Scalar:
    """Everything that messenger number `which` loses in proportion to what there is [1/ms]."""
    rates = [r.rate for r in model.reactions if r.source == which and r.kind == "first"]
    return sum(rates, start=model.messengers[which].loss)


def linear_loss(model: Model, which: int) -> Scalar:
    """The same, with Michaelis-Menten loss as it is at low concentration, Vmax/Km [1/ms]."""
    messenger = model.messengers[which]
    loss = first_order_loss(model, which)
    return loss if messenger.saturable is None else loss + messenger.saturable.vmax / messenger.saturable.km


def yields(model: Model, which: int) -> bool:
    """Whether something comes of what messenger number `which` loses at first order."""
    return any(r.source == which and r.product is not None and r.kind in ("loss", "first") for r in model.reactions)


def splits_loss(model: Model, which: int) -> bool:
    """Whether first-order loss is split off transport: something comes of it, and no time integral of the field is at
    hand to say how much, as on maps."""
    return yields(model, which) and model.messengers[which].maps is not None


def plan_transport(
    model: Model, grid: Grid, which: int, elapsed: Scalar, shared: Shared | None = None
) -> TransportPlan:
    """The plan for field steps of `elapsed` ms, which devices may share (`space.Shared`)."""
    whole = _plan_part(model, grid, which, elapsed, shared)
    if not is_split(model, which):
        return whole
    return dataclasses.replace(whole, half=_plan_part(model, grid, which, elapsed / 2, shared))


def _plan_part(model: Model, grid: Grid, which: int, elapsed: Scalar, shared: Shared | None) -> TransportPlan:
    """The plan for `elapsed` ms of transport alone."""
    loss, messenger = first_order_loss(model, which), model.messengers[which]
    split = splits_loss(model, which)
    return make_plan(messenger, grid, jnp.zeros_like(loss) if split else loss, elapsed,
                     yields(model, which) and not split, shared)


def no_pending(model: Model, grid: Grid) -> tuple[jax.Array, ...]:
    """Nothing under way: one field per messenger that others turn into or astrocytes release, and empty arrays."""
    made: set[int | None] = {r.product for r in model.reactions}
    if model.astrocytes is not None:
        made |= {secretion.messenger for secretion in model.astrocytes.secretions}
    return tuple(jnp.zeros(grid.shape if which in made else (0, 0, 0)) for which in range(len(model.messengers)))


def is_split(model: Model, which: int) -> bool:
    """Whether something of messenger number `which` is split off its transport: what is not linear in it, what depends
    on another messenger, loss that yields something on maps, binding and flow."""
    messenger, kinds = model.messengers[which], [r.kind for r in model.reactions if r.source == which]
    return (messenger.saturable is not None or splits_loss(model, which) or bool(messenger.binding)
            or messenger.flow is not None or "catalysed" in kinds or "second" in kinds)


def parts_needed(model: Model, which: int, fields: tuple[Field, ...], source: Field, elapsed: Scalar) -> Int[Array, ""]:
    """Parts into which a step of `elapsed` ms is split, for an error of at most 1 % beside a one-voxel source.

    What is split off takes at most `space.saturable.LARGEST_PART` of the messenger in a part: at low concentration for
    saturable loss, at the largest there is and is to come of the `source` [nM/ms] for reactions and binding. At most
    `MOST_PARTS`.
    """
    messenger, rate = model.messengers[which], jnp.zeros(())
    sink = 1.0 if messenger.maps is None else jnp.max(messenger.maps.sink)
    if messenger.saturable is not None:
        rate = rate + messenger.saturable.vmax * sink / messenger.saturable.km
    if splits_loss(model, which):
        rate = rate + messenger.loss * sink + (first_order_loss(model, which) - messenger.loss)
    for r in model.reactions:
        if r.source == which and r.kind == "catalysed" and r.catalyst is not None:
            rate = rate + r.rate * jnp.max(fields[r.catalyst] / room(model.messengers[r.catalyst]))
        elif r.source == which and r.kind == "second":
            rate = rate + 2 * r.rate * jnp.max((fields[which] + elapsed * source) / room(messenger))
    for site in messenger.binding:
        most = jnp.maximum(jnp.max(fields[which] + elapsed * source), jnp.max(site.sites))
        rate = rate + jnp.max(site.k_on / room(messenger)) * most + jnp.max(site.k_off + site.internalisation)
    parts = saturable_steps(elapsed, jax.lax.stop_gradient(rate), 1.0)
    if messenger.flow is not None:  # no part carries more than half a voxel's fluid away
        parts = jnp.maximum(parts, flow_steps(messenger.flow, room(messenger), elapsed))
    return jnp.clip(parts, 1, MOST_PARTS)


def transport(model: Model, plan_: TransportPlan, which: int, pools: Pools, source: Field) -> Pools:
    """One field step of messenger number `which` without its synapses: sources, spread, loss and reactions.

    **Arguments**

    - `source`: what spines made, per voxel [nM/ms], constant over the step.

    What `is_split` names alternates with transport in `parts_needed` parts, half a part of transport coming first and
    last (Strang 1968 SIAM J Numer Anal 5:506). Their number follows from the fields, so such a messenger has
    forward-mode derivatives only; a drug or a burst that speeds a reaction up is as exact as the start.
    """
    messenger, pending = model.messengers[which], list(pools.pending)
    if messenger.tonic is not None:
        source = source + everywhere(messenger, messenger.tonic)
    if pending[which].size:
        source = source + pending[which] / plan_.elapsed
        pending[which] = jnp.zeros_like(pending[which])
    pools = pools._replace(pending=tuple(pending))
    if not is_split(model, which):
        return _spread(model, plan_, which, pools, source)
    parts = parts_needed(model, which, pools.fields, source, plan_.elapsed)
    length = plan_.elapsed / parts

    def rebuilt() -> tuple[TransportPlan | None, ...]:
        return tuple(_plan_part(model, plan_.grid, which, each, plan_.shared) for each in (length / 2, length))

    # a step in one part has no whole one; what halves need was built outside the scan
    half, whole = jax.lax.cond(parts == 1, lambda: (plan_.half, plan_.half), rebuilt)
    pools = _spread(model, half, which, pools, source)
    pools = jax.lax.fori_loop(
        1, parts, lambda _, p: _spread(model, whole, which, _reacted(model, which, p, length), source), pools)
    return _spread(model, half, which, _reacted(model, which, pools, length), source)


def _spread(model: Model, plan_: TransportPlan, which: int, pools: Pools, source: Field) -> Pools:
    """Transport with first-order loss, and what comes of that loss."""
    messenger, fields, pending = model.messengers[which], list(pools.fields), list(pools.pending)
    if plan_.exposure is None:
        fields[which] = spread(plan_, fields[which], source)
    else:
        fields[which], spent = spread_with_exposure(plan_, fields[which], source)
        for r in model.reactions:
            if r.source == which and r.product is not None and r.kind in ("loss", "first"):
                rate = messenger.loss if r.kind == "loss" else r.rate
                pending[r.product] = pending[r.product] + r.share * rate * spent
    return pools._replace(fields=tuple(fields), pending=tuple(pending))


def _reacted(model: Model, which: int, pools: Pools, elapsed: Scalar) -> Pools:
    """What transport leaves out of messenger number `which`, voxel by voxel."""
    messenger, fields, pending = model.messengers[which], list(pools.fields), list(pools.pending)

    def give(reaction: Reaction, amount) -> None:
        if reaction.product is not None:
            pending[reaction.product] = pending[reaction.product] + reaction.share * amount

    if messenger.saturable is not None:
        left = saturated(messenger, fields[which], elapsed)
        for r in (r for r in model.reactions if r.source == which and r.kind == "loss"):
            give(r, fields[which] - left)
        fields[which] = left
    if splits_loss(model, which):
        assert messenger.maps is not None
        own, held = messenger.loss * messenger.maps.sink, fields[which]
        rate = own + (first_order_loss(model, which) - messenger.loss)
        spent = held * elapsed * phi1(rate * elapsed)
        fields[which] = held - rate * spent
        for r in (r for r in model.reactions if r.source == which and r.kind in ("loss", "first")):
            give(r, (own if r.kind == "loss" else r.rate) * spent)
    for r in model.reactions:
        if r.source == which and r.kind == "catalysed" and r.catalyst is not None:
            partner = fields[r.catalyst] / room(model.messengers[r.catalyst])
            fields[which], gone = bilinear(fields[which], r.rate, partner, elapsed)
            give(r, gone)
        elif r.source == which and r.kind == "second":
            fields[which], gone = quadratic(fields[which], r.rate, room(messenger), elapsed)
            give(r, gone)
    sites = list(pools.bound[which])
    for kind, site in enumerate(messenger.binding):
        fields[which], sites[kind], _ = bind(site, fields[which], sites[kind], room(messenger), elapsed)
    if messenger.flow is not None:
        fields[which] = advance_flow(messenger.flow, fields[which], room(messenger), elapsed)
    bound = tuple(tuple(sites) if k == which else each for k, each in enumerate(pools.bound))
    return Pools(tuple(fields), tuple(pending), bound)


def saturated(messenger: Messenger, field: Field, elapsed: Scalar) -> Field:
    """Amounts after Michaelis-Menten loss alone; an amount below 0 by rounding stays."""
    assert messenger.saturable is not None
    inside, vmax = room(messenger), messenger.saturable.vmax
    if messenger.maps is not None:
        vmax = vmax * messenger.maps.sink
    left = michaelis_menten(jnp.maximum(field, 0.0) / inside, vmax * elapsed, messenger.saturable.km)
    return jnp.where(field > 0, left * inside, field)


def in_order(reactions: list[tuple[str, str | None]], names: list[str]) -> list[str]:
    """`names` with every messenger before those it turns into, otherwise as they stand; of a cycle, as they stand."""
    ordered: list[str] = []

    def put(name: str, above: tuple[str, ...]) -> None:
        if name in ordered or name in above:
            return
        for source, product in reactions:
            if product == name:
                put(source, (*above, name))
        ordered.append(name)

    for name in names:
        put(name, ())
    return ordered
