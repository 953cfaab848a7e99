"""Mean strength change of the cortical set from the kernel's own calcium path: 75 regular pairs, by rate and lag."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from retrojax.engine.events import stack_tables
from retrojax.engine.rows import Synapse
from retrojax.fit import PairOutcome
from retrojax.parts import TsodyksMarkram, calcium_rule
from retrojax.protocols import pairs

RATES = (10.0, 20.0, 40.0, 50.0)
EXPECTED = {10.0: (1.083, 1.253, 1.553, 1.637), -10.0: (0.621, 0.635, 1.585, 1.637)}


def test_regular_pairs_give_the_closed_form_of_the_periodic_train(x64):
    spine, rule = calcium_rule("cortical_slices")
    synapse = Synapse(spine, TsodyksMarkram(), (rule,))
    tables = stack_tables([tuple(pairs(75, rate, lag)) for lag in EXPECTED for rate in RATES])
    predict = PairOutcome(tables, jnp.arange(8), jnp.zeros(8, int), jnp.asarray(rule.rho))
    # the closed form is that of the steady state; the first pairs of 75 carry less calcium
    np.testing.assert_allclose(eqx.filter_jit(predict)(synapse), np.ravel(list(EXPECTED.values())), atol=0.01)
