"""Fitting parameters to data, with what the data cannot say."""

from retrojax.fit import likelihoods as likelihoods
from retrojax.fit.compare import compare as compare
from retrojax.fit.config import FitConfig as FitConfig, build as build
from retrojax.fit.estimate_descent import Descending as Descending
from retrojax.fit.estimator import PlasticityRegressor as PlasticityRegressor
from retrojax.fit.fitting import fit as fit
from retrojax.fit.hierarchical import Population as Population, fit_population as fit_population
from retrojax.fit.maximise import (
    Likelihood as Likelihood,
    MaximumLikelihood as MaximumLikelihood,
    least_squares_likelihood as least_squares_likelihood,
    maximise as maximise,
)
from retrojax.fit.network import NetworkOutcome as NetworkOutcome
from retrojax.fit.population_posterior import (
    PopulationPosterior as PopulationPosterior,
    sample_population as sample_population,
)
from retrojax.fit.posterior import sample_posterior as sample_posterior
from retrojax.fit.problem import PairOutcome as PairOutcome, Problem as Problem
from retrojax.fit.profile import profile as profile
from retrojax.fit.report import FitReport as FitReport, fit_config as fit_config, report_from_json as report_from_json
from retrojax.fit.result import FitResult as FitResult
from retrojax.fit.saved import Saved as Saved
from retrojax.fit.spec import Parameter as Parameter, Spec as Spec, Transform as Transform
from retrojax.fit.stochastic import (
    Descent as Descent,
    descend as descend,
    report_descent as report_descent,
    start_descent as start_descent,
)

__all__ = [
    "Descending", "Descent", "FitConfig", "FitReport", "FitResult", "Likelihood", "MaximumLikelihood",
    "NetworkOutcome", "PairOutcome", "Parameter", "PlasticityRegressor", "Population", "PopulationPosterior",
    "Problem", "Saved", "Spec", "Transform", "build", "compare", "descend", "fit", "fit_config", "fit_population",
    "least_squares_likelihood", "likelihoods", "maximise", "profile", "report_descent", "report_from_json",
    "sample_population", "sample_posterior", "start_descent",
]
