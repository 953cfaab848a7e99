"""What is fitted, as plain data: dotted paths into a model, each with a transform, starts, and what is known before."""

import difflib
import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from retrojax.errors import InputError

AT_REST = 1e-6
"""d(ln x)/du below which a parameter stands at its bound: curvature along its coordinate is rounding there."""


class Transform(NamedTuple):
    """Map of a parameter x to the unbounded coordinate u in which the fit moves.

    - `kind`: `log` (u = ln x), `logit` (u = ln (x - low)/(high - x)), `softplus` (u = ln(e^(x - low) - 1): above
      low, but linear where large), `identity` (u = x), or `simplex` (fractions x_i of `high` that share it with `rest`:
      u_i = ln x_i/x_rest, the additive log-ratio of Aitchison 1986).
    - `low`, `high`: open bounds; `low` of a `logit` and a `softplus`, `high` of a `logit`, and as total of a `simplex`.
    - `rest`: dotted path of what the fractions of a `simplex` leave over; entries that name the same one share it.
    """

    kind: str
    low: float = 0.0
    high: float = math.inf
    rest: str = ""

    def inverse(self, u: Any) -> Any:
        """x at coordinate u; of a simplex x/x_rest."""
        if self.kind in ("log", "simplex"):
            return jnp.exp(u)
        if self.kind == "softplus":
            return self.low + jax.nn.softplus(u)
        if self.kind == "logit":
            return self.low + (self.high - self.low) * jax.nn.sigmoid(u)
        return u

    def forward(self, x: Any) -> Any:
        """u at x inside the bounds, of a simplex at x/x_rest."""
        if self.kind in ("log", "simplex"):
            return np.log(x)
        if self.kind == "softplus":
            return x - self.low + np.log(-np.expm1(self.low - x))
        if self.kind == "logit":
            return np.log((x - self.low) / (self.high - x))
        return x

    def inside(self, x: Any) -> Any:
        """x, at least 1 % of the range inside the bounds of a logit."""
        if self.kind != "logit":
            return x
        margin = 0.01 * (self.high - self.low)
        return np.clip(x, self.low + margin, self.high - margin)

    def bound(self, x: float) -> str | None:
        """`low` or `high` if x stands within 1 % of the range from that bound, else None."""
        if self.kind != "logit":
            return None
        place = (x - self.low) / (self.high - self.low)
        return "low" if place < 0.01 else "high" if place > 0.99 else None


class Parameter(NamedTuple):
    """One fitted parameter.

    - `transform`: the coordinate it is fitted in.
    - `centre`, `spread`: starts are centre x exp(spread x normal); for `identity` centre + spread x normal.
    - `unit`: for the report.
    - `prior`: (mean, sd), mean in the parameter's unit and sd as sd of ln x (of x itself for `identity`), or None; not
      for a simplex.
    - `tied`: (path, factor) of parameters that are held at factor x this one.

    What is not named in a spec stays fixed at the model's own value; `fix` sets it.
    """

    transform: Transform
    centre: float
    spread: float
    unit: str = "1"
    prior: tuple[float, float] | None = None
    tied: tuple[tuple[str, float], ...] = ()


Spec = dict[str, Parameter]
"""Dotted path -> parameter, as `{"rules.0.d_minus": Parameter(Transform("log"), 0.18, 2.0)}`."""


def check_spec(model: Any, spec: Spec) -> None:
    """Refuse a spec that does not fit the model.

    **Raises** `InputError` for a path the model lacks (naming the nearest) or that is set twice, an unknown transform,
    or a start or bound that the transform cannot use.
    """
    known = model_paths(model)
    if not spec:
        raise InputError("parameters", "none", "at least one of " + ", ".join(known), "name what is to be fitted")
    rests = [parameter.transform.rest for parameter in spec.values() if parameter.transform.kind == "simplex"]
    ties = [path for parameter in spec.values() for path, _ in parameter.tied]
    named = [*spec, *dict.fromkeys(rests), *ties]
    for path in named:
        _check_path(path, known)
        if named.count(path) > 1:
            raise InputError(f"parameters.{path}", "set twice", "one entry, tie or rest of a simplex for each path",
                             "leave one of them out")
    for path, parameter in spec.items():
        _check_parameter(path, parameter)
    for rest in dict.fromkeys(rests):
        _check_simplex(rest, [p for p in spec.values() if p.transform.rest == rest])


