"""The models of the mossy fibre trains, with one set of priors for all (see run.py for where they come from)."""

import equinox as eqx

from retrojax.fit import Parameter, Spec, Transform
from retrojax.fit.spec import without_priors
from retrojax.parts import ExtendedTsodyksMarkram, ResidualCalciumRelease, TsodyksMarkram

FRACTION, LOG = Transform("logit", 0.0, 1.0), Transform("log")


def known(transform: Transform, centre: float, spread: float, unit: str = "1") -> Parameter:
    """A parameter whose starts are drawn from its prior."""
    return Parameter(transform, centre, spread, unit, (centre, spread))


FREE = {"scale": Parameter(LOG, 1.0, 0.1), "cv": Parameter(LOG, 0.7, 0.2)}
COMMON = {"U": known(FRACTION, 0.1, 0.7)} | FREE
RECOVERY = {"release.tau_rec": known(LOG, 100.0, 1.0, "ms")}
TAU_FAC = {"release.tau_fac": known(LOG, 300.0, 0.7, "ms")}
STEP = {"release.step": known(FRACTION, 0.1, 0.7)}
RISE = {"release.rise": known(LOG, 0.2, 0.7)}
TAU_CA = {"release.tau_ca": known(LOG, 300.0, 0.7, "ms")}
MODELS: dict[str, tuple[eqx.Module, Spec]] = {
    "Tsodyks-Markram, 3": (TsodyksMarkram(), COMMON | RECOVERY | TAU_FAC),
    "Tsodyks-Markram, 4": (ExtendedTsodyksMarkram(), COMMON | RECOVERY | TAU_FAC | STEP),
    "residual calcium, 4": (ResidualCalciumRelease(), COMMON | RECOVERY | TAU_CA | RISE),
    # resources that recover at once: no depletion
    "residual calcium, 3": (ResidualCalciumRelease(tau_rec=1e-3), COMMON | TAU_CA | RISE),
}
FLAT, FLAT_CALCIUM = "Tsodyks-Markram, 3, no priors", "residual calcium, 4, no priors"
MODELS |= {name: (release, without_priors(spec)) for name, (release, spec) in
           ((FLAT, MODELS["Tsodyks-Markram, 3"]), (FLAT_CALCIUM, MODELS["residual calcium, 4"]))}
# one level and a scatter, whatever the pulse: resources and facilitation are back at once
MODELS["no plasticity"] = TsodyksMarkram(tau_rec=1e-3, tau_fac=1e-3), FREE
OF_PAIR = {"U": COMMON["U"], "scale": Parameter(LOG, 2000.0, 0.7, "pA"), "K": Parameter(LOG, 1.5, 0.5, "mM")}
FACILITATION = {"Tsodyks-Markram, 3": TAU_FAC, "Tsodyks-Markram, 4": STEP, "residual calcium, 4": RISE,
                "residual calcium, 3": RISE}
