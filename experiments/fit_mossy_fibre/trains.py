"""What the fit of mossy fibre trains reads and predicts: sweeps, protocols, mean release, and the calcium pair."""

import csv
import re
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from retrojax.errors import InputError, naming_file
from retrojax.fit import Likelihood, likelihoods
from retrojax.fit.data_protocols import protocols_by_label
from retrojax.fit.table import read_table
from retrojax.numerics import Draws
from retrojax.parts import ResidualCalciumRelease
from retrojax.testing import say_left_out

INTERVALS = {"20": [50.0] * 9, "100": [10.0] * 9, "20100": [50.0] * 4 + [10.0], "10020": [10.0] * 4 + [50.0],
             "10100": [100.0] * 4 + [10.0], "111": [9.0] * 5}


class Terminal(eqx.Module):
    """Release, its resting probability U, `scale` of the response, and the gamma law's `cv`.

    `K`: external calcium of half influx [mM].
    """

    release: eqx.Module
    U: jax.Array
    scale: jax.Array
    cv: jax.Array
    K: jax.Array


def start(release) -> Terminal:
    """A terminal to start from."""
    return Terminal(release, *(jnp.asarray(x) for x in (0.05, 1.0, 0.7, 1.5)))


def responses(release, u, gaps):
    """Mean release at every pulse of trains with intervals `gaps` [ms], [trains, pulses - 1]."""
    draws, state, out = Draws(jax.random.key(0), jnp.zeros((), jnp.int32)), release.init(gaps.shape[:1]), []
    for k in range(gaps.shape[1] + 1):
        state = state if k == 0 else release.flow(state, gaps[:, k - 1])
        state, released = release.on_pre(state, u, draws)
        out.append(released)
    return jnp.stack(out, -1)


def means(model: Terminal, gaps):
    """Mean amplitude at every pulse, relative to the mean first one, times `scale`."""
    sent = responses(model.release, model.U, gaps)
    return model.scale * sent / sent[:, :1]


class Cells(eqx.Module):
    """Log density of all amplitudes of one pulse of one protocol: their count, mean and mean logarithm [trains, 10]."""

    count: jax.Array
    mean: jax.Array
    log: jax.Array
    gaps: jax.Array

    def __call__(self, model: Terminal):
        return likelihoods.gamma_sum(self.count, self.mean, self.log, means(model, self.gaps), model.cv).ravel()


class Pair(eqx.Module):
    """Log density of mean EPSCs [pA] of 50 Hz trains at two levels of calcium [mM], relative to the last level.

    Influx goes with Ca/(K + Ca); release with it through the calcium model, or through U x influx^4.
    """

    epsc: jax.Array
    sem: jax.Array
    level: jax.Array

    def mean(self, model: Terminal):
        """Mean EPSC [pA], [levels, pulses]."""
        influx = self.level / (model.K + self.level)
        influx, gaps = influx / influx[-1], jnp.full((1, self.epsc.shape[1] - 1), 20.0)
        if isinstance(model.release, ResidualCalciumRelease):
            trains = [responses(eqx.tree_at(lambda r: r.influx, model.release, j), model.U, gaps)[0] for j in influx]
        else:
            trains = [responses(model.release, model.U * j**4, gaps)[0] for j in influx]
        return model.scale * jnp.stack(trains)

    def __call__(self, model: Terminal):
        return likelihoods.gaussian(self.epsc, self.mean(model), self.sem).ravel()


def read_pair(path: Path) -> Pair:
    """The calcium pair."""
    rows = np.genfromtxt(path, delimiter=",", names=True)
    two = [rows[rows["ca_o_mM"] == level] for level in (1.2, 2.5)]
    columns = (jnp.asarray(np.stack([r[name] for r in two])) for name in ("epsc_pA", "epsc_sem"))
    return Pair(*columns, jnp.asarray([1.2, 2.5]))


def read(path: Path, protocols: dict[str, list[float]]) -> dict[str, np.ndarray]:
    """Protocol -> amplitudes [sweeps, pulses], ten pulses at least, not-a-number where missing.

    **Raises** `InputError` for a column that is missing, an amplitude that is no number, and an unknown protocol.
    """
    with naming_file(path.name):
        table = read_table(path, ("protocol", "r1"))
        labels = table["protocol"]
        if unknown := sorted(set(labels) - set(protocols)):
            raise InputError("protocol", ", ".join(unknown), ", ".join(protocols),
                             "say what it means with --protocols FILE (label, intervals in ms)")
        count = max(10, *(1 + len(protocols[label]) for label in labels))
        blank = [""] * len(labels)
        rows = np.array([[_amplitude(text, f"r{k}, row {number + 1}") for number, text in
                          enumerate(table.get(f"r{k}", blank))] for k in range(1, count + 1)]).T
        found = {}
        for label in sorted(set(labels)):
            x = rows[np.array(labels) == label]
            last = 1 + len(protocols[label])
            if np.any(x[:, last:] > 0):
                say_left_out("protocol", [label], f"responses after its pulse {last}, the last that is known")
            x[:, last:] = np.nan
            # exact zeros are missing, as the authors treat them
            found[label] = np.where(x > 0, x, np.nan)
        if not any(np.any(x > 0) for x in found.values()):
            raise InputError("r1", "no response in any row", "one number above 0 at least", "give responses")
        return found


