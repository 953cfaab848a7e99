"""Tables of pairing experiments between neurons: one protocol with mean and SEM per row."""

import math
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from retrojax.engine.events import stack_tables
from retrojax.engine.own_spine import ticks_between
from retrojax.errors import InputError
from retrojax.fit.data_protocols import Labelled, gives_spike_times, protocols_by_label
from retrojax.fit.pathways import PathwayOutcome
from retrojax.fit.problem import Problem
from retrojax.fit.table import read_table
from retrojax.protocols import Protocol, bursts

PROTOCOL = ("frequency_train", "dt_train", "n_stimuli_train", "n_sweep", "period_sweep")
NEEDED = ("protocol_id", "pre_mtype", "post_mtype", *PROTOCOL, "mean_epsp_ratio", "sem_epsp_ratio", "reference")


class PairingRow(NamedTuple):
    """One measured protocol.

    - `label`, `pathway` (`PRE>POST`), `paper`. `block`: MK-801 in the presynaptic pipette.
    - `rate` [Hz], `delta_t` = t_post - t_pre [ms], `protocol`: the spike times.
    - `mean`, `sem`: strength after / before.
    """

    label: str
    pathway: str
    paper: str
    block: bool
    rate: float
    delta_t: float
    protocol: Protocol
    mean: float
    sem: float


def read_pairing_table(path: Path, protocols: Path | None = None) -> list[PairingRow]:
    """Rows of a CSV file with the columns `NEEDED` and optionally `notes`.

    A sweep holds `n_stimuli_train` pairs at `frequency_train` Hz, the postsynaptic spike `dt_train` ms after its
    presynaptic one; there are `n_sweep` sweeps, one every `period_sweep` s. Rows that the notes call pooled and that
    share paper and `dt_train` are one measurement: their SEM is widened by the root of their number.

    **Arguments**

    - `path`: the file. `protocols`: for rows that name their protocol only by `protocol_id`, a second CSV file that
      gives the columns of `PROTOCOL` by that label, or a file of its spike times (`protocols_by_label`).

    **Raises** `InputError` for a column that is missing, a label without protocol, a value that is no finite
    number, and a standard error that is not positive.
    """
    trains = protocols_by_label(protocols) if protocols is not None and gives_spike_times(protocols) else {}
    columns = {r["protocol_id"]: r for r in _records(protocols)} if protocols is not None and not trains else {}
    records, known = [], [*trains, *columns]
    for given in _records(path):
        own, label = {name: text for name, text in given.items() if text != ""}, given["protocol_id"]
        if protocols is not None and label not in known and any(name not in own for name in PROTOCOL):
            raise InputError(f"{path.name}.protocol_id", label, ", ".join(known), "add it to the protocol file")
        records.append({**given, **columns.get(label, {}), **own})
    for name in NEEDED:
        if not any(name in record for record in records) and not (trains and name in PROTOCOL):
            cure = "add the column" + (", or a protocol file" if name in PROTOCOL and protocols is None else "")
            raise InputError(f"{path.name}.{name}", "absent", "a column of that name", cure)
    pooled = [_pool(record) for record in records]
    return [_row(record, 1 if pool is None else pooled.count(pool), trains.get(record["protocol_id"]))
            for record, pool in zip(records, pooled, strict=True)]


def pairing_problem(
    rows: list[PairingRow], pathways: tuple[str, ...], groups: str = "paper", ticks: bool = True
) -> Problem:
    """The rows as a problem for `Pathways` models; call it under `jax.enable_x64(True)`.

    **Arguments**

    - `pathways`: names in the order of a model's gains.
    - `groups`: `paper` leaves papers out in turn, `none` nothing.
    - `ticks`: cut long gaps (`ticks_between`), which models without messengers do not need.

    **Raises** `InputError` for a row of another pathway.
    """
    for row in rows:
        if row.pathway not in pathways:
            raise InputError(f"{row.label}.pathway", row.pathway, ", ".join(pathways), "leave it out, or fit it too")
    tables = stack_tables([tuple(r.protocol) for r in rows],
                          [ticks_between(r.protocol) if ticks else () for r in rows])
    number = jnp.asarray([pathways.index(row.pathway) for row in rows])
    return Problem(
        mean=np.array([r.mean for r in rows]), sem=np.array([r.sem for r in rows]),
        predict=PathwayOutcome(tables, number, jnp.asarray([r.block for r in rows])),
        labels=tuple(r.label for r in rows), x=np.array([r.rate for r in rows]),
        series=tuple(r.pathway for r in rows),
        groups=tuple(r.paper if groups == "paper" else "all" for r in rows),
        is_data=np.ones(len(rows), bool), x_label="pairing rate [Hz]", y_label="strength after / before",
    )


def _records(path: Path) -> list[dict[str, str]]:
    table = read_table(path, ("protocol_id",))
    return [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]


def _pool(record: dict[str, str]) -> tuple[str, str] | None:
    return (record.get("reference", ""), record.get("dt_train", "")) if "Pooled" in record.get("notes", "") else None


def _row(record: dict[str, str], pooled: int, train: Labelled | None) -> PairingRow:
    """The row; its spikes are those of its own columns, or of `train` where one of these is blank or absent."""
    label = record["protocol_id"]
    timing = _of_columns(record) if train is None or all(record.get(name) for name in PROTOCOL) else _of_train(train)
    return PairingRow(label, f"{record.get('pre_mtype', '')}>{record.get('post_mtype', '')}",
                      record.get("reference", ""), "MK-801" in record.get("notes", ""), *timing,
                      _number(record, "mean_epsp_ratio"), _positive(record, "sem_epsp_ratio") * pooled**0.5)


def _of_columns(record: dict[str, str]) -> tuple[float, float, Protocol]:
    """Rate [Hz], lag [ms] and spike times by the columns of `PROTOCOL`."""
    rate, period = (_positive(record, name) for name in ("frequency_train", "period_sweep"))
    counts = [_positive(record, name) for name in ("n_stimuli_train", "n_sweep")]
    for name, count in zip(("n_stimuli_train", "n_sweep"), counts, strict=True):
        if count % 1 != 0:
            raise InputError(f"{record['protocol_id']}.{name}", record[name], "a whole number, 1 or more",
                             "correct the row")
    lag = _number(record, "dt_train")
    return rate, lag, bursts(rate, lag, int(counts[0]), int(counts[1]), 1000 * period)


def _of_train(train: Labelled) -> tuple[float, float, Protocol]:
    """The same by spike times: rate within a sweep, or of the sweeps where one has a single spike."""
    times = train.pre if train.pre.size else train.post
    gap = times[1] - times[0] if times.size > 1 else train.every
    lag = train.post[0] - train.pre[0] if train.post.size and train.pre.size else 0.0
    return float(1000 / gap) if gap > 0 else 0.0, float(lag), train.protocol()


def _number(record: dict[str, str], name: str) -> float:
    try:
        value = float(record.get(name) or "nan")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{record['protocol_id']}.{name}", record.get(name, ""), "a finite number",
                         "correct the file, or drop the row")
    return value


def _positive(record: dict[str, str], name: str) -> float:
    value = _number(record, name)
    if value <= 0:
        raise InputError(f"{record['protocol_id']}.{name}", record[name], "a positive number",
                         "correct the file, or drop the row")
    return value
