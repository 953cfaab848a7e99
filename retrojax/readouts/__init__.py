"""What a run says, as small arrays: statistics of spike trains, and of where plasticity happened."""

from retrojax.readouts.plasticity import (
    Clusters as Clusters,
    MoranI as MoranI,
    Spread as Spread,
    clusters as clusters,
    heterosynaptic_fraction as heterosynaptic_fraction,
    morans_i as morans_i,
    spread as spread,
)
from retrojax.readouts.spikes import (
    fano_factor as fano_factor,
    interval_cv as interval_cv,
    spike_times as spike_times,
)

__all__ = [
    "Clusters", "MoranI", "Spread", "clusters", "fano_factor", "heterosynaptic_fraction", "interval_cv", "morans_i",
    "spike_times", "spread",
]
