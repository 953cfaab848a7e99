"""The tripartite synapse against plain NumPy: every equation of its code, conserved amounts, rest, releases."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrojax.errors import InputError
from retrojax.parts.biochemistry.mass_action import mass_action, reactions
from retrojax.parts.biochemistry.tripartite import GlutamateCascade, TripartiteSynapse
from retrojax.parts.biochemistry.tripartite.nmda_gating import GatingState

exp = np.exp
POOLS = {  # moieties of the cascade that no reaction makes or breaks
    "mGluR": ("mGluR", "Glu_mGluR", "Glu_mGluR_desensitised", "Gabg_Glu_mGluR"),
    "G protein": ("Gabg", "Gabg_Glu_mGluR", "GaGTP", "GaGDP", "GaGTP_PLC", "Ca_GaGTP_PLC", "Ca_GaGTP_PIP2_PLC",
                  "Ca_DAG_GaGTP_PLC"),
    "PLC": ("PLC", "Ca_PLC", "GaGTP_PLC", "Ca_GaGTP_PLC", "Ca_PIP2_PLC", "Ca_DAG_PLC", "Ca_GaGTP_PIP2_PLC",
            "Ca_DAG_GaGTP_PLC"),
    "DAGL": ("DAGL", "Ca_DAGL", "Ca_DAG_DAGL"),
    "PIKin": ("PIKin", "IP3_degraded_PIKin"),
    "inositol": ("PIP2", "Ca_PIP2_PLC", "Ca_GaGTP_PIP2_PLC", "IP3", "IP3_degraded", "IP3_degraded_PIKin"),
}


def presynaptic(x, glu, current):
    """Derivatives of the terminal without its receptors, and the block and slow rates."""
    V = x["V"]
    T, c_V, c = 5 ** 1.1, 1000 * 8.3145 * 309.15 / (2 * 96485), 2 * 96485 * 0.1 / 10000
    sig = 1 / (1 + exp((V + 10 - 10) / 1))
    inf_on, inf_h, inf_s = 1 / (1 + exp(-(V + 30) / 3)), 1 / (1 + exp((V + 35) / 3)), 1 / (1 + exp((V + 34) / 3))
    al, be = 0.1967 * (-V + 19.88) / (exp((-V + 19.88) / 10) - 1), 0.046 * exp(-V / 20.73)
    ah, bh = 1.6e-4 * exp(-V / 48.4), 1 / (1 + exp((-V + 39) / 10))
    tau_p = max(0.2 / T, exp(0.0378 * 2 * 0.1 * (V + 14)) / (T * 0.03 * (1 + exp(0.0378 * 2 * (V + 14)))))
    nu = V / c_V
    ghk = c_V * (1 - x["Ca"] / 2000 * exp(nu)) * nu / (1 - exp(nu))
    I_Ca = 0.3 * x["p"] ** 2 * x["q"] / (1 + x["Ca"]) * ghk
    I_CaN = 0.0 if V >= 0 else 0.1 * 0.1 * x["O"] * V
    I_NaN = 0.0 if V >= 0 else 0.9 * 0.1 * x["O"] * V
    I_K = 20 * x["n"] ** 3 * (V + 77) + 20 * x["n2"] ** 3 * (V + 77)
    I_Na = 30 * x["m"] ** 3 * x["h"] * x["s"] * (V - 50)
    return {
        "V": (-I_Ca - I_K - I_Na - 0.2 * (V + 60) - I_CaN - I_NaN + current) / 1.5,
        "m": (inf_on - x["m"]) / 0.05, "h": (inf_h - x["h"]) / 1, "s": (inf_s - x["s"]) / (30 * sig + 0.1),
        "n": (inf_on - x["n"]) / 1, "n2": (inf_on - x["n2"]) / 10, "p": (al / (al + be) - x["p"]) / tau_p,
        "q": (ah / (ah + bh) - x["q"]) / 80,
        "Ca": -I_Ca / c + (0.05 - x["Ca"]) / 100, "Ca_N": -I_CaN / c + (0.05 - x["Ca_N"]) / 100,
        "CaN": 0.001 * (2 - x["CaN"]) * x["Ca_N"] ** 3 - 0.002 * x["CaN"],
        "X": 3e-5 * x["CaN"] ** 2 / (2**2 + x["CaN"] ** 2) * (0.1 - x["X"]),
        "P": -0.0075 * x["P"], "R": 0.0075 * (1 - x["R"]), "since": 1.0,
    }


def receptors(x, V, glu):
    """Derivatives of the receptor scheme, both sides written out."""
    kon, koff, ks, kb = 2.83e-3, 0.0381, 0.048 * exp((V + 100) / 175), 0.23
    out = {}
    for m in ("", "_Mg"):
        R, A1, A2, d1, d2, f, s, O = (x[n + m] for n in ("R", "RA", "RA2", "d1", "d2", "f", "s", "O"))  # noqa: E741
        out["R" + m] = -2 * kon * glu * R + koff * A1
        out["RA" + m] = 2 * kon * glu * R - koff * A1 - kon * glu * A1 + 2 * koff * A2
        out["RA2" + m] = (kon * glu * A1 - 2 * koff * A2 - 0.055 * A2 + 0.0814 * d1 - 0.0112 * A2 + 9.1e-4 * d2
                          - 2.836 * A2 + 0.175 * f - ks * A2 + kb * s)
        out["d1" + m], out["d2" + m] = 0.055 * A2 - 0.0814 * d1, 0.0112 * A2 - 9.1e-4 * d2
        out["f" + m] = 2.836 * A2 - 0.175 * f - ks * f + kb * O
        out["s" + m] = ks * A2 - kb * s - 2.836 * s + 0.175 * O
        out["O" + m] = ks * f - kb * O + 2.836 * s - 0.175 * O
    blocked = 6.1e-4 * exp(-V / 17) * x["O"] - 5.4 * exp(V / 47) * x["O_Mg"]
    out["O"], out["O_Mg"] = out["O"] - blocked, out["O_Mg"] + blocked
    return out


def postsynaptic(x, glu, current):
    """Derivatives of both compartments, and the calcium current density of the dendrite."""
    V, U = x["V"], x["U"]
    warm, warmer = 3 ** 1.25, 2.3 ** 1.5
    tau_b = (1 / (exp((U + 46) / 5) + exp(-(U + 238) / 37)) if U < -63 else 19) / warm
    tau_a = (1 / (exp((U + 36) / 20) + exp(-(U + 80) / 13)) + 0.37) / warm
    ap, bp = -0.055 * (U + 27) / (exp(-(U + 27) / 3.8) - 1), 0.94 * exp(-(U + 75) / 17)
    aq, bq = 0.000457 * exp(-(U + 13) / 50), 0.0065 / (1 + exp(-(U + 15) / 28))
    I_Ca = (0.23 * x["p"] ** 2 * x["q"] + 0.23 * x["r"] ** 2 * x["s"]) * (U - 90)
    I_N = 0.001 / (1 + 1000 / 3570 * exp(-0.062 * U)) * x["nmda"] * U
    I_soma = (50 * x["n"] ** 2 * (V + 85) + 60 * x["m"] ** 2 * x["h"] * (V - 50) + 0.2 * (V + 70)
              + 0.1 / (1 + exp(-(V + 50) / 6)) * (V - 50))
    I_dend = (1 * x["a"] ** 4 * x["b"] * (U + 85) + I_Ca + 0.06 * x["md"] ** 2 * x["hd"] * (U - 50) + 0.2 * (U + 70)
              + 0.1 * x["ampa"] * U + I_N)
    return {
        "V": (-I_soma + 2.1 / 0.5 * (U - V) + current) / 3, "U": (-I_dend + 2.1 / 0.5 * (V - U)) / 3,
        "m": (1 / (1 + exp(-(V + 17) / 11)) - x["m"]) / 0.05, "h": (1 / (1 + exp((V + 23) / 11.5)) - x["h"]) / 0.5,
        "n": (1 / (1 + exp(-(V + 17) / 13.6)) - x["n"]) / 2,
        "md": (1 / (1 + exp(-(U + 17) / 11)) - x["md"]) / 0.05, "hd": (1 / (1 + exp((U + 23) / 11.5)) - x["hd"]) / 0.5,
        "a": (1 / (1 + exp(-(U + 40) / 8.5)) - x["a"]) / tau_a, "b": (1 / (1 + exp((U + 49) / 6)) - x["b"]) / tau_b,
        "p": (ap / (ap + bp) - x["p"]) * (ap + bp), "q": (aq / (aq + bq) - x["q"]) * (aq + bq),
        "r": (1 / (1 + exp(-(U + 40) / 6)) - x["r"]) / ((5 + 20 / (1 + exp((U + 35) / 5))) / warmer),
        "s": (1 / (1 + exp((U + 90) / 6.4)) - x["s"]) / ((20 + 50 / (1 + exp((U + 50) / 7))) / warmer),
        "ampa": 0.0011 * 0.9 * glu * (1 - x["ampa"]) - 0.19 * x["ampa"],
        "nmda": 7.2e-5 * 0.9 * glu * (1 - x["nmda"]) - 0.0066 * x["nmda"],
    }, -(I_Ca + I_N) / (2 * 96485 * (4 / 3 * np.pi * 5e-5**3) / (0.5 * 4 * np.pi * 5e-5**2))


def calcium(x, entering, cell, ER):
    """Calcium of spine and store, and 2-AG, DAG and IP3."""
    Ca, J = x["Ca"], 0.003 * x["Ca"] ** 2 / (0.4**2 + x["Ca"] ** 2)
    J_IP3 = 0.01 * (x["IP3"] / (0.15 + x["IP3"])) ** 3 * (Ca / (0.8 + Ca)) ** 3 * x["h"] ** 3 * (x["Ca_ER"] - Ca)
    store = J_IP3 - J + ER * (x["Ca_ER"] - Ca)
    pump = 1000 * 3 / 5e-5 * 8e-11 * Ca**2 / (0.12**2 + Ca**2)
    bound = (0.002 * Ca * x["PLC"] - 0.12 * x["Ca_PLC"] + 0.08 * Ca * x["GaGTP_PLC"] - 0.04 * x["Ca_GaGTP_PLC"]
             + 0.125 * Ca * x["DAGL"] - 0.05 * x["Ca_DAGL"])
    joined = 0.0025 * x["DAG"] * x["Ca_DAGL"] - 0.0015 * x["Ca_DAG_DAGL"]
    return {"Ca": store + entering - pump + cell * (2015.1 - Ca) - bound, "Ca_ER": -store / 0.185,
            "h": (1.9 / (1.9 + Ca) - x["h"]) / 2000, "AG": 0.001 * x["Ca_DAG_DAGL"] - 0.005 * x["AG"],
            "DAG": 0.2 * x["Ca_DAG_PLC"] + x["Ca_DAG_GaGTP_PLC"] - joined - 6.6e-4 * x["DAG"],
            "IP3": 0.025 * x["Ca_PIP2_PLC"] + 0.25 * x["Ca_GaGTP_PIP2_PLC"] - 0.01 * x["IP3"]}


def cascade(x):
    """Derivatives of the receptor, the G protein, PLC and the phosphoinositides."""
    binding = 1e-4 * 0.9 * x["Glu"] * x["mGluR"] - 0.01 * x["Glu_mGluR"]
    exchange = 0.015 * x["Gabg"] * x["Glu_mGluR"] - 0.0072 * x["Gabg_Glu_mGluR"]
    to_CaPLC = 0.1 * x["GaGTP"] * x["Ca_PLC"] - 0.01 * x["Ca_GaGTP_PLC"]
    to_PLC = 0.01 * x["GaGTP"] * x["PLC"] - 0.012 * x["GaGTP_PLC"]
    slow = 0.0006 * x["PIP2"] * x["Ca_PLC"] - 0.01 * x["Ca_PIP2_PLC"]
    fast = 0.015 * x["PIP2"] * x["Ca_GaGTP_PLC"] - 0.075 * x["Ca_GaGTP_PIP2_PLC"]
    kinase = 0.002 * x["IP3_degraded"] * x["PIKin"] - 0.001 * x["IP3_degraded_PIKin"]
    return {
        "Glu": -0.2 * 0.9 * x["Glu"] - binding, "mGluR": -binding,
        "Glu_mGluR_desensitised": 0.00025 * x["Glu_mGluR"] - 1e-6 * x["Glu_mGluR_desensitised"],
        "Gabg": -exchange + 0.01 * x["GaGDP"], "Gabg_Glu_mGluR": exchange - 0.0005 * x["Gabg_Glu_mGluR"],
        "GaGTP": 0.0005 * x["Gabg_Glu_mGluR"] - to_CaPLC - to_PLC - 0.001 * x["GaGTP"],
        "GaGDP": 0.03 * (x["GaGTP_PLC"] + x["Ca_GaGTP_PLC"]) + 0.001 * x["GaGTP"] - 0.01 * x["GaGDP"],
        "PLC": -0.002 * x["Ca"] * x["PLC"] + 0.12 * x["Ca_PLC"] - to_PLC + 0.03 * x["GaGTP_PLC"],
        "GaGTP_PLC": to_PLC - 0.08 * x["Ca"] * x["GaGTP_PLC"] + 0.04 * x["Ca_GaGTP_PLC"] - 0.03 * x["GaGTP_PLC"],
        "Ca_PIP2_PLC": slow - 0.025 * x["Ca_PIP2_PLC"], "Ca_GaGTP_PIP2_PLC": fast - 0.25 * x["Ca_GaGTP_PIP2_PLC"],
        "Ca_DAG_PLC": 0.025 * x["Ca_PIP2_PLC"] - 0.2 * x["Ca_DAG_PLC"],
        "Ca_DAG_GaGTP_PLC": 0.25 * x["Ca_GaGTP_PIP2_PLC"] - x["Ca_DAG_GaGTP_PLC"],
        "PIP2": -slow - fast + 0.001 * x["IP3_degraded_PIKin"], "PIKin": -kinase + 0.001 * x["IP3_degraded_PIKin"],
        "IP3_degraded": 0.01 * x["IP3"] - kinase, "DAGL": -0.125 * x["Ca"] * x["DAGL"] + 0.05 * x["Ca_DAGL"],
    }


def astrocyte(x, AG, leak):
    """Derivatives of the astrocyte."""
    Q, free = 1.049 * (x["IP3"] + 0.13) / (x["IP3"] + 0.9434), 2 - 1.185 * x["Ca"]
    J = 0.006 * (x["IP3"] / (0.13 + x["IP3"])) ** 3 * (x["Ca"] / (0.08234 + x["Ca"])) ** 3 * x["h"] ** 3 * free
    return {"Ca": J - 0.0007 * x["Ca"] ** 2 / (0.1**2 + x["Ca"] ** 2) + leak * free,
            "IP3": (0.28 - x["IP3"]) / 7000 + 0.0008 * (AG - 0.0010453),
            "h": (Q / (Q + x["Ca"]) - x["h"]) * 2e-4 * (Q + x["Ca"]),
            "R": 6e-4 * (1 - x["R"]), "Glu": -0.005 * x["Glu"]}


def random_state(synapse, rng):
    """Every number of the published start, potentials and fractions moved well away from rest."""
    s = jax.tree.map(lambda v: jnp.asarray(rng.uniform(0.1, 0.9)), synapse.init())
    pre = s.pre._replace(V=jnp.asarray(rng.uniform(-70, 30)), since=jnp.asarray(3.0), X=jnp.asarray(0.04))
    post = s.post._replace(V=jnp.asarray(rng.uniform(-80, 20)), U=jnp.asarray(rng.uniform(-80, 20)))
    return s._replace(pre=pre, post=post, cascade=s.cascade._replace(Ca_ER=jnp.asarray(60.0), Glu=jnp.asarray(300.0)))


def numbers(part):
    return {name: float(value) for name, value in part._asdict().items() if name != "receptors"}


def compare(got, expected):
    for name, value in expected.items():
        np.testing.assert_allclose(got[name], value, rtol=1e-9, atol=1e-12, err_msg=name)


def test_slope_is_that_of_the_printed_equations(x64):
    synapse, rng = TripartiteSynapse(), np.random.default_rng(2)
    resting = synapse.resting(synapse.init())
    for _ in range(6):
        s = random_state(synapse, rng)
        d = synapse.slope(s, resting, jnp.asarray(10.0), jnp.asarray(25.0))
        glu, sensed = float(s.cascade.Glu), 0.1 * float(s.cascade.Glu) + float(s.astrocyte.Glu)
        open_fraction = {"O": float(s.pre.receptors.O)}
        compare(numbers(d.pre), presynaptic(numbers(s.pre) | open_fraction, sensed, 10.0))
        compare(numbers(d.pre.receptors), receptors(numbers(s.pre.receptors), float(s.pre.V), sensed))
        expected, entering = postsynaptic(numbers(s.post), glu, 25.0)
        compare(numbers(d.post), expected)
        compare(numbers(d.cascade), calcium(numbers(s.cascade), entering, float(resting.spine.cell),
                                            float(resting.spine.ER)) | cascade(numbers(s.cascade)))
        compare(numbers(d.astrocyte), astrocyte(numbers(s.astrocyte), float(s.cascade.AG), float(resting.astrocyte)))


def test_moieties_and_receptors_are_conserved(x64):
    synapse, rng = TripartiteSynapse(), np.random.default_rng(3)
    s = random_state(synapse, rng)
    d = synapse.slope(s, synapse.resting(s), jnp.asarray(0.0), jnp.asarray(0.0))
    for name, members in POOLS.items():
        assert abs(sum(float(getattr(d.cascade, m)) for m in members)) < 1e-12, name
    assert abs(sum(float(x) for x in d.pre.receptors)) < 1e-12
    assert sum(float(x) for x in synapse.init().pre.receptors) == 1 and len(GatingState._fields) == 16


def test_published_start_is_at_rest(x64):
    synapse = TripartiteSynapse()
    start, none, step = synapse.init(), jnp.asarray(0.0), jnp.asarray(0.05)
    resting = synapse.resting(start)
    still = lambda _, s: synapse.step(s, resting, none, none, step)  # noqa: E731
    end = jax.jit(lambda s: jax.lax.fori_loop(0, 20_000, still, s))(start)
    for part in ("post", "cascade", "astrocyte"):
        before, after = (np.array(jax.tree.leaves(getattr(s, part))) for s in (start, end))
        np.testing.assert_allclose(after, before, rtol=1e-4, err_msg=part)
    np.testing.assert_allclose(end.pre.V, start.pre.V, rtol=1e-5)


def test_a_spike_releases_once_and_an_astrocyte_at_its_threshold(x64):
    synapse = TripartiteSynapse()
    before = synapse.init().pre._replace(V=jnp.asarray(-1.0), Ca=jnp.asarray(5.0), X=jnp.asarray(0.05),
                                         R=jnp.asarray(0.8), P=jnp.asarray(0.1))
    after, glutamate = synapse.pre.release(before, before._replace(V=jnp.asarray(1.0)))
    P = 0.1 + (1 - 0.5) * 0.5 * 0.9
    np.testing.assert_allclose([after.P, after.R], [P, 0.8 - P * 0.8], rtol=1e-12)
    np.testing.assert_allclose(glutamate, 1092 * 2 * P * 0.8 / (1e-6 * 6.0221e23 * 2e-18), rtol=1e-12)
    again, more = synapse.pre.release(after, after)
    assert more == 0 and again.P == after.P
    below = synapse.astrocyte.init()._replace(Ca=jnp.asarray(0.29))
    crossed = synapse.astrocyte.release(below, below._replace(Ca=jnp.asarray(0.31)))
    np.testing.assert_allclose([crossed.R, crossed.Glu], [0.4, 78.0], rtol=1e-12)
    assert synapse.astrocyte.release(crossed._replace(Ca=jnp.asarray(0.31)), crossed).Glu == crossed.Glu


def test_mass_action_reads_reactions(x64):
    network = reactions("A + B <-> C\n C -> A + A\n A -> 0")
    amounts = {"A": jnp.asarray(2.0), "B": jnp.asarray(3.0), "C": jnp.asarray(5.0)}
    got = mass_action(network, tuple(map(jnp.asarray, (0.1, 0.2, 0.3, 0.4))), amounts)
    np.testing.assert_allclose([got["A"], got["B"], got["C"]], [-0.6 + 1.0 + 3.0 - 0.8, 0.4, 0.6 - 1.0 - 1.5])
    with pytest.raises(InputError, match=r"reactions = 'A \+ B'.*write the arrow"):
        reactions("A + B")
    with pytest.raises(InputError, match=r"rates = 'shape \(3,\)'.*39 constants"):
        GlutamateCascade(rates=(1.0, 2.0, 3.0))
