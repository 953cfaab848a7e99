"""Random numbers counted per synapse: (seed, synapse id, event number).

A draw belongs to a synapse and to the number of the event that asked for it, so neither the order of the rows, nor
padding, nor the number of devices can change it.
"""

import equinox as eqx
import jax
import jax.numpy as jnp

from retrojax.types import Index, PerRow, SeedKey


class Draws(eqx.Module):
    """Source of random numbers for a set of rows.

    **Arguments**

    - `key`: typed key of the run.
    - `ids`: permanent synapse id of every row; its shape is the shape of the row set.
    """

    key: SeedKey
    ids: Index

    def stream(self, number: int) -> "Draws":
        """Independent numbers for another part of the synapse; `number` names the part."""
        return Draws(jax.random.fold_in(self.key, number), self.ids)

    def uniform(self, event: PerRow, count: int) -> PerRow:
        """`count` numbers in [0, 1) per row for its event of that number; shape [count, *rows]."""
        return self._draw(jax.random.uniform, event, count)

    def normal(self, event: PerRow, count: int) -> PerRow:
        """`count` standard normal numbers per row for its event of that number; shape [count, *rows]."""
        return self._draw(jax.random.normal, event, count)

    def _draw(self, sampler, event, count):
        ids, event = jnp.broadcast_arrays(self.ids, event.astype(jnp.int32))
        dtype = jnp.result_type(float)

        def one(row_id, number):
            key = jax.random.fold_in(jax.random.fold_in(self.key, row_id), number)
            return sampler(key, (count,), dtype)

        flat = jax.vmap(one)(ids.ravel(), event.ravel())
        return flat.T.reshape((count, *ids.shape))
