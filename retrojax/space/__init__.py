"""Space: a box of voxels in which messengers spread. Three verbs: `deposit`, `advance`, `sample`.

    sites = Sites.build(grid.voxel_of(positions), grid.n_voxels)        host, once
    propagator = plan(grid, diffusion, loss, elapsed)                   traced, outside the scan
    source = deposit(sites, rates, grid.shape) / (grid.voxel_volume * MOLECULES_PER_NM_UM3)
    field = advance(propagator, field, source)
    amount = sample(sites, field)                                       plus `own_spine` at a spine's own bouton

A field holds the *amount* per tissue volume, volume fraction x concentration [nM]. That is what release adds, loss
removes and walls take, so a change of the volume fraction (sleep) conserves it by itself.

Far below a voxel or far above the box (`regime`), `advance_local` and `advance_mean` do without a grid.
Where the medium differs from voxel to voxel, `plan_maps` and `advance_maps` take the place of `plan` and `advance`.
What is not linear in the field is split from transport symmetrically: `advance_saturable` (Michaelis-Menten loss),
`advance_binding` (sites that bind, receptors that internalise). So is bulk flow, `advance_flow`.
"""

from retrojax.space.binding import Binding as Binding, Bound as Bound, advance_binding as advance_binding, bind as bind
from retrojax.space.chemistry import (
    advance_with_exposure as advance_with_exposure,
    bilinear as bilinear,
    exposure_gain as exposure_gain,
    quadratic as quadratic,
)
from retrojax.space.choice import Choice as Choice, choose as choose
from retrojax.space.closed_form import (
    instantaneous_point as instantaneous_point,
    point_response as point_response,
    point_steady as point_steady,
)
from retrojax.space.diffusion import (
    Propagator as Propagator,
    advance as advance,
    advance_driven as advance_driven,
    from_modes as from_modes,
    plan as plan,
    relax as relax,
    to_modes as to_modes,
)
from retrojax.space.domains import (
    domain_of as domain_of,
    domains as domains,
    scatter_centres as scatter_centres,
    touching as touching,
    voxels_of as voxels_of,
)
from retrojax.space.extended import (
    ball_instantaneous as ball_instantaneous,
    ball_steady as ball_steady,
    hollow_sphere_burst as hollow_sphere_burst,
    instantaneous_line as instantaneous_line,
    instantaneous_plane as instantaneous_plane,
    line_steady as line_steady,
    plane_steady as plane_steady,
    shell_steady as shell_steady,
)
from retrojax.space.flow import Flow as Flow, advance_flow as advance_flow, flow_steps as flow_steps
from retrojax.space.grid import Grid as Grid
from retrojax.space.limits import (
    Regime as Regime,
    advance_local as advance_local,
    advance_mean as advance_mean,
    exposure_local as exposure_local,
    near_walls as near_walls,
    reach_of as reach_of,
    regime as regime,
    wall_warning as wall_warning,
)
from retrojax.space.maps import Medium as Medium, rescale as rescale
from retrojax.space.maps_step import (
    MapPropagator as MapPropagator,
    advance_maps as advance_maps,
    plan_maps as plan_maps,
    work_needed as work_needed,
)
from retrojax.space.matrix import checked_density as checked_density, matrix_factors as matrix_factors
from retrojax.space.near_field import (
    correction_kernel as correction_kernel,
    offset_class as offset_class,
    own_spine as own_spine,
    steps_needed as steps_needed,
)
from retrojax.space.near_limits import limit_kernel as limit_kernel, limit_steps as limit_steps
from retrojax.space.pairs import (
    Pairs as Pairs,
    count_pairs as count_pairs,
    find_pairs as find_pairs,
    from_neighbours as from_neighbours,
    pair_kernel as pair_kernel,
    pair_steps as pair_steps,
    renumbered as renumbered,
)
from retrojax.space.regions import covered as covered
from retrojax.space.saturable import (
    advance_saturable as advance_saturable,
    michaelis_menten as michaelis_menten,
    saturable_steps as saturable_steps,
    wright_omega as wright_omega,
)
from retrojax.space.shared import Shared as Shared
from retrojax.space.sites import (
    Sites as Sites,
    deposit as deposit,
    fixed_scale as fixed_scale,
    from_fixed as from_fixed,
    sample as sample,
    to_fixed as to_fixed,
)
from retrojax.space.sources import ball as ball, hollow_sphere as hollow_sphere, line as line, shell as shell

__all__ = [
    "Binding", "Bound", "Choice", "Flow", "Grid", "MapPropagator", "Medium", "Pairs", "Propagator", "Regime", "Shared",
    "Sites", "advance", "advance_binding", "advance_driven", "advance_flow", "advance_local", "advance_maps",
    "advance_mean", "advance_saturable", "advance_with_exposure", "ball", "ball_instantaneous", "ball_steady",
    "bilinear", "bind", "checked_density", "choose", "correction_kernel", "count_pairs", "covered", "deposit",
    "domain_of", "domains", "exposure_gain", "exposure_local", "find_pairs", "fixed_scale", "flow_steps", "from_fixed",
    "from_modes", "from_neighbours", "hollow_sphere", "hollow_sphere_burst", "instantaneous_line",
    "instantaneous_plane", "instantaneous_point", "limit_kernel", "limit_steps", "line", "line_steady",
    "matrix_factors", "michaelis_menten", "near_walls", "offset_class", "own_spine", "pair_kernel", "pair_steps",
    "plan", "plan_maps", "plane_steady", "point_response", "point_steady", "quadratic", "reach_of", "regime", "relax",
    "renumbered", "rescale", "sample", "saturable_steps", "scatter_centres", "shell", "shell_steady", "steps_needed",
    "to_fixed", "to_modes", "wall_warning", "work_needed", "wright_omega",
]
