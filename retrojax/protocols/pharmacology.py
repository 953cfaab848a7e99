"""Drugs and genotypes as data: what each changes in a model, by how much at which dose, and how fast.

An inhibitor at dose d leaves the share 1 / (1 + (d / IC50)^n) of what it acts on, and adds nothing. Where only one dose
and its effect f are known, n = 1 and IC50 = d f / (1 - f). Where nothing is left at that dose, which implies no IC50,
the curve is that of a hundredth left, lowered so that it ends in nothing at that dose. What an agonist or a scavenger
adds is proportional to the dose. A genotype or condition has no dose.
"""

import functools
import math
from collections.abc import Iterable
from importlib import resources
from typing import Any, Literal, NamedTuple, TypeVar

import equinox as eqx
import yaml
from pydantic import Field, model_validator

from retrojax.engine.matrix import digest
from retrojax.engine.model import Model
from retrojax.engine.rows import Synapse
from retrojax.errors import InputError
from retrojax.messengers import Sourced, bibtex
from retrojax.messengers.record import Frozen
from retrojax.protocols.targets import Place, conversions, targets
from retrojax.units import to_unit
from retrojax.validation import require_known, validate

Anything = TypeVar("Anything", Model, Synapse)

TRACE = 0.01
"""Share left by a dose that is said to leave nothing, for the shape of its curve below that dose. A choice, not a
measurement: it puts the half effect at a hundredth of that dose."""

STEPS = 16
"""Equal steps of the dose in which a drug comes and goes."""


class Effect(Frozen):
    """What a manipulation does to some parameters.

    - `targets`: names as in `targets`. A `*` stands for every messenger in the extracellular space, a name as
      `conversions.proBDNF.BDNF` for all reactions that make the one of the other.
    - `mode`: `multiply` by `value` at the reference dose, or `add` `value` there, in the parameter's base unit.
    - `hill`: exponent n of the dose.

    A `value` of 0 means that nothing is left at the reference dose and above (`TRACE`).
    """

    targets: tuple[str, ...]
    mode: Literal["multiply", "add"] = "multiply"
    value: Sourced
    hill: float = 1.0


class Manipulation(Frozen):
    """A drug, genotype or condition.

    - `kind`: what it is, in words. `dose`: at which the effects are known; None for a genotype or a condition.
    - `onset`, `washout`: time constants with which a drug comes and goes.
    - `note`: what is left out.
    """

    kind: str
    dose: Sourced | None = None
    effects: tuple[Effect, ...] = Field(min_length=1)
    onset: Sourced | None = None
    washout: Sourced | None = None
    note: str = ""

    @model_validator(mode="after")
    def _kinetics(self) -> "Manipulation":
        if (self.dose is None) != (self.onset is None) or (self.dose is None) != (self.washout is None):
            raise InputError("onset", "given for only some of dose, onset, washout", "all three or none",
                             "a drug needs all three, a genotype none")
        return self


class Acting(NamedTuple):
    """What one manipulation does to one parameter at its present dose: x -> x `factor` + `amount`."""

    target: str
    factor: float
    amount: float


@functools.cache
def drugs() -> dict[str, Manipulation]:
    """Every manipulation that comes with the package, by name."""
    file = resources.files("retrojax.protocols").joinpath("drugs.yaml")
    table = yaml.safe_load(file.read_text(encoding="utf-8"))
    found = {name: validate(Manipulation, entry, file.name) for name, entry in table.items()}
    bibtex({key for item in found.values() for value in _sourced(item) for key in value.source.keys})
    return found


def find_drug(name: str, field: str = "drug") -> Manipulation:
    """The manipulation called `name`, in any case. **Raises** `InputError` naming the nearest."""
    by_lower = {known.lower(): known for known in drugs()}
    require_known(by_lower.get(name.lower(), name), drugs(), field)
    return drugs()[by_lower[name.lower()]]


def acting(drug: Manipulation, dose: float | None, share: float = 1.0) -> list[Acting]:
    """What a manipulation does at `share` of a dose.

    **Arguments**

    - `dose`: [nM]; None for the reference dose. `share`: of it that has arrived, or of a condition that holds.
    """
    reference = 1.0 if drug.dose is None else drug.dose.to("nM")
    relative = share * (reference if dose is None else dose) / reference
    return [one for effect in drug.effects for one in _acting(effect, relative, dosed=drug.dose is not None)]


def _acting(effect: Effect, relative: float, dosed: bool) -> Iterable[Acting]:
    """The effect at `relative` times the reference dose; of a condition, at that share of the whole change."""
    value = effect.value.number
    for target in effect.targets:
        if effect.mode == "add":
            yield Acting(target, 1.0, value * relative)
        elif not dosed:
            yield Acting(target, 1 + (value - 1) * relative, 0.0)
        elif value <= 1:
            yield Acting(target, _left(value, relative**effect.hill), 0.0)
        else:
            yield Acting(target, 1 + (value - 1) * relative**effect.hill, 0.0)


