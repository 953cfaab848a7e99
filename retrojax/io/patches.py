"""Sleep stages and interventions: what changes in the model, and when. `Model -> Model`, never touching the engine."""

import dataclasses
import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from retrojax.engine.model import Clocks, Model
from retrojax.errors import InputError
from retrojax.io.hypnogram import load_hypnogram, stretch
from retrojax.io.schema import RunConfig, Stage
from retrojax.parts import CB1, GraupnerBrunel, NitricOxidePotentiation
from retrojax.parts.catalogue import PARTS


@dataclasses.dataclass(frozen=True)
class Patches:
    """What is in force when.

    - `stages`: (tick, name) of every sleep stage in order. `table`: what each stage changes.
    - `pulses`: (start tick, stop tick, where, factor) of every intervention.
    - `messengers`: record values, which say how each sink follows the volume fraction.
    """

    stages: tuple[tuple[int, str], ...]
    table: dict[str, Stage]
    pulses: tuple[tuple[int, int, Callable[[Model], Any], float], ...]
    messengers: dict[str, dict]

    @property
    def edges(self) -> list[int]:
        """Ticks at which something changes."""
        return sorted({tick for tick, _ in self.stages} | {t for start, stop, *_ in self.pulses for t in (start, stop)})

    def stage_at(self, tick: int) -> str | None:
        """Name of the sleep stage in force."""
        names = [name for start, name in self.stages if start <= tick]
        return names[-1] if names else None

    def apply(self, model: Model, tick: int) -> Model:
        """The model in force from that tick on."""
        name = self.stage_at(tick)
        if name is not None:
            model = _staged(model, self.table[name], self.messengers)
        for start, stop, where, factor in self.pulses:
            if start <= tick < stop:
                model = eqx.tree_at(where, model, where(model) * factor)
        return model


def make_patches(config: RunConfig, messengers: dict[str, dict], clocks: Clocks, model: Model, file: Path | None):
    """The patches a config asks for.

    **Raises** `InputError` for a stage of the hypnogram without an entry, or a target that is no parameter.
    """
    tick_ms = config.dt * clocks.steps
    pulses = tuple(
        (round(item.start / tick_ms), round((config.duration if item.stop is None else item.stop) / tick_ms),
         _locate(model, item.target, f"interventions.{number}.target", file), item.multiply)
        for number, item in enumerate(config.interventions)
    )
    if config.sleep is None:
        return Patches((), {}, pulses, messengers)
    coarse = tick_ms * max(clocks.every, default=1)
    night = load_hypnogram(config.sleep.hypnogram)
    runs = stretch(night, config.sleep.start, config.sleep.stop, config.duration, coarse)
    for _, name in runs:
        if name not in config.sleep.stages:
            raise InputError("sleep.stages", f"no entry for stage '{name}'", "one entry per stage in the stretch",
                             f"add sleep.stages.{name}", file)
    stages = tuple((round(start / tick_ms), name) for start, name in runs)
    return Patches(stages, config.sleep.stages, pulses, messengers)


def _staged(model: Model, stage: Stage, records: dict[str, dict]) -> Model:
    """Volume fraction, learning gates and inhibition of a sleep stage.

    Amounts stay where they are when the volume fraction moves (the field is an amount), and a surface sink of rate u
    gives k = u / volume_fraction (and the same of a saturable one).
    """
    messengers = []
    for m in model.messengers:
        base = records[m.name]
        if stage.volume_fraction is not None and base["space"] == "ecs":
            fraction = jnp.asarray(stage.volume_fraction, m.volume_fraction.dtype)
            loss = m.loss * (m.volume_fraction / fraction) if base["sink_kind"] == "surface" else m.loss
            ratio = m.volume_fraction / fraction
            if base["sink_kind"] == "surface" and m.saturable is not None:
                m = eqx.tree_at(lambda x: x.saturable.vmax, m, m.saturable.vmax * ratio)
            m = eqx.tree_at(lambda x: (x.volume_fraction, x.loss), m, (fraction, loss))
        messengers.append(m)
    rules = tuple(_gated(rule, stage) for rule in model.synapse.rules)
    return eqx.tree_at(lambda x: (x.messengers, x.synapse.rules, x.inhibition), model,
                       (tuple(messengers), rules, model.inhibition * stage.inhibition))


def _gated(rule, stage: Stage):
    if isinstance(rule, GraupnerBrunel):
        gates = (rule.gate_p * stage.ltp_gate, rule.gate_d * stage.ltd_gate)
        return eqx.tree_at(lambda r: (r.gate_p, r.gate_d), rule, gates)
    if isinstance(rule, NitricOxidePotentiation):
        return eqx.tree_at(lambda r: r.gate, rule, rule.gate * stage.ltp_gate)
    if isinstance(rule, CB1):
        return eqx.tree_at(lambda r: r.gate, rule, rule.gate * stage.ltd_gate)
    return rule


def targets(model: Model) -> dict[str, Callable[[Model], Any]]:
    """Every parameter an intervention may name."""
    found: dict[str, Callable[[Model], Any]] = {"inhibition": lambda m: m.inhibition}
    for place, messenger in enumerate(model.messengers):
        for name in ("diffusion", "loss", "volume_fraction"):
            found[f"messengers.{messenger.name}.{name}"] = (
                lambda m, i=place, n=name: getattr(m.messengers[i], n))
        if messenger.tonic is not None:
            found[f"messengers.{messenger.name}.tonic"] = lambda m, i=place: m.messengers[i].tonic
        if messenger.saturable is not None:
            found[f"messengers.{messenger.name}.vmax"] = lambda m, i=place: m.messengers[i].saturable.vmax
    for place in range(len(model.reactions)):
        found[f"reactions.{place}.rate"] = lambda m, i=place: m.reactions[i].rate
    for place, rule in enumerate(model.synapse.rules):
        label = next(key for key, part in PARTS.items() if part.cls is type(rule))
        label = f"synthesis.{rule.makes}" if rule.makes else f"rules.{label}"
        for name in vars(rule):
            if eqx.is_inexact_array(getattr(rule, name)):
                found[f"{label}.{name}"] = lambda m, i=place, n=name: getattr(m.synapse.rules[i], n)
    return found


def _locate(model: Model, target: str, field: str, file: Path | None) -> Callable[[Model], Any]:
    known = targets(model)
    if target not in known:
        near = difflib.get_close_matches(target, known, 1, 0.3)
        raise InputError(field, target, "a parameter such as " + ", ".join(list(known)[:6]),
                         f"did you mean '{near[0]}'?" if near else "name a parameter", file)
    return known[target]
