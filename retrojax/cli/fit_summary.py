"""A fit in words and tables, for a reader who has not seen the config."""

import math

import numpy as np
from rich.console import Console
from rich.table import Table

from retrojax.fit.identify import verdict
from retrojax.fit.report import FitReport

UNEVEN = 0.01
"""Ranks less probable than this are called uneven."""

ENOUGH = 20
"""Synthetic data sets below which even ranks say nothing."""

WIDTH = 110
"""Columns of the tables where the output is no terminal."""


def print_summary(report: FitReport, console: Console | None = None) -> None:
    """Print what a fit found, what it cannot say, and whether to believe it."""
    if console is None:
        console = Console()
        console = console if console.is_terminal else Console(width=WIDTH)

    def say(text: str) -> None:
        console.print(text, highlight=False, soft_wrap=True, markup=False)

    say(_headline(report))
    console.print(_parameters(report))
    say(verdict(report.fit.parameters, report.fit.directions))
    for text in report.fit.undetermined:
        say(f"  {text}")
    console.print(_baselines(report))
    say(_heldout(report))
    if report.comparison:
        console.print(_comparison(report))
        say(_best_rule(report))
    for text in (_predictive(report), _recovery(report), _posterior(report), _profiles(report)):
        if text:
            say(text)
    fit = report.fit
    compiling = "" if math.isnan(fit.compile_s) else f", of it {fit.compile_s:.1f} s compiling"
    say(f"{fit.evaluations} evaluations of loss and gradient, {fit.wall_s:.1f} s{compiling}")


def _headline(report: FitReport) -> str:
    fit, loss = report.fit, report.fit.starts.loss
    together = int(np.sum(loss < np.min(loss) + 0.1))
    doubt = "" if together > 1 or loss.size == 1 else "; only one start ended at the best, so try more `solver.starts`"
    return (f"chi2 {fit.chi2:.2f} for {fit.n_points} points and {len(fit.parameters)} parameters, log-likelihood "
            f"{fit.log_likelihood:.2f}; {int(np.sum(fit.starts.converged))} of {loss.size} starts converged, "
            f"{together} to within 0.1 of the best loss{doubt}")


def _parameters(report: FitReport) -> Table:
    profiles, drawn = report.profiles, report.posterior
    table = Table("parameter", "value", "± 1 sd", "unit", "determined", title="Parameters")
    if profiles:
        table.add_column("95 % by profile")
    if drawn is not None:
        table.add_column("90 % of posterior")
    for number, (path, p) in enumerate(report.fit.parameters.items()):
        known = f"at its {p.bound} bound" if p.bound else "yes" if p.identified else "no"
        row = [path, f"{p.value:.4g}", "unknown" if p.sd is None else f"{p.sd:.2g}", p.unit, known]
        if profiles:
            one = profiles.get(path)
            row.append("" if one is None else f"{_end(one.low)} to {_end(one.high)}")
        if drawn is not None:
            low, high = np.quantile(drawn.draws[..., number], (0.05, 0.95))
            row.append(f"{low:.3g} to {high:.3g}")
        table.add_row(*row)
    return table


def _end(value: float | None) -> str:
    return "no limit" if value is None else f"{value:.3g}"


def _baselines(report: FitReport) -> Table:
    table = Table("answer", "chi2", "log-likelihood", "chi2, held out", "log-likelihood, held out",
                  title="Against simpler answers")
    for one in report.baselines:
        table.add_row(one.name, *(f"{value:.2f}" if math.isfinite(value) else "" for value in one[1:]))
    return table


def _heldout(report: FitReport) -> str:
    held = report.fit.heldout
    if held is None:
        return "Nothing was left out: the fit's value for new data is not known (`report.leave_one_out`)."
    own, *others = report.baselines
    beaten = [one.name for one in others if own.heldout_log_likelihood > one.heldout_log_likelihood]
    worst = max(held.by_group, key=lambda name: held.by_group[name])
    words = f"better than {', '.join(beaten)}" if len(beaten) == len(others) else \
        f"better than {', '.join(beaten) or 'none of them'} only"
    return (f"Points predicted from the others ({len(held.by_group)} groups left out in turn): {words}; least well "
            f"predicted is {worst} (chi2 {held.by_group[worst]:.2f}).")


def _comparison(report: FitReport) -> Table:
    table = Table("rule", "fitted", "log-likelihood", "AIC", "AICc", "BIC", "weight", "held out", "behind the best",
                  title="Rules on the same points")
    for r in report.comparison:
        behind = "" if not math.isfinite(r.ahead[0]) else f"{r.ahead[0]:.2f} ± {r.ahead[1]:.2f}"
        table.add_row(r.name, str(r.parameters), *(f"{x:.2f}" for x in (r.log_likelihood, r.aic, r.aicc, r.bic)),
                      f"{r.weight:.3f}", f"{r.heldout:.2f}", behind)
    return table


def _best_rule(report: FitReport) -> str:
    first, second = report.comparison[:2]
    by = {name: min(report.comparison, key=lambda r: getattr(r, name)).name for name in ("aicc", "bic")}
    criteria = f"AICc favours {by['aicc']}, BIC {by['bic']}"
    if not math.isfinite(second.ahead[0]):
        return f"{criteria}."
    clear = "clearly" if -second.ahead[0] > 2 * second.ahead[1] else "but not by two standard errors"
    return f"What was left out is best predicted by {first.name}, {clear}; {criteria}."


def _predictive(report: FitReport) -> str:
    check = report.predictive
    if check is None:
        return ""
    word = "the data look like data of this model" if 0.05 <= check.p_value <= 0.95 else \
        "the model misses something in the data" if check.p_value < 0.05 else \
        "the data scatter less than this model expects"
    return (f"Posterior-predictive check ({check.draws} draws, {check.source}): p = {check.p_value:.2f}, {word}; "
            f"{100 * check.inside:.0f} % of the points inside the 90 % band.")


def _recovery(report: FitReport) -> str:
    found = report.fit.recovery
    if found is None:
        return ""
    each = found["parameters"].values()
    within = np.mean([p["within_68"] for p in each])
    uneven = [path for path, p in found["parameters"].items() if p["rank_p"] < UNEVEN]
    even = "ranks of the truth are even" if found["sets"] >= ENOUGH else f"ranks can be judged from {ENOUGH} sets on"
    ranks = f"ranks of the truth are uneven for {', '.join(uneven)}" if uneven else even
    return (f"Recovery from {found['sets']} synthetic data sets: {100 * found['fitted_as_well_as_truth']:.0f} % fitted "
            f"as well as by the truth, which lies within one standard deviation in {100 * within:.0f} % (68 expected); "
            f"{ranks}.")


def _posterior(report: FitReport) -> str:
    drawn = report.posterior
    if drawn is None:
        return ""
    worst = float(np.max(drawn.r_hat))
    trust = "good" if worst < 1.05 and drawn.divergences == 0 else \
        "do not trust it: sample longer, or give priors to what the data do not determine"
    return (f"Posterior sample: largest R-hat {worst:.3f}, fewest effective draws {np.min(drawn.effective):.0f}, "
            f"{drawn.divergences} divergences; {trust}.")


def _profiles(report: FitReport) -> str:
    better = [path for path, one in report.profiles.items() if np.min(one.drop) < -0.05]
    return f"The profile of {', '.join(better)} found a better fit: use more `solver.starts`." if better else ""
