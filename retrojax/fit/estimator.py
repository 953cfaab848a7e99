"""A fit in the manner of scikit-learn, for those whose tools expect one: parameters in, `fit`, `predict`, `score`."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from retrojax.engine.events import stack_tables
from retrojax.engine.rows import Synapse
from retrojax.errors import InputError
from retrojax.fit.fitting import fit
from retrojax.fit.problem import PairOutcome, Problem, uses_calcium
from retrojax.fit.result import FitResult
from retrojax.fit.spec import Spec, double
from retrojax.protocols import Protocol


class NotFittedError(InputError, AttributeError):
    """`predict` or `score` before `fit`; as that of scikit-learn a `ValueError` and an `AttributeError`."""


class PlasticityRegressor:
    """Strength after pairing protocols, fitted by least squares.

    X is a list of `Protocol`s, y the strength after over before. `fit` forgets what an earlier `fit` found; what it
    found has names that end in `_`. It follows the conventions of scikit-learn without needing it.

    **Arguments** (kept as given)

    - `model`: the synapse, with one rule. `spec`: dotted path -> `Parameter`.
    - `starts`, `screen`, `max_steps`, `tolerance`: as of `retrojax.fit.fit`. `seed`: of the starts.
    - `down_fraction`: synapses that start DOWN (calcium rule only).

    **Attributes** `model_`: the fitted synapse. `result_`: the whole `FitResult`, with uncertainties.
    `n_features_in_`: 1, as a row of X is one protocol.

    References: Pedregosa et al. (2011) J Mach Learn Res 12:2825 (conventions).
    """

    model_: Synapse
    result_: FitResult
    n_features_in_: int

    def __init__(self, model: Synapse, spec: Spec, *, starts: int = 16, screen: int = 8, max_steps: int = 60,
                 tolerance: float = 1e-4, seed: int = 0, down_fraction: float = 0.5):
        self.model, self.spec = model, spec
        self.starts, self.screen, self.max_steps, self.tolerance = starts, screen, max_steps, tolerance
        self.seed, self.down_fraction = seed, down_fraction

    def fit(self, X: Sequence[Protocol], y: Any, sem: Any = None) -> "PlasticityRegressor":
        """Fit to strengths `y` [n] after protocols `X`, with standard errors `sem` [n] (all 1 by default).

        **Raises** `InputError` for no protocol, lengths that differ, and points and parameters that cannot be used.
        """
        y = np.asarray(y, float)
        sem = np.ones(len(y)) if sem is None else np.asarray(sem, float)
        for name, values in (("y", y), ("sem", sem)):
            if values.shape != (len(X),):
                raise InputError(name, f"shape {values.shape}", f"one number for each of {len(X)} protocols",
                                 "give them in the order of X")
        with jax.enable_x64(True):
            labels = tuple(f"protocol {number}" for number in range(len(X)))
            problem = Problem(y, sem, self._outcome(X), labels, np.arange(len(X)), ("fit",) * len(X),
                              ("all",) * len(X), np.ones(len(X), bool), "protocol", "strength after / before")
            self.result_ = fit(problem, self.model, self.spec, starts=self.starts, key=jax.random.key(self.seed),
                               screen=self.screen, max_steps=self.max_steps, tolerance=self.tolerance, recovery=0)
        self.model_, self.n_features_in_ = self.result_.model, 1
        return self

    def predict(self, X: Sequence[Protocol]) -> np.ndarray:
        """Strength after over before [n]. **Raises** `NotFittedError` before `fit`."""
        if not self.__sklearn_is_fitted__():
            raise NotFittedError("fit", "not called", "a fitted regressor", "call fit(X, y) first")
        with jax.enable_x64(True):
            return np.asarray(eqx.filter_jit(double(self._outcome(X)))(double(self.model_)))

    def score(self, X: Sequence[Protocol], y: Any, sem: Any = None) -> float:
        """Explained share of the variance of `y`, weighted by 1/sem^2: 1 is perfect, 0 is no better than the mean."""
        y = np.asarray(y, float)
        weight = np.ones(len(y)) if sem is None else 1 / np.asarray(sem, float) ** 2
        residual = np.sum(weight * (y - self.predict(X)) ** 2)
        return float(1 - residual / np.sum(weight * (y - np.average(y, weights=weight)) ** 2))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments; nothing in them is nested, so `deep` changes nothing."""
        names = ("model", "spec", "starts", "screen", "max_steps", "tolerance", "seed", "down_fraction")
        return {name: getattr(self, name) for name in names}

    def set_params(self, **changes: Any) -> "PlasticityRegressor":
        """Change arguments of the constructor. **Raises** `InputError` for a name that it does not have."""
        for name, value in changes.items():
            if name not in self.get_params():
                raise InputError(name, value, ", ".join(self.get_params()), "use one of these names")
        for name, value in changes.items():
            setattr(self, name, value)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def __sklearn_tags__(self) -> Any:
        # asked for by scikit-learn alone, which is then there
        from sklearn.utils import RegressorTags, Tags, TargetTags

        return Tags(estimator_type="regressor", target_tags=TargetTags(required=True), transformer_tags=None,
                    classifier_tags=None, regressor_tags=RegressorTags())

    def _outcome(self, X: Sequence[Protocol]) -> PairOutcome:
        if not len(X):
            raise InputError("X", "empty", "one protocol at least", "give a list of protocols")
        calcium = uses_calcium(self.model.rules[0])
        beta = jnp.asarray(self.down_fraction, float) if calcium else None
        each = jnp.arange(len(X))
        return PairOutcome(stack_tables([tuple(one) for one in X]), each, jnp.zeros_like(each), beta)
