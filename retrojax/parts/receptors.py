"""Receptors of terminals as sets of values for `Transduction`."""

from typing import Any

from retrojax.errors import InputError
from retrojax.parts.transduction import Transduction

RECEPTORS: dict[str, dict[str, Any]] = {
    "TrkB": {"senses": "BDNF", "receptor": "TrkB", "K_d": 0.1, "k_off": 1e-3, "half": 0.3, "tau_rise": 30e3,
             "tau_fall": 1.2e6, "gamma": 0.3, "nu": 0.5, "kappa": 1e-9},
    "p75": {"senses": "proBDNF", "receptor": "p75", "K_d": 1.0, "k_off": 1e-3, "half": 0.3, "tau_rise": 120e3,
            "tau_fall": 3.6e6, "gamma": -0.5, "kappa": -1e-9},
    "kappa_opioid": {"senses": "dynorphin", "receptor": "kappa_opioid", "K_d": 5.0, "k_off": 5e-5, "fast": -0.5},
    "A1": {"senses": "adenosine", "receptor": "A1", "K_d": 500.0, "k_off": 1e-3, "phi": 0.47469},
    "A2A": {"senses": "adenosine", "receptor": "A2A", "K_d": 1000.0, "k_off": 1e-3, "phi": -0.15},
}
"""Values by receptor. Measured: TrkB active within a minute and for more than 20 (Harward et al. 2016 Nature 538:99);
that uncleaved proBDNF depresses release and makes terminals retract through p75 (Yang et al. 2009 J Cell Biol 185:727);
that kappa receptors act on the fusion machinery, downstream of calcium (Iremonger & Bains 2009 J Neurosci 29:7349);
that adenosine inhibits release through A1 (Wall & Dale 2013 J Physiol 591:3853). With phi = 1 - 0.2^(1/2.5), a fully
occupied A1 leaves a fifth of a low release probability. All affinities are unverified, and all sizes calibrations."""


def receptor(name: str, **overrides: float) -> Transduction:
    """The transduction of one receptor of `RECEPTORS`, with values that override its own.

    **Raises** `InputError` naming the receptors if `name` is none of them.
    """
    if name not in RECEPTORS:
        raise InputError("receptor", name, ", ".join(RECEPTORS), "choose one of these names")
    return Transduction(**{**RECEPTORS[name], **overrides})
