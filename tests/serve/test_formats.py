"""Choice of the response's format."""

import pytest

from facegeom.serve.formats import choose_format
from facegeom.serve.problems import RefusedError


@pytest.mark.parametrize(
    ("accept", "name"),
    [
        ("", "json"),
        ("*/*", "json"),
        ("application/json", "json"),
        ("application/*", "json"),
        ("model/gltf-binary", "glb"),
        ("MODEL/GLTF-BINARY", "glb"),
        ("image/png", "png"),
        ("image/*", "overlay"),
        ("image/avif,image/webp,image/*;q=0.8,*/*;q=0.5", "overlay"),
        ("text/html, application/json;q=0.2, image/jpeg;q=0.9", "overlay"),
        ("application/json;q=0, */*;q=0.1", "overlay"),
        ("model/obj; q=0.5, model/ply; q=0.6", "ply"),
        ("application/json;q=nonsense, image/png", "png"),
    ],
)
def test_by_accept(accept: str, name: str) -> None:
    assert choose_format(None, accept) == name


@pytest.mark.parametrize("accept", ["text/html", "image/webp", "application/json;q=0", ";", "image/png;q=x"])
def test_nothing_acceptable(accept: str) -> None:
    with pytest.raises(RefusedError) as refused:
        choose_format(None, accept)
    assert refused.value.status == 406 and "model/gltf-binary" in refused.value.detail


def test_the_name_goes_before_the_header() -> None:
    assert choose_format("glb", "image/png") == "glb"
