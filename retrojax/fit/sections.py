"""Sections of a fit config: what each may say, and one sentence for what it may not."""

import re
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from retrojax.errors import InputError
from retrojax.fit.data_config import PointsFile, points_from_file
from retrojax.fit.descent_config import DescentSection
from retrojax.fit.estimate_descent import Descending
from retrojax.fit.observation import KINDS
from retrojax.parts.choice import PartChoice, Section, check_start, quantity
from retrojax.protocols import Protocol, bursts, pairs
from retrojax.validation import validate

Rate = quantity("Hz", 1e-6, 1e3)
Lag = quantity("ms", -1e5, 1e5)
Span = quantity("ms", 0, 1e9)
Number = quantity("1", -1e9, 1e9)
Positive = quantity("1", 1e-12, 1e9)
NotNegative = quantity("1", 0, 1e9)
Fraction = quantity("1", 0, 1)


class Point(Section):
    """One measured condition: strength after / before, mean and standard error over n cells (or trials).

    With `values`, single measurements, mean, sem and n follow from them. `variance` is that over n trials. `columns`
    holds what else is known of the point and may be left out together, as `{cell: c12}`.
    """

    protocol: str
    rate: Rate
    delta_t: Lag
    mean: Number
    sem: Positive
    n: int = Field(ge=1)
    values: list[float] = []
    variance: Positive | None = None
    columns: dict[str, str] = {}

    @model_validator(mode="before")
    @classmethod
    def _from_values(cls, given: Any) -> Any:
        values = given.get("values") if isinstance(given, dict) else None
        if not values or not all(isinstance(x, int | float) for x in values):
            return given
        if len(values) < 2:
            raise InputError("values", values, "two or more measurements", "give mean, sem and n of a single one")
        found = {"mean": float(np.mean(values)), "sem": float(np.std(values, ddof=1) / np.sqrt(len(values))),
                 "n": len(values)}
        return {**given, **found}


class Assumption(Section):
    """A value that no experiment of this set measured but the fit should respect: P or q, relative to the start."""

    protocol: str
    rate: Rate
    delta_t: Lag
    quantity: Literal["P", "q"]
    value: Number
    sd: Positive


class Data(Section):
    """The points, here or in a CSV file, and where they are from."""

    citation: str
    points: list[Point] = Field(min_length=1)
    assumptions: list[Assumption] = []

    @model_validator(mode="before")
    @classmethod
    def _read_file(cls, given: Any) -> Any:
        """Points of `file` take its place, so that what was fitted stands in the resolved config."""
        if not isinstance(given, dict) or "file" not in given:
            return given
        if "points" in given:
            raise InputError("points", "beside `file`", "points, or a file", "remove one of the two")
        if not isinstance(given["file"], dict):
            raise InputError("file", given["file"], f"a table with {', '.join(PointsFile.model_fields)}",
                             "write file: {path: points.csv}")
        try:
            choice = validate(PointsFile, given["file"], example="path: points.csv")
        except InputError as error:
            raise InputError(f"file.{error.field}", error.value, error.allowed, error.cure) from None
        read = points_from_file(choice)
        return {**{key: value for key, value in given.items() if key != "file"}, "points": read}


class ProtocolChoice(Section):
    """Pairs at a steady rate, or bursts of pairs."""

    kind: Literal["pairs", "bursts"]
    count: int = Field(ge=1, le=1_000_000, description="pairs, or bursts")
    per_burst: int = Field(5, ge=1, le=10_000)
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

    @model_validator(mode="after")
    def _start_within_ranges(self) -> "ModelSection":
        check_start(self.p_release, self.p_range, self.q, self.q_range)
        return self


ARGUMENTS = r"[^,()]+"
TRANSFORMS = {
    "log": "", "identity": "", "fixed": "", "logit": rf"\({ARGUMENTS},{ARGUMENTS}\)", "softplus": rf"\({ARGUMENTS}\)",
    "simplex": rf"\({ARGUMENTS},{ARGUMENTS}\)",
}


def _readable_transform(text: str) -> str:
    if not any(re.fullmatch(name + rest, text) for name, rest in TRANSFORMS.items()):
        raise InputError("transform", text, "log, identity, fixed, logit(low, high), softplus(low), simplex(total, "
                         "path of the rest)", "write for example logit(0 ms, 30 ms)")
    return text


class Prior(Section):
    """Known before: mean with a unit; sd of ln x (of x itself for `identity`)."""

    mean: float | str
    sd: Positive


class ParameterChoice(Section):
    """How one parameter is fitted; `spread` is the sd of ln x over starts (of x itself for `identity`).

    `tied`: path -> factor of parameters that are held at that factor times this one. `transform: fixed` holds the
    parameter at `centre`.
    """

    transform: Annotated[str, AfterValidator(_readable_transform)] = "log"
    centre: float | str | None = Field(None, description="centre of the starts; the model's own value by default")
    spread: Positive = 1.0
    unit: str = "1"
    prior: Prior | None = None
    tied: dict[str, float] = {}


