"""Tables of pairing experiments: protocols, pooled rows, the block, and what is refused."""

import jax.numpy as jnp
import numpy as np
import pytest

from retrojax.errors import InputError
from retrojax.fit.pathways import Pathways
from retrojax.fit.stdp_rules import RULES
from retrojax.io.pairing_table import pairing_problem, read_pairing_table

HEAD = ("protocol_id,pre_mtype,post_mtype,frequency_train,dt_train,n_stimuli_train,n_sweep,period_sweep,"
        "mean_epsp_ratio,sem_epsp_ratio,reference,notes\n")
ROWS = ("a,L5,L5,20.0,-10,3,2,4,0.8,0.1,First 2001,Nothing.\n"
        "b,L5,L5,40.0,0,3,2,4,0.9,0.1,First 2001,Pooled data.\n"
        "c,L5,L5,50.0,0,3,2,4,0.9,0.2,First 2001,Pooled data for both.\n"
        "d,L4,L4,0.2,-15,1,4,5,0.7,0.1,Second 2014,MK-801 in PRESYNAPTIC pipette.\n")


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text(HEAD + ROWS)
    return file


def test_rows_hold_the_protocol_and_count_a_pooled_measurement_once(path):
    a, b, c, d = read_pairing_table(path)
    np.testing.assert_allclose(a.protocol.pre, [10, 60, 110, 4010, 4060, 4110])
    np.testing.assert_allclose(a.protocol.post, [0, 50, 100, 4000, 4050, 4100])
    np.testing.assert_allclose(d.protocol.pre, [15, 5015, 10015, 15015])
    assert (a.sem, b.sem, c.sem) == pytest.approx((0.1, 0.1 * 2**0.5, 0.2 * 2**0.5))
    assert [r.block for r in (a, b, c, d)] == [False, False, False, True]
    assert (a.pathway, d.pathway, d.paper) == ("L5>L5", "L4>L4", "Second 2014")


def test_protocols_may_stand_in_a_second_file(path, tmp_path):
    short = tmp_path / "short.csv"
    short.write_text("protocol_id,mean_epsp_ratio,sem_epsp_ratio\nd,1.3,0.2\n")
    (row,) = read_pairing_table(short, path)
    assert (row.mean, row.sem, row.delta_t, row.block) == (1.3, 0.2, -15.0, True)
    short.write_text("protocol_id,mean_epsp_ratio,sem_epsp_ratio\nz,1.3,0.2\n")
    with pytest.raises(InputError, match="protocol_id = 'z'"):
        read_pairing_table(short, path)


def test_protocols_may_be_spike_times(path, tmp_path):
    held, trains = tmp_path / "held.csv", tmp_path / "trains.yaml"
    held.write_text("protocol_id,pre_mtype,post_mtype,mean_epsp_ratio,sem_epsp_ratio,reference,notes\n"
                    "a,L5,L5,0.8,0.1,First 2001,\n")
    trains.write_text("a: {pre: [10, 60, 110], post: [0, 50, 100], repetitions: 2, every: 4000}\n")
    (row,), whole = read_pairing_table(held, trains), read_pairing_table(path)[0]
    for mine, theirs in zip(row.protocol, whole.protocol, strict=True):
        np.testing.assert_allclose(mine, theirs)
    assert (row.rate, row.delta_t, row.sem) == (whole.rate, whole.delta_t, whole.sem) == (20.0, -10.0, 0.1)
    # a row with columns of its own needs no label
    assert [r.label for r in read_pairing_table(path, trains)] == ["a", "b", "c", "d"]
    path.write_text((HEAD + ROWS).replace("b,L5,L5,40.0", "b,L5,L5,"))
    with pytest.raises(InputError, match="protocol_id = 'b'"):
        read_pairing_table(path, trains)


def test_what_cannot_be_read_is_named(path):
    path.write_text((HEAD + ROWS).replace("dt_train", "lag"))
    with pytest.raises(InputError, match="dt_train"):
        read_pairing_table(path)
    path.write_text(HEAD + ROWS.replace(",0.8,", ",high,"))
    with pytest.raises(InputError, match="a.mean_epsp_ratio = 'high'"):
        read_pairing_table(path)
    path.write_text(HEAD + ROWS.replace(",0.8,", ",nan,"))
    with pytest.raises(InputError, match="a.mean_epsp_ratio = 'nan'"):
        read_pairing_table(path)
    path.write_text(HEAD + ROWS.replace(",0.1,", ",0,"))
    with pytest.raises(InputError, match="sem_epsp_ratio = '0'.*positive"):
        read_pairing_table(path)
    path.write_text(HEAD + ROWS.replace(",3,2,4,0.8", ",2.5,2,4,0.8"))
    with pytest.raises(InputError, match=r"a.n_stimuli_train = '2.5'.*whole"):
        read_pairing_table(path)
    path.write_text((HEAD + ROWS).replace("protocol_id", "id"))
    with pytest.raises(InputError, match="column protocol_id = 'absent'"):
        read_pairing_table(path, path)
    path.write_text(HEAD)
    with pytest.raises(InputError, match="rows = 0"):
        read_pairing_table(path)


def test_gains_belong_to_the_pathway_and_the_block_removes_its_term(x64, path):
    rows = read_pairing_table(path)
    with pytest.raises(InputError, match="L4>L4"):
        pairing_problem(rows, ("L5>L5",))
    problem = pairing_problem(rows, ("L5>L5", "L4>L4"), ticks=False)
    model, _ = RULES["unified"](2)
    before = np.asarray(problem.predict(model))
    doubled = Pathways(model.synapse, {**model.gains, "rules.0.d_minus": (jnp.asarray(0.0), jnp.asarray(0.5))},
                       blocked=model.blocked)
    after = np.asarray(problem.predict(doubled))
    assert after[0] > before[0] + 1e-3  # no depression left in the first pathway
    assert after[3] == before[3] == 1.0  # blocked, whatever the gain of its pathway
