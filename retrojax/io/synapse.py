"""The plastic synapse that a config describes."""

from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from retrojax.engine.assemble import Wiring
from retrojax.engine.rows import Bounds, Synapse
from retrojax.errors import InputError
from retrojax.io.parts import make_synthesis
from retrojax.io.schema import RunConfig
from retrojax.numerics import Draws
from retrojax.parts import GraupnerBrunel
from retrojax.parts.base import AbstractRule
from retrojax.parts.choice import make_part


def make_synapse(config: RunConfig, wiring: Wiring, messengers: dict[str, dict], file: Path | None) -> Synapse:
    """Spine, release, rules and the synthesis of every messenger, with what each synapse starts from.

    **Raises** `InputError` for an unknown part or value, and for a rule that senses a messenger the config lacks.
    """
    section = config.synapse
    rules = [make_part(choice, "rule", f"synapse.rules.{number}", file) for number, choice in enumerate(section.rules)]
    for number, rule in enumerate(rules):
        if rule.senses is not None and rule.senses not in messengers:
            raise InputError(f"synapse.rules.{number}", f"{section.rules[number].model} senses {rule.senses}",
                             f"messengers of this model: {', '.join(messengers) or 'none'}",
                             f"add messengers.{rule.senses}, or remove the rule", file)
    if section.up_fraction is not None:
        rules = [_start_bistable(rule, config.seed, wiring.ids, section.up_fraction) for rule in rules]
    made = [make_synthesis(name, values, config.messengers[name].synthesis, file)
            for name, values in messengers.items()]
    rules += [rule for rule in made if rule is not None]
    (p_min, p_max), (q_min, q_max) = section.p_range, section.q_range
    return Synapse(
        make_part(section.spine, "spine", "synapse.spine", file),
        make_part(section.release, "release", "synapse.release", file), tuple(rules), section.p_release, section.q,
        Bounds(p_min, p_max, q_min, q_max),
    )


def _start_bistable(rule: AbstractRule, seed: int, ids: np.ndarray, up_fraction: float) -> AbstractRule:
    """A bistable rule started at rho = 0 or 1, drawn per synapse id."""
    if not isinstance(rule, GraupnerBrunel):
        return rule
    draws = Draws(jax.random.key(seed), jnp.asarray(ids, jnp.int32)).stream(2**31 - 1)
    up = draws.uniform(jnp.zeros(()), 1)[0] < up_fraction
    return eqx.tree_at(lambda r: r.rho, rule, up.astype(rule.rho.dtype))


def most_molecules(synapse: Synapse, name: str, values: dict) -> float:
    """Most that one spine can make of a messenger in one of its field steps."""
    bounds = [rule.most(jnp.asarray(values["step"], float)) for rule in synapse.rules if rule.makes == name]
    return sum((values["rate"] * values["step"] if most is None else float(jnp.max(most)) for most in bounds), 0.0)


def largest_strength(synapse: Synapse) -> float:
    """Largest response to a full release that the bounds and the rules allow, in units of q."""
    largest = float(synapse.bounds.q_max)
    for rule in synapse.rules:
        if isinstance(rule, GraupnerBrunel):
            largest *= float(jnp.max(rule.w0 * jnp.maximum(rule.b, 1.0)))
    return largest
