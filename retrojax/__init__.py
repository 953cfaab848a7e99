"""retrojax: synaptic plasticity with retrograde messengers, in pure-functional JAX.

A synapse is a short row of numbers. Between spikes it flows, in closed form; at a spike it jumps. Messengers live on a
voxel grid and step at their own, slower clocks; long-term change is expressed slower still. One kernel
(`retrojax.engine.kernel.touch`) holds the fast biology, and every schedule calls it:

- `engine.events`: a handful of synapses, touched only at spikes; `vmap` over protocols and parameters. Fits run on it.
- `engine.lazy`: networks; a synapse is touched when spikes reach it, millions of them at the cost of events.
- `engine.network`: networks; neurons and every synapse at every dt. What it gives, the lazy schedule must give.
- `engine.clocked`: one pair at every dt, the reference the others must match.

`engine.schedules` puts the two network schedules behind one face; `engine.driver` runs either.

Parts (`retrojax.parts`) are written for one synapse and never see the engine. Start reading at `engine/kernel.py`.
"""

from retrojax.engine.clocked import raster as raster, run_clocked as run_clocked
from retrojax.engine.events import run_events as run_events, spike_table as spike_table, stack_tables as stack_tables
from retrojax.engine.rows import Bounds as Bounds, Synapse as Synapse, init_state as init_state
from retrojax.errors import InputError as InputError, RetrojaxError as RetrojaxError, RunError as RunError
from retrojax.numerics import Draws as Draws

__version__ = "0.1.0"
__all__ = [
    "Bounds", "Draws", "InputError", "RetrojaxError", "RunError", "Synapse", "init_state", "raster", "run_clocked",
    "run_events", "spike_table", "stack_tables",
]
