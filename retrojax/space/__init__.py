"""Space: a box of voxels in which messengers spread. Three verbs: `deposit`, `advance`, `sample`.

    sites = Sites.build(grid.voxel_of(positions), grid.n_voxels)        host, once
    propagator = plan(grid, diffusion, loss, elapsed)                   traced, outside the scan
    source = deposit(sites, rates, grid.shape) / (grid.voxel_volume * MOLECULES_PER_NM_UM3)
    field = advance(propagator, field, source)
    amount = sample(sites, field)                                       plus `own_spine` at a spine's own bouton

A field holds the *amount* per tissue volume, volume fraction x concentration [nM]. That is what release adds, loss
removes and walls take, so a change of the volume fraction (sleep) conserves it by itself.

Where the medium differs from voxel to voxel, `plan_maps` and `advance_maps` take the place of `plan` and `advance`.
What is not linear in the field is split from transport symmetrically: `advance_saturable` (Michaelis-Menten loss),
`advance_binding` (sites that bind, receptors that internalise). So is bulk flow, `advance_flow`.
"""

from retrojax.space.binding import (
    Binding as Binding,
    Bound as Bound,
    advance_binding as advance_binding,
    bind as bind,
)
from retrojax.space.closed_form import (
    instantaneous_point as instantaneous_point,
    point_response as point_response,
    point_steady as point_steady,
)
from retrojax.space.diffusion import Propagator as Propagator, advance as advance, plan as plan
from retrojax.space.domains import (
    domain_of as domain_of,
    domains as domains,
    matrix_binding as matrix_binding,
    matrix_medium as matrix_medium,
    scatter_centres as scatter_centres,
)
from retrojax.space.flow import Flow as Flow, advance_flow as advance_flow, flow_steps as flow_steps
from retrojax.space.grid import Grid as Grid
from retrojax.space.maps import Medium as Medium, rescale as rescale
from retrojax.space.maps_step import (
    MapPropagator as MapPropagator,
    advance_maps as advance_maps,
    plan_maps as plan_maps,
    work_needed as work_needed,
)
from retrojax.space.near_field import (
    correction_kernel as correction_kernel,
    offset_class as offset_class,
    own_spine as own_spine,
    steps_needed as steps_needed,
)
from retrojax.space.saturable import (
    advance_saturable as advance_saturable,
    michaelis_menten as michaelis_menten,
    saturable_steps as saturable_steps,
    wright_omega as wright_omega,
)
from retrojax.space.sites import (
    Sites as Sites,
    deposit as deposit,
    fixed_scale as fixed_scale,
    from_fixed as from_fixed,
    sample as sample,
    to_fixed as to_fixed,
)

__all__ = [
    "Binding",
    "Bound",
    "Flow",
    "Grid",
    "MapPropagator",
    "Medium",
    "Propagator",
    "Sites",
    "advance",
    "advance_binding",
    "advance_flow",
    "advance_maps",
    "advance_saturable",
    "bind",
    "correction_kernel",
    "deposit",
    "domain_of",
    "domains",
    "fixed_scale",
    "flow_steps",
    "from_fixed",
    "instantaneous_point",
    "matrix_binding",
    "matrix_medium",
    "michaelis_menten",
    "offset_class",
    "own_spine",
    "plan",
    "plan_maps",
    "point_response",
    "point_steady",
    "rescale",
    "sample",
    "saturable_steps",
    "scatter_centres",
    "steps_needed",
    "to_fixed",
    "work_needed",
    "wright_omega",
]
