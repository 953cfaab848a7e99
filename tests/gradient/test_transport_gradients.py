"""A field step of the engine on maps, with saturable loss and sites: forward derivatives against finite differences."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from retrojax.engine.model import Maps, Messenger, Model, Saturable
from retrojax.engine.reactions import Pools, no_pending, plan_transport, transport
from retrojax.engine.resting import resting_bound
from retrojax.engine.rows import Synapse
from retrojax.parts import DeltaLIF, SilentSpine, TsodyksMarkram
from retrojax.parts.drive import Poisson
from retrojax.space import Binding, Grid

GRID = Grid((4, 3, 2), (1.0, 1.2, 0.8))
number = functools.partial(jnp.asarray, dtype=float)


def test_values_of_maps_and_of_what_is_split(x64):
    rng = np.random.default_rng(0)
    draw = lambda low, high: number(rng.uniform(low, high, GRID.shape))  # noqa: E731
    start, source, weight = draw(0.5, 3.0), draw(0.0, 0.1), draw(-1.0, 1.0)

    @jax.jit
    def reading(at):
        fraction, tortuosity, sink, vmax, sites = at
        messenger = Messenger("X", number(0.1), number(0.01), number(0.2), saturable=Saturable(vmax, number(8.0),
                              number(0.0)), maps=Maps(fraction, tortuosity, sink),
                              binding=(Binding(sites, number(1e-3), number(0.02), number(0.001), number(0.001)),))
        model = Model(number(1.0), Synapse(SilentSpine(), TsodyksMarkram()), number(1.0), jnp.zeros(0), number(1.0),
                      DeltaLIF(20.0, 0.0, 15.0, 5.0, 2.0), Poisson(np.full(2, 0.02), 1.0), (messenger,), None, ())
        pools = Pools((start,), no_pending(model, GRID), resting_bound(model, (start,)))
        return jnp.sum(weight * transport(model, plan_transport(model, GRID, 0, number(20.0)), 0, pools,
                                          source).fields[0])

    at = (draw(0.8, 1.2), draw(0.9, 1.1), draw(0.5, 1.5), number(0.3), number(6.0))
    along = jax.jit(lambda way: jax.jvp(reading, (at,), (way,))[1])
    zero = jax.tree.map(jnp.zeros_like, at)
    ways = [(k, leaf.at[(1, 2, 0)[:leaf.ndim]].set(1.0) if leaf.ndim else jnp.ones(())) for k, leaf in enumerate(zero)]
    for k, direction in ways:
        way = tuple(direction if j == k else each for j, each in enumerate(zero))
        ahead, behind = (reading(jax.tree.map(lambda a, w, s=sign: a + s * 1e-5 * w, at, way)) for sign in (1, -1))
        slope = float(along(way))
        np.testing.assert_allclose(slope, (ahead - behind) / 2e-5, rtol=1e-5, atol=1e-9)
        assert abs(slope) > 1e-6
