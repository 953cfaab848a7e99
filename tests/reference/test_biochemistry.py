"""The minimal DSI model and the two LTP signals of Solinas et al. (2019) against closed forms and plain NumPy."""

import jax
import jax.numpy as jnp
import numpy as np

from retrojax.numerics import runge_kutta
from retrojax.parts.biochemistry import BDNFSignal, DepolarisationSuppression, RetrogradeMessenger, VesicleGate
from retrojax.parts.biochemistry.timing_ltp import BDNFState, RetrogradeState

sigmoid = lambda x, theta, width: 0.5 * (1 + np.tanh((x - theta) / (2 * width)))  # noqa: E731


def test_suppression_follows_its_closed_forms(x64):
    model, calcium, t = DepolarisationSuppression(), jnp.asarray(4.0), 2.0
    step = jnp.asarray(1e-3)
    one = lambda _, s: runge_kutta(lambda _, x: model.slope(x, calcium), s, step)  # noqa: E731
    s = jax.lax.fori_loop(0, 2000, one, model.init(()))
    made = 5.0 * 4.0**3 / (4.0**3 + 1.5**3)
    left_p, left_c = np.exp(-t / 0.3), np.exp(-0.5 * t)
    ligand = made * ((1 - left_c) / 0.5 - (left_p - left_c) / (0.5 - 1 / 0.3))
    np.testing.assert_allclose([s.production, s.ligand], [made * (1 - left_p), ligand], rtol=1e-9)
    # at rest the effector is in equilibrium with the ligand
    bound = s._replace(effector=0.125 * s.ligand / (0.125 * s.ligand + 0.05))
    assert abs(float(model.slope(bound, calcium).effector)) < 1e-15
    np.testing.assert_allclose(model.suppression(bound), 0.8 * bound.effector, rtol=1e-15)


def test_retrograde_messenger_slope(x64):
    rng, model = np.random.default_rng(0), RetrogradeMessenger()
    for calcium in (0.0, 0.045995, 0.06, 0.12003, 0.2):
        K, M, R, E = rng.uniform(0, (0.03, 0.04, 1, 1))
        d = model.slope(RetrogradeState(*map(jnp.asarray, (K, M, R, E))), jnp.asarray(calcium))
        moved = M / 1e3 * sigmoid(M, 0.02, 0.001)
        expected = (-K / 1e5 + 0.015 * sigmoid(calcium, 0.12, 1e-4),
                    -M / 7e3 + 1e-3 * sigmoid(calcium, 0.046, 1e-5) * (1 - sigmoid(K, 0.015, 0.001)) - moved,
                    moved - R / 2.16e6, R / 2.16e6)
        np.testing.assert_allclose(d, expected, rtol=1e-9, atol=1e-18)
        np.testing.assert_allclose(model.rise(RetrogradeState(*map(jnp.asarray, (K, M, R, 0.1504)))),
                                   1.1 * sigmoid(0.1504, 0.15, 1e-3), rtol=1e-9)


def test_vesicles_fuse_only_after_frequent_crossings(x64):
    gate = VesicleGate()

    def memories(period, count=12):
        s, seen = gate.init(()), []
        for _ in range(count):
            s = gate.step(s, jnp.asarray(0.13), jnp.asarray(0.0))
            seen.append((float(s.memory), float(gate.commitment(s, jnp.asarray(0.13)))))
            s = gate.step(s, jnp.asarray(0.13), jnp.asarray(40.0))  # no second crossing while above
            s = gate.step(s, jnp.asarray(0.05), jnp.asarray(period - 40.0))
        return np.array(seen).T

    for period in (2000.0, 20_000.0):
        memory, commitment = memories(period)
        left = np.exp(-period / 1e4)
        np.testing.assert_allclose(memory, 0.1 * (1 - left ** np.arange(1, 13)) / (1 - left), rtol=1e-9)
        np.testing.assert_allclose(commitment, np.where(memory > 0.15, 1.2 * (0.13 - 0.1038) / (0.16 - 0.1038), 0),
                                   rtol=1e-12)
    assert gate.commitment(gate.init(())._replace(memory=jnp.asarray(1.0)), jnp.asarray(0.05)) == 0


def test_bdnf_slope_and_amount(x64):
    model = BDNFSignal()
    pro, m, pc, c, signal = 3e-4, 2.05e-4, 0.01, 2e-4, 0.01001
    s = BDNFState(*map(jnp.asarray, (pro, m, pc, c, signal)))
    v = 0.002 * 300 / 1.5e6
    expected = (0.3 * v - 1e-4 * pro * pc - 1e-5 * pro, 0.7 * v + 1e-4 * c - 1e-5 * m,
                v + 1e-4 * c - 1e-4 * pro * pc - 1e-5 * pc, 1e-4 * pro * pc - 1e-4 * c,
                m * sigmoid(m, 2e-4, 1e-5) / 1.8e5)
    np.testing.assert_allclose(model.slope(s, jnp.asarray(300.0)), expected, rtol=1e-12)
    np.testing.assert_allclose(model.conductance(s), 1 + 1.5 * sigmoid(signal, 0.01, 1e-5), rtol=1e-9)
    # without uptake all BDNF, cleaved or not, is what the vesicles held
    held = BDNFSignal(k_u=0.0).slope(s, jnp.asarray(300.0))
    np.testing.assert_allclose(held.pro + held.mature + held.bound, v, rtol=1e-12)
