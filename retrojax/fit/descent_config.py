"""The `descent` section of a fit's solver: an optax transformation by name, its step size, and mini-batches."""

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from pydantic import Field, model_validator

from retrojax.errors import InputError
from retrojax.fit.estimate_descent import Descending
from retrojax.parts.choice import Section, quantity
from retrojax.validation import proposal, require_known

Rate = quantity("1", 1e-12, 1e6)


def _names(module: Any, argument: str) -> tuple[str, ...]:
    """Public functions of a module that have this argument."""
    found = {name: each for name, each in vars(module).items() if inspect.isfunction(each)}
    return tuple(sorted(name for name, each in found.items() if argument in inspect.signature(each).parameters
                        and not name.startswith(("_", "scale_by_", "inject_"))))


OPTIMISERS = _names(optax, "learning_rate")
"""Transformations of optax that take a learning rate."""

SCHEDULES = tuple(sorted({*_names(optax.schedules, "init_value"), *_names(optax.schedules, "peak_value")}))
"""Schedules of optax."""


class ScheduleChoice(Section):
    """A schedule of the step size, by its name and arguments in optax."""

    name: str
    arguments: dict[str, Any] = {}


class DescentSection(Section):
    """Descent by an optax transformation instead of Levenberg-Marquardt or BFGS.

    - `optimiser`, `arguments`: its name in optax, and arguments other than the step size.
    - `learning_rate`, or a `schedule` of it: step in the unbounded coordinates, of ln x for `log`.
    - `batch`: points of a mini-batch, drawn anew in every step; all by default. Only their protocols are run.
    - `steps`: of every solve. `patience`: steps without progress after which a start stops; never by default.
    """

    optimiser: str = "adam"
    learning_rate: Rate | None = None
    schedule: ScheduleChoice | None = None
    arguments: dict[str, Any] = {}
    batch: int | None = Field(default=None, ge=1)
    steps: int = Field(default=1000, ge=1)
    patience: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _can_be_made(self) -> "DescentSection":
        self.make(0)
        return self

    def make(self, seed: int) -> Descending:
        """The descent, with mini-batches by `seed`.

        **Raises** `InputError` for a name or argument that optax does not know, or a transformation that needs more
        than gradient and parameters.
        """
        require_known(self.optimiser, OPTIMISERS, "optimiser")
        if (self.learning_rate is None) == (self.schedule is None):
            given = "missing" if self.schedule is None else "beside a schedule"
            raise InputError("learning_rate", given, "a step size, or a schedule of it", "give one of the two")
        size: Any = self.learning_rate
        if self.schedule is not None:
            require_known(self.schedule.name, SCHEDULES, "schedule.name")
            size = _called(getattr(optax.schedules, self.schedule.name), self.schedule.arguments, "schedule.arguments")
        optimiser = _called(getattr(optax, self.optimiser), self.arguments, "arguments", learning_rate=size)
        _try(self.optimiser, optimiser)
        return Descending(optimiser, self.steps, self.batch, self.patience, seed)


def _called(function: Callable[..., Any], arguments: dict[str, Any], field: str, **more: Any) -> Any:
    known = [name for name in inspect.signature(function).parameters if name not in more]
    for name in arguments:
        if name not in known:
            raise InputError(f"{field}.{name}", "unknown key", ", ".join(known), proposal(name, known, "remove it"))
    try:
        return function(**arguments, **more)
    except (TypeError, ValueError) as error:
        raise InputError(field, arguments, f"arguments that optax.{function.__name__} takes: {', '.join(known)}",
                         f"correct them ({error})") from None


def _try(name: str, optimiser: optax.GradientTransformation) -> None:
    """Trace one update of two numbers: what a descent will ask for."""
    u = jnp.ones(2)
    try:
        jax.eval_shape(lambda u: optimiser.update(u, optimiser.init(u), u), u)
    except Exception as error:  # whatever optax raises, the transformation cannot be used
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError("optimiser", name, "one whose update needs the gradient and the parameters alone",
                         f"choose another, for example adam ({reason})") from None
