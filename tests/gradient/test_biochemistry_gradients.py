"""Gradients of the biochemical synapses' equations: forward = reverse = finite difference."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrojax.parts.biochemistry.corticostriatal import CorticostriatalSynapse
from retrojax.parts.biochemistry.tripartite import TripartiteSynapse


def corticostriatal(synapse):
    """Slopes of calcium, IP3 and 2-AG away from rest."""
    s = synapse.init()
    s = s._replace(membrane=s.membrane._replace(V=jnp.asarray(-31.0), o_nmda=jnp.asarray(0.3)),
                   lipids=s.lipids._replace(g=jnp.asarray(0.1)))
    d = synapse.slope(s, jnp.asarray(1000.0), jnp.asarray(-2000.0))
    return d.calcium.Ca + d.lipids.IP3 + 10 * d.lipids.AG2


def tripartite(synapse):
    """Slopes of spine calcium and of both compartments away from rest."""
    s = synapse.init()
    resting = synapse.resting(s)
    s = s._replace(post=s.post._replace(V=jnp.asarray(-20.0), U=jnp.asarray(-35.0), p=jnp.asarray(0.4)),
                   cascade=s.cascade._replace(Ca=jnp.asarray(0.3)))
    d = synapse.slope(s, resting, jnp.asarray(0.0), jnp.asarray(25.0))
    return d.cascade.Ca + d.post.V - 2 * d.post.U


@pytest.mark.parametrize(
    ("outcome", "synapse", "where"),
    [
        (corticostriatal, CorticostriatalSynapse, lambda s: (s.lipids.r_DAGL, s.membrane.g_NMDA, s.calcium.tau_Ca)),
        (tripartite, TripartiteSynapse, lambda s: (s.post.g_H, s.cascade.v_PMCA, s.post.g_c)),
    ],
    ids=["corticostriatal", "tripartite"],
)
def test_forward_reverse_and_finite_differences_agree(x64, outcome, synapse, where):
    model = synapse()
    values = where(model)
    scaled = lambda k: tuple(v * k[i] for i, v in enumerate(values))  # noqa: E731
    f = lambda k: outcome(eqx.tree_at(where, model, scaled(k)))  # noqa: E731
    one, h = jnp.ones(len(values)), 1e-5
    forward, reverse = jax.jit(jax.jacfwd(f))(one), jax.jit(jax.grad(f))(one)
    around = jax.jit(f)
    finite = [(around(one.at[i].add(h)) - around(one.at[i].add(-h))) / (2 * h) for i in range(len(values))]
    assert np.all(np.abs(forward) > 1e-6)
    np.testing.assert_allclose(forward, reverse, rtol=1e-10)
    np.testing.assert_allclose(forward, finite, rtol=1e-5, atol=1e-8)
