"""Four rules for pairing experiments as models with what is fitted in them: shared time constants, gains by pathway.

Centres and priors are round numbers of the right order, not published fits: those were fitted to some of the very
recordings that a held-out score leaves out. Priors are wide (a standard deviation of `BROAD` in ln x for what is
shared, `GAIN` for gains): they keep a parameter that the data do not touch near its centre, and little else.
"""

from collections.abc import Callable
from typing import Any

from retrojax.engine.own_spine import OwnSpine
from retrojax.engine.rows import Synapse
from retrojax.fit.pathways import Pathways
from retrojax.fit.spec import Parameter, Spec, Transform
from retrojax.parts import (
    CalciumSpine,
    CannabinoidDepression,
    GraupnerBrunel,
    HillSynthesis,
    NearestTripletSTDP,
    NitricOxidePotentiation,
    SilentSpine,
    TripletSTDP,
    TsodyksMarkram,
    UnifiedRule,
)
from retrojax.space import point_steady

BROAD, GAIN = 1.0, 2.0
DISTANCE_UM = 0.2
NO_MEDIUM = (2.2, 1.386e-3, 1.0)
AG_MEDIUM = (0.0346, 5e-4, 0.2)
"""Diffusion [um^2/ms], loss [1/ms] and volume fraction of nitric oxide and 2-AG, from the messenger records."""

Model = tuple[Pathways, Spec]


def unified(pathways: int) -> Model:
    """The unified pre/post rule (Costa et al. 2015); the NMDA block removes presynaptic depression."""
    synapse = Synapse(SilentSpine(), TsodyksMarkram(), (UnifiedRule(),))
    gains = {f"rules.0.{name}": 1e-2 for name in ("d_minus", "d_plus", "c_plus")}
    shared = {"rules.0.tau_x_plus": 30.0, "rules.0.tau_y_plus": 100.0, "rules.0.tau_y_minus": 30.0}
    return _model(synapse, pathways, gains, shared, blocked=("rules.0.endocannabinoid",))


def triplet(pathways: int) -> Model:
    """The minimal triplet rule, all-to-all (Pfister & Gerstner 2006); it has nothing that the block could remove."""
    return _triplet(TripletSTDP(), pathways)


def triplet_nearest(pathways: int) -> Model:
    """The minimal triplet rule, nearest-spike."""
    return _triplet(NearestTripletSTDP(), pathways)


def calcium_threshold(pathways: int) -> Model:
    """The calcium-threshold rule (Graupner & Brunel 2012); theta_p, tau, sigma, b as published for cortical slices."""
    synapse = Synapse(CalciumSpine(), TsodyksMarkram(), (GraupnerBrunel(),))
    return _model(synapse, pathways, _EFFICACY, _CALCIUM)


def retrograde(pathways: int) -> Model:
    """Calcium moves AMPA receptors itself, and the terminal through nitric oxide and 2-AG of its own spine.

    Efficacy follows the calcium-threshold rule. Nitric oxide made by calcium meets presynaptic activity and raises the
    release probability; 2-AG made by calcium meets presynaptic spikes and NMDA receptors and lowers it.
    """
    rules = (
        GraupnerBrunel(), HillSynthesis("NO", 1.5, 3.0, 10.0), NitricOxidePotentiation(),
        HillSynthesis("2-AG", 1.0, 6.0, 1.0), CannabinoidDepression(),
    )
    synapse = Synapse(CalciumSpine(), TsodyksMarkram(), rules)
    gains = {**_EFFICACY, "rules.2.eta_NO": 1e-4, "rules.4.eta": 2e-2}
    shared = {**_CALCIUM, "rules.1.half_activation": 1.5, "rules.2.tau_x_pre": 50.0, "rules.3.half_activation": 1.0}
    messengers = (OwnSpine("NO", resistance(*NO_MEDIUM)), OwnSpine("2-AG", resistance(*AG_MEDIUM), 30.0))
    model, spec = _model(synapse, pathways, gains, shared, messengers, ("rules.4.pre_nmda",))
    return model, spec | {"messengers.1.tau": _known(30.0, BROAD, "ms")}


RULES: dict[str, Callable[[int], Model]] = {
    "unified": unified, "triplet": triplet, "triplet_nearest": triplet_nearest,
    "graupner_brunel": calcium_threshold, "retrograde": retrograde,
}
"""Name -> function of the number of pathways, giving (model, spec)."""

_EFFICACY = {"rules.0.gamma_d": 300.0, "rules.0.gamma_p": 600.0}
_CALCIUM = {"spine.tau_Ca": 20.0, "spine.C_pre": 0.7, "spine.C_post": 1.0, "spine.delay": 5.0}


def resistance(diffusion: float, loss: float, volume_fraction: float) -> float:
    """Steady concentration at the bouton, `DISTANCE_UM` from its spine [nM per molecule/ms]."""
    return float(point_steady(DISTANCE_UM, 1.0, diffusion, loss)) / volume_fraction


def _triplet(rule: Any, pathways: int) -> Model:
    synapse = Synapse(SilentSpine(), TsodyksMarkram(), (rule,))
    gains = {"rules.0.A2_minus": 1e-2, "rules.0.A3_plus": 1e-2}
    shared = {"rules.0.tau_plus": 20.0, "rules.0.tau_minus": 30.0, "rules.0.tau_y": 100.0}
    return _model(synapse, pathways, gains, shared)


def _model(
    synapse: Synapse, pathways: int, gains: dict[str, float], shared: dict[str, float],
    messengers: tuple[OwnSpine, ...] = (), blocked: tuple[str, ...] = (),
) -> Model:
    model = Pathways(synapse, {path: (value,) * pathways for path, value in gains.items()}, messengers, blocked)
    spec = {f"synapse.{path}": _known(value, BROAD, "ms" if ".tau" in path or "delay" in path else "1")
            for path, value in shared.items()}
    for path, value in gains.items():
        spec |= {f"gains.{path}.{number}": _known(value, GAIN, "1") for number in range(pathways)}
    return model, spec


def _known(value: float, sd: float, unit: str) -> Parameter:
    return Parameter(Transform("log"), value, 0.6 * sd, unit, (value, sd))