def _check_path(path: str, known: dict[str, int]) -> None:
    if path not in known:
        near = difflib.get_close_matches(path, known, 1, 0.0)
        raise InputError(f"parameters.{path}", path, ", ".join(known), f"did you mean '{near[0]}'?")


def _check_simplex(rest: str, members: list[Parameter]) -> None:
    totals, used = {p.transform.high for p in members}, sum(p.centre for p in members)
    if len(totals) > 1 or not used < min(totals):
        raise InputError(f"parameters (simplex with {rest})", used, "centres that sum to less than one common total",
                         "give every member the same `high`, and leave something for the rest")
    if any(p.prior is not None for p in members):
        raise InputError(f"parameters (simplex with {rest}).prior", "given", "none for a simplex", "leave it out")


def _check_parameter(path: str, parameter: Parameter) -> None:
    kind, low, high, _ = parameter.transform
    field = f"parameters.{path}"
    if kind not in _RANGES:
        raise InputError(f"{field}.transform", kind, "log, logit(low, high), softplus, simplex, identity",
                         "choose one of these")
    if kind == "simplex" and not (math.isfinite(high) and high > 0):
        raise InputError(f"{field}.transform", f"simplex of {high}", "a finite total > 0", "set high, for example 1")
    if kind == "logit" and not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InputError(f"{field}.transform", f"logit({low}, {high})", "finite bounds with low < high",
                         "order the bounds, or use 'log' for a positive parameter without an upper bound")
    least, most = _RANGES[kind](low, high)
    for name, value in (("centre", parameter.centre), ("prior.mean", (parameter.prior or (parameter.centre,))[0])):
        if not least < value < most:
            raise InputError(f"{field}.{name}", value, f"above {least:g} and below {most:g}", "move it inside")
    for name, value in (("spread", parameter.spread), ("prior.sd", (parameter.prior or (0, 1.0))[1])):
        if not (math.isfinite(value) and value > 0):
            raise InputError(f"{field}.{name}", value, "a positive number", "give the standard deviation")


_RANGES: dict[str, Any] = {
    "log": lambda low, high: (0.0, math.inf), "logit": lambda low, high: (low, high),
    "softplus": lambda low, high: (low, math.inf), "simplex": lambda low, high: (0.0, high),
    "identity": lambda low, high: (-math.inf, math.inf),
}


def fix(model: Any, values: dict[str, float]) -> Any:
    """The model with the parameters at these dotted paths set, in the model's own units.

    **Raises** `InputError` for a path the model lacks.
    """
    leaves, structure = jax.tree.flatten(model)
    places = model_paths(model)
    for path, value in values.items():
        _check_path(path, places)
        leaves[places[path]] = jnp.asarray(value, leaves[places[path]].dtype)
    return jax.tree.unflatten(structure, leaves)


def double(tree: Any) -> Any:
    """The tree with every floating array in float64; under `jax.enable_x64(True)`."""
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float64) if eqx.is_inexact_array(x) else x, tree)


def model_paths(model: Any) -> dict[str, int]:
    """Dotted path of every 0-d floating parameter of a model, and the number of its leaf."""
    leaves = jax.tree_util.tree_flatten_with_path(model)[0]
    return {jax.tree_util.keystr(path, simple=True, separator="."): number for number, (path, leaf) in enumerate(leaves)
            if eqx.is_inexact_array(leaf) and leaf.ndim == 0}


def set_coordinates(model: Any, spec: Spec, u: Float[Array, " P"]) -> Any:
    """The model with the parameters of `spec`, what is tied to them and the rests of simplexes at coordinates `u`."""
    leaves, structure = jax.tree.flatten(model)
    places = model_paths(model)
    values = natural(spec, u)
    for number, (path, parameter) in enumerate(spec.items()):
        leaves[places[path]] = values[number]
        for tied, factor in parameter.tied:
            leaves[places[tied]] = factor * values[number]
    for rest, members in _simplexes(spec).items():
        leaves[places[rest]] = _total(spec, members) - jnp.sum(values[np.array(members)])
    return jax.tree.unflatten(structure, leaves)


def natural(spec: Spec, u: Float[Array, "*B P"]) -> Float[Array, "*B P"]:
    """Values of the parameters, in their units, at coordinates `u`."""
    values = [p.transform.inverse(u[..., number]) for number, p in enumerate(spec.values())]
    for members in _simplexes(spec).values():
        total = _total(spec, members) / (1 + sum(values[number] for number in members))
        for number in members:
            values[number] = values[number] * total
    return jnp.stack(values, -1)