def _left(value: float, dose: float) -> float:
    """Share left by a dose, given in multiples of the one that leaves `value`, to the power of the Hill exponent."""
    left = 1 / (1 + (1 / (value if value > 0 else TRACE) - 1) * dose)
    return left if value > 0 else max(left - TRACE, 0.0) / (1 - TRACE)


def half_dose(effect: Effect, dose: Sourced) -> float | None:
    """Dose [nM] that leaves half, as the effect at that dose implies: the IC50, or a choice (`TRACE`) where nothing is
    left; None of what adds or enhances."""
    left, half = effect.value.number, 0.5
    if effect.mode == "add" or left >= 1:
        return None
    if left <= 0:
        left, half = TRACE, 0.5 + 0.5 * TRACE
    return dose.to("nM") * ((1 / half - 1) / (1 / left - 1)) ** (1 / effect.hill)


def places(
    model: Model | Synapse, drug: Manipulation, name: str, field: str, ecs: Iterable[str] = ()
) -> dict[str, tuple[Place, ...]]:
    """Where each target of a manipulation is in a model; those that the model lacks have no place.

    - `name`, `field`: for the error text. `ecs`: messengers that `messengers.*` stands for.

    **Raises** `InputError` if the model has none of them.
    """
    known, turned, found = targets(model), conversions(model), {}
    for target in (target for effect in drug.effects for target in effect.targets):
        each = [target.replace("*", messenger) for messenger in ecs] if "*" in target else \
            turned.get(target, (target,))
        found[target] = tuple(known[one] for one in each if one in known)
    if not any(found.values()):
        raise InputError(field, name, f"a model with {' or '.join(found)}",
                         "add the part or messenger that it acts on, or leave the drug out")
    return found


def applied(model: Anything, drug: Manipulation, where: dict[str, tuple[Place, ...]], dose: float | None,
            share: float = 1.0) -> Anything:
    """The model under a manipulation; arguments as in `acting` and from `places`."""
    for act in acting(drug, dose, share):
        for place in where[act.target]:
            model = eqx.tree_at(place, model, place(model) * act.factor + act.amount)
    return model


def treated(model: Anything, name: str, dose: float | int | str | None = None) -> Anything:
    """A model, or a single synapse, under a steady dose of a drug or with a genotype.

    **Arguments**

    - `name`: as in `retrojax describe drug`. `dose`: with a unit, or in nM; none for a genotype.

    **Raises** `InputError` for an unknown drug, a dose that cannot be used, or a model that the drug cannot act on.
    """
    drug = find_drug(name)
    under = applied(model, drug, places(model, drug, name, "drug"), read_dose(name, dose, "dose"))
    changed: Any = digest(under) if isinstance(under, Model) and under.matrix is not None else under
    return changed


class Course(NamedTuple):
    """Share of a dose that acts from each moment on, until the next; moments in ms, or counted in ticks."""

    moments: tuple[float | int, ...]
    shares: tuple[float, ...]

    def at(self, moment: float | int) -> float:
        """Share at a moment; 0 before the first."""
        return next((s for t, s in zip(reversed(self.moments), reversed(self.shares), strict=True) if t <= moment), 0.0)


def course(start: float, stop: float | None, onset: float, washout: float) -> Course:
    """A dose that comes from `start` on with time constant `onset` and goes from `stop` on with `washout`.

        share = 1 - exp(-(t - start)/onset),   then   share(stop) exp(-(t - stop)/washout)

    in `STEPS` equal steps of the share, each taken when the exponential stands half way. Times in ms; a time constant
    of 0 acts at once; `stop` None means never.
    """
    rising = [(start - onset * math.log1p(-(k + 0.5) / STEPS), (k + 1) / STEPS) for k in range(STEPS)]
    if onset == 0:
        rising = [(start, 1.0)]
    if stop is None:
        return Course(*map(tuple, zip(*rising, strict=True)))
    rising = [(t, share) for t, share in rising if t < stop]
    top = rising[-1][1] if rising else 0.0
    falling = [(stop, 0.0)]
    if washout > 0:
        left = round(top * STEPS)
        falling = [(stop - washout * math.log((k + 0.5) / left), k / STEPS) for k in reversed(range(left))]
    return Course(*map(tuple, zip(*(rising + falling), strict=True))) if rising else Course((), ())


def read_dose(drug: str, dose: object, field: str) -> float | None:
    """A dose as text or number, in nM. **Raises** `InputError` if a drug lacks one or a genotype has one."""
    dosed = find_drug(drug).dose
    if dosed is None:
        if dose is not None:
            raise InputError(field, dose, f"no dose: '{drug}' is no drug", "remove it")
        return None
    if dose is None:
        usual = f"{dosed.number:g} {dosed.unit}"
        raise InputError(field, "missing", f"a concentration, as '{usual}'", "say how much is applied")
    value = to_unit(dose, "nM", field)
    if value < 0:
        raise InputError(field, dose, "a concentration of at least 0", "leave the sign away")
    return value


def _sourced(item: Manipulation) -> list[Sourced]:
    own = [value for value in (item.dose, item.onset, item.washout) if value is not None]
    return own + [effect.value for effect in item.effects]
