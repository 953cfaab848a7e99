"""Fitting parameters to data, with what the data cannot say."""

from retrojax.fit import likelihoods as likelihoods
from retrojax.fit.compare import compare as compare
from retrojax.fit.config import FitConfig as FitConfig, build as build
from retrojax.fit.estimator import PlasticityRegressor as PlasticityRegressor
from retrojax.fit.fitting import fit as fit
from retrojax.fit.maximise import (
    Likelihood as Likelihood,
    MaximumLikelihood as MaximumLikelihood,
    maximise as maximise,
)
from retrojax.fit.posterior import sample_posterior as sample_posterior
from retrojax.fit.problem import PairOutcome as PairOutcome, Problem as Problem
from retrojax.fit.profile import profile as profile
from retrojax.fit.result import FitResult as FitResult
from retrojax.fit.spec import Parameter as Parameter, Spec as Spec, Transform as Transform

__all__ = [
    "FitConfig", "FitResult", "Likelihood", "MaximumLikelihood", "PairOutcome", "Parameter", "PlasticityRegressor",
    "Problem", "Spec", "Transform", "build", "compare", "fit", "likelihoods", "maximise", "profile",
    "sample_posterior",
]
