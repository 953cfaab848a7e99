"""Sleep stages and interventions: what changes in the model, and when. `Model -> Model`, never touching the engine."""

import dataclasses
from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp

from retrojax.engine.matrix import digest
from retrojax.engine.model import Clocks, Model
from retrojax.errors import InputError
from retrojax.io.hypnogram import load_hypnogram, stretch
from retrojax.io.schema import Intervention, RunConfig, Stage
from retrojax.parts.base import Modulation
from retrojax.protocols.pharmacology import Course, Manipulation, applied, course, find_drug, places, read_dose
from retrojax.protocols.targets import Place, find_target


class Dosing(NamedTuple):
    """A drug over time: `course` in ticks, the `dose` [nM] that comes and goes, and where it acts."""

    course: Course
    drug: Manipulation
    dose: float | None
    where: dict[str, tuple[Place, ...]]


@dataclasses.dataclass(frozen=True)
class Patches:
    """What is in force when.

    - `stages`: (tick, name) of every sleep stage in order. `table`: what each stage changes.
    - `pulses`: (start tick, stop tick, where, factor) of every parameter that is multiplied. `doses`: of every drug.
    - `messengers`: record values, which say how each sink follows the volume fraction.
    """

    stages: tuple[tuple[int, str], ...]
    table: dict[str, Stage]
    pulses: tuple[tuple[int, int, Place, float], ...]
    doses: tuple[Dosing, ...]
    messengers: dict[str, dict]

    @property
    def edges(self) -> list[int]:
        """Ticks at which something changes."""
        return sorted({tick for tick, _ in self.stages} | {t for start, stop, *_ in self.pulses for t in (start, stop)}
                      | {int(t) for one in self.doses for t in one.course.moments})

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
        for one in self.doses:
            model = applied(model, one.drug, one.where, one.dose, one.course.at(tick))
        return model if model.matrix is None else digest(model)


def make_patches(config: RunConfig, messengers: dict[str, dict], clocks: Clocks, model: Model, file: Path | None):
    """The patches a config asks for.

    **Raises** `InputError` for a stage of the hypnogram without an entry, or a target that is no parameter.
    """
    tick_ms = config.dt * clocks.steps
    pulses = tuple(
        (round(item.start / tick_ms), round((config.duration if item.stop is None else item.stop) / tick_ms),
         find_target(model, str(item.target), f"interventions.{number}.target"), float(item.multiply or 0.0))
        for number, item in enumerate(config.interventions) if item.drug is None
    )
    doses = tuple(_dosing(model, item, number, tick_ms, messengers) for number, item in enumerate(config.interventions)
                  if item.drug is not None)
    if config.sleep is None:
        return Patches((), {}, pulses, doses, messengers)
    coarse = tick_ms * max(clocks.every, default=1)
    night = load_hypnogram(config.sleep.hypnogram)
    runs = stretch(night, config.sleep.start, config.sleep.stop, config.duration, coarse)
    for _, name in runs:
        if name not in config.sleep.stages:
            raise InputError("sleep.stages", f"no entry for stage '{name}'", "one entry per stage in the stretch",
                             f"add sleep.stages.{name}", file)
    stages = tuple((round(start / tick_ms), name) for start, name in runs)
    return Patches(stages, config.sleep.stages, pulses, doses, messengers)


def _dosing(model: Model, item: Intervention, number: int, tick_ms: float, records: dict[str, dict]) -> Dosing:
    """A drug of the config with its course in ticks."""
    name, field = str(item.drug), f"interventions.{number}"
    drug = find_drug(name, f"{field}.drug")
    own = [0.0 if value is None else value.to("ms") for value in (drug.onset, drug.washout)]
    onset, washout = (fallback if given is None else given
                      for given, fallback in zip((item.onset, item.washout), own, strict=True))
    moments, shares = course(item.start, item.stop, onset, washout)
    ecs = [messenger for messenger, record in records.items() if record["space"] == "ecs"]
    return Dosing(Course(tuple(round(t / tick_ms) for t in moments), shares), drug,
                  read_dose(name, item.dose, f"{field}.dose"), places(model, drug, name, f"{field}.drug", ecs))


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
    gates = Modulation(ltp=stage.ltp_gate, ltd=stage.ltd_gate)
    rules = tuple(rule.modulated(gates) for rule in model.synapse.rules)
    return eqx.tree_at(lambda x: (x.messengers, x.synapse.rules, x.inhibition), model,
                       (tuple(messengers), rules, model.inhibition * stage.inhibition))
