"""The config of a fit, and the problem, model and spec that it describes."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from pydantic import model_validator

from retrojax.engine.rows import Bounds, Synapse
from retrojax.errors import InputError
from retrojax.fit.config_points import one_pathway, points_problem, synapse_outcome
from retrojax.fit.observation import KINDS, Measured
from retrojax.fit.problem import Problem, uses_calcium
from retrojax.fit.sections import (
    Alternative,
    Assumption,
    Data,
    LikelihoodSection,
    ModelSection,
    ParameterChoice,
    Point,
    Prior,
    ProtocolChoice,
    ReportSection,
    SolverSection,
)
from retrojax.fit.spec import Parameter, Spec, Transform, check_spec, fix, model_paths
from retrojax.fit.stdp_rules import RULES
from retrojax.parts.catalogue import PARTS
from retrojax.parts.choice import PartChoice, Section, make_part
from retrojax.units import to_unit
from retrojax.validation import require_known

Built = tuple[Problem, Any, Spec]


class FitConfig(Section):
    """A whole fit. Without `likelihood` it is least squares, with it maximum likelihood."""

    data: Data
    model: ModelSection
    parameters: dict[str, ParameterChoice]
    priors: dict[str, Prior] = {}
    protocols: dict[str, ProtocolChoice]
    likelihood: LikelihoodSection | None = None
    alternatives: dict[str, Alternative] = {}
    solver: SolverSection = SolverSection()
    report: ReportSection = ReportSection()

    @model_validator(mode="after")
    def _protocols_exist(self) -> "FitConfig":
        for number, point in enumerate(self.rows):
            if point.protocol not in self.protocols:
                raise InputError(f"data[{number}].protocol", point.protocol, ", ".join(self.protocols) or "none",
                                 "name one of `protocols`, or add it there")
        return self

    @model_validator(mode="after")
    def _mini_batches_can_be_drawn(self) -> "FitConfig":
        descent, count = self.solver.descent, len(self.rows)
        if descent and descent.batch and descent.batch > count:
            raise InputError("solver.descent.batch", descent.batch, f"1 to {count} points", "leave it out to use all")
        return self

    @model_validator(mode="after")
    def _priors_are_of_parameters(self) -> "FitConfig":
        for path in self.priors:
            require_known(path, self.parameters, "priors")
            if self.parameters[path].prior is not None:
                raise InputError(f"priors.{path}", "given twice", "one prior for each parameter",
                                 f"remove it here or in parameters.{path}")
        return self

    @model_validator(mode="after")
    def _report_is_possible(self) -> "FitConfig":
        if self.report.leave_one_out != "none":
            columns = [name for name in self.data.points[0].columns if all(name in p.columns for p in self.data.points)]
            require_known(self.report.leave_one_out, ("protocol", "rate", "delta_t", *columns, "none"),
                          "report.leave_one_out")
        for name in self.report.compare:
            require_known(name, (*self.alternatives, *RULES), "report.compare")
        if isinstance(self.report.profile, list):
            for path in self.report.profile:
                require_known(path, self.parameters, "report.profile")
        if self.report.recovery and self.report.recover == "priors":
            without = [path for path, choice in self.parameters.items()
                       if choice.transform != "fixed" and choice.prior is None and path not in self.priors]
            if without:
                raise InputError("report.recover", "priors", "priors of all parameters, to draw from",
                                 f"give one of {without[0]}, or recover: fitted")
        return self

    @model_validator(mode="after")
    def _points_carry_what_the_likelihood_needs(self) -> "FitConfig":
        kind = self.likelihood.kind if self.likelihood else "gaussian"
        column, positive = KINDS[kind].column, kind in ("lognormal", "gamma", "gamma_sum")
        for number, point in enumerate(self.data.points):
            if column and not getattr(point, column):
                raise InputError(f"data.points[{number}].{column}", "missing",
                                 f"what a likelihood of kind {kind} is computed from",
                                 "add it to every point, or choose another kind")
            if positive and min([point.mean, *point.values]) <= 0:
                raise InputError(f"data.points[{number}]", min([point.mean, *point.values]),
                                 f"positive numbers, for {kind}", "choose another kind")
        return self

    @property
    def rows(self) -> list[Point | Assumption]:
        """Points and assumptions, in the order of the predictions."""
        return [*self.data.points, *self.data.assumptions]


def build(config: FitConfig) -> Built:
    """(problem, model, spec) of a config, in float64.

    **Raises** `InputError` for a part, preset, parameter or protocol that cannot be used.
    """
    priors = {path: choice.model_copy(update={"prior": choice.prior or config.priors.get(path)})
              for path, choice in config.parameters.items()}
    return _built(config, config.model, priors, "")


def build_alternative(config: FitConfig, name: str) -> Built:
    """(problem, model, spec) of another rule that `report.compare` names, for the same points.

    A name that is not in `alternatives` is a rule of `retrojax.fit.stdp_rules`, with the spec and the wide priors that
    come with it. **Raises** `InputError` as `build`, and for such a rule with a likelihood or assumptions of its own.
    """
    if name in config.alternatives:
        other = config.alternatives[name]
        return _built(config, other.model, other.parameters, f"alternatives.{name}.")
    if config.likelihood or config.data.assumptions:
        raise InputError("report.compare", name, "names in `alternatives`, with a likelihood or assumptions",
                         f"write {name} with its model and parameters in `alternatives`")
    with jax.enable_x64(True):
        model, spec = RULES[name](1)
        return points_problem(config, one_pathway(config)), model, spec


def published(config: FitConfig) -> Any:
    """The model with the parts as the catalogue has them: the named preset or the defaults, and nothing overridden.

    **Raises** `InputError` where a part has parameters without a default.
    """
    bare = {kind: PartChoice(model=part.model, preset=part.preset) for kind in ("rule", "spine", "release")
            for part in [getattr(config.model, kind)]}
    with jax.enable_x64(True):
        return _measured(config, _synapse(config.model.model_copy(update=bare), "model"))


def _built(config: FitConfig, section: ModelSection, parameters: dict[str, ParameterChoice], where: str) -> Built:
    with jax.enable_x64(True):
        model = _measured(config, _synapse(section, f"{where}model"))
        for path, choice in parameters.items():
            _check_unit(f"{where}parameters.{path}", choice, path, section)
        held = {path: choice for path, choice in parameters.items() if choice.transform == "fixed"}
        model = fix(model, {path: _centre(f"{where}parameters.{path}", choice, path, model)
                            for path, choice in held.items()})
        spec = {path: _parameter(f"{where}parameters.{path}", choice, path, model)
                for path, choice in parameters.items() if path not in held}
        check_spec(model, spec)
        calcium = uses_calcium(model.rules[0])
        if calcium and config.data.assumptions:
            raise InputError("data.assumptions", len(config.data.assumptions), "none with a calcium rule",
                             "remove them: this rule has no P and q of its own")
        if calcium and config.likelihood and KINDS[config.likelihood.kind].quantal:
            raise InputError("likelihood.kind", config.likelihood.kind, "kinds of strengths, with a calcium rule",
                             "choose another kind: this rule has no P and q of its own")
        beta = jnp.asarray(section.down_fraction, float) if calcium else None
        return points_problem(config, synapse_outcome(config, beta)), model, spec


def _synapse(section: ModelSection, where: str) -> Synapse:
    spine, release, rule = (
        make_part(getattr(section, kind), kind, f"{where}.{kind}") for kind in ("spine", "release", "rule"))
    bounds = Bounds(*section.p_range, *section.q_range)
    return Synapse(spine, release, (rule,), section.p_release, section.q, bounds)


def _measured(config: FitConfig, synapse: Synapse) -> Synapse:
    return synapse if config.likelihood is None else Measured(synapse, config.likelihood.noise())


def _parameter(field: str, choice: ParameterChoice, path: str, model: Any) -> Parameter:
    def number(value: object, name: str) -> float:
        return to_unit(value, choice.unit, f"{field}.{name}")

    kind, _, inside = choice.transform.partition("(")
    given = [text.strip() for text in inside.rstrip(")").split(",")] if inside else []
    rest = given.pop() if kind == "simplex" else ""
    numbers = [number(_text_or_number(text), "transform") for text in given]
    low, high = {"logit": numbers, "softplus": [*numbers, np.inf], "simplex": [0.0, *numbers]}.get(kind, [0.0, np.inf])
    centre = _centre(field, choice, path, model)
    prior = None if choice.prior is None else (number(choice.prior.mean, "prior.mean"), choice.prior.sd)
    return Parameter(Transform(kind, float(low), float(high), rest), centre, choice.spread, choice.unit, prior,
                     tuple(choice.tied.items()))


def _check_unit(field: str, choice: ParameterChoice, path: str, section: ModelSection) -> None:
    """A parameter's numbers are taken in `unit` and used as they are: it has to be the unit that its part computes in.
    """
    kind, name = path.split(".")[0].removesuffix("s"), path.rsplit(".", 1)[-1]
    part = getattr(section, kind) if kind in ("spine", "release", "rule") else None
    known = PARTS[part.model].parameters if part else {}
    own = known[name].unit if name in known else ""
    if own and choice.unit != "1" and to_unit(f"1 {choice.unit}", own, f"{field}.unit") != 1:
        raise InputError(f"{field}.unit", choice.unit, own, f"write unit: {own}; its numbers may carry other units")


def _centre(field: str, choice: ParameterChoice, path: str, model: Any) -> float:
    """Where the starts are centred: as given, or the model's own value.

    An unknown path is refused later, with the nearest name.
    """
    if choice.centre is not None:
        return to_unit(choice.centre, choice.unit, f"{field}.centre")
    places = model_paths(model)
    return float(jax.tree.leaves(model)[places[path]]) if path in places else choice.spread


def _text_or_number(text: str) -> str | float:
    return float(text) if re.fullmatch(r"[-+.\deE]+", text) else text
