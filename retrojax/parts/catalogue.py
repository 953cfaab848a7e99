"""Every part by name, with unit, range and source of each parameter: what a config may say and `describe` prints."""

import inspect
from typing import NamedTuple

from retrojax.errors import InputError
from retrojax.parts.alpha_lif import AlphaLIF
from retrojax.parts.astrocyte import NEST, Astrocyte, GapJunctions
from retrojax.parts.calcium_spine import CalciumSpine
from retrojax.parts.cannabinoid_depression import CannabinoidDepression
from retrojax.parts.cb1 import CB1
from retrojax.parts.coincidence_synthesis import CoincidenceSynthesis
from retrojax.parts.constant_release import ConstantRelease
from retrojax.parts.constitutive_synthesis import ConstitutiveSynthesis
from retrojax.parts.costa import UnifiedRule
from retrojax.parts.delta_lif import DeltaLIF
from retrojax.parts.excess_synthesis import ExcessSynthesis
from retrojax.parts.extended_tsodyks_markram import ExtendedTsodyksMarkram
from retrojax.parts.facilitation import MessengerFacilitation
from retrojax.parts.gliorelease import Gliorelease
from retrojax.parts.gliotransmission import Gliotransmission
from retrojax.parts.glycine_site import GlycineSite
from retrojax.parts.graupner_brunel import GraupnerBrunel
from retrojax.parts.hill_synthesis import HillSynthesis
from retrojax.parts.lif import LIF
from retrojax.parts.nitric_oxide import NitricOxidePotentiation
from retrojax.parts.pair_stdp import PairSTDP
from retrojax.parts.power_law_stdp import PowerLawSTDP
from retrojax.parts.presets import COSTA, GRAUPNER_BRUNEL
from retrojax.parts.quantal_release import QuantalRelease
from retrojax.parts.receptors import RECEPTORS
from retrojax.parts.residual_calcium import ResidualCalciumRelease
from retrojax.parts.silent_spine import SilentSpine
from retrojax.parts.spillover_synthesis import SpilloverSynthesis
from retrojax.parts.train_synthesis import TrainSynthesis
from retrojax.parts.transduction import Transduction
from retrojax.parts.triplet import NearestTripletSTDP, TripletSTDP
from retrojax.parts.tsodyks_markram import TsodyksMarkram
from retrojax.parts.vesicular_synthesis import VesicularSynthesis


class Parameter(NamedTuple):
    """Unit, allowed range and provenance of a parameter.

    `status`: `published`, `calibration` (a choice that makes a model fit its setting) or `unverified` (a number whose
    source was not opened; never a test target).
    """

    unit: str
    low: float | int
    high: float | int
    status: str = "published"
    source: str = ""


class Part(NamedTuple):
    """A catalogue entry: its kind (`spine`, `release`, `rule`, `neuron`, `astrocyte`), class, parameters, presets and
    citations."""

    kind: str
    cls: type
    parameters: dict[str, Parameter]
    presets: dict[str, dict[str, float]]
    cites: tuple[str, ...]

    def default(self, name: str) -> object:
        """Default of a parameter, in base units; None if it has none."""
        value = inspect.signature(self.cls.__init__).parameters[name].default
        return None if value is inspect.Parameter.empty else value

    def has_default(self, name: str) -> bool:
        """Whether a parameter may be left out."""
        return inspect.signature(self.cls.__init__).parameters[name].default is not inspect.Parameter.empty


_GB, _UNIT = "Graupner2012", "1"
_time = lambda source="", status="published", low=0.0: Parameter("ms", low, 1e9, status, source)  # noqa: E731
_makes = Parameter("", 0, 0, "calibration", "name of the messenger")
_ca_scale = Parameter("uM", 1e-6, 1e6, "calibration", "uM of calcium per unit of the rule's calcium")
_made = Parameter("molecules/ms", 0, 1e9, "calibration", "per spine, with every gate open")
_gate = Parameter(_UNIT, 0, 100, "calibration", "learning gate; 1 is neutral")


