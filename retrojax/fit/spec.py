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


class Transform(NamedTuple):
    """Map of a parameter x to the unbounded coordinate u in which the fit moves.

    - `kind`: `log` (u = ln x), `logit` (u = ln (x - low)/(high - x)) or `identity` (u = x).
    - `low`, `high`: open bounds; used by `logit` only.
    """

    kind: str
    low: float = 0.0
    high: float = math.inf

    def inverse(self, u: Any) -> Any:
        """x at coordinate u."""
        if self.kind == "log":
            return jnp.exp(u)
        if self.kind == "logit":
            return self.low + (self.high - self.low) * jax.nn.sigmoid(u)
        return u

    def forward(self, x: Any) -> Any:
        """u at x; x outside the bounds of a logit counts as 1 % of the range inside them."""
        if self.kind == "log":
            return np.log(x)
        if self.kind == "logit":
            margin = 0.01 * (self.high - self.low)
            x = np.clip(x, self.low + margin, self.high - margin)
            return np.log((x - self.low) / (self.high - x))
        return x

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
    - `prior`: (mean, sd), mean in the parameter's unit and sd as sd of ln x (of x itself for `identity`), or None.
    """

    transform: Transform
    centre: float
    spread: float
    unit: str = "1"
    prior: tuple[float, float] | None = None


Spec = dict[str, Parameter]
"""Dotted path -> parameter, as `{"rules.0.d_minus": Parameter(Transform("log"), 0.18, 2.0)}`."""


def check_spec(model: Any, spec: Spec) -> None:
    """Refuse a spec that does not fit the model.

    **Raises** `InputError` for a path the model lacks (naming the nearest), a transform that is none of the three, or
    a start or bound that the transform cannot use.
    """
    known = model_paths(model)
    if not spec:
        raise InputError("parameters", "none", "at least one of " + ", ".join(known), "name what is to be fitted")
    for path, parameter in spec.items():
        if path not in known:
            near = difflib.get_close_matches(path, known, 1, 0.0)
            raise InputError(f"parameters.{path}", path, ", ".join(known), f"did you mean '{near[0]}'?")
        _check_parameter(path, parameter)


def _check_parameter(path: str, parameter: Parameter) -> None:
    kind, low, high = parameter.transform
    field = f"parameters.{path}"
    if kind not in ("log", "logit", "identity"):
        raise InputError(f"{field}.transform", kind, "log, logit(low, high), identity", "choose one of these")
    if kind == "logit" and not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InputError(f"{field}.transform", f"logit({low}, {high})", "finite bounds with low < high",
                         "order the bounds, or use 'log' for a positive parameter without an upper bound")
    least, most = {"log": (0.0, math.inf), "logit": (low, high), "identity": (-math.inf, math.inf)}[kind]
    for name, value in (("centre", parameter.centre), ("prior.mean", (parameter.prior or (parameter.centre,))[0])):
        if not least < value < most:
            raise InputError(f"{field}.{name}", value, f"above {least:g} and below {most:g}", "move it inside")
    for name, value in (("spread", parameter.spread), ("prior.sd", (parameter.prior or (0, 1.0))[1])):
        if not (math.isfinite(value) and value > 0):
            raise InputError(f"{field}.{name}", value, "a positive number", "give the standard deviation")


def model_paths(model: Any) -> dict[str, int]:
    """Dotted path of every 0-d floating parameter of a model, and the number of its leaf."""
    leaves = jax.tree_util.tree_flatten_with_path(model)[0]
    return {jax.tree_util.keystr(path, simple=True, separator="."): number for number, (path, leaf) in enumerate(leaves)
            if eqx.is_inexact_array(leaf) and leaf.ndim == 0}


def set_coordinates(model: Any, spec: Spec, u: Float[Array, " P"]) -> Any:
    """The model with the parameters of `spec` at coordinates `u`."""
    leaves, structure = jax.tree.flatten(model)
    places = model_paths(model)
    for number, (path, parameter) in enumerate(spec.items()):
        leaves[places[path]] = parameter.transform.inverse(u[number])
    return jax.tree.unflatten(structure, leaves)


def natural(spec: Spec, u: Float[Array, "*B P"]) -> Float[Array, "*B P"]:
    """Values of the parameters, in their units, at coordinates `u`."""
    return jnp.stack([p.transform.inverse(u[..., number]) for number, p in enumerate(spec.values())], -1)


def draw_starts(spec: Spec, count: int, rng: np.random.Generator) -> np.ndarray:
    """Coordinates [count, P] of starts; the first stands at the centres."""
    columns = []
    for parameter in spec.values():
        kick = parameter.spread * np.concatenate([[0.0], rng.standard_normal(count - 1)])
        identity = parameter.transform.kind == "identity"
        drawn = parameter.centre + kick if identity else parameter.centre * np.exp(kick)
        columns.append(parameter.transform.forward(drawn))
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


def slope(parameter: Parameter, value: float) -> float:
    """d(ln x)/du at x = `value` (dx/du for `identity`): turns a standard deviation in u into a relative one."""
    kind, low, high = parameter.transform
    if kind == "logit":
        return (value - low) * (high - value) / (high - low) / abs(value)
    return 1.0
