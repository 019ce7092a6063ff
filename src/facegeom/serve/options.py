"""What a caller may ask of one analysis, as the query of its address."""

from pydantic import BaseModel, ConfigDict, Field

from facegeom.geometry.camera import DEFAULT_FOV_DEG
from facegeom.image.reading import MAX_PIXELS
from facegeom.serve.formats import Name
from facegeom.serve.work import Look


class Options(BaseModel):
    """Options of an analysis."""

    model_config = ConfigDict(extra="forbid")

    format: Name | None = Field(
        None, description="Form of the answer; by default what the header Accept asks for."
    )
    face: int = Field(
        0, ge=0, le=10_000, description="Number of the face that glb, obj and ply show, best first."
    )
    min_face: float | None = Field(
        None,
        ge=1,
        le=MAX_PIXELS,
        description="Height of the smallest face to look for, pixels; by default a share of the photo.",
    )
    max_faces: int | None = Field(None, ge=1, le=10_000, description="Keep the best so many faces.")
    min_score: float = Field(0.9, ge=0, le=1, description="Least score of a face.")
    fov_deg: float = Field(
        DEFAULT_FOV_DEG, ge=1, le=179, description="Angle of view across the photo's longer side, degrees."
    )

    def look(self) -> Look:
        """The part that concerns the analyzer."""
        return Look(self.min_face, self.max_faces, self.min_score, self.fov_deg)
