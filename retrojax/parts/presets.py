"""Published parameter sets, as data, and the parts they make."""

from typing import NamedTuple

from retrojax.errors import InputError
from retrojax.parts.calcium_spine import CalciumSpine
from retrojax.parts.costa import UnifiedRule
from retrojax.parts.graupner_brunel import GraupnerBrunel


class CalciumSet(NamedTuple):
    """One published set of the calcium-threshold rule; times in ms except `tau_s`; theta_d = 1, rho* = 1/2."""

    tau_Ca: float
    C_pre: float
    C_post: float
    theta_p: float
    gamma_d: float
    gamma_p: float
    sigma: float
    tau_s: float
    delay: float
    beta: float
    b: float


GRAUPNER_BRUNEL = {
    "hippocampal_slices": CalciumSet(
        48.8373, 1.0, 0.275865, 1.3, 313.0965, 1645.59, 9.1844, 688.355, 18.8008, 0.7, 5.28145),
    "hippocampal_cultures": CalciumSet(
        11.9536, 0.58156, 1.76444, 1.3, 61.141, 113.6545, 2.5654, 33.7596, 10.0, 0.5, 36.0263),
    "cortical_slices": CalciumSet(
        22.6936, 0.5617539, 1.23964, 1.3, 331.909, 725.085, 3.3501, 346.3615, 4.6098, 0.5, 5.40988),
    "DP": CalciumSet(20.0, 1.0, 2.0, 1.3, 200.0, 321.808, 2.8284, 150.0, 13.7, 0.5, 5.0),
    "DPD": CalciumSet(20.0, 0.9, 0.9, 1.3, 250.0, 550.0, 2.8284, 150.0, 4.6, 0.5, 5.0),
    "DPD_prime": CalciumSet(20.0, 1.0, 2.0, 2.5, 50.0, 600.0, 2.8284, 150.0, 2.2, 0.5, 5.0),
    "P": CalciumSet(20.0, 2.0, 2.0, 1.3, 160.0, 257.447, 2.8284, 150.0, 0.0, 0.5, 5.0),
    "D": CalciumSet(20.0, 0.6, 0.6, 1.3, 500.0, 550.0, 5.6568, 150.0, 0.0, 0.5, 5.0),
    "D_prime": CalciumSet(20.0, 1.0, 2.0, 3.5, 60.0, 600.0, 2.8284, 150.0, 0.0, 0.5, 5.0),
}
"""Table 1 and SI of Graupner & Brunel (2012) PNAS 109:3991, in the digits of the authors' code."""

COSTA = {
    "costa2015_table1": {"d_minus": 0.1771, "tau_y_minus": 32.7, "d_plus": 0.1548, "tau_y_plus": 230.2,
                         "c_plus": 0.0618, "tau_x_plus": 66.6},
    "sjostrom_refit": {"d_minus": 6.083e-3, "tau_y_minus": 13.88, "d_plus": 4.366e-3, "tau_y_plus": 108.4,
                       "c_plus": 6.637e-3, "tau_x_plus": 45.40},
}
"""Costa et al. (2015) eLife 4:e09457, Table 1 (with `lr_scale` 0.15 in its network runs), and a refit of the six
parameters to the ten points of Sjostrom et al. (2001) through their literal protocol (see `configs/fit_sjostrom.yaml`).
Table 1 at scale 1 saturates P and q in that protocol."""


def calcium_rule(name: str, noise: bool = False) -> tuple[CalciumSpine, GraupnerBrunel]:
    """Spine and rule of one published set of Graupner & Brunel (2012).

    **Raises** `InputError` naming the sets if `name` is none of them.
    """
    if name not in GRAUPNER_BRUNEL:
        raise InputError("preset", name, ", ".join(GRAUPNER_BRUNEL), "choose one of these names")
    p = GRAUPNER_BRUNEL[name]
    spine = CalciumSpine(tau_Ca=p.tau_Ca, C_pre=p.C_pre, C_post=p.C_post, delay=p.delay)
    rule = GraupnerBrunel(theta_p=p.theta_p, gamma_d=p.gamma_d, gamma_p=p.gamma_p, tau=1000 * p.tau_s, sigma=p.sigma,
                          b=p.b, noise=noise)
    return spine, rule


def unified_rule(name: str, **overrides: float) -> UnifiedRule:
    """The unified pre/post rule with one of the `COSTA` presets.

    **Raises** `InputError` naming the presets if `name` is none of them.
    """
    if name not in COSTA:
        raise InputError("preset", name, ", ".join(COSTA), "choose one of these names")
    return UnifiedRule(**{**COSTA[name], **overrides})