def _spine_preset(name: str) -> dict[str, float]:
    p = GRAUPNER_BRUNEL[name]
    return {"tau_Ca": p.tau_Ca, "C_pre": p.C_pre, "C_post": p.C_post, "delay": p.delay}


def _rule_preset(name: str) -> dict[str, float]:
    p = GRAUPNER_BRUNEL[name]
    return {"theta_p": p.theta_p, "gamma_d": p.gamma_d, "gamma_p": p.gamma_p, "tau": 1000 * p.tau_s, "sigma": p.sigma,
            "b": p.b}


def _triplet(status: str) -> dict[str, Parameter]:
    amplitude = Parameter(_UNIT, 0, 100, status, "Pfister2006, minimal model of visual cortex")
    return {**{name: amplitude for name in ("A2_minus", "A2_plus", "A3_plus")},
            **{name: _time("Pfister2006", status, 1e-3) for name in ("tau_plus", "tau_minus", "tau_y")}}


_MEMBRANE = {
    "C_m": Parameter("pF", 1e-3, 1e6, "calibration"), "tau_m": _time(status="calibration", low=1e-3),
    **{name: Parameter("mV", -200, 200, "calibration") for name in ("E_L", "V_th", "V_reset")},
    "t_ref": _time(status="calibration"),
    **{name: _time(status="calibration", low=1e-3) for name in ("tau_syn_ex", "tau_syn_in")},
    "I_e": Parameter("pA", -1e6, 1e6, "calibration"),
}

