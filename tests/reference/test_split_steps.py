"""Saturable loss and second-order reactions in a field step of the engine: within 1 % of many times finer steps."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrojax.engine.model import Maps, Messenger, Model, Reaction, Saturable
from retrojax.engine.reactions import MOST_PARTS, Pools, is_split, no_pending, parts_needed, plan_transport, transport
from retrojax.engine.resting import resting_bound, resting_fields
from retrojax.engine.rows import Synapse
from retrojax.parts import DeltaLIF, SilentSpine, TsodyksMarkram
from retrojax.parts.drive import Poisson
from retrojax.space import Binding, Flow, Grid, advance, advance_saturable, plan

GRID = Grid((9, 9, 9), (1.0, 1.0, 1.0))
number = functools.partial(jnp.asarray, dtype=float)


def model(messengers, reactions=()):
    return Model(number(1.0), Synapse(SilentSpine(), TsodyksMarkram()), number(1.0), jnp.zeros(0), number(1.0),
                 DeltaLIF(20.0, 0.0, 15.0, 5.0, 2.0), Poisson(np.full(2, 0.02), 1.0), messengers, None, reactions)


def messenger(name, diffusion, loss=0.0, **more):
    return Messenger(name, number(diffusion), number(loss), number(0.2), **more)


def run(m, fields, source, elapsed, steps):
    """Fields and pending amounts after steps of messenger 0."""
    def one(_, pools):
        return transport(m, plan_, 0, pools, source)

    @jax.jit
    def all_of(fields):
        pools = Pools(tuple(fields), no_pending(m, GRID), resting_bound(m, tuple(fields)))
        return jax.lax.fori_loop(0, steps, one, pools)

    plan_ = plan_transport(m, GRID, 0, number(elapsed))
    return all_of(fields)


def lone():
    """One nM/ms in one voxel."""
    return jnp.zeros(GRID.shape).at[4, 4, 4].set(1.0)


@pytest.mark.parametrize("diffusion", [0.02, 2.2])
@pytest.mark.parametrize("strength", [0.05, 5.0, 500.0])
def test_fast_saturable_loss_beside_a_one_voxel_source(x64, diffusion, strength):
    """V_max/K_m = 0.4/ms with field steps of 10 ms: one Strang split would be off by more than the answer."""
    m = model((messenger("NO", diffusion, saturable=Saturable(number(4.0), number(10.0), number(0.0))),))
    source, elapsed = strength * lone(), 10.0
    assert int(parts_needed(m, 0, (lone(),), source, number(elapsed))) == 37
    got = run(m, [0 * lone()], source, elapsed, 3).fields[0]
    fine = 0 * lone()
    part = elapsed / 400
    half = functools.partial(advance, plan(GRID, diffusion, 0.0, part / 2))
    fine = jax.jit(functools.partial(advance_saturable, half))(fine, source, 0.2, 4.0, 10.0, part, 1200)
    seen = np.asarray(fine) > 1e-9 * float(fine.max())
    np.testing.assert_allclose(np.asarray(got)[seen], np.asarray(fine)[seen], rtol=0.01)


def test_a_step_in_one_part_needs_no_plan_built_inside_the_scan(x64):
    """Slow saturable loss is split once, by the halves that the plan came with; they are those that would be built."""
    m = model((messenger("NO", 0.5, saturable=Saturable(number(0.01), number(10.0), number(0.0))),))
    start = (lone(),)
    assert int(parts_needed(m, 0, start, 0.1 * lone(), number(10.0))) == 1
    plan_ = plan_transport(m, GRID, 0, number(10.0))
    got = transport(m, plan_, 0, Pools(start, no_pending(m, GRID), ((),)), 0.1 * lone()).fields[0]
    half = functools.partial(advance, plan(GRID, 0.5, 0.0, 5.0))
    fine = advance_saturable(half, lone(), 0.1 * lone(), 0.2, 0.01, 10.0, 10.0, 1)
    np.testing.assert_allclose(got, fine, rtol=1e-9, atol=1e-12)
    # a plan whose halves are of no length shows that these are the ones in use
    still = dataclasses.replace(plan_, half=plan_transport(m, GRID, 0, number(0.0)).half)
    stuck = transport(m, still, 0, Pools(start, no_pending(m, GRID), ((),)), 0.1 * lone()).fields[0]
    assert int(jnp.count_nonzero(stuck)) == 1


@pytest.mark.parametrize("kind", ["catalysed", "second"])
def test_fast_second_order_reactions(x64, kind):
    """Against steps a hundred times shorter; what is turned over is all there."""
    rng = np.random.default_rng(0)
    few = number(rng.uniform(0, 5, GRID.shape)) * (rng.random(GRID.shape) < 0.1)
    start = [few, number(rng.uniform(0, 9, GRID.shape)), 0 * lone()]
    rate = {"catalysed": 2e-3, "second": 1e-2}[kind]
    m = model((messenger("A", 0.05), messenger("E", 0.01), messenger("B", 0.01)),
              (Reaction(0, 2, kind, number(rate), number(1.0), 1 if kind == "catalysed" else None),))
    assert is_split(m, 0) and not is_split(m, 2)
    source, elapsed = 0.3 * lone(), 50.0
    assert 10 < int(parts_needed(m, 0, tuple(start), source, number(elapsed))) < MOST_PARTS
    got, fine = run(m, start, source, elapsed, 2), run(m, start, source, elapsed / 100, 200)
    np.testing.assert_allclose(got.fields[0], fine.fields[0], rtol=0.01)
    np.testing.assert_allclose(got.pending[2], fine.pending[2], rtol=0.01)
    held = float(got.fields[0].sum() + got.pending[2].sum())
    np.testing.assert_allclose(held, float(start[0].sum() + 100.0 * source.sum()), rtol=1e-12)


def test_what_comes_of_loss_on_maps(x64):
    """On maps conversion is split off too: 1 % with a rate of 4 per step."""
    rng = np.random.default_rng(1)
    maps = Maps(*(number(rng.uniform(0.5, 1.5, GRID.shape)) for _ in range(3)))
    m = model((messenger("A", 0.05, 0.02, maps=maps), messenger("B", 0.01, maps=maps)), (
        Reaction(0, 1, "loss", number(0.0), number(1.0)), Reaction(0, 1, "first", number(0.06), number(0.5))))
    start = [number(rng.uniform(0, 5, GRID.shape)), 0 * lone()]
    got, fine = run(m, start, 0.3 * lone(), 50.0, 2), run(m, start, 0.3 * lone(), 1.0, 100)
    np.testing.assert_allclose(got.fields[0], fine.fields[0], rtol=0.01)
    np.testing.assert_allclose(got.pending[1], fine.pending[1], rtol=0.01)


def test_linear_messengers_are_not_split():
    m = model((messenger("A", 0.05, 0.02), messenger("B", 0.01)), (Reaction(0, 1, "loss", number(0), number(1)),))
    assert not is_split(m, 0) and not is_split(m, 1)


def test_a_resting_level_of_fast_saturable_loss_stays(x64):
    rate = Saturable(number(20.0), number(10.0), number(5.0))
    m = model((messenger("NO", 2.2, saturable=rate, tonic=number(0.2 * 20.0 / 15.0 * 5.0)),))
    start = resting_fields(m, GRID, np.zeros(0, np.int64))
    np.testing.assert_allclose(start[0], 1.0, rtol=1e-9)
    np.testing.assert_allclose(run(m, start, 0 * lone(), 10.0, 20).fields[0], 1.0, rtol=2e-3)


def test_fast_binding_keeps_amounts_and_is_within_one_per_cent(x64):
    """Sites that hold most of a messenger, K_d 10 nM: 1 % of steps a hundred times shorter, and nothing is lost."""
    site = Binding.build(40.0, 2e-3, 0.02)
    m = model((messenger("BDNF", 0.05, binding=(site,)),))
    start, source, elapsed = [jnp.full(GRID.shape, 0.5)], 0.3 * lone(), 50.0
    bound = resting_bound(m, tuple(start))
    np.testing.assert_allclose(bound[0][0].complexes, 40 * 2.5 / (2.5 + 10), rtol=1e-12)
    got, fine = run(m, start, source, elapsed, 2), run(m, start, source, elapsed / 100, 200)
    total = got.fields[0].sum() + got.bound[0][0].complexes.sum()
    np.testing.assert_allclose(total, (start[0] + bound[0][0].complexes + 100 * source).sum(), rtol=1e-12)
    np.testing.assert_allclose(got.fields[0], fine.fields[0], rtol=0.01)
    np.testing.assert_allclose(got.bound[0][0].complexes, fine.bound[0][0].complexes, rtol=0.01)


def test_receptors_that_take_up_are_in_balance_at_rest(x64):
    """Where what is taken up is made good, sites stay as they start."""
    site = Binding.build(40.0, 2e-3, 0.02, 0.002, 0.001)
    lost = 0.002 * float(resting_bound(model((messenger("X", 1.0, binding=(site,)),)), (lone() * 0 + 0.5,))[0][0]
                         .complexes[0, 0, 0])
    m = model((messenger("X", 1.0, binding=(site,), tonic=number(lost)),))
    before = resting_bound(m, (lone() * 0 + 0.5,))[0][0]
    after = run(m, [lone() * 0 + 0.5], 0 * lone(), 50.0, 20)
    np.testing.assert_allclose(after.fields[0], 0.5, rtol=2e-3)
    np.testing.assert_allclose(after.bound[0][0].inside, before.inside, rtol=2e-3)


def test_flow_carries_a_messenger_along(x64):
    """The centre of a cloud on a torus moves with the fluid; amounts stay."""
    grid = Grid((24, 3, 3), (1.0,) * 3, boundary=("periodic",) * 3)
    m = model((messenger("X", 0.01, flow=Flow.uniform(grid, (0.002, 0.0, 0.0))),))
    way = plan_transport(m, grid, 0, number(100.0))
    start = jnp.exp(-0.5 * ((jnp.arange(24.0) - 6) / 2) ** 2)[:, None, None] * jnp.ones(grid.shape)

    @jax.jit
    def one(field):
        return transport(m, way, 0, Pools((field,), no_pending(m, grid), ((),)), 0 * field).fields[0]

    field = start
    for _ in range(5):
        field = one(field)
    centre = lambda f: float(jnp.sum(f * jnp.arange(24.0)[:, None, None]) / f.sum())  # noqa: E731
    np.testing.assert_allclose(field.sum(), start.sum(), rtol=1e-12)
    np.testing.assert_allclose(centre(field) - centre(start), 0.002 / 0.2 * 500, rtol=0.01)
    assert float(field.min()) >= 0
