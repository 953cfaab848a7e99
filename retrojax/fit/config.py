"""The config of a fit as pydantic models, and the problem, model and spec that it describes."""

import re
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from pydantic import AfterValidator, Field, model_validator

from retrojax.engine.events import stack_tables
from retrojax.engine.rows import Bounds, Synapse
from retrojax.errors import InputError
from retrojax.fit.data_config import PointsFile, points_from_file
from retrojax.fit.problem import QUANTITIES, PairOutcome, Problem, uses_calcium
from retrojax.fit.spec import Parameter, Spec, Transform, check_spec
from retrojax.parts.choice import PartChoice, Section, make_part, quantity
from retrojax.protocols import Protocol, bursts, pairs
from retrojax.units import to_unit

Rate = quantity("Hz", 1e-6, 1e3)
Lag = quantity("ms", -1e5, 1e5)
Span = quantity("ms", 0, 1e9)
Number = quantity("1", -1e9, 1e9)
Positive = quantity("1", 1e-12, 1e9)
Fraction = quantity("1", 0, 1)


class Point(Section):
    """One measured condition: strength after / before, mean and standard error over n cells."""

    protocol: str
    rate: Rate
    delta_t: Lag
    mean: Number
    sem: Positive
    n: int = Field(ge=1)


class Assumption(Section):
    """A value that no experiment of this set measured but the fit should respect: P or q, relative to the start."""

    protocol: str
    rate: Rate
    delta_t: Lag
    quantity: Literal["P", "q"]
    value: Number
    sd: Positive


class Data(Section):
    """The points, here or in a CSV file, where they are from, and what is left out together for the held-out score."""

    citation: str
    points: list[Point] = Field(min_length=1)
    assumptions: list[Assumption] = []
    hold_out: Literal["rate", "delta_t", "none"] = "rate"

    @model_validator(mode="before")
    @classmethod
    def _read_file(cls, given: Any) -> Any:
        """Points of `file` take its place, so that what was fitted stands in the resolved config."""
        if not isinstance(given, dict) or "file" not in given:
            return given
        if "points" in given:
            raise InputError("points", "beside `file`", "points, or a file", "remove one of the two")
        read = points_from_file(PointsFile.model_validate(given["file"]))
        return {**{key: value for key, value in given.items() if key != "file"}, "points": read}


class ProtocolChoice(Section):
    """Pairs at a steady rate, or bursts of pairs."""

    kind: Literal["pairs", "bursts"]
    count: int = Field(ge=1, description="pairs, or bursts")
    per_burst: int = Field(5, ge=1)
    every: Span = Field(10_000.0, description="from burst start to burst start")

    def make(self, rate: float, delta_t: float) -> Protocol:
        """Spike times at that rate [Hz] and t_post - t_pre [ms]."""
        if self.kind == "pairs":
            return pairs(self.count, rate, delta_t)
        return bursts(rate, delta_t, self.per_burst, self.count, self.every)


class ModelSection(Section):
    """The synapse: one rule, its spine and release, and where it starts."""

    rule: PartChoice
    spine: PartChoice = PartChoice(model="calcium")
    release: PartChoice = PartChoice(model="tsodyks_markram")
    p_release: Fraction = 0.5
    q: Positive = 1.0
    p_range: tuple[Fraction, Fraction] = (0.0, 1.0)
    q_range: tuple[Number, Number] = (0.0, 2.0)
    down_fraction: Fraction = Field(0.5, description="beta: synapses that start DOWN (calcium rule only)")


def _readable_transform(text: str) -> str:
    if text not in ("log", "identity") and not re.fullmatch(r"logit\([^,()]+,[^,()]+\)", text):
        raise InputError("transform", text, "log, identity, logit(low, high)", "write for example logit(0 ms, 30 ms)")
    return text


class Prior(Section):
    """Known before: mean with a unit; sd of ln x (of x itself for `identity`)."""

    mean: float | str
    sd: Positive


class ParameterChoice(Section):
    """How one parameter is fitted; `spread` is the sd of ln x over starts (of x itself for `identity`)."""

    transform: Annotated[str, AfterValidator(_readable_transform)] = "log"
    centre: float | str | None = Field(None, description="centre of the starts; the model's own value by default")
    spread: Positive = 1.0
    unit: str = "1"
    prior: Prior | None = None


class SolverSection(Section):
    """Starts and limits of the solve."""

    starts: int = Field(default=32, ge=1, le=100_000)
    screen: int = Field(default=8, ge=1, le=1000, description="starts drawn for each one kept")
    seed: int = Field(default=0, ge=0)
    max_steps: int = Field(default=60, ge=1)
    tolerance: Positive = 1e-4
    recovery: int = Field(default=8, ge=0, description="synthetic data sets of the recovery test")


