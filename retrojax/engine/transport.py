"""How one messenger spreads in a field step: on uniform tissue, through maps of it, or by a limit without a grid."""

import dataclasses
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float

from retrojax.engine.model import Messenger
from retrojax.space import (
    Grid,
    MapPropagator,
    Medium,
    Propagator,
    Shared,
    advance_driven,
    advance_local,
    advance_maps,
    advance_mean,
    advance_with_exposure,
    correction_kernel,
    exposure_gain,
    exposure_local,
    limit_kernel,
    plan,
    plan_maps,
)
from retrojax.space.limits import Kind
from retrojax.types import Field, PerRow, Scalar


class Limit(eqx.Module):
    """A messenger without a grid: `kind`, `local` or `mean field`, static; first-order `loss` [1/ms]."""

    kind: Kind = eqx.field(static=True)
    loss: Scalar


class TransportPlan(eqx.Module):
    """What the transport of one messenger needs: its propagator, and the gain of the time integral of its field if
    something comes of what it loses (`exposure_gain`); `grid` and `shared`, static, for steps of another length. A
    messenger whose steps are split has in `half` the plan for half a step."""

    propagator: Propagator | MapPropagator | Limit
    exposure: tuple[jax.Array, ...] | None
    elapsed: Scalar
    grid: Grid = eqx.field(static=True)
    shared: Shared | None = eqx.field(static=True, default=None)
    half: "TransportPlan | None" = None


def make_plan(
    messenger: Messenger, grid: Grid, loss: Scalar, elapsed: Scalar, exposed: bool, shared: Shared | None = None
) -> TransportPlan:
    """The plan for field steps of `elapsed` ms with first-order loss `loss` [1/ms]; on maps, the record's part of it
    follows the map.

    On maps the number of terms follows from the rates inside the compiled step, so that an intervention which speeds
    diffusion or loss up is as exact as the start and compiles nothing.

    **Arguments** `exposed`: whether `spread_with_exposure` will be asked; only without maps. `shared`: devices that
    share the step, where it can be shared (`space.plan`).
    """
    if messenger.maps is not None:
        return TransportPlan(plan_maps(grid, medium(messenger, loss), messenger.diffusion, elapsed), None, elapsed,
                             grid, shared)
    if messenger.transport != "grid":
        return TransportPlan(Limit(messenger.transport, loss), () if exposed else None, elapsed, grid, shared)
    # every step of a network has a source, so what steps without one need is left out: it differs with what is traced
    propagator = dataclasses.replace(plan(grid, messenger.diffusion, loss, elapsed, shared=shared), free=None)
    return TransportPlan(propagator, exposure_gain(propagator) if exposed else None, elapsed, grid, shared)


def near_kernel(
    messenger: Messenger, grid: Grid, loss: Scalar, elapsed: Scalar, distance: float, steps: int
) -> Float[jax.Array, "8 J"]:
    """The own-spine kernel (`space.near_field`, `space.near_limits`) of the messenger's kind of transport, for all loss
    `loss` [1/ms], field steps of `elapsed` ms, boutons at `distance` [um], and `steps` ages."""
    if messenger.transport != "grid":
        return limit_kernel(messenger.transport, grid, messenger.diffusion, loss, elapsed, distance, steps)
    return correction_kernel(grid, messenger.diffusion, loss, elapsed, distance, steps)


def medium(messenger: Messenger, loss: Scalar) -> Medium:
    """The messenger's maps in numbers, relative to its D* and volume fraction.

    A common factor of the volume fraction cancels from transport; the loss is that of the fluid, per voxel.
    """
    maps = messenger.maps
    assert maps is not None
    rate = jnp.maximum(loss - messenger.loss, 0.0) + jnp.minimum(messenger.loss, loss) * maps.sink
    rate = rate if maps.drain is None else rate + maps.drain
    return Medium(maps.fraction, maps.tortuosity, rate, jnp.zeros(()))


def spread(plan_: TransportPlan, field: Field, source: Field) -> Field:
    """The field one step later; `source` is constant over the step [nM/ms]."""
    if isinstance(plan_.propagator, MapPropagator):
        return advance_maps(plan_.propagator, field, source)
    if isinstance(plan_.propagator, Limit):
        step = advance_local if plan_.propagator.kind == "local" else advance_mean
        return step(field, source, plan_.propagator.loss, plan_.elapsed)
    return advance_driven(plan_.propagator, field, source)


def spread_with_exposure(plan_: TransportPlan, field: Field, source: Field) -> tuple[Field, Field]:
    """The field one step later, and its time integral over the step [nM ms]. Not on maps."""
    if isinstance(plan_.propagator, Limit):
        spent = exposure_local(field, source, plan_.propagator.loss, plan_.elapsed)
        even = plan_.propagator.kind == "mean field"
        return spread(plan_, field, source), jnp.broadcast_to(spent.mean(), field.shape) if even else spent
    assert isinstance(plan_.propagator, Propagator) and plan_.exposure is not None
    return advance_with_exposure(plan_.propagator, plan_.exposure, field, source)


def room(messenger: Messenger) -> PerRow:
    """Volume fraction that the messenger occupies: one number, or a map of it."""
    return messenger.volume_fraction if messenger.maps is None else messenger.volume_fraction * messenger.maps.fraction


def room_at(messenger: Messenger, at: Callable[[Field], PerRow]) -> PerRow:
    """The same at sites; `at` reads a field there."""
    if messenger.maps is None:
        return messenger.volume_fraction
    return messenger.volume_fraction * at(messenger.maps.fraction)


def own_at(messenger: Messenger, own: PerRow, at: Callable[[Field], PerRow]) -> PerRow:
    """The own-spine amount at sites, which is inversely proportional to D* there, at steady state exactly."""
    return own if messenger.maps is None else own * at(messenger.maps.tortuosity) ** 2


def everywhere(messenger: Messenger, tonic: Scalar) -> PerRow:
    """The tonic source: on maps in proportion to what is lost in a voxel, so that its level is the same everywhere.

    Exact where the messenger is lost by its record only; what is converted by reactions does not follow the map, and
    near a vessel the level is lower.
    """
    return tonic if messenger.maps is None else tonic * messenger.maps.fraction * messenger.maps.sink
