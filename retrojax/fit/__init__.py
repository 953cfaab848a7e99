"""Fitting parameters to data, with what the data cannot say."""

from retrojax.fit.config import FitConfig as FitConfig, build as build
from retrojax.fit.fitting import fit as fit
from retrojax.fit.problem import PairOutcome as PairOutcome, Problem as Problem
from retrojax.fit.result import FitResult as FitResult
from retrojax.fit.spec import Parameter as Parameter, Spec as Spec, Transform as Transform

__all__ = ["FitConfig", "FitResult", "PairOutcome", "Parameter", "Problem", "Spec", "Transform", "build", "fit"]