class FitConfig(Section):
    """A whole fit."""

    data: Data
    model: ModelSection
    parameters: dict[str, ParameterChoice]
    protocols: dict[str, ProtocolChoice]
    solver: SolverSection = SolverSection()

    @model_validator(mode="after")
    def _protocols_exist(self) -> "FitConfig":
        rows: list[Point | Assumption] = [*self.data.points, *self.data.assumptions]
        for number, point in enumerate(rows):
            if point.protocol not in self.protocols:
                raise InputError(f"data[{number}].protocol", point.protocol, ", ".join(self.protocols),
                                 "name one of `protocols`, or add it there")
        return self


def build(config: FitConfig) -> tuple[Problem, Synapse, Spec]:
    """(problem, model, spec) of a config, in float64.

    **Raises** `InputError` for a part, preset, parameter or protocol that cannot be used.
    """
    with jax.enable_x64(True):
        model = _synapse(config.model)
        spec = {path: _parameter(f"parameters.{path}", choice, path, model) for path, choice in
                config.parameters.items()}
        check_spec(model, spec)
        return _problem(config, model), model, spec


def _synapse(section: ModelSection) -> Synapse:
    spine, release, rule = (
        make_part(getattr(section, kind), kind, f"model.{kind}") for kind in ("spine", "release", "rule"))
    return Synapse(spine, release, (rule,), section.p_release, section.q, Bounds(*section.p_range, *section.q_range))


def _parameter(field: str, choice: ParameterChoice, path: str, model: Synapse) -> Parameter:
    def number(value: object, name: str) -> float:
        return to_unit(value, choice.unit, f"{field}.{name}")

    kind, _, bounds = choice.transform.partition("(")
    low, high = 0.0, np.inf
    if bounds:
        low, high = (number(_text_or_number(text), "transform") for text in bounds.rstrip(")").split(","))
    centre = _current(model, path, choice.spread) if choice.centre is None else number(choice.centre, "centre")
    prior = None if choice.prior is None else (number(choice.prior.mean, "prior.mean"), choice.prior.sd)
    return Parameter(Transform(kind, float(low), float(high)), centre, choice.spread, choice.unit, prior)


def _current(model: Synapse, path: str, fallback: float) -> float:
    """The model's own value at `path`; an unknown path is refused later, with the nearest name."""
    place: Any = model
    for step in path.split("."):
        place = place[int(step)] if step.isdigit() and isinstance(place, tuple) else getattr(place, step, None)
    return fallback if place is None else float(place)


def _text_or_number(text: str) -> str | float:
    return float(text) if re.fullmatch(r"\s*[-+.\deE]+\s*", text) else text.strip()


def _problem(config: FitConfig, model: Synapse) -> Problem:
    rows: list[Point | Assumption] = [*config.data.points, *config.data.assumptions]
    conditions = list(dict.fromkeys((row.protocol, row.rate, row.delta_t) for row in rows))
    tables = stack_tables([tuple(config.protocols[name].make(rate, lag)) for name, rate, lag in conditions])
    quantity = [getattr(row, "quantity", "w") for row in rows]
    calcium = uses_calcium(model.rules[0])
    if calcium and config.data.assumptions:
        raise InputError("data.assumptions", len(config.data.assumptions), "none with a calcium rule",
                         "remove them: this rule has no P and q of its own")
    which = tuple(conditions.index((row.protocol, row.rate, row.delta_t)) for row in rows)
    beta = jnp.asarray(config.model.down_fraction, float) if calcium else None
    return Problem(
        mean=np.array([row.mean if isinstance(row, Point) else row.value for row in rows]),
        sem=np.array([row.sem if isinstance(row, Point) else row.sd for row in rows]),
        predict=PairOutcome(tables, which, tuple(QUANTITIES.index(name) for name in quantity), beta),
        labels=tuple(f"{row.rate:g} Hz, {row.delta_t:+g} ms, {name}" for row, name in zip(rows, quantity, strict=True)),
        x=np.array([row.rate for row in rows]),
        series=tuple(_series(row) for row in rows),
        groups=tuple(_group(config.data.hold_out, row) for row in rows),
        is_data=np.array([isinstance(row, Point) for row in rows]),
        x_label="pairing rate [Hz]", y_label="strength after / before",
    )


def _group(hold_out: str, row: Point | Assumption) -> str:
    if isinstance(row, Assumption):
        return "assumed"
    return {"rate": f"{row.rate:g} Hz", "delta_t": f"{row.delta_t:+g} ms", "none": "all"}[hold_out]


def _series(row: Point | Assumption) -> str:
    lag = f"Δt = {row.delta_t:+g} ms".replace("-", "\N{MINUS SIGN}")
    return f"{lag}, {row.quantity} (assumed)" if isinstance(row, Assumption) else lag
