"""Descent by an optax transformation, behind the interface of `Estimate`: everything a fit reports, by mini-batches."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from retrojax.fit.estimate import Data, Ends, Estimate
from retrojax.fit.maximise import Likelihood
from retrojax.fit.observation import Densities, Observation
from retrojax.fit.pieces import part_of
from retrojax.fit.saved import Saved
from retrojax.fit.solve import batches
from retrojax.fit.spec import prior_coordinates
from retrojax.fit.stochastic import Each, check_batch, descend_each, descent_from, standing

STRETCH = 500
"""Steps after which a descent is saved, so that one which is interrupted loses no more than these."""


class Descending(NamedTuple):
    """How to descend.

    - `optimiser`: any optax transformation whose update needs gradient and parameters alone. `steps`: of every solve.
    - `batch`: points of a mini-batch, None for all. `patience`: steps without a fall of the averaged loss after which a
      start stops (`descend`), None for never. `seed`: of the mini-batches.
    """

    optimiser: optax.GradientTransformation
    steps: int
    batch: int | None = None
    patience: int | None = None
    seed: int = 0


class ByDescent(Estimate):
    """Least squares or maximum likelihood of `inner`, solved by descent; all but the solves is that of `inner`.

    A mini-batch of b of n points, drawn anew in every step and the same for all solves, stands for all points: its
    log-likelihood counts n/b times (`retrojax.fit.stochastic`). Only the protocols of its points are run, and only they
    are given to the compiled step; `inner` looks at b points at a time too, so that memory grows with b. Solves end
    where the steps do, and count as converged where the loss of all points is flat.
    """

    def __init__(self, inner: Estimate, how: Descending, saved: Saved | None = None):
        self.inner, self.how, self.batch, self.pieces = inner, how, inner.batch, inner.pieces
        self.problem, self.model, self.spec = inner.problem, inner.model, inner.spec
        predict: Any = self.problem.predict
        count = self.problem.mean.size
        if how.batch is not None:
            check_batch(predict, count, how.batch, "solver.descent.batch")
        self._density = Densities(predict) if isinstance(predict, Observation) else _OfSquares(
            predict, jnp.asarray(self.problem.sem))
        begun = descent_from(np.zeros((self.batch, len(self.spec))), how.optimiser, jax.random.key(how.seed))
        self._structure = jax.tree.structure((begun, Each(self.data, *[begun.u] * 3)))
        fixed = (self.model, self._density, str(self.spec), how.batch, how.patience)
        self._go = self._stretch if saved is None else saved.remember("descent", self._stretch, (
            fixed, _described(how.optimiser, len(self.spec))))

    @property
    def compile_s(self) -> float:  # type: ignore[override]
        """Time that compiling all but the descent took [s]."""
        return self.inner.compile_s

    @property
    def data(self) -> Data:
        return self.inner.data

    def solve(self, u0: np.ndarray, *, keep: np.ndarray | None = None, data: Data | None = None,
              sets: np.ndarray | None = None, held: int | None = None) -> Ends:
        which, shape = np.zeros(len(u0), int) if sets is None else sets, (len(u0), len(self.spec))
        own = {name: np.asarray(values)[which] for name, values in (data or self.data).items()}
        prior = jnp.broadcast_to(own.pop("prior", prior_coordinates(self.spec)[0]), shape)
        weight = jnp.broadcast_to(jnp.asarray(1.0 if keep is None else keep, float), (len(u0), self.problem.mean.size))
        fixed = jnp.broadcast_to(jnp.arange(len(self.spec)) == (-1 if held is None else held), shape)
        pieces = []
        for rows in batches(len(u0), self.batch):
            each = jax.tree.map(lambda x, rows=rows: jnp.asarray(x)[rows], Each(own, weight, prior, fixed))
            pieces.append(self._descended(u0[rows], each))
        u, loss, flat, steps = (np.concatenate(parts)[: len(u0)] for parts in zip(*pieces, strict=True))
        return Ends(u, 2 * loss, flat, steps, self.inner.slopes(u))

    def _descended(self, u0: np.ndarray, each: Each) -> tuple[np.ndarray, ...]:
        descent = descent_from(u0, self.how.optimiser, jax.random.key(self.how.seed))
        for done in range(0, self.how.steps, STRETCH):
            ended = self._go(np.asarray(min(STRETCH, self.how.steps - done)), *jax.tree.leaves((descent, each)))
            descent = jax.tree.unflatten(jax.tree.structure(descent), [jnp.asarray(x) for x in ended])
            if np.all(np.asarray(descent.still) >= self._patience):
                break
        loss, flat = standing(self._density, self.model, self.spec, each, descent.u, self.how.batch)
        return tuple(np.asarray(x) for x in (descent.u, loss, flat, descent.steps))

    def _stretch(self, steps: Any, *leaves: Any) -> list[Any]:
        descent, each = jax.tree.unflatten(self._structure, leaves)
        return jax.tree.leaves(descend_each(self._density, self.model, self.spec, self.how.optimiser, each, descent,
                                            int(steps), batch=self.how.batch, patience=self._patience))

    @property
    def _patience(self) -> int:
        return self.how.steps + 1 if self.how.patience is None else self.how.patience

    def expected(self, u: np.ndarray) -> np.ndarray:
        return self.inner.expected(u)

    def density(self, u: np.ndarray, data: Data | None = None) -> np.ndarray:
        return self.inner.density(u, data)

    def density_of(self, values: np.ndarray) -> np.ndarray:
        return self.inner.density_of(values)

    def unchanged(self) -> np.ndarray:
        return self.inner.unchanged()

    def draw(self, u: np.ndarray, rng: np.random.Generator) -> Data:
        return self.inner.draw(u, rng)

    def information(self, ends: Ends, data: Data | None = None, sets: np.ndarray | None = None) -> np.ndarray:
        return self.inner.information(ends, data, sets)

    def slopes(self, u: np.ndarray) -> np.ndarray | None:
        return self.inner.slopes(u)

    def likelihood(self) -> Likelihood:
        return self.inner.likelihood()

    def loss(self, u: np.ndarray, data: Data | None = None) -> np.ndarray:
        return self.inner.loss(u, data)


class _OfSquares(eqx.Module):
    """Minus half of the weighted square of each point: least squares, without the constant of a density."""

    predict: Any
    sem: Float[Array, " n"] = eqx.field(converter=jnp.asarray)

    def __call__(self, model: Any, data: dict[str, Array]) -> Float[Array, " n"]:
        return -0.5 * ((data["mean"] - self.predict(model)) / self.sem) ** 2

    def take(self, rows: Int[np.ndarray, " b"]) -> "_OfSquares":
        return _OfSquares(part_of(self.predict, rows), self.sem[rows])


def _described(optimiser: optax.GradientTransformation, size: int) -> str:
    """What an optimiser computes, as text that is the same in another process, for the names of saved solves."""
    def step(gradient: Array, state: Any, u: Array) -> Any:
        return optimiser.update(gradient, state, u)

    u = jnp.zeros(size)
    return str(jax.make_jaxpr(step)(u, optimiser.init(u), u))

