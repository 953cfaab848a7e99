"""How each messenger of a config spreads: on the grid, or by a limit without one; decided before a run is built."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp

from retrojax.engine.model import Maps, Reaction
from retrojax.engine.reactions import MOST_PARTS
from retrojax.errors import InputError
from retrojax.io.parts import total_loss
from retrojax.io.schema import RunConfig
from retrojax.protocols.pharmacology import find_drug
from retrojax.space import Grid, Regime, limit_steps, regime, saturable_steps, steps_needed


def choose_transports(
    config: RunConfig, grid: Grid, values: dict[str, dict[str, Any]], reactions: tuple[Reaction, ...],
    maps: dict[str, Maps],
) -> dict[str, Regime]:
    """Kind of transport, reach awake and why, of every messenger.

    With `transport: auto` the limit that the reach asks for (`space.regime`), if it does so in every sleep stage, at
    low concentration and where saturable loss is saturated, and no intervention changes the reach; else the grid.

    **Raises** `InputError` for a limit asked for on maps, or `mean field` in a box with absorbing walls.
    """
    lost = total_loss(values, reactions)
    return {name: _choice(config, grid, name, v, lost[name], name in maps) for name, v in values.items()}


def _choice(config: RunConfig, grid: Grid, name: str, v: dict[str, Any], loss: float, on_maps: bool) -> Regime:
    asked, field = v["transport"], f"messengers.{name}.transport"
    found = regime(grid, v["diffusion"], loss, v["step"])
    if on_maps:
        if asked in ("local", "mean field"):
            raise InputError(field, asked, "auto or grid on maps of the medium",
                             "leave out what makes the medium differ between voxels, or take the grid")
        return Regime("grid", found.reach, f"a reach of {found.reach:.3g} um on average; on maps it is the grid")
    needs_grid = {"flow": v["flow"] is not None, "binding": v["binding"],
                  "near_field: pairs": config.grid.near_field == "pairs"}
    what = next((need for need, given in needs_grid.items() if given), None)
    if what is not None:
        if asked in ("local", "mean field"):
            raise InputError(field, asked, f"auto or grid with {what}", f"remove the {what}, or take the grid")
        return Regime("grid", found.reach, f"a reach of {found.reach:.3g} um; with {what} it is the grid")
    if asked == "mean field" and "absorbing" in grid.boundary:
        raise InputError(field, asked, "auto, grid or local where a wall absorbs", "take the grid")
    if asked != "auto" and asked != found.kind:
        return Regime(asked, found.reach, f"as asked; the reach would call for the {found.kind}: {found.why}")
    if asked != "auto" or found.kind == "grid":
        return found
    others = [regime(grid, v["diffusion"], other, v["step"]).kind for other in _losses(config, v, loss)]
    if any(kind != found.kind for kind in others):
        return Regime("grid", found.reach, f"a reach of {found.reach:.3g} um calls for the limit '{found.kind}' awake "
                      "and at low concentration, but not in every sleep stage or at every concentration")
    changed = _changed(config, name, v)
    if changed:
        return Regime("grid", found.reach, f"a reach of {found.reach:.3g} um calls for the limit '{found.kind}', but "
                      f"{changed} changes it")
    return found


def _losses(config: RunConfig, v: dict[str, Any], loss: float) -> list[float]:
    """First-order loss with saturable loss at low concentration and out of the way, awake and in every stage."""
    stages = {} if config.sleep is None else config.sleep.stages
    ratios = [1.0]
    if v["sink_kind"] == "surface" and v["space"] == "ecs":
        ratios += [v["volume_fraction"] / s.volume_fraction for s in stages.values() if s.volume_fraction]
    linear = loss - v["vmax"] / v["km"]
    converted = linear - v["loss"]
    return [converted + ratio * own for ratio in ratios for own in (v["loss"], v["loss"] + v["vmax"] / v["km"])]


def _changed(config: RunConfig, name: str, v: dict[str, Any]) -> str | None:
    """The first intervention that acts on what the reach depends on, or nothing."""
    for number, item in enumerate(config.interventions):
        named = [item.target] if item.target is not None else \
            [target for effect in find_drug(str(item.drug)).effects for target in effect.targets]
        if any(_acts_on(str(target), name, v["space"] == "ecs") for target in named):
            return f"interventions.{number}"
    return None


def _acts_on(target: str, name: str, ecs: bool) -> bool:
    words = target.split(".")
    if words[0] in ("reactions", "conversions"):
        return True
    if words[0] == "matrix":
        return ecs
    return (words[0] == "messengers" and (words[1] == name or (words[1] == "*" and ecs))
            and words[-1] in ("diffusion", "loss", "vmax", "volume_fraction"))


class Split(NamedTuple):
    """Into how many `parts` a field step is split, at least; `varies` with what there is to react, bind or flow."""

    parts: int
    varies: bool

    def __str__(self) -> str:
        more = " or more, by what there is to react, bind or flow," if self.varies else ""
        return f"{self.parts} part{'s' * (self.parts > 1)}{more} per field step, for a splitting error within 1 %"


def split_parts(
    values: dict[str, dict[str, Any]], reactions: tuple[Reaction, ...], maps: dict[str, Maps]
) -> dict[str, Split]:
    """The parts of a field step of every messenger of which something is split off transport
    (`engine.reactions.parts_needed`)."""
    found = {}
    for place, (name, v) in enumerate(values.items()):
        own = [r for r in reactions if r.source == place]
        sink = float(maps[name].sink.max()) if name in maps else 1.0
        rate = v["vmax"] * sink / v["km"]
        if name in maps and any(r.product is not None and r.kind in ("loss", "first") for r in own):
            rate += v["loss"] * sink + sum(float(r.rate) for r in own if r.kind == "first")
        varies = bool(v["binding"]) or v["flow"] is not None or any(r.kind in ("catalysed", "second") for r in own)
        for site in v["binding"]:
            rate += float(jnp.max(site.k_on * site.sites / v["volume_fraction"] + site.k_off + site.internalisation))
        if rate > 0 or varies:
            found[name] = Split(min(int(saturable_steps(v["step"], rate, 1.0)), MOST_PARTS), varies)
    return found


def near_steps(
    grid: Grid, values: dict[str, dict[str, Any]], lost: dict[str, float], kinds: dict[str, Regime], distance: float
) -> tuple[int, ...]:
    """Field steps of release that each messenger's own-spine term remembers, for boutons at `distance` [um]."""
    def count(name: str, v: dict[str, Any]) -> int:
        steps: Callable = steps_needed if kinds[name].kind == "grid" else \
            lambda *each: limit_steps(kinds[name].kind, *each)
        return steps(grid, v["diffusion"], lost[name], v["step"], distance)

    return tuple(count(name, v) for name, v in values.items())
