"""The parts of a synapse: spine, release, rules, and the published sets that fill them."""

from retrojax.parts.alpha_lif import AlphaLIF as AlphaLIF
from retrojax.parts.astrocyte import Astrocyte as Astrocyte, GapJunctions as GapJunctions
from retrojax.parts.base import (
    AbstractRelease as AbstractRelease,
    AbstractRule as AbstractRule,
    AbstractSpine as AbstractSpine,
    AbstractSynthesis as AbstractSynthesis,
    CalciumPath as CalciumPath,
    Change as Change,
    Expression as Expression,
    Traces as Traces,
)
from retrojax.parts.calcium_spine import CalciumSpine as CalciumSpine
from retrojax.parts.cannabinoid_depression import CannabinoidDepression as CannabinoidDepression
from retrojax.parts.cb1 import CB1 as CB1
from retrojax.parts.coincidence_synthesis import CoincidenceSynthesis as CoincidenceSynthesis
from retrojax.parts.constant_release import ConstantRelease as ConstantRelease
from retrojax.parts.constitutive_synthesis import ConstitutiveSynthesis as ConstitutiveSynthesis
from retrojax.parts.costa import UnifiedRule as UnifiedRule
from retrojax.parts.delta_lif import DeltaLIF as DeltaLIF
from retrojax.parts.excess_synthesis import ExcessSynthesis as ExcessSynthesis
from retrojax.parts.extended_tsodyks_markram import ExtendedTsodyksMarkram as ExtendedTsodyksMarkram
from retrojax.parts.facilitation import MessengerFacilitation as MessengerFacilitation
from retrojax.parts.gliorelease import Gliorelease as Gliorelease
from retrojax.parts.gliotransmission import Gliotransmission as Gliotransmission
from retrojax.parts.glycine_site import GlycineSite as GlycineSite
from retrojax.parts.graupner_brunel import GraupnerBrunel as GraupnerBrunel, strength_change as strength_change
from retrojax.parts.hill_synthesis import HillSynthesis as HillSynthesis
from retrojax.parts.lif import LIF as LIF
from retrojax.parts.nitric_oxide import NitricOxidePotentiation as NitricOxidePotentiation
from retrojax.parts.pair_stdp import PairSTDP as PairSTDP
from retrojax.parts.power_law_stdp import PowerLawSTDP as PowerLawSTDP
from retrojax.parts.presets import calcium_rule as calcium_rule, unified_rule as unified_rule
from retrojax.parts.quantal_release import QuantalRelease as QuantalRelease
from retrojax.parts.receptors import receptor as receptor
from retrojax.parts.residual_calcium import ResidualCalciumRelease as ResidualCalciumRelease
from retrojax.parts.silent_spine import SilentSpine as SilentSpine
from retrojax.parts.spillover_synthesis import SpilloverSynthesis as SpilloverSynthesis
from retrojax.parts.threshold_clock import ThresholdClock as ThresholdClock
from retrojax.parts.train_synthesis import TrainSynthesis as TrainSynthesis
from retrojax.parts.transduction import Transduction as Transduction
from retrojax.parts.triplet import NearestTripletSTDP as NearestTripletSTDP, TripletSTDP as TripletSTDP
from retrojax.parts.tsodyks_markram import TsodyksMarkram as TsodyksMarkram
from retrojax.parts.vesicular_synthesis import VesicularSynthesis as VesicularSynthesis

__all__ = [
    "AbstractRelease", "AbstractRule", "AbstractSpine", "AbstractSynthesis", "AlphaLIF", "Astrocyte", "CB1",
    "CalciumPath", "CalciumSpine", "CannabinoidDepression", "Change", "CoincidenceSynthesis", "ConstantRelease",
    "ConstitutiveSynthesis", "DeltaLIF", "ExcessSynthesis", "Expression", "ExtendedTsodyksMarkram", "GapJunctions",
    "Gliorelease", "Gliotransmission", "GlycineSite", "GraupnerBrunel", "HillSynthesis", "LIF", "MessengerFacilitation",
    "NearestTripletSTDP", "NitricOxidePotentiation", "PairSTDP", "PowerLawSTDP", "QuantalRelease",
    "ResidualCalciumRelease", "SilentSpine", "SpilloverSynthesis", "ThresholdClock", "Traces", "TrainSynthesis",
    "Transduction", "TripletSTDP", "TsodyksMarkram", "UnifiedRule", "VesicularSynthesis", "calcium_rule", "receptor",
    "strength_change", "unified_rule",
]
