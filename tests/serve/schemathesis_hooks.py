"""Photos for Schemathesis, which cannot take from the OpenAPI document which bytes are an image.

``SCHEMATHESIS_HOOKS=tests.serve.schemathesis_hooks schemathesis run http://127.0.0.1:8000/openapi.json``
"""

import io

import schemathesis
from hypothesis import strategies as st
from PIL import Image

FILE_FORMATS = ("PNG", "JPEG", "BMP", "WEBP")


@st.composite
def photos(draw: st.DrawFn) -> bytes:
    """Draw the file of an image of one colour, of any small size and common format."""
    width, height = draw(st.integers(1, 80)), draw(st.integers(1, 80))
    image = Image.new("RGB", (width, height), draw(st.tuples(*[st.integers(0, 255)] * 3)))
    file = io.BytesIO()
    image.save(file, draw(st.sampled_from(FILE_FORMATS)))
    return file.getvalue()


for media_type in ("image/*", "application/octet-stream"):
    schemathesis.openapi.media_type(media_type, photos())
