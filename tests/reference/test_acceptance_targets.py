"""Published numbers: a few of every reproduction on each run of the tests, all of them with `-m repro`."""

import json
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrojax.engine.events import run_events, spike_table, stack_tables
from retrojax.engine.rows import Bounds, Synapse, init_state
from retrojax.numerics import Draws
from retrojax.parts import CalciumSpine, TsodyksMarkram, calcium_rule, strength_change, unified_rule
from retrojax.parts.presets import GRAUPNER_BRUNEL
from retrojax.parts.threshold_clock import ThresholdClock
from retrojax.protocols import bursts, pairs
from retrojax.testing import Target, holds, targets, write_targets

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def run(synapse, tables, observe=None):
    """Final states, and what was observed, of a stack of protocols."""
    draws = Draws(jax.random.key(0), jnp.zeros((), jnp.int32))
    one = lambda table: run_events(synapse, init_state(synapse, ()), table, draws, observe)  # noqa: E731
    return jax.jit(jax.vmap(one))(tables)


@pytest.mark.parametrize(
    ("release", "p", "second", "tenth"),
    [
        ((200.0, 50.0), 0.5, (0.7439, 0.7229, 0.7311), (0.5872, 0.3882, 0.1846)),
        ((130.0, 530.0), 0.03, (1.778, 1.844, 1.884), (4.068, 4.582, 4.009)),
    ],
    ids=["AT-A1a", "AT-A1b"],
)
def test_short_term_plasticity(x64, release, p, second, tenth):
    tables = stack_tables([([k * 1000.0 / rate for k in range(10)], [], 9000.0 / rate) for rate in (10, 20, 50)])
    model = Synapse(CalciumSpine(delay=1e6), TsodyksMarkram(*release), p_release=p)
    sent = np.asarray(run(model, tables, lambda _, response: response)[1])[:, :10]
    np.testing.assert_allclose(sent[:, 0], p, rtol=1e-12)
    np.testing.assert_allclose(sent[:, 9] / sent[:, 0], tenth, rtol=1e-3)
    np.testing.assert_allclose(sent[[0, 1, 2], 1] / p, second, rtol=1e-3)


def test_unified_rule_at_all_rates(x64):
    rates = (10.0, 20.0, 40.0, 50.0)
    tables = stack_tables([bursts(rate, dt) for dt in (10.0, -10.0) for rate in rates])
    model = Synapse(CalciumSpine(), TsodyksMarkram(), (unified_rule("sjostrom_refit"),))
    p, q = run(model, tables)[0].expression
    expected_p = (1.038, 1.235, 1.449, 1.405, 0.505, 0.668, 1.162, 1.354)
    expected_q = (1.000, 1.013, 1.118, 1.198, 1.000, 1.006, 1.090, 1.165)
    np.testing.assert_allclose(2 * p, expected_p, atol=1e-3)
    np.testing.assert_allclose(q, expected_q, atol=1e-3)


def test_coincident_spikes_read_before_they_write(x64):
    # at 40 Hz and +-25 ms every postsynaptic spike falls on a presynaptic one
    tables = stack_tables([pairs(60, 40.0, 25.0), pairs(60, 40.0, -25.0)])
    model = Synapse(CalciumSpine(), TsodyksMarkram(), (unified_rule("costa2015_table1"),),
                    bounds=Bounds(-1e3, 1e3, -1e3, 1e3))
    p, q = run(model, tables)[0].expression
    np.testing.assert_allclose(p - 0.5, (78.7458, 80.6352), rtol=1e-4)
    np.testing.assert_allclose(q - 1.0, (6.729424, 6.572766), rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "delta_t", "expected"),
    [("DP", -20.0, 0.764), ("DP", 10.0, 1.221), ("DPD", -10.0, 0.859), ("P", 0.0, 1.238), ("D", 0.0, 0.637),
     ("D_prime", -10.0, 0.719)],
)
def test_calcium_rule_after_sixty_pairs(x64, name, delta_t, expected):
    spine, rule = calcium_rule(name)
    model = Synapse(spine, TsodyksMarkram(), (ThresholdClock(rule.theta_d, rule.theta_p),))
    # at 1 Hz nothing is carried from pair to pair, so the whole train stands for its steady state
    draws = Draws(jax.random.key(0), jnp.zeros((), jnp.int32))
    clock = jax.jit(run_events)(model, init_state(model, ()), spike_table(*pairs(60, 1.0, delta_t)), draws)[0].rules[0]
    change = strength_change(clock.time_p, clock.time_d, rule, jnp.asarray(GRAUPNER_BRUNEL[name].beta))
    np.testing.assert_allclose(change, expected, atol=1.0001e-3)


def test_a_failing_target_stays_in_the_table(tmp_path, capsys):
    rows = [*targets(["a", "b"], "paper", [1.0, 2.0], [1.0, 2.1], relative=0.01), holds("c", "paper", True),
            Target("d", "paper", 0.0, 1.0, float("nan"))]
    write_targets(rows, tmp_path)
    result = json.loads((tmp_path / "result.json").read_text())
    assert [row["ok"] for row in result] == [True, False, True, False]
    assert set(result[0]) == {"target", "paper", "expected", "tolerance", "value", "ok"}
    assert "2 of 4 targets hold" in capsys.readouterr().out


@pytest.mark.repro
@pytest.mark.parametrize("name", sorted(path.parent.name for path in EXPERIMENTS.glob("*/run.py")))
def test_reproduction_holds(name):
    done = subprocess.run([sys.executable, EXPERIMENTS / "run.py", name], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads((EXPERIMENTS / name / "result.json").read_text())
    assert [row["target"] for row in rows if not row["ok"]] == []
