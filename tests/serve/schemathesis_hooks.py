"""What Schemathesis sends where the service's OpenAPI asks for a picture: pictures.

The schema cannot say which bytes are one; without this, what is rightly refused would count as a fault:
``SCHEMATHESIS_HOOKS=tests.serve.schemathesis_hooks schemathesis run http://127.0.0.1:8000/openapi.json``
"""

import io

import schemathesis
from hypothesis import strategies as st
from PIL import Image

ENDINGS = ("PNG", "JPEG", "BMP", "WEBP")


@st.composite
def pictures(draw: st.DrawFn) -> bytes:
    """The file of a picture of one colour, of any small size and common format."""
    width, height = draw(st.integers(1, 80)), draw(st.integers(1, 80))
    picture = Image.new("RGB", (width, height), draw(st.tuples(*[st.integers(0, 255)] * 3)))
    file = io.BytesIO()
    picture.save(file, draw(st.sampled_from(ENDINGS)))
    return file.getvalue()


for media_type in ("image/*", "application/octet-stream"):
    schemathesis.openapi.media_type(media_type, pictures())
