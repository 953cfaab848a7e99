"""What a fit reports."""

import math
from typing import Any, NamedTuple

import numpy as np

from retrojax.errors import InputError
from retrojax.fit.identify import KNOWN_WITHIN, Directions, verdict
from retrojax.fit.problem import Problem
from retrojax.fit.spec import Spec


class ParameterResult(NamedTuple):
    """One fitted parameter.

    - `value`, `sd`: in `unit`; `sd` is None where the data say nothing.
    - `bound`: `low` or `high` if it ended at a bound of its transform, else None.
    - `identified`: one standard deviation is less than a factor of 2, away from any bound.
    """

    value: float
    sd: float | None
    unit: str
    bound: str | None
    identified: bool


def parameter_results(spec: Spec, values: np.ndarray, log_sd: np.ndarray) -> dict[str, ParameterResult]:
    """Every parameter at `values` [P], with the standard deviation of its ln x (of x/spread for `identity`) [P]."""
    found = {}
    for (path, parameter), value, spread in zip(spec.items(), values.tolist(), log_sd.tolist(), strict=True):
        bound = parameter.transform.bound(value)
        scale = parameter.spread if parameter.transform.kind == "identity" else abs(value)
        sd = spread * scale if math.isfinite(spread) else None
        found[path] = ParameterResult(value, sd, parameter.unit, bound, bound is None and spread < KNOWN_WITHIN)
    return found


class Starts(NamedTuple):
    """Every start: `loss`, `converged`, `steps` [S]; `initial`, `values` [S, P] in the parameters' units."""

    loss: np.ndarray
    converged: np.ndarray
    steps: np.ndarray
    initial: np.ndarray
    values: np.ndarray


class HeldOut(NamedTuple):
    """Leave one group out: `chi2` over all points left out in turn, `by_group`, and the `prediction` of each point.

    `log_likelihood`: of each group under the fit to the others.
    """

    chi2: float
    by_group: dict[str, float]
    prediction: np.ndarray
    log_likelihood: dict[str, float]