def centres(spec: Spec) -> np.ndarray:
    """Coordinates [P] of the centres of the starts."""
    x = np.array([p.centre for p in spec.values()])
    for members in _simplexes(spec).values():
        x[members] = x[members] / (_total(spec, members) - np.sum(x[members]))
    return np.array([p.transform.forward(value) for p, value in zip(spec.values(), x, strict=True)])


def _simplexes(spec: Spec) -> dict[str, list[int]]:
    """Path of the rest -> numbers of the members, for every simplex."""
    found: dict[str, list[int]] = {}
    for number, parameter in enumerate(spec.values()):
        if parameter.transform.kind == "simplex":
            found.setdefault(parameter.transform.rest, []).append(number)
    return found


def _total(spec: Spec, members: list[int]) -> float:
    return list(spec.values())[members[0]].transform.high


def draw_starts(spec: Spec, count: int, rng: np.random.Generator) -> np.ndarray:
    """Coordinates [count, P] of starts; the first stands at the centres."""
    columns, middle = [], centres(spec)
    for number, parameter in enumerate(spec.values()):
        kick = parameter.spread * np.concatenate([[0.0], rng.standard_normal(count - 1)])
        if parameter.transform.kind == "simplex":
            columns.append(middle[number] + kick)
            continue
        identity = parameter.transform.kind == "identity"
        drawn = parameter.centre + kick if identity else parameter.centre * np.exp(kick)
        columns.append(parameter.transform.forward(parameter.transform.inside(drawn)))
        columns[-1][0] = middle[number]
    return np.stack(columns, -1)


def prior_coordinates(spec: Spec) -> tuple[np.ndarray, np.ndarray]:
    """(mean, 1/sd) of the priors in u, one per parameter; 1/sd = 0 where there is none."""
    mean, inverse_sd = np.zeros(len(spec)), np.zeros(len(spec))
    for number, parameter in enumerate(spec.values()):
        if parameter.prior is not None:
            value, sd = parameter.prior
            mean[number] = parameter.transform.forward(value)
            inverse_sd[number] = slope(parameter, value) / sd
    return mean, inverse_sd


def without_priors(spec: Spec) -> Spec:
    """The same parameters without their priors, which are added once to what comes in pieces."""
    return {path: parameter._replace(prior=None) for path, parameter in spec.items()}


def prior_misfit(spec: Spec, u: Any, mean: Any = None) -> Any:
    """Sum of [(u - mean)/sd]^2 over the priors, at coordinates [..., P]; `mean` [..., P] replaces the spec's."""
    own, inverse_sd = prior_coordinates(spec)
    return ((inverse_sd * (u - (own if mean is None else mean))) ** 2).sum(-1)


def slope(parameter: Parameter, value: float) -> float:
    """d(ln x)/du at x = `value` (dx/du for `identity`): turns a standard deviation in u into a relative one.

    For a simplex only the part along its own coordinate; `relative_slopes` has all of it.
    """
    kind, low, high, _ = parameter.transform
    if kind == "logit":
        return (value - low) * (high - value) / (high - low) / abs(value)
    if kind == "softplus":
        return -math.expm1(low - value) / abs(value)
    return 1 - value / high if kind == "simplex" else 1.0


def at_rest(spec: Spec, values: np.ndarray) -> np.ndarray:
    """True for parameters so close to a bound that their coordinate no longer moves them, at `values` [P]."""
    return np.array([p.transform.kind in ("logit", "softplus") and slope(p, float(value)) < AT_REST
                     for p, value in zip(spec.values(), values, strict=True)])


def relative_slopes(spec: Spec, values: np.ndarray) -> np.ndarray:
    """Matrix [P, P] of d(ln x_i)/du_j at `values` (of d(x_i/spread)/du_j for `identity`)."""
    own = [1 / p.spread if p.transform.kind == "identity" else slope(p, value)
           for p, value in zip(spec.values(), values, strict=True)]
    matrix = np.diag(np.maximum(own, 1e-12))
    for members in _simplexes(spec).values():
        share = values[members] / _total(spec, members)
        matrix[np.ix_(members, members)] = np.eye(len(members)) - share
    return matrix
