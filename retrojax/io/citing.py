"""Which papers a config rests on."""

from retrojax.fit import FitConfig
from retrojax.io.schema import RunConfig
from retrojax.messengers import cited_keys, load_record
from retrojax.parts.catalogue import PARTS
from retrojax.parts.choice import PartChoice


def citations(config: RunConfig) -> list[str]:
    """Citation keys of everything a config uses."""
    chosen = [config.synapse.spine, config.synapse.release, *config.synapse.rules]
    keys = {key for choice in chosen for key in PARTS[choice.model].cites}
    for section in config.messengers.values():
        keys |= set(cited_keys(load_record(section.record)))
        if isinstance(section.synthesis, PartChoice):
            keys |= set(PARTS[section.synthesis.model].cites)
    if config.astrocytes:
        used = {"astrocyte": True, "gap_junctions": config.astrocytes.junctions is not None,
                "gliorelease": bool(config.astrocytes.releases)}
        keys |= {key for name, there in used.items() if there for key in PARTS[name].cites}
    keys.add("Dai2020")
    if config.sleep:
        keys |= {"Vallat2021", "Krishnan2016", config.sleep.volume_fraction or "Xie2013"}
    return sorted(keys)


def fit_citations(config: FitConfig) -> list[str]:
    """Citation keys of the parts of a fit and of its alternatives; where its data are from stands in the config."""
    models = [config.model, *(config.alternatives[name].model for name in config.report.compare
                              if name in config.alternatives)]
    chosen = [part for model in models for part in (model.spine, model.release, model.rule)]
    ready = [name for name in config.report.compare if name in PARTS and name not in config.alternatives]
    return sorted({key for name in (*(part.model for part in chosen), *ready) for key in PARTS[name].cites})
