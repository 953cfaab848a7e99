"""Transforms of a spec against their formulas: there and back, ties, simplexes, and what is refused."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrojax.engine.rows import Bounds
from retrojax.errors import InputError
from retrojax.fit.spec import (
    Parameter,
    Transform,
    centres,
    check_spec,
    draw_starts,
    fix,
    natural,
    prior_coordinates,
    relative_slopes,
    set_coordinates,
)
from retrojax.numerics import soft_clip


class Toy(eqx.Module):
    a: jax.Array
    b: jax.Array
    c: jax.Array
    d: jax.Array


def toy():
    return Toy(*(jnp.asarray(x) for x in (0.1, 0.2, 0.3, 0.4)))


SHARE = Transform("simplex", high=1.0, rest="c")
SIMPLEX = {"a": Parameter(SHARE, 0.2, 0.5), "b": Parameter(SHARE, 0.5, 0.5)}
EVERY = {"a": Parameter(Transform("softplus", 0.1), 0.7, 0.5), "b": Parameter(Transform("logit", 0.0, 2.0), 0.5, 0.5),
         "c": Parameter(Transform("identity"), -0.3, 0.7), "d": Parameter(Transform("log"), 4.0, 0.5)}


def test_there_and_back(x64):
    np.testing.assert_allclose(natural(EVERY, jnp.asarray(centres(EVERY))), [0.7, 0.5, -0.3, 4.0], rtol=1e-12)
    np.testing.assert_allclose(natural(SIMPLEX, jnp.asarray(centres(SIMPLEX))), [0.2, 0.5], rtol=1e-12)
    # linear where large, exponential where small
    high, low = Transform("softplus").inverse(jnp.asarray([40.0, -40.0]))
    assert float(high) == pytest.approx(40) and float(low) == pytest.approx(np.exp(-40.0))


def test_simplex_members_and_rest_share_the_total(x64):
    for u in draw_starts(SIMPLEX, 20, np.random.default_rng(0)):
        made = set_coordinates(toy(), SIMPLEX, jnp.asarray(u))
        assert float(made.a + made.b + made.c) == pytest.approx(1, abs=1e-12)
        assert min(float(made.a), float(made.b), float(made.c)) > 0 and float(made.d) == 0.4


def test_tied_and_fixed(x64):
    spec = {"a": Parameter(Transform("log"), 1.0, 1.0, tied=(("b", 2.0), ("d", 0.5)))}
    made = set_coordinates(fix(toy(), {"c": 7.0}), spec, jnp.log(jnp.asarray([3.0])))
    np.testing.assert_allclose([made.a, made.b, made.c, made.d], [3.0, 6.0, 7.0, 1.5], rtol=1e-12)


@pytest.mark.parametrize("spec", [EVERY, SIMPLEX])
def test_relative_slopes_are_the_derivative(spec, x64):
    def relative(u):
        values = natural(spec, u)
        plain = jnp.asarray([p.transform.kind == "identity" for p in spec.values()])
        spread = jnp.asarray([p.spread for p in spec.values()])
        return jnp.where(plain, values / spread, jnp.log(jnp.where(plain, 1.0, values)))

    u = jnp.asarray(centres(spec)) + 0.3
    np.testing.assert_allclose(relative_slopes(spec, np.asarray(natural(spec, u))), jax.jacfwd(relative)(u), atol=1e-12)


@pytest.mark.parametrize(("spec", "word"), [
    ({"a": Parameter(Transform("log"), 1.0, 1.0, tied=(("a", 1.0),))}, "set twice"),
    ({"a": Parameter(Transform("log"), 1.0, 1.0, tied=(("e", 1.0),))}, "did you mean"),
    ({"a": Parameter(SHARE, 0.7, 1.0), "b": Parameter(SHARE, 0.5, 1.0)}, "sum to less"),
    ({"a": Parameter(SHARE, 0.7, 1.0, prior=(0.5, 1.0))}, "leave it out"),
    ({"a": Parameter(Transform("simplex", rest="b"), 0.7, 1.0)}, "finite total"),
    ({"a": Parameter(Transform("softplus", 1.0), 0.7, 1.0)}, "centre"),
])
def test_a_spec_that_cannot_be_used_is_refused(spec, word):
    with pytest.raises(InputError, match=word):
        check_spec(toy(), spec)


def test_fix_names_the_nearest():
    with pytest.raises(InputError, match="did you mean"):
        fix(toy(), {"aa": 1.0})


def test_soft_clip_tends_to_the_hard_one_and_keeps_a_slope(x64):
    x = jnp.linspace(-1.0, 2.0, 301)
    for width in (0.1, 0.01):
        far = jnp.max(jnp.abs(soft_clip(x, 0.0, 1.0, width) - jnp.clip(x, 0.0, 1.0)))
        assert float(far) == pytest.approx(width * np.log(2), rel=1e-3)
    assert float(jax.grad(soft_clip)(1.0, 0.0, 1.0, 0.01)) == pytest.approx(0.5, rel=1e-6)
    soft = Bounds(softness=0.01)
    assert float(soft.clip_p(jnp.asarray(1.5))) == pytest.approx(1.0, abs=1e-9)
    assert float(soft.harden().clip_q(jnp.asarray(2.5))) == 2.0


def test_a_centre_or_prior_close_to_a_bound_stays_where_it_is(x64):
    spec = {"a": Parameter(Transform("logit", 0.0, 1.0), 0.004, 3.0, prior=(0.002, 0.5))}
    assert float(natural(spec, jnp.asarray(centres(spec)))[0]) == pytest.approx(0.004, rel=1e-12)
    assert prior_coordinates(spec)[0][0] == pytest.approx(np.log(0.002 / 0.998), rel=1e-12)
    starts = np.asarray(natural(spec, jnp.asarray(draw_starts(spec, 50, np.random.default_rng(0)))))[:, 0]
    # starts are drawn away from the bounds, where the coordinate is a plateau; the first stands at the centre
    assert starts[0] == pytest.approx(0.004, rel=1e-12) and starts[1:].min() > 0.0099 and starts.max() < 0.9901
