"""The corticostriatal synapse against plain NumPy, the CaMKII ring against its 64 configurations, one published row."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrojax.errors import InputError
from retrojax.parts import CB1
from retrojax.parts.biochemistry.corticostriatal import (
    BistableCaMKII,
    CannabinoidWeight,
    CorticostriatalSynapse,
    SpineMembrane,
)
from retrojax.parts.biochemistry.corticostriatal.endocannabinoid import CannabinoidWeightState
from retrojax.protocols import Pairing, Steps, pair_by_steps

F, RT = 96.5, 2553.78703401
CLASSES = [set(), {0}, {0, 1}, {0, 2}, {0, 3}, {0, 1, 2}, {0, 1, 3}, {0, 2, 3}, {0, 2, 4}, {0, 1, 2, 3}, {0, 1, 2, 4},
           {0, 1, 3, 4}, {0, 1, 2, 3, 4}, {0, 1, 2, 3, 4, 5}]
"""Phosphorylated subunits of one ring of each state B0..B13."""


def ring_class(phosphorylated):
    """Index of the state that a ring belongs to, whichever subunit is called the first."""
    return next(k for k, c in enumerate(CLASSES) if any({(i + turn) % 6 for i in c} == phosphorylated
                                                        for turn in range(6)))


def ring_slope(B, a, b, q):
    """Master equation over rings: a subunit is phosphorylated at b behind a phosphorylated one, else at a."""
    change = np.zeros(14)
    for k, ring in enumerate(CLASSES):
        for i in range(6):
            rate = q if i in ring else b if (i - 1) % 6 in ring else a
            change[k] -= rate * B[k]
            change[ring_class(ring ^ {i})] += rate * B[k]
    return change


def test_every_ring_has_exactly_one_state():
    counted = np.bincount([ring_class({i for i in range(6) if on[i]}) for on in itertools.product((0, 1), repeat=6)])
    assert counted.sum() == 64 and len(counted) == 14 and counted.tolist()[8] == 2 and counted.tolist()[4] == 3


def test_ring_follows_its_master_equation(x64):
    rng = np.random.default_rng(1)
    for _ in range(5):
        B, (a, b, q) = rng.uniform(0, 2, 14), rng.uniform(0.1, 8, 3)
        kinase = BistableCaMKII(total=B.sum())
        got = kinase._ring(tuple(jnp.asarray(B[1:])), *map(jnp.asarray, (a, b, q)))
        np.testing.assert_allclose(np.array(got), ring_slope(B, a, b, q)[1:], rtol=1e-11, atol=1e-11)


def looked_up(f, V):
    """The published look-up, table and 1-based index written out."""
    step = 200 / 401
    table = [None] + [f(-100 + step * (i - 1)) for i in range(1, 402)]
    u = (V + 100) / step
    i = int(np.floor(u))
    return table[1] if i < 1 else table[401] if i >= 401 else table[i] + (table[i + 1] - table[i]) * (u - i)


def oracle(x, glu, act, look_up=True, slip=1e-3):
    """Derivative of everything but the ring, by name, in the order the equations are printed."""
    read = looked_up if look_up else lambda f, V: f(V)
    V, m, h, oA, oN, Ca, CaER, hI, IP3, DAG, g, AG, AEA, O, D, W, PP1, I1, p = x  # noqa: E741
    minf = read(lambda v: 1 / (1 + np.exp((v + 33) / -6.7)), V)
    hinf = read(lambda v: 1 / (1 + np.exp((v + 13.4) / 11.9)), V)
    taum = read(lambda v: 1 / (39.8 * (v + 8.124) / (np.exp((v + 8.124) / 9.005) - 1) + 990 * np.exp(v / 31.4)), V)
    B = read(lambda v: 1 / (1 + 1.0 / 3.57 * np.exp(-0.062 * v)), V)
    z = 2 * F * V * slip / RT
    e = lambda u: u / (np.exp(u) - 1) if abs(u) > 1e-4 else 1 - u / 2  # noqa: E731
    I_CaL = 1.02e-6 * m * m * h * 2 * F * (Ca * e(-z) - 5000 * e(z))
    J, Q, K, L, Dj, C, P = 0.0169 * np.exp(0.6 * F * V / RT), AEA / 0.5, 1.82634305618e-3, 4.2e-4, 1100., 23367., 750.
    shut = 1 + J + K + Q + J * K + J * Q + K * Q + J * K * Q
    opened = 1 + J * Dj + K * C + Q * P + J * K * C * Dj + J * Q * Dj * P + K * Q * C * P + J * K * Q * Dj * C * P
    I_V1 = 3e-4 * V / (1 + shut / (L * opened))
    I_A, I_N = 5.1 * oA * V, 1.53 * oN * B * V
    beta = lambda c: 1 + 4.5 / 0.5 / (1 + c / 0.5) ** 2  # noqa: E731
    JER = (4 * (IP3 / (IP3 + 0.13) * Ca / (Ca + 0.12) * hI) ** 3 * (CaER - Ca) - 8 * Ca**2 / (Ca**2 + 0.05**2)
           + 0.1 * (CaER - Ca))
    v = 0.8 * glu / (glu + 1.3 * (1 + 10 / 1.3 * Ca / (Ca + 0.6))) + 0.02 / (1 + IP3 / 1.5) * Ca**2 / (Ca**2 + 0.1**2)
    made = 2e4 * g * DAG / (DAG + 30)
    lig, y = AG + 0.1 * AEA, 3000 * O + 0.7 * 0.01
    y2 = 3000 * O + 0.07 * 0.01
    omega = 1 - 0.65 * (0.027 < y < 0.047) + 13.5425 * (y > 0.086)
    CaM = 0.07052 / (1 + 0.4 / Ca + 0.32 * 0.4 / Ca**2 + 0.025 * 0.32 * 0.4 / Ca**3 + 0.1 * 0.025 * 0.32 * 0.4 / Ca**4)
    dPP1 = -500 * I1 * PP1 + 0.1 * (0.2 - PP1)
    kA, kN = 0.0025 + 4.67 / (1 + (0.159 / CaM) ** 3), 0.05 + 20.5 / (1 + (0.053 / CaM) ** 3)
    return np.array([
        (-10 * (V + 70) - I_CaL - I_V1 - I_A - I_N - act) / 0.1, (minf - m) / (taum / 3), (hinf - h) / (0.0443 / 3),
        1.02 * glu * (1 - oA) - 190 * oA, 0.072 * glu * (1 - oN) - 100 * oN,
        (JER - 84 * I_CaL - 70 * I_N - 310 * I_V1 - (Ca - 0.1) / 0.007) / beta(Ca), -JER * 0.3 / beta(CaER),
        0.5 * 3.049 * (IP3 + 0.13) / (IP3 + 0.9434) * (1 - hI) - 0.5 * Ca * hI,
        v - 0.001 * p * IP3 / (IP3 + 1) - 0.2 * IP3, v - made - 2 * DAG, 50 * Ca**6 * (1 - g) - 380 * g,
        made - 0.5 * AG, 0.2 * Ca - 4 * AEA / (1 + AEA),
        0.240195 * lig * (1 - O - D) - (11.0719 + 416.379) * O, 416.379 * O - 0.0477957 * D,
        (omega - W) / (1e-9 / (1e-35 + y2**7) + 2), dPP1, dPP1 + kA - I1 * kN,
    ])


def random_state(synapse, rng):
    """A state of the model, and the same numbers in the order of the oracle."""
    low = [-75, 0, 0, 0, 0, 0.05, 40, 0.3, 0.02, 0.002, 1e-7, 1e-5, 3e-3, 1e-7, 1e-3, 0.8, 1e-4, 0.01]
    high = [40, 1, 1, 0.9, 0.9, 1.5, 80, 1.0, 1.0, 0.1, 0.3, 0.06, 0.2, 3e-5, 0.3, 3, 0.1, 0.1]
    x, B = rng.uniform(low, high), rng.uniform(0, 2, 13)
    s = synapse.init()
    flat, tree = jax.tree.flatten(s)
    assert len(flat) == 31
    full = np.concatenate([x[:16], B, x[16:]])
    phosphorylated = B @ [len(c) for c in CLASSES[1:]]
    return jax.tree.unflatten(tree, list(map(jnp.asarray, full))), (*x, phosphorylated)


def test_slope_is_that_of_the_printed_equations(x64):
    rng = np.random.default_rng(0)
    for look_up, slip in ((True, 1e-3), (False, 1.0)):
        synapse = CorticostriatalSynapse(SpineMembrane(ghk_scale=slip, look_up=look_up))
        for _ in range(6):
            state, x = random_state(synapse, rng)
            # lipids are stored with DAG before g, as the oracle has them
            glu, act = rng.uniform(0, 2000), rng.uniform(-7000, 0)
            got = np.array(jax.tree.leaves(synapse.slope(state, jnp.asarray(glu), jnp.asarray(act))))
            np.testing.assert_allclose(np.delete(got, np.s_[16:29]), oracle(x, glu, act, look_up, slip), rtol=1e-9)


def test_published_initial_state_is_at_rest(x64):
    synapse = CorticostriatalSynapse()
    state = synapse.init()
    slope = synapse.slope(state, jnp.asarray(0.0), jnp.asarray(0.0))
    per_minute = [abs(60 * float(d)) / abs(float(x)) for d, x in zip(*map(jax.tree.leaves, (slope, state)), strict=True)
                  if float(x) != 0]
    assert max(per_minute) < 0.02


def test_receptor_at_its_steady_state_is_the_rule_for_networks(x64):
    weight, rule = CannabinoidWeight(), CB1()
    nM, desensitised = jnp.asarray(40.0), jnp.asarray(0.2)
    bound = rule.alpha * nM
    at_rest = bound * (1 - desensitised) / (bound + rule.beta + rule.gamma)
    state = CannabinoidWeightState(at_rest, desensitised, jnp.asarray(1.0))
    slope = weight.slope(state, nM * 1e-3, jnp.asarray(0.0))
    assert abs(float(slope.O)) < 1e-9
    np.testing.assert_allclose(weight.drive(state), rule.drive(desensitised, nM), rtol=1e-12)


def test_one_pairing(x64):
    # 2-AG and the drive are gone after 20 s; the published row is read after 150
    steps = Steps(tail=100_000, read_after=20.0)
    seen = jax.jit(pair_by_steps)(
        CorticostriatalSynapse(), Pairing(*map(jnp.asarray, (-0.015, 1.0, 1.0))), steps, jnp.asarray(1))
    np.testing.assert_allclose(seen.peak_Ca, 1.107, rtol=2e-3)
    np.testing.assert_allclose(seen.peak_2AG, 18.9e-3, rtol=3e-3)
    np.testing.assert_allclose(seen.peak_y, 0.0407, rtol=2e-3)
    np.testing.assert_allclose([seen.W_pre, seen.W_post], [0.990, 1.005], atol=1e-3)
    assert seen.time_ltp == 0 and 1.0 < seen.time_ltd < 1.15


def test_steps_that_are_not_stable_are_refused():
    with pytest.raises(InputError, match=r"step = 0.001 cannot be used.*2e-4 s"):
        Steps(step=1e-3)
    with pytest.raises(InputError, match=r"tail = 0 .*at least 1 step"):
        Steps(tail=0)