class LikelihoodSection(Section):
    """How the points scatter around the model; each argument may also be fitted, as the parameter `noise.<name>`.

    `gaussian`, `between_cells` (between_sd), `student_t` (dof; scale = sem), `lognormal` (log_sd, by default sem/mean)
    and `gamma` (cv, by default sem/mean) need mean and sem; `gamma_sum` (cv) needs the single `values`. For responses
    after the protocol in their own unit, `quantal_moments` (quantum, quantal_cv) needs `variance` over the n trials,
    `binomial_release` (quantum, noise_sd, quantal_cv) the `values` of all trials; `n_sites` release sites each, and a
    quantal size of `quantum` times the model's q.
    """

    kind: Literal["gaussian", "between_cells", "student_t", "lognormal", "gamma", "gamma_sum", "quantal_moments",
                  "binomial_release"]
    between_sd: NotNegative | None = None
    dof: Positive | None = None
    log_sd: Positive | None = None
    cv: Positive | None = None
    quantum: Positive | None = None
    noise_sd: Positive | None = None
    quantal_cv: NotNegative | None = None
    n_sites: int | None = Field(None, ge=1, le=1000)

    @model_validator(mode="after")
    def _arguments_of_kind(self) -> "LikelihoodSection":
        kind = KINDS[self.kind]
        needs = kind.needs + (("n_sites",) if kind.quantal else ())
        for name in [name for name in type(self).model_fields if name != "kind"]:
            given = getattr(self, name) is not None
            if name in needs and not given:
                raise InputError(name, "missing", f"a number, which {self.kind} needs", "add this key")
            if given and name not in needs + kind.may:
                raise InputError(name, getattr(self, name), f"for {self.kind}: "
                                 f"{', '.join(needs + kind.may) or 'no argument'}", "remove it, or choose another kind")
        return self

    def noise(self) -> dict[str, float]:
        """Name -> value of the arguments that a fit may change."""
        kind = KINDS[self.kind]
        values = {name: getattr(self, name) for name in kind.needs + kind.may}
        return {name: 0.0 if value is None else value for name, value in values.items()
                if value is not None or name == "quantal_cv"}


class SolverSection(Section):
    """Starts and limits of the solve, which is least squares or BFGS, or `descent`."""

    starts: int = Field(default=32, ge=1, le=100_000)
    batch: int | None = Field(default=None, ge=1, description="starts solved at once; all by default")
    enough: int | None = Field(default=None, ge=1, description="stop after the batch in which so many ended together")
    screen: int = Field(default=8, ge=1, le=1000, description="starts drawn for each one kept")
    seed: int = Field(default=0, ge=0, lt=2**31)
    max_steps: int | None = Field(default=None, ge=1, description="of a solve; 60, or 200 with a likelihood")
    tolerance: Positive | None = Field(default=None, description="1e-4, or 1e-6 with a likelihood")
    descent: DescentSection | None = None

    @model_validator(mode="after")
    def _limits_belong_to_the_method(self) -> "SolverSection":
        for name in ("max_steps", "tolerance"):
            if self.descent and getattr(self, name) is not None:
                raise InputError(name, getattr(self, name), "nothing beside `descent`",
                                 "remove it, and give descent.steps and descent.patience")
        return self

    def descending(self) -> Descending | None:
        """How to descend, where the section says so."""
        return None if self.descent is None else self.descent.make(self.seed)


class SampleSection(Section):
    """Size of a posterior sample (NUTS)."""

    chains: int = Field(4, ge=1, le=1000)
    warmup: int = Field(300, ge=20)
    draws: int = Field(300, ge=4)


class ReportSection(Section):
    """What else a fit reports. What is off by default takes as long as the fit itself, or longer.

    - `leave_one_out`: `protocol`, `rate`, `delta_t` or a name of `columns`: points that are predicted from the others.
    - `baselines`: simpler answers to be better than.
    - `profile`: true, or the parameters whose profile likelihood is wanted; `profile_points` values of each.
    - `compare`: other rules fitted to the same points: names of `alternatives`, or rules that come with a spec.
    - `predictive`: draws of the posterior-predictive check; 0 leaves it out.
    - `recovery`: synthetic data sets from the fitted parameters, with means of the priors drawn about them (`recover:
      priors`: from draws of the priors, which stay), all fitted again; 0 leaves the test out.
    - `sample`: a posterior sample (NUTS; extra `bayes`), which the predictive check then uses.
    """

    leave_one_out: str = "rate"
    baselines: list[Literal["no change", "mean of data", "published"]] = ["no change", "mean of data", "published"]
    profile: bool | list[str] = False
    profile_points: int = Field(default=15, ge=5, le=1001)
    compare: list[str] = []
    predictive: int = Field(default=200, ge=0, le=100_000)
    recovery: int = Field(default=8, ge=0, le=100_000)
    recover: Literal["fitted", "priors"] = "fitted"
    sample: SampleSection | None = None


class Alternative(Section):
    """Another model of the same points, and what is fitted in it."""

    model: ModelSection
    parameters: dict[str, ParameterChoice]