PARTS = {
    "calcium": Part("spine", CalciumSpine, {
        "tau_Ca": _time(_GB, low=1e-3), "C_pre": Parameter(_UNIT, 0, 100, "published", _GB),
        "C_post": Parameter(_UNIT, 0, 100, "published", _GB), "delay": _time(_GB),
    }, {name: _spine_preset(name) for name in GRAUPNER_BRUNEL}, (_GB,)),
    "silent": Part("spine", SilentSpine, {}, {}, ()),
    "tsodyks_markram": Part("release", TsodyksMarkram, {
        "tau_rec": _time("Costa2015", low=1e-3), "tau_fac": _time("Costa2015"),
    }, {}, ("Tsodyks1998", "Costa2015")),
    "tsodyks_markram_extended": Part("release", ExtendedTsodyksMarkram, {
        "tau_rec": _time("Costa2013", low=1e-3), "tau_fac": _time("Costa2013"),
        "step": Parameter(_UNIT, 0, 1, "calibration", "facilitation step f of Costa2013"),
    }, {}, ("Tsodyks1998", "Costa2013")),
    "constant": Part("release", ConstantRelease, {}, {}, ()),
    "residual_calcium": Part("release", ResidualCalciumRelease, {
        "rise": Parameter(_UNIT, 0, 10, "calibration", "residual calcium per spike over its influx"),
        "tau_ca": _time("Zucker2002", "calibration", low=1e-3), "tau_rec": _time("Zucker2002", "calibration", low=1e-3),
        "n": Parameter(_UNIT, 0.5, 8, "published", "Dodge1967: about 4"),
        "influx": Parameter(_UNIT, 0, 10, "calibration", "calcium influx of a spike; 1 is neutral"),
    }, {}, ("Dodge1967", "Katz1968", "Zucker2002")),
    "quantal": Part("release", QuantalRelease, {
        "n_sites": Parameter(_UNIT, 1, 1000, "published", "5.5 at a pair of layer-5 cells (Costa2015)"),
        "tau_rec": _time("Costa2015", low=1e-3), "tau_fac": _time("Costa2015"),
        "most_sites": Parameter(_UNIT, 1, 1000, "calibration", "static bound on n_sites"),
    }, {}, ("Fuhrmann2002", "Costa2015")),
    "graupner_brunel": Part("rule", GraupnerBrunel, {
        "theta_d": Parameter(_UNIT, 1e-6, 1e3, "published", _GB),
        "theta_p": Parameter(_UNIT, 1e-6, 1e3, "published", _GB),
        "gamma_d": Parameter(_UNIT, 0, 1e7, "published", _GB), "gamma_p": Parameter(_UNIT, 0, 1e7, "published", _GB),
        "tau": _time(_GB, low=1e-3), "sigma": Parameter(_UNIT, 0, 1e4, "published", _GB),
        "w0": Parameter(_UNIT, 0, 1e4, "calibration", "response of a DOWN synapse relative to its weight"),
        "b": Parameter(_UNIT, 0, 1e4, "published", _GB), "gate_p": _gate, "gate_d": _gate,
        "rho": Parameter(_UNIT, 0, 1, "calibration", "starting efficacy"),
        "noise": Parameter("", 0, 1, "calibration", "static switch of the noise term"),
    }, {name: _rule_preset(name) for name in GRAUPNER_BRUNEL}, (_GB,)),
    "unified": Part("rule", UnifiedRule, {
        **{name: Parameter(_UNIT, 0, 100, "published", "Costa2015, Table 1") for name in
           ("d_minus", "d_plus", "c_plus")},
        **{name: _time("Costa2015, Table 1", low=1e-3) for name in ("tau_x_plus", "tau_y_plus", "tau_y_minus")},
        "lr_scale": Parameter(_UNIT, 0, 100, "published", "Costa2015: 0.15 in network runs"),
        "nitric_oxide": Parameter(_UNIT, 0, 1, "calibration", "1 intact, 0 blocked"),
        "endocannabinoid": Parameter(_UNIT, 0, 1, "calibration", "1 intact, 0 blocked"),
    }, COSTA, ("Costa2015",)),
    "pair_stdp": Part("rule", PairSTDP, {
        **{name: Parameter(_UNIT, 0, 100, "calibration", "step of q per unit of trace; 0.005 g_max in Song2000") for
           name in ("A_plus", "A_minus")},
        **{name: _time("Song2000: 20 ms", low=1e-3) for name in ("tau_plus", "tau_minus")},
    }, {}, ("Song2000", "Morrison2008")),
    "power_law_stdp": Part("rule", PowerLawSTDP, {
        "A_plus": Parameter(_UNIT, 0, 100, "published", "lambda of NEST's hpc_benchmark after Morrison2007"),
        "A_minus": Parameter(_UNIT, 0, 1, "published", "lambda alpha of NEST's hpc_benchmark"),
        "mu": Parameter(_UNIT, 0, 1, "published", "Morrison2007: 0.4"),
        "w0": Parameter(_UNIT, 1e-9, 1e9, "published", "1 pA in Morrison2007; in the unit of q"),
        **{name: _time("NEST's hpc_benchmark after Morrison2007", low=1e-3) for name in ("tau_plus", "tau_minus")},
    }, {}, ("Morrison2007",)),
    "triplet": Part("rule", TripletSTDP, _triplet("published"), {}, ("Pfister2006",)),
    "triplet_nearest": Part("rule", NearestTripletSTDP, _triplet("unverified"), {}, ("Pfister2006",)),
    "messenger_facilitation": Part("rule", MessengerFacilitation, {
        "senses": Parameter("", 0, 0, "calibration", "name of the messenger"),
        "gain": Parameter(_UNIT, -1, 100, "calibration", "largest relative change of the release probability"),
        "half": Parameter("nM", 1e-9, 1e9, "calibration", "concentration of half effect"),
        "tau": _time("time constant of the factor", "calibration", 1e-3),
    }, {}, ()),
    "nitric_oxide": Part("rule", NitricOxidePotentiation, {
        "ec50": Parameter("nM", 1e-6, 1e6, "published", "Griffiths2003: 0.5-1.7 nM"),
        "k_off": Parameter("1/ms", 1e-9, 10, "unverified", "deactivation of guanylyl cyclase, 1-10 /s"),
        "V_GC": Parameter("uM/ms", 0, 10, "unverified", "1-10 uM/s"),
        "k_PDE": Parameter("1/ms", 1e-9, 10, "unverified", "1-5 /s"),
        "K_PKG": Parameter("uM", 1e-6, 1e3, "unverified", "0.1-0.5 uM"),
        "n_PKG": Parameter(_UNIT, 0.1, 10, "unverified", "1-2"),
        "tau_x_pre": _time("window of presynaptic activity, 50 ms to 1 s", "calibration", 1e-3),
        "eta_NO": Parameter("1/ms", 0, 10, "calibration", "rate of expression at full coincidence"),
        "P_max": Parameter(_UNIT, 0, 1, "calibration", "ceiling of the release probability"), "gate": _gate,
    }, {}, ("Griffiths2003", "Padamsey2017", "Hardingham2013")),
    "cb1": Part("rule", CB1, {
        "eff_kon": Parameter("1/(nM*ms)", 0, 1, "calibration", "0.125 /(uM s), gives onset in 1-2 s"),
        "eff_koff": Parameter("1/ms", 1e-9, 10, "calibration", "0.05 /s, recovery in about 20 s"),
        "phi": Parameter(_UNIT, 0, 1, "calibration", "0.5 at glutamatergic, 0.8 at GABAergic terminals"),
        "n_ca": Parameter(_UNIT, 0, 10, "unverified", "2.5 (1.5-4) where the number of open channels falls"),
        "alpha": Parameter("1/(nM*ms)", 0, 1, "published", "Cui2016"),
        **{name: Parameter("1/ms", 0, 1e3, "published", "Cui2016") for name in ("beta", "gamma", "epsilon")},
        **{name: Parameter(_UNIT, 0, 100, "published", "Cui2016") for name in
           ("ltd_lo", "ltd_hi", "ltp_lo", "A_ltd", "A_ltp")},
        "agonist": Parameter("nM", 0, 1e9, "calibration", "a drug, as so much more of the ligand"),
        "tau_x_pre": _time("presynaptic trace", "calibration", 1e-3),
        "x_half": Parameter(_UNIT, 0, 1e3, "calibration", "0 is the ungated form of Cui2016"), "gate": _gate,
        "rate_relief": Parameter("1/ms", 1e-9, 1e9, "published", "Foldy2006: 20 Hz"),
    }, {}, ("Cui2016", "Heifets2008", "Foldy2006")),
    "transduction": Part("rule", Transduction, {
        "senses": Parameter("", 0, 0, "calibration", "name of the messenger"),
        "receptor": Parameter("", 0, 0, "calibration", "name of the receptor, as in rules.A1.efficacy"),
        "K_d": Parameter("nM", 1e-6, 1e9, "unverified", "BDNF at TrkB 0.01-1, proBDNF at p75 0.1-2, dynorphin 1-50, "
                         "adenosine at A1 100-1000 nM"),
        "k_off": Parameter("1/ms", 1e-9, 10, "unverified", "1 /s; the action of dynorphin lasts 10-60 s"),
        "efficacy": Parameter(_UNIT, 0, 100, "calibration", "1 intact, 0 blocked"),
        "agonist": Parameter("nM", 0, 1e9, "calibration", "drug in units of the messenger; 0 without"),
        "k_des": Parameter("1/ms", 0, 10, "calibration", "desensitisation; off"),
        "k_res": Parameter("1/ms", 1e-12, 10, "calibration", "return of desensitised receptors"),
        "half": Parameter(_UNIT, 1e-6, 1e6, "calibration", "activity of half the slow effect"),
        "upper": Parameter(_UNIT, 1e-6, 1e9, "calibration", "activity above which the slow effect is lost; never"),
        "hill": Parameter(_UNIT, 0.1, 20, "calibration", "steepness of the window"),
        "tau_rise": _time("TrkB: less than 1 min (Harward2016)", low=1e-3),
        "tau_fall": _time("TrkB: more than 20 min (Harward2016)", low=1e-3),
        "phi": Parameter(_UNIT, -10, 1, "calibration", "closed share of calcium channels; A1: a fifth of release left"),
        "n_ca": Parameter(_UNIT, 0, 10, "unverified", "2.5 (1.5-4) where the number of open channels falls"),
        "fast": Parameter(_UNIT, -1, 100, "calibration", "kappa opioid: -0.5"),
        "gamma": Parameter(_UNIT, -1, 100, "calibration", "sign for p75 from Yang2009"),
        "nu": Parameter(_UNIT, -1, 100, "calibration", "vesicles at hand"),
        "kappa": Parameter("1/ms", -1, 1, "calibration", "growth of the bouton over days; sign for p75 from Yang2009"),
        "V_max": Parameter(_UNIT, 0, 100, "calibration", "largest relative growth"),
        "refill": Parameter(_UNIT, -1, 100, "calibration", "recovery of vesicles; off unless given"),
        **{name: Parameter(_UNIT, -1, 100, "calibration", "on other rules; off unless given") for name in
           ("ltp", "ltd")},
        "rate_relief": Parameter("1/ms", 1e-9, 1e9, "calibration", "off unless given; CB1: 20 Hz (Foldy2006)"),
        "tau_x_pre": _time("presynaptic trace of rate_relief", "calibration", 1e-3),
    }, RECEPTORS, ("Harward2016", "Yang2009", "Iremonger2009", "Wall2013", "Foldy2006")),
    "glycine_site": Part("rule", GlycineSite, {
        "senses": Parameter("", 0, 0, "calibration", "name of the co-agonist"),
        "K_gly": Parameter("nM", 1e-3, 1e9, "unverified", "300-1000 nM"),
        "k_off": Parameter("1/ms", 1e-9, 10, "unverified", "unbinding of the co-agonist"),
        "efficacy": Parameter(_UNIT, 0, 1, "calibration", "1 intact, 0 blocked"),
        "ambient": Parameter("nM", 0, 1e9, "calibration", "co-agonist that is always there"),
        "share": Parameter(_UNIT, 0, 1, "calibration", "of the response that NMDA receptors carry"),
        "calcium": Parameter(_UNIT, 0, 1, "calibration", "of the calcium of a presynaptic spike; off unless given"),
    }, {}, ("Panatier2006", "Henneberger2010", "Papouin2017")),
    "gliotransmission": Part("rule", Gliotransmission, {
        "senses": Parameter("", 0, 0, "calibration", "name of the gliotransmitter"),
        "alpha": Parameter(_UNIT, 0, 1, "published", "DePitta2011: 0 depressing, above P facilitating"),
        "O_G": Parameter("1/(nM*ms)", 0, 10, "published", "DePitta2011"),
        "Omega_G": Parameter("1/ms", 1e-12, 10, "published", "DePitta2011: 120 s"),
    }, {}, ("DePitta2011", "DePitta2016")),
    "astrocyte": Part("astrocyte", Astrocyte, {
        **{name: Parameter("uM", 0, 1e3, "published", "DePitta2009") for name in
           ("C_T", "d_1", "d_2", "d_3", "d_5", "kappa_delta", "K_delta", "K_D", "K_3", "K_KC")},
        "K_P": Parameter("uM", 1e-6, 1e3, "published", "DePitta2009: 0.05 or 0.1"),
        **{name: Parameter(_UNIT, 0, 1e3, "published", "DePitta2009") for name in ("rho_A", "zeta")},
        **{name: Parameter("1/ms", 0, 10, "published", "DePitta2009") for name in
           ("Omega_C", "Omega_L", "Omega_5P", "Omega_N")},
        **{name: Parameter("uM/ms", 0, 10, "published", "DePitta2009") for name in
           ("O_P", "O_beta", "O_delta", "O_3K")},
        **{name: Parameter("1/(uM*ms)", 0, 10, "published", "DePitta2009") for name in ("O_2", "O_N")},
        "basal": Parameter("uM/ms", 0, 10, "calibration", "NEST: 0.16 uM in 7142 ms"),
        "dIP3": Parameter("uM", 0, 10, "calibration", "NEST: 0.0002 uM"),
    }, {"nest": NEST}, ("LiRinzel1994", "DePitta2009", "Goldberg2010")),
    "gap_junctions": Part("astrocyte", GapJunctions, {
        "F": Parameter("uM/ms", 0, 10, "published", "Goldberg2010; 0.09 to 2 uM/s"),
        "I_theta": Parameter("uM", 0, 1e3, "published", "Goldberg2010"),
        "omega_I": Parameter("uM", 1e-6, 1e3, "published", "Goldberg2010"),
    }, {}, ("Goldberg2010",)),
    "gliorelease": Part("astrocyte", Gliorelease, {
        "C_theta": Parameter("uM", 0, 1e3, "published", "DePitta2011"),
        "U_A": Parameter(_UNIT, 0, 1, "published", "DePitta2011"),
        "Omega_A": Parameter("1/ms", 0, 10, "published", "DePitta2011"),
        "G_T": Parameter("nM", 0, 1e12, "published", "DePitta2011: 200 mM of glutamate"),
        "rho_e": Parameter(_UNIT, 0, 1, "published", "DePitta2011: volume of the vesicles over that outside"),
        "Omega_e": Parameter("1/ms", 0, 10, "published", "DePitta2011; in a network the messenger's own loss instead"),
    }, {}, ("DePitta2011",)),
    "cannabinoid_depression": Part("rule", CannabinoidDepression, {
        "K": Parameter("nM", 1e-6, 1e6, "calibration", "concentration of half occupancy"),
        "eta": Parameter(_UNIT, 0, 1, "calibration", "share of P - P_min lost per spike at full occupancy"),
        "P_min": Parameter(_UNIT, 0, 1, "calibration", "floor of the release probability"),
        "pre_nmda": Parameter(_UNIT, 0, 1, "calibration", "1 intact, 0 blocked"), "gate": _gate,
    }, {}, ("Sjostrom2003",)),
    "hill_synthesis": Part("rule", HillSynthesis, {
        "makes": _makes,
        "half_activation": Parameter("uM", 1e-6, 1e6), "hill": Parameter(_UNIT, 0.1, 20),
        "rate": Parameter("molecules/ms", 0, 1e9), "tau": _time(),
        "ca_scale": _ca_scale,
    }, {}, ("Sweeney2015", "Cui2016")),
    "coincidence_synthesis": Part("rule", CoincidenceSynthesis, {
        "makes": _makes,
        "molecules": Parameter("molecules/nM", 0, 1e6, "calibration", "0.602 x volume of the spine in um^3"),
        "half_activation": Parameter("uM", 1e-6, 1e6, "published", "Cui2016: (380/50)^(1/6)"),
        "hill": Parameter(_UNIT, 0.1, 20, "published", "Cui2016: 6"),
        "v_max": Parameter("nM/ms", 0, 1e6, "published", "Cui2016"),
        **{name: Parameter("uM", 0, 1e6, "published", "Cui2016") for name in ("K_r", "K_p", "K_pi", "glu_peak")},
        "tau_glu": _time("Cui2016"),
        "v_receptor": Parameter("nM/ms", 0, 1e6, "calibration", "a receptor held active by an agonist; 0 without"),
        "v_delta": Parameter("nM/ms", 0, 1e6, "published", "Cui2016"),
        "K_delta": Parameter("uM", 1e-6, 1e6, "published", "Cui2016"),
        "v_lipase": Parameter("nM/ms", 0, 1e9, "published", "Cui2016"),
        "K_dag": Parameter("uM", 1e-6, 1e6, "published", "Cui2016"),
        "k_dag": Parameter("1/ms", 1e-9, 10, "published", "Cui2016"), "ca_scale": _ca_scale,
    }, {}, ("Cui2016", "Hashimotodani2005")),
    "train_synthesis": Part("rule", TrainSynthesis, {
        "makes": _makes, "rate": _made,
        "half_activation": Parameter("uM", 1e-6, 1e6, "calibration", "calcium of the dendrite"),
        "hill": Parameter(_UNIT, 0.1, 20, "calibration"),
        "tau_r": _time("memory for a train, 1-2 s", "calibration", 1e-3),
        "rate_half": Parameter("1/ms", 1e-9, 10, "unverified", "needs about 1 s of 10-50 Hz"),
        "rate_hill": Parameter(_UNIT, 0.1, 20, "calibration"), "ca_scale": _ca_scale,
    }, {}, ("Wagner1993", "Iremonger2009")),
    "vesicular_synthesis": Part("rule", VesicularSynthesis, {
        "makes": _makes, "rate": _made,
        "theta": Parameter("uM", 1e-6, 1e6, "calibration", "Solinas2019: 0.1038 in their scaled units"),
        "theta_max": Parameter("uM", 1e-6, 1e6, "calibration", "Solinas2019: 0.16 / 0.1038 of theta"),
        "tau": _time("200 s for delays up to 300 s and discharge over 1500 s, 20-1500 s", "calibration"),
        "tau_memory": _time("Solinas2019", low=1e-3),
        "memory_step": Parameter(_UNIT, 0, 1e3, "published", "Solinas2019"),
        "memory_gate": Parameter(_UNIT, 1e-9, 1e3, "published", "Solinas2019"), "ca_scale": _ca_scale,
    }, {}, ("Solinas2019", "Hartmann2001")),
    "constitutive_synthesis": Part("rule", ConstitutiveSynthesis, {"makes": _makes, "rate": _made}, {}, ()),
    "spillover_synthesis": Part("rule", SpilloverSynthesis, {
        "makes": _makes,
        "molecules": Parameter("molecules", 0, 1e9, "calibration", "that leave the cleft after a release"),
        "highest_rate": Parameter("1/ms", 1e-6, 10, "calibration", "firing rate up to which amounts are summed"),
    }, {}, ()),
    "excess_synthesis": Part("rule", ExcessSynthesis, {
        "makes": _makes,
        "rate": Parameter("molecules/ms", 0, 1e9, "calibration", "per unit of calcium above theta"),
        "theta": Parameter(_UNIT, 0, 1e6, "calibration", "calcium below which nothing is made"),
    }, {}, ()),
    "delta_lif": Part("neuron", DeltaLIF, {
        "tau_m": _time(status="calibration", low=1e-3),
        **{name: Parameter("mV", -200, 200, "calibration") for name in ("E_L", "V_th", "V_reset")},
        "t_ref": _time(status="calibration"), "drift": Parameter("mV", -1e3, 1e3, "calibration", "R I_e"),
    }, {}, ("Brunel2000",)),
    "lif": Part("neuron", LIF, _MEMBRANE, {}, ()),
    "lif_alpha": Part("neuron", AlphaLIF, _MEMBRANE, {}, ("Rotter1999",)),
}


def find_part(name: str, kind: str, field: str = "part") -> Part:
    """The part called `name`, of that kind.

    **Raises** `InputError` naming those there are.
    """
    known = [key for key, part in PARTS.items() if part.kind == kind]
    if name not in known:
        raise InputError(field, name, ", ".join(known), "choose one of these names")
    return PARTS[name]