def _amplitude(text: str | None, field: str) -> float:
    try:
        number = float(text or "nan")
    except ValueError:
        number = -1.0
    if number < 0 or np.isinf(number):
        raise InputError(field, text, "a positive number, or nothing where missing", "correct the row")
    return number


def named_protocols(path: Path | None) -> dict[str, list[float]]:
    """Label -> intervals [ms]. Either of two forms:

    - spike times, as `protocols_by_label` reads them;
    - a table with a header: label first, and intervals as `4 x 50, 10` or `50;50;10`. Where rows have as many fields
      as the header, the column whose name holds `interval` counts, else all but the label.
    """
    if path is None:
        return {}
    lines = [line.strip().strip("|") for line in path.read_text("utf-8-sig").splitlines() if line.strip()]
    if path.suffix in (".yaml", ".yml", ".json") or "pre_ms" in "".join(lines[:1]):
        trains = {label: known.protocol().pre for label, known in protocols_by_label(path).items()}
        if short := [label for label, pre in trains.items() if pre.size < 2]:
            raise InputError(short[0], f"{trains[short[0]].size} presynaptic spikes", "two or more",
                             "give the times of the train", path.name)
        return {label: np.diff(pre).tolist() for label, pre in trains.items()}
    header, *rows = csv.reader(lines or [""], skipinitialspace=True, delimiter="|" if "|" in "".join(lines) else ",")
    column = next((number for number, name in enumerate(header) if "interval" in name), None)
    found = {}
    for row in rows:
        text = row[column] if column is not None and len(row) == len(header) else ",".join(row[1:])
        gaps = [float(gap) for times, gap in re.findall(r"(?:(\d+)\s*[x×*]\s*)?(\d+(?:\.\d+)?)", text)
                for _ in range(int(times or 1))]
        gaps = gaps[1:] if gaps and gaps[0] == 0 else gaps  # the first stimulus has none before it
        if 0 in gaps:
            raise InputError(f"intervals of {row[0].strip()}", text, "more than 0 ms", "correct the row", path.name)
        if gaps:
            found[row[0].strip()] = gaps
    if not found:
        raise InputError("--protocols", f"{len(rows)} rows", "a label and its intervals in ms in each row, or label "
                         "and pre_ms", "give such a table", path.name)
    return found


def observed(sweeps: dict[str, np.ndarray], protocols: dict[str, list[float]]) -> Likelihood:
    """The sweeps as a likelihood, one observation per pulse of a protocol, grouped by protocol."""
    pulses = next(iter(sweeps.values())).shape[1]
    gaps = np.stack([np.pad(protocols[name], (0, pulses - 1 - len(protocols[name])), mode="edge") for name in sweeps])
    count = np.stack([np.sum(~np.isnan(x), 0) for x in sweeps.values()]).astype(float)
    sums = [np.stack([np.nansum(f(x), 0) for x in sweeps.values()]) for f in (lambda x: x, np.log)]
    cells = Cells(*(jnp.asarray(x) for x in (count, *(s / np.maximum(count, 1) for s in sums), gaps)))
    return Likelihood(cells, tuple(np.repeat(list(sweeps), pulses).tolist()), (count > 0).ravel().astype(float))


def chi2(model: Terminal, sweeps: dict[str, np.ndarray]) -> float:
    """Of the mean amplitudes of every pulse and protocol, each with the standard error over sweeps."""
    total = 0.0
    for name, x in sweeps.items():
        mean, sem = mean_and_sem(x)
        predicted = np.asarray(means(model, jnp.asarray([INTERVALS[name]])))[0]
        total += float(np.sum(((mean[: predicted.size] - predicted) / sem[: predicted.size]) ** 2))
    return total


def mean_and_sem(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Over sweeps, of the pulses that there are."""
    x = x[:, ~np.isnan(x).all(0)]
    return np.nanmean(x, 0), np.nanstd(x, 0, ddof=1) / np.sqrt(np.sum(~np.isnan(x), 0))
