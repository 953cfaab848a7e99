"""The extracellular matrix of a model, and what is left of it when enzymes digest some.

The maps and numbers of the messengers are those of the matrix at hand (`io.matrix`). `digest` takes them to a matrix of
which enzymes removed a share, by the ratio of `space.matrix_factors` before and after. Amounts stay where they are: a
field is an amount, and a site that is gone gives back what it held.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from retrojax.engine.model import Maps, Messenger, Model
from retrojax.space import matrix_factors


def digest(model: Model) -> Model:
    """The model with what enzymes removed gone from the matrix; nothing is left to digest twice.

    With a = alpha'/alpha and l = lambda'/lambda at a voxel: alpha a, D*/l^2, and k/a where a surface takes the
    messenger up. Tonic sources go on as they are. Differentiable in every field of the matrix.
    """
    matrix = model.matrix
    assert matrix is not None
    gone = matrix.reached * jnp.clip(matrix.digested, 0.0, 1.0)
    left = matrix.density * (1 - gone)
    before, after = (matrix_factors(d, matrix.swelling, matrix.easing) for d in (matrix.density, left))
    wider, freer = after[0] / before[0], after[1] / before[1]
    kept = 1 - matrix.reached * jnp.clip(matrix.shed, 0.0, 1.0)
    messengers = list(model.messengers)
    for one in matrix.soaked:
        found = _freed(messengers[one.messenger], wider, freer, one.surface)
        sites = tuple(eqx.tree_at(lambda b: b.sites, site, site.sites * kept) if kind in one.sites else site
                      for kind, site in enumerate(found.binding))
        messengers[one.messenger] = eqx.tree_at(lambda m: m.binding, found, sites) if sites else found
    nothing = jnp.zeros_like(matrix.digested)
    rest = eqx.tree_at(lambda m: (m.density, m.digested, m.shed), matrix, (left, nothing, nothing))
    return eqx.tree_at(lambda m: (m.messengers, m.matrix), model, (tuple(messengers), rest))


def _freed(messenger: Messenger, wider: Array, freer: Array, surface: bool) -> Messenger:
    """The messenger in a wider and freer medium; a change that differs between voxels is put into its maps."""
    if messenger.maps is None:
        assert wider.ndim == 0
        found = eqx.tree_at(lambda m: (m.volume_fraction, m.diffusion), messenger,
                            (messenger.volume_fraction * wider, messenger.diffusion / freer**2))
        return _taken_up(found, 1 / wider) if surface else found
    maps = messenger.maps
    fraction = maps.fraction * wider
    mean = jnp.mean(fraction)
    sink = maps.sink / wider if surface else maps.sink
    found = eqx.tree_at(lambda m: (m.volume_fraction, m.maps), messenger,
                        (messenger.volume_fraction * mean,
                         Maps(fraction / mean, maps.tortuosity * freer, sink, maps.drain)))
    if messenger.tonic is None or not surface:
        return found
    # the source follows fraction x sink, of which the change cancels but for the mean
    return eqx.tree_at(lambda m: m.tonic, found, messenger.tonic * mean)


def _taken_up(messenger: Messenger, slower: Array) -> Messenger:
    found = eqx.tree_at(lambda m: m.loss, messenger, messenger.loss * slower)
    if messenger.saturable is None:
        return found
    return eqx.tree_at(lambda m: m.saturable.vmax, found, messenger.saturable.vmax * slower)
