"""``facegeom export``: files that belong to the mesh or to the networks, not to a photo."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import typer

from facegeom.cli.options import CONTEXT_SETTINGS
from facegeom.errors import InputError

app = typer.Typer(
    help="Write files that belong to the mesh, or the networks as one file.",
    no_args_is_help=True,
    context_settings=CONTEXT_SETTINGS,
)


@app.command()
def uv(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="File to write, .obj or .png.")],
    size: Annotated[int, typer.Option(min=64, max=8192, metavar="PX", help="Side of the picture.")] = 2048,
) -> None:
    """Write the UV map of the 478-point mesh, to paint masks on.

    FILE.obj is the mean head in millimetres with texture coordinates; beside
    it come its material, FILE.mtl, and a picture of the unrolled mesh,
    FILE.png. A picture that is there is kept: it may be painted already.
    FILE.png alone writes the picture. examples/mask_texture.py lays a painted
    picture over the faces of photos and videos.

    Example: facegeom export uv -o face_uv.obj
    """
    from facegeom.export import files, images
    from facegeom.export import uv as uv_files

    ending = out.suffix.lower()
    if ending not in (".obj", ".png"):
        raise InputError(f"-o: expected a file that ends in .obj or .png, got {str(out)!r}")
    contents: dict[Path, bytes] = {}
    picture, material = (out if ending == ".png" else out.with_suffix(".png")), out.with_suffix(".mtl")
    if ending == ".obj":
        contents = {out: uv_files.encode_obj(material.name), material: uv_files.encode_material(picture.name)}
    if ending == ".png" or not picture.exists():
        contents[picture] = images.encode(uv_files.draw(size), ".png")
    for path, content in contents.items():
        files.write(path, content)
    typer.echo("wrote " + ", ".join(map(str, contents)))


@app.command()
def onnx(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="File to write, .onnx.")],
    weights: Annotated[
        Literal["int8", "float32", "free"],
        typer.Option(help="Variant of the networks, or the free set."),
    ] = "int8",
    min_score: Annotated[
        float, typer.Option(min=0, max=1, help="Lowest score of a face, from 0 to 1.")
    ] = 0.9,
) -> None:
    """Write one ONNX file from photo to faces, for other languages.

    In: image, uint8 RGB, height x width x 3, of any size. Out, for N faces:
    boxes_xyxy, scores, landmarks_px, landmarks_confidence, mesh_px,
    mesh_confidence, rotations. ONNX Runtime is all that is needed to run it;
    examples/onnx has programs in C++, C#, Java and Rust.

    Example: facegeom export onnx -o facegeom.onnx
    """
    if out.suffix.lower() != ".onnx":
        raise InputError(f"-o: expected a file that ends in .onnx, got {str(out)!r}")
    if find_spec("onnx") is None:
        raise InputError(
            "facegeom export onnx needs the extra [export]: pip install 'facegeom[export]' (not found: onnx)"
        )
    from facegeom.export import files
    from facegeom.graph import build

    content = build(weights, min_score).SerializeToString()
    files.write(out, content)
    typer.echo(f"wrote {out}, {len(content) / 1e6:.1f} MB")
