"""Which papers a config rests on."""

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
        keys |= {"Vallat2021", "Xie2013", "Krishnan2016"}
    return sorted(keys)