class FitResult(NamedTuple):
    """A fit.

    - `model`: the model with the best parameters; None if read from `fit.json`. `problem`: what was fitted.
    - `prediction`: at the optimum [n].
    - `loss`: chi2 plus priors and assumptions; with a likelihood, minus twice the log posterior up to the constants of
      the priors. `chi2`: over the `n_points` measured points.
    - `log_likelihood`: of the `n_observations` (single measurements where a likelihood is of these, else points).
    - `coordinates`: of the optimum [P]. `information`: half the curvature of the loss there [P, P].
    - `directions`: correlations, and stiff and sloppy products of parameters.
    - `undetermined`: combinations of parameters that the data cannot separate, in words.
    - `baselines`: chi2 of simpler answers. `recovery`: what fits to synthetic data gave back (`recovery.recover`).
    - `evaluations`: of loss and gradient, all solves. `compile_s` (not-a-number where it was not taken apart),
      `wall_s`: seconds.
    """

    model: Any
    problem: Problem
    prediction: np.ndarray
    loss: float
    chi2: float
    n_points: int
    n_observations: int
    log_likelihood: float
    parameters: dict[str, ParameterResult]
    coordinates: np.ndarray
    information: np.ndarray
    directions: Directions
    undetermined: tuple[str, ...]
    starts: Starts
    heldout: HeldOut | None
    baselines: dict[str, float]
    recovery: dict[str, Any] | None
    evaluations: int
    compile_s: float
    wall_s: float

    def to_json(self) -> dict[str, Any]:
        """The content of `fit.json`: plain numbers, text, lists and mappings; None for what is not finite."""
        p = self.problem
        points = [
            {"label": label, "mean": float(mean), "sem": float(sem), "prediction": float(value), "measured": bool(data),
             "x": float(x), "series": series, "group": group}
            for label, mean, sem, value, data, x, series, group in
            zip(p.labels, p.mean, p.sem, self.prediction, p.is_data, p.x, p.series, p.groups, strict=True)
        ]
        heldout = self.heldout and {**self.heldout._asdict(), "prediction": self.heldout.prediction.tolist()}
        best = float(np.min(self.starts.loss))
        starts = {
            "count": int(self.starts.loss.size), "converged": int(self.starts.converged.sum()),
            "reached_best": int(np.sum(self.starts.loss < best + 0.1)), "loss": self.starts.loss.tolist(),
            "each_converged": self.starts.converged.tolist(), "steps": self.starts.steps.tolist(),
            "initial": self.starts.initial.tolist(), "values": self.starts.values.tolist(),
        }
        return finite({
            "loss": self.loss, "chi2": self.chi2, "n_points": self.n_points, "n_observations": self.n_observations,
            "log_likelihood": self.log_likelihood, "verdict": verdict(self.parameters, self.directions),
            "coordinates": self.coordinates.tolist(), "information": self.information.tolist(),
            "directions": {name: field.tolist() for name, field in self.directions._asdict().items()},
            "parameters": {path: found._asdict() for path, found in self.parameters.items()},
            "undetermined": list(self.undetermined), "points": points, "starts": starts, "heldout": heldout,
            "baselines": self.baselines, "recovery": self.recovery, "evaluations": self.evaluations,
            "compile_s": self.compile_s, "wall_s": self.wall_s, "axes": {"x": p.x_label, "y": p.y_label},
        })

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "FitResult":
        """The fit that `to_json` described, without its model and without the function that predicts.

        **Raises** `InputError` if a key is missing: the file is no fit, or that of an older version.
        """
        try:
            return cls(
                model=None, problem=_problem_of(content), prediction=_column(content["points"], "prediction"),
                parameters={path: ParameterResult(**found) for path, found in content["parameters"].items()},
                coordinates=np.array(content["coordinates"]), information=np.array(content["information"]),
                directions=Directions(*(_unbounded(content["directions"][name]) for name in Directions._fields)),
                undetermined=tuple(content["undetermined"]), starts=_starts_of(content["starts"]),
                heldout=content["heldout"] and _heldout_of(content["heldout"]),
                compile_s=math.nan if content["compile_s"] is None else content["compile_s"],
                **{name: content[name] for name in ("loss", "chi2", "n_points", "n_observations", "log_likelihood",
                                                    "baselines", "recovery", "evaluations", "wall_s")},
            )
        except (KeyError, TypeError) as error:
            raise InputError("fit.json", str(error), "everything that `retrojax fit` writes", "fit again") from None

    def summary(self) -> str:
        """The fit in words, for the terminal."""
        count, best = self.starts.loss.size, np.min(self.starts.loss)
        lines = [
            f"chi2 {self.chi2:.3f}, {self.n_points} points, {len(self.parameters)} parameters; log-likelihood "
            f"{self.log_likelihood:.3f}; loss {self.loss:.3f}",
            f"{int(np.sum(self.starts.converged))} of {count} starts converged, "
            f"{int(np.sum(self.starts.loss < best + 0.1))} to within 0.1 of the best",
        ]
        for path, p in self.parameters.items():
            sd = "unknown" if p.sd is None else f"{p.sd:.3g}"
            unit = "" if p.unit == "1" else f" {p.unit}"
            notes = [f"at its {p.bound} bound"] * bool(p.bound) + ["not identified"] * (not p.identified)
            lines.append(f"  {path} = {p.value:.4g} +- {sd}{unit}{'  (' + ', '.join(notes) + ')' if notes else ''}")
        lines += [f"  {text}" for text in self.undetermined]
        lines.append(verdict(self.parameters, self.directions))
        if self.heldout:
            lines.append(f"held-out chi2 {self.heldout.chi2:.2f} (" +
                         ", ".join(f"{group}: {value:.2f}" for group, value in self.heldout.by_group.items()) + ")")
        lines.append("baselines, chi2: " + ", ".join(f"{name} {value:.4g}" for name, value in self.baselines.items()))
        compiling = "" if math.isnan(self.compile_s) else f" of which {self.compile_s:.1f} s compiling"
        lines.append(f"{self.evaluations} evaluations, {self.wall_s:.1f} s{compiling}")
        return "\n".join(lines)


def _problem_of(content: dict[str, Any]) -> Problem:
    points, axes = content["points"], content["axes"]
    labels, series, groups = (tuple(p[name] for p in points) for name in ("label", "series", "group"))
    return Problem(_column(points, "mean"), _column(points, "sem"), None, labels, _column(points, "x"), series, groups,
                   np.array([p["measured"] for p in points], bool), axes["x"], axes["y"])


def _starts_of(content: dict[str, Any]) -> Starts:
    return Starts(_unbounded(content["loss"]), np.array(content["each_converged"], bool), np.array(content["steps"]),
                  np.array(content["initial"], float), np.array(content["values"], float))


def _heldout_of(content: dict[str, Any]) -> HeldOut:
    chi2, *by_group = _unbounded([content["chi2"], *content["by_group"].values()]).tolist()
    scores = dict(zip(content["log_likelihood"], _unbounded(list(content["log_likelihood"].values())), strict=True))
    return HeldOut(chi2, dict(zip(content["by_group"], by_group, strict=True)), np.array(content["prediction"], float),
                   {name: float(-score) if math.isinf(score) else float(score) for name, score in scores.items()})


def _column(points: list[dict[str, Any]], name: str) -> np.ndarray:
    return np.array([point[name] for point in points], float)


def _unbounded(values: list[Any]) -> np.ndarray:
    """Losses and standard deviations, of which `to_json` wrote the infinite as None."""
    numbers = np.array(values, float)
    return np.where(np.isnan(numbers), math.inf, numbers)


def finite(value: Any) -> Any:
    """`value` with every infinite or not-a-number replaced by None, as JSON has neither."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
