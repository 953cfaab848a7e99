"""Reactions between messengers against closed forms and matrix exponentials; amounts are conserved."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.linalg import expm

from retrojax.engine.model import Messenger, Model, Reaction, Saturable
from retrojax.engine.reactions import Pools, in_order, no_pending, plan_transport, resting_fields, transport
from retrojax.engine.rows import Synapse
from retrojax.numerics import phi2
from retrojax.parts import DeltaLIF, SilentSpine, TsodyksMarkram
from retrojax.parts.drive import Poisson
from retrojax.space import Grid, advance_with_exposure, bilinear, exposure_gain, plan, quadratic

GRID = Grid((6, 5, 4), (2.0, 2.0, 2.0))
array = lambda x: jnp.asarray(x, float)  # noqa: E731


def model(messengers, reactions):
    return Model(array(1.0), Synapse(SilentSpine(), TsodyksMarkram()), array(1.0), jnp.zeros(0), array(1.0),
                 DeltaLIF(20.0, 0.0, 15.0, 5.0, 2.0), Poisson(np.full(2, 0.02), 1.0), messengers, None, reactions)


def messenger(name, diffusion=0.03, loss=0.002, **more):
    return Messenger(name, array(diffusion), array(loss), array(0.2), **more)


def reaction(source, product, kind, rate=0.0, share=1.0, catalyst=None):
    return Reaction(source, product, kind, array(rate), array(share), catalyst)


def run(m, fields, sources, elapsed, steps):
    """Fields and pending amounts after steps of every messenger in order."""
    plans = [plan_transport(m, GRID, which, array(elapsed)) for which in range(len(m.messengers))]

    @jax.jit
    def one(pools):
        for which, source in enumerate(sources):
            pools = transport(m, plans[which], which, pools, source)
        return pools

    pools = Pools(tuple(fields), no_pending(m, GRID), ((),) * len(fields))
    for _ in range(steps):
        pools = one(pools)
    return pools


def laplacian():
    """Minus the no-flux Laplacian of the grid, dense [1/um^2]."""
    parts = []
    for n in GRID.shape:
        one = 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
        one[0, 0] = one[-1, -1] = 1
        parts.append(one / 4.0)
    x, y, z = parts
    a, b, c = (np.eye(n) for n in GRID.shape)
    return np.kron(np.kron(x, b), c) + np.kron(np.kron(a, y), c) + np.kron(np.kron(a, b), z)


def test_phi2_and_the_exposure_are_integrals(x64):
    z = jnp.asarray([0.0, 1e-6, 0.05, 0.0999, 0.1001, 1.0, 30.0, 800.0])
    s = (np.arange(200_000) + 0.5) / 200_000
    expected = [np.mean(-np.expm1(-x * s) / x) if x else 0.5 for x in np.asarray(z)]
    np.testing.assert_allclose(phi2(z), expected, rtol=1e-6)
    rng = np.random.default_rng(1)
    field, source = (jnp.asarray(rng.uniform(0, 1, GRID.shape)) for _ in range(2))
    way = plan(GRID, 0.7, 0.05, 20.0)
    after, exposure = advance_with_exposure(way, exposure_gain(way), field, source)
    # what was there and was made is still there or was lost, in the whole box
    np.testing.assert_allclose(field.sum() + 20 * source.sum() - 0.05 * exposure.sum(), after.sum(), rtol=1e-12)
    A = 0.7 * laplacian() + 0.05 * np.eye(GRID.n_voxels)
    u0, S = (np.asarray(v).ravel() for v in (field, source))
    u1 = expm(-20 * A) @ (u0 - np.linalg.solve(A, S)) + np.linalg.solve(A, S)
    np.testing.assert_allclose(np.asarray(after).ravel(), u1, rtol=1e-9)
    np.testing.assert_allclose(np.asarray(exposure).ravel(), np.linalg.solve(A, u0 - u1 + 20 * S), rtol=1e-9)


def test_second_order_reactions_have_their_closed_forms(x64):
    left, gone = bilinear(array([3.0, 0.5]), array(0.02), array([4.0, -1.0]), array(10.0))
    np.testing.assert_allclose(left, [3 * np.exp(-0.8), 0.5], rtol=1e-14)
    np.testing.assert_allclose(left + gone, [3.0, 0.5], rtol=1e-15)
    left, gone = quadratic(array([3.0, 0.0, 1e-30]), array(0.02), array(0.2), array(10.0))
    np.testing.assert_allclose(left / 0.2, [15 / (1 + 0.02 * 15 * 10), 0.0, 5e-30], rtol=1e-13)
    half, _ = quadratic(*quadratic(array(3.0), array(0.02), array(0.2), array(5.0))[:1], array(0.02), array(0.2),
                        array(5.0))
    np.testing.assert_allclose(half, left[0], rtol=1e-13)


def chain(elapsed, steps, order=(0, 1, 2)):
    """A -> B -> C with sources of A: amounts after, everything summed."""
    rng = np.random.default_rng(2)
    field, source = (jnp.asarray(rng.uniform(0, 1, GRID.shape)) for _ in range(2))
    m = model((messenger("A", 0.05, 0.001), messenger("B", 0.02, 0.0005), messenger("C", 0.01, 0.0)),
              (reaction(0, 1, "first", 0.004, 2.0), reaction(1, 2, "loss"), reaction(0, 2, "loss", share=0.5)))
    zero = jnp.zeros(GRID.shape)
    return m, run(m, [field, zero, zero], [source * 0.01, zero, zero], elapsed, steps), field, 0.01 * source


def test_a_first_order_chain_converges_at_second_order_and_its_first_member_is_exact(x64):
    _, _, u, S = chain(400.0, 1)
    n, A, one = GRID.n_voxels, laplacian(), np.eye(GRID.n_voxels)
    M = np.block([[0.05 * A + 0.005 * one, 0 * one, 0 * one], [-0.008 * one, 0.02 * A + 0.0005 * one, 0 * one],
                  [-0.0005 * one, -0.0005 * one, 0.01 * A]])
    big = np.zeros((3 * n + 1, 3 * n + 1))
    big[: 3 * n, : 3 * n], big[:n, -1] = -M, np.asarray(S).ravel()
    exact = (expm(400 * big) @ np.concatenate([np.asarray(u).ravel(), np.zeros(2 * n), [1.0]]))[:-1].reshape(3, n)
    errors = []
    for steps in (4, 8, 16):
        pools = chain(400.0 / steps, steps)[1]
        got = np.stack([np.asarray(f).ravel() for f in pools.fields])
        np.testing.assert_allclose(got[0], exact[0], rtol=1e-10)
        assert got.min() >= 0 and all(float(np.abs(p).max()) == 0 for p in pools.pending if p.size)
        errors.append(np.abs(got[1:] - exact[1:]).max() / exact[1:].max())
    assert errors[2] < 2e-4
    assert errors[0] > 3.6 * errors[1] > 3.6**2 * errors[2]


def test_every_reaction_conserves_what_it_turns_over(x64):
    fast = Saturable(array(3.0), array(10.0), array(0.0))
    m = model((messenger("A", 0.05, 0.0), messenger("E", 0.01, 0.0), messenger("B", 0.02, 0.0, saturable=fast),
               messenger("C", 0.01, 0.0)),
              (reaction(0, 2, "catalysed", 1e-3, catalyst=1), reaction(0, 3, "second", 1e-3), reaction(2, 3, "loss")))
    rng = np.random.default_rng(3)
    fields = [jnp.asarray(rng.uniform(0, 5, GRID.shape)) for _ in range(4)]
    zero = jnp.zeros(GRID.shape)
    pools = run(m, fields, [zero] * 4, 50.0, 20)
    total = sum(float(x.sum()) for x in (*pools.fields, *pools.pending))
    np.testing.assert_allclose(total, sum(float(x.sum()) for x in fields), rtol=1e-12)
    assert min(float(f.min()) for f in pools.fields) >= 0
    np.testing.assert_allclose(float(pools.fields[1].sum()), float(fields[1].sum()), rtol=1e-12)
    assert float(pools.fields[0].sum()) < 0.5 * float(fields[0].sum())


def test_a_run_starts_where_its_sources_lead(x64):
    fraction, level = 0.2, 100.0
    saturable = Saturable(array(0.4), array(50.0), array(level))
    tonic = array(fraction * (0.002 + 0.4 / 150.0 + 0.001) * level)
    m = model((messenger("A", tonic=tonic, saturable=saturable), messenger("B")), (reaction(0, 1, "first", 0.001),))
    start = resting_fields(m, GRID, np.zeros(0, np.int64))
    np.testing.assert_allclose(start[0], fraction * level, rtol=1e-10)
    np.testing.assert_allclose(start[1], fraction * level * 0.001 / 0.002, rtol=1e-10)
    zero = jnp.zeros(GRID.shape)
    drift = []
    for elapsed in (100.0, 50.0):  # only the splitting of the saturable loss moves what is at rest
        after = run(m, start, [zero, zero], elapsed, round(3000 / elapsed)).fields
        drift.append([float(jnp.abs(now / before - 1).max()) for now, before in zip(after, start, strict=True)])
    assert max(drift[0]) < 1e-3 and max(drift[1]) < 1e-3


def test_what_turns_into_another_comes_first():
    assert in_order([("ATP", "ado"), ("x", "ATP")], ["ado", "ATP", "y", "x"]) == ["x", "ATP", "ado", "y"]
    assert sorted(in_order([("a", "b"), ("b", "a")], ["a", "b"])) == ["a", "b"]
