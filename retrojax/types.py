"""Names for array shapes, in one place.

Axes: `S` synapses, `N` neurons, `M` messengers, `X Y Z` voxels, `T` times, `C` channels of a packed row. A value that
may be one number for all synapses or one per synapse is `PerRow`.
"""

from jax import Array
from jaxtyping import Bool, Float, Int, Key

Scalar = Float[Array, ""]
"""A 0-d floating array: how every parameter is stored, so that a new value never recompiles."""

PerRow = Float[Array, "..."]
"""One number for all rows, or one per row; the shape of a row set is never fixed inside a part."""

Flags = Bool[Array, "..."]
"""True where something (a spike, a landing) happens to a row at this instant."""

Rows = Float[Array, "C ..."]
"""Packed synapse state: channels first (`engine/rows.py`)."""

Field = Float[Array, "X Y Z"]
"""Amount of a messenger per tissue volume, volume fraction x concentration [nM]."""

SeedKey = Key[Array, ""]
Index = Int[Array, "..."]
