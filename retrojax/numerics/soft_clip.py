"""A clip whose slope does not vanish at its bounds."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from retrojax.types import PerRow


def soft_clip(x: PerRow, low: ArrayLike, high: ArrayLike, width: float) -> PerRow:
    """low + s(x - low) - s(x - high) with s(y) = width ln(1 + e^{y/width}).

    Tends to `jnp.clip(x, low, high)` as width goes to 0; it differs most at the bounds, by width ln 2, and its slope
    there is 1/2, so a fit that stands at a bound still feels which way to go. Applied again and again to a value at a
    bound it draws it inwards, by width ln n after n times.

    **Arguments**

    - `low`, `high`: bounds, low < high [unit of x]. `width`: how far the corners are rounded [unit of x], > 0.
    """
    low, high = jnp.asarray(low), jnp.asarray(high)
    return low + width * (jax.nn.softplus((x - low) / width) - jax.nn.softplus((x - high) / width))
