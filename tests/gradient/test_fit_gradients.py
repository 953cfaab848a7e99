"""Predictions of the fits: the forward-mode Jacobian equals finite differences for every fitted parameter."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import yaml

from retrojax.fit import FitConfig, build
from retrojax.fit.spec import set_coordinates

CONFIGS = Path(__file__).parents[2] / "configs"
# away from clips and from the kinks where a calcium peak just touches a threshold
INSIDE = {
    "fit_sjostrom": {"rule": {"model": "unified", "preset": "sjostrom_refit"}},
    "fit_calcium": {"spine": {"model": "calcium", "preset": "cortical_slices", "C_pre": 0.6}},
}


@pytest.mark.parametrize("name", INSIDE)
def test_forward_gradient_is_the_finite_difference(name, x64):
    data = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
    data["model"].update(INSIDE[name])
    problem, model, spec = build(FitConfig.model_validate(data))
    u = np.array([p.transform.forward(p.centre) for p in spec.values()])
    predict = jax.jit(jax.vmap(lambda u: problem.predict(set_coordinates(model, spec, u))))
    forward = jax.jit(jax.jacfwd(lambda u: problem.predict(set_coordinates(model, spec, u))))(jnp.asarray(u))
    h = 1e-6
    kicked = np.asarray(predict(jnp.asarray(np.concatenate([u + h * np.eye(u.size), u - h * np.eye(u.size)]))))
    difference = (kicked[: u.size] - kicked[u.size :]).T / (2 * h)
    np.testing.assert_allclose(np.asarray(forward), difference, rtol=1e-6, atol=1e-7)
    # a parameter that moves nothing would pass the comparison above
    assert np.all(np.max(np.abs(difference), 0) > 1e-4)
