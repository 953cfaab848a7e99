"""BDNF and its precursor from a config: they react on both schedules alike, and no molecule is lost or made."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import yaml

from retrojax.errors import InputError
from retrojax.io.build import build
from retrojax.io.config import load_config
from retrojax.protocols import treated
from retrojax.protocols.targets import conversions

TICKS = 4
MESSENGERS = {
    # no gate of memory and a fast release, so that something happens within a second; no loss, so that all is counted
    "BDNF": {"record": "BDNF", "step": "200 ms", "loss": "0 1/s",
             "synthesis": {"model": "vesicular_synthesis", "rate": "70 molecules/s", "theta": "0.4 uM", "tau": "300 ms",
                           "theta_max": "0.6 uM", "memory_gate": 0.05}},
    "proBDNF": {"record": "proBDNF", "step": "100 ms", "loss": "0 1/s",
                "synthesis": {"model": "hill_synthesis", "rate": "30 molecules/s", "half_activation": "1 uM", "hill": 2,
                              "tau": "50 ms", "ca_scale": "1 uM"}},
    "adenosine": {"record": "adenosine", "step": "200 ms", "tonic": "80 nM", "synthesis": "none"},
}
REACTIONS = [{"source": "proBDNF", "product": "BDNF", "rate": "2 1/s"}]


@pytest.fixture(scope="module")
def config(config_file, tmp_path_factory):
    """The quickstart's network with those messengers, a rule that senses BDNF, and fewer voxels."""
    data = yaml.safe_load(config_file.read_text())
    data.pop("sleep")
    data |= {"messengers": MESSENGERS, "reactions": REACTIONS, "duration": "800 ms", "slow_step": "200 ms"}
    data["grid"]["spacing"] = "20 um"
    data["synapse"]["rules"] = [data["synapse"]["rules"][0], {"model": "messenger_facilitation", "senses": "BDNF"}]
    data["network"]["sonata"] = str(config_file.parent / data["network"]["sonata"])
    data["drive"]["replay"]["spikes"] = str(config_file.parent / data["drive"]["replay"]["spikes"])
    path = tmp_path_factory.mktemp("reactions") / "config.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


def test_bdnf_and_its_precursor_balance_on_both_schedules(x64, config):
    fields, spikes = {}, {}
    for kind in ("clocked", "lazy"):
        simulation = build(load_config(config, [f"network.schedule={kind}"]), config)
        names = [m.name for m in simulation.model.messengers]
        assert names == ["proBDNF", "BDNF", "adenosine"]  # what turns into another comes first
        state, grid = simulation.state, simulation.plan.grid
        np.testing.assert_allclose(state.fields[2], 0.2 * 80.0, rtol=1e-9)
        model, total, last = simulation.model, np.zeros(2), []
        for _ in range(TICKS * 2):
            state, record = simulation.schedule.run(model, simulation.tissue, state, 1)
            volume = 0.602214076 * grid.voxel_volume
            # the newest row of the history is the rate of every spine over the step that just ended
            steps = (100.0, 200.0 * (int(state.tick) % 2 == 0))
            total += [float(state.emitted[k][0].sum()) * steps[k] for k in range(2)]
            held = [volume * float(state.fields[k].sum()) for k in range(2)]
            held[1] += volume * float(state.pending[1].sum())
            np.testing.assert_allclose(sum(held), total.sum(), rtol=1e-6)
            last.append(simulation.schedule.spikes(record, 1))
        assert int(state.errors) == 0
        assert held[0] < 0.9 * total[0] and held[1] > 1.02 * total[1] > 0
        np.testing.assert_allclose(state.fields[2], 0.2 * 80.0, rtol=1e-9)
        fields[kind], spikes[kind] = state.fields, last
    for one, other in zip(fields["clocked"], fields["lazy"], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-7)
    assert sum(step.size for step, _ in spikes["lazy"]) > 20
    assert all(np.array_equal(a, b) for x, y in zip(spikes["clocked"], spikes["lazy"], strict=True)
               for a, b in zip(x, y, strict=True))


@pytest.mark.parametrize(("change", "text"), [
    ({"source": "proBDFN"}, "did you mean 'proBDNF'"), ({"rate": None}, "of_loss"),
    ({"of_loss": True}, "of_loss"), ({"rate": "2 1/(nM*s)"}, "reactions.0.rate"),
    ({"rate": "2 1/s", "order": 2}, "reactions.0.rate"), ({"catalyst": "tPA", "rate": "2 1/(nM*s)"}, "catalyst")])
def test_mistakes_in_reactions_are_named(config, change, text):
    from retrojax.io.parts import make_reactions
    from retrojax.io.schema import ReactionSection

    with pytest.raises(InputError, match=text.replace("(", r"\(")):
        make_reactions([ReactionSection(**{**REACTIONS[0], **change})], list(MESSENGERS))


def test_a_synthesis_that_is_none_is_refused(config):
    loaded = load_config(config, ["messengers.BDNF.synthesis.model=graupner_brunel"])
    with pytest.raises(InputError, match="vesicular_synthesis"):
        build(loaded, config)


def test_receptors_of_a_tonic_messenger_start_in_balance(config):
    loaded = load_config(config, ["synapse.rules.1.senses=adenosine", "synapse.rules.1.half=80 nM",
                                  "network.schedule=clocked"])
    simulation = build(loaded, config)
    strengths = simulation.schedule.strengths(simulation.model, simulation.tissue, simulation.state)
    np.testing.assert_allclose(strengths.p_effective, 0.5 * 1.4, rtol=1e-5)
    assert jax.tree.all(jax.tree.map(lambda x: bool(jnp.all(jnp.isfinite(x))), simulation.state.fields))


def test_a_drug_on_the_conversion_changes_the_share_of_mature_bdnf(config):
    """Without tPA a fifth of the rate is left, so that share falls by as much: 2 /s for 800 ms is no longer linear."""
    chosen = ["messengers.BDNF.synthesis=none", 'interventions=[{drug: "tPA -/-"}]']
    simulation = build(load_config(config, chosen), config)
    under = simulation.model_at(0)
    np.testing.assert_allclose(under.reactions[0].rate, 0.2 * simulation.model.reactions[0].rate, rtol=1e-6)
    mature = []
    for model in (simulation.model, under, treated(simulation.model, "plasmin", "100 nM")):
        state = jax.tree.map(jnp.copy, simulation.state)
        state, _ = simulation.schedule.run(model, simulation.tissue, state, 2 * TICKS)
        pro, made = (float(state.fields[k].sum() + state.pending[k].sum()) for k in range(2))
        mature.append(made / (pro + made))
    plain, without, more = mature
    assert 0.2 * plain < without < 0.4 * plain and more > 1.4 * plain


def test_a_drug_on_a_conversion_needs_one(config):
    with pytest.raises(InputError, match=r"conversions\.ATP\.adenosine"):
        build(load_config(config, ['interventions=[{drug: "POM-1", dose: "100 uM"}]']), config)
    two = [*REACTIONS, {"source": "proBDNF", "product": "BDNF", "rate": "1 1/(uM*s)", "catalyst": "adenosine"}]
    model = build(load_config(config, [f"reactions={two}"]), config).model
    assert conversions(model) == {"conversions.proBDNF.BDNF": ("reactions.0.rate", "reactions.1.rate")}
    lost = [{"source": "proBDNF", "product": "BDNF", "of_loss": True}]
    model = build(load_config(config, [f"reactions={lost}"]), config).model
    assert conversions(model) == {"conversions.proBDNF.BDNF": ("reactions.0.share",)}
