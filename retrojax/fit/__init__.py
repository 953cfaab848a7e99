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
from retrojax.fit.report import FitReport as FitReport, fit_config as fit_config, report_from_json as report_from_json
from retrojax.fit.result import FitResult as FitResult
from retrojax.fit.saved import Saved as Saved
from retrojax.fit.spec import Parameter as Parameter, Spec as Spec, Transform as Transform

__all__ = [
    "FitConfig", "FitReport", "FitResult", "Likelihood", "MaximumLikelihood", "PairOutcome", "Parameter",
    "PlasticityRegressor", "Problem", "Saved", "Spec", "Transform", "build", "compare", "fit", "fit_config",
    "likelihoods", "maximise", "profile", "report_from_json", "sample_posterior",
]
