"""The part of a config that says what space a run has: its box, and what differs in it from place to place."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from retrojax.errors import InputError
from retrojax.parts.choice import Section, quantity

Length = quantity("um", 1e-3, 1e5)
Margin = quantity("um", 0.0, 1e5)
Velocity = quantity("um/ms", -1.0, 1.0)
Point = tuple[float, float, float]


class MapsSection(Section):
    """Maps of the extracellular space: an `.npz` file of arrays with the shape of the grid (`retrojax.io.maps`)."""

    file: Path


class BodySection(Section):
    """A body in the tissue: all within `radius` of a point, or of the straight line from there to another."""

    at: Point = Field(description="its middle, or where its line begins [um]")
    to: Point | None = Field(default=None, description="where its line ends")
    radius: Length
    hollow: Margin = Field(default=0.0, description="radius of a core that is not part of it")

    @model_validator(mode="after")
    def _has_a_wall(self) -> "BodySection":
        if float(self.hollow) >= float(self.radius):
            raise InputError("hollow", f"{self.hollow:g} um", f"less than the radius ({self.radius:g} um)",
                             "make the core smaller, or leave it out")
        return self


class RegionSection(BodySection):
    """A body with its own medium: a perineuronal net (`density` above 1 in a hollow ball), a vessel (`loss` in a rod).
    """

    density: quantity("1", 0, 10) | None = Field(default=None, description="of the matrix in it")
    loss: dict[str, quantity("1/ms", 0, 1e3)] = Field(
        default={}, description="rate at which a messenger in it is lost besides, by name; nothing comes of that")


class MatrixSection(Section):
    """The extracellular matrix, by its density relative to the intact neuropil (`space.matrix_factors`)."""

    density: quantity("1", 0, 10) | Path = Field(
        default=1.0, description="everywhere, or a .npy file of one value per voxel")
    swelling: quantity("1", 0, 0.15) = Field(
        default=0.05, description="of the volume fraction when all is gone; unverified")
    easing: quantity("1", 0, 0.15) = Field(default=0.05, description="of the tortuosity when all is gone; unverified")
    sites: list[str] = Field(default=["HSPG"], description="kinds of binding sites that belong to it")
    digested_in: list[BodySection] | None = Field(
        default=None, description="where enzymes (`retrojax describe drug`) get to; everywhere without")


class GridSection(Section):
    """The box: given by `shape` and `origin`, or else put around all sites with a margin."""

    spacing: Length = 4.0
    margin: Margin = 4.0
    origin: tuple[float, float, float] | None = None
    shape: tuple[int, int, int] | None = None
    boundary: list[Literal["no-flux", "periodic", "absorbing"]] = ["no-flux", "no-flux", "no-flux"]
    maps: MapsSection | None = None
    matrix: MatrixSection | None = None
    regions: list[RegionSection] = Field(default=[], description="perineuronal nets, vessels and the like")
    flow: tuple[Velocity, Velocity, Velocity] | None = Field(
        default=None, description="of the extracellular fluid along x, y, z, volume per area; none through walls")
    near_field: Literal["own", "pairs"] = Field(
        default="own", description="what a bouton sees at its true distance: its own spine, or close neighbours too")
    pairs_within: int = Field(default=4, ge=1, le=8, description="voxels along each axis up to which they are close")

    @model_validator(mode="after")
    def _origin_goes_with_shape(self) -> "GridSection":
        if self.origin is not None and self.shape is None:
            raise InputError("origin", list(self.origin), "an origin together with a shape",
                             "give `shape` too, or leave `origin` out: the box is then put around all sites")
        return self
