"""Colour profiles: photos in other colour spaces come out as the same photo in sRGB."""

import struct
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageCms

from facegeom.image import colour, reading

D50 = (0.9642, 1.0, 0.8249)
# Columns are the XYZ (D50) of red, green and blue.
SRGB = np.array([[0.4361, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]])
DISPLAY_P3 = np.array([[0.5151, 0.2920, 0.1571], [0.2412, 0.6922, 0.0666], [-0.0011, 0.0419, 0.7841]])
ADOBE = np.array([[0.6097, 0.2053, 0.1492], [0.3111, 0.6257, 0.0632], [0.0195, 0.0609, 0.7446]])
PROPHOTO = np.array([[0.7977, 0.1352, 0.0313], [0.2880, 0.7119, 0.0001], [0.0, 0.0, 0.8249]])


def icc_profile(
    space: bytes, tags: dict[bytes, bytes], device: bytes = b"mntr", pcs: bytes = b"XYZ "
) -> bytes:
    """Return an ICC profile of version 2."""
    tags = {b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"made\0" + bytes(78), **tags}
    table, body = b"", b""
    for name, content in {b"wtpt": xyz(D50), **tags}.items():
        start = 132 + 12 * (len(tags) + 1) + len(body)
        table += name + struct.pack(">II", start, len(content))
        body += content + bytes(-len(content) % 4)
    size = 132 + len(table) + len(body)
    head = struct.pack(">I4sI4s4s4s12x4s28x", size, b"", 0x02400000, device, space, pcs, b"acsp")
    return head + xyz(D50)[8:] + bytes(48) + struct.pack(">I", len(tags) + 1) + table + body


def xyz(values: tuple[float, ...]) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def curve(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"


def rgb_profile(primaries: np.ndarray, gamma: float) -> bytes:
    names = (b"rXYZ", b"gXYZ", b"bXYZ")
    tags = {name: xyz(tuple(column)) for name, column in zip(names, primaries.T, strict=True)}
    return icc_profile(b"RGB ", {**tags, **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve(gamma))})


def to_linear(srgb: np.ndarray) -> np.ndarray:
    values = srgb / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def in_space(srgb: np.ndarray, primaries: np.ndarray, gamma: float) -> np.ndarray:
    """Return the values (..., 3) that show the colours of sRGB in another space."""
    linear = to_linear(srgb) @ (np.linalg.inv(primaries) @ SRGB).T
    return np.rint(np.clip(linear, 0, 1) ** (1 / gamma) * 255).astype(np.uint8)


def photo() -> np.ndarray:
    """Return soft colours (48, 64, 3) that all of the spaces can show."""
    y, x = np.mgrid[:48, :64]
    return np.stack([60 + 2 * x, 90 + 2 * y, 180 - x - y], axis=-1).astype(np.uint8)


def encoded(image: Image.Image, kind: str, profile: bytes, **options: object) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, icc_profile=profile, **options)
    return stream.getvalue()


SPACES = [
    pytest.param(DISPLAY_P3, 2.2, id="Display P3"),
    pytest.param(ADOBE, 2.2, id="Adobe RGB"),
    pytest.param(PROPHOTO, 1.8, id="ProPhoto RGB"),
    pytest.param(SRGB, 1.0, id="linear"),
    pytest.param(SRGB[:, [1, 2, 0]], 2.2, id="swapped primaries"),
]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG"])
@pytest.mark.parametrize(("primaries", "gamma"), SPACES)
def test_a_photo_of_another_space_comes_out_in_srgb(primaries: np.ndarray, gamma: float, kind: str) -> None:
    stored = Image.fromarray(in_space(photo(), primaries, gamma))
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}.get(kind, {})
    data = encoded(stored, kind, rgb_profile(primaries, gamma), **options)
    for source in (data, Image.open(BytesIO(data))):
        difference = np.abs(reading.read(source).astype(int) - photo())
        assert difference.max() <= (16 if kind == "JPEG" else 8 if gamma == 1 else 4)
        assert difference.mean() < 1.2
    assert np.abs(np.asarray(stored).astype(int) - photo()).max() > 8


def test_transparency_is_kept() -> None:
    rgba = np.dstack([in_space(photo(), ADOBE, 2.2), np.full((48, 64), 255, np.uint8)])
    rgba[:, 32:, 3] = 0
    image = reading.read(encoded(Image.fromarray(rgba), "PNG", rgb_profile(ADOBE, 2.2)))
    assert (image[:, 32:] == 255).all()
    assert np.abs(image[:, :32].astype(int) - photo()[:, :32]).max() <= 4


def test_palettes_are_converted() -> None:
    image = Image.fromarray(in_space(photo(), ADOBE, 2.2)).quantize(64)
    plain = np.asarray(image.convert("RGB"))
    read = reading.read(encoded(image, "PNG", rgb_profile(ADOBE, 2.2)))
    assert np.abs(in_space(read.astype(float), ADOBE, 2.2).astype(int) - plain).max() <= 4


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_of_linear_light(dtype: type) -> None:
    """Half of the light is grey 188 in sRGB."""
    profile = icc_profile(b"GRAY", {b"kTRC": curve(1.0)})
    white = np.iinfo(dtype).max
    grey = Image.fromarray(np.array([[0, white // 2, white]], dtype))
    for kind in ("PNG", "TIFF"):
        read = reading.read(encoded(grey, kind, profile))
        assert np.abs(read[0].astype(int) - [[0] * 3, [188] * 3, [255] * 3]).max() <= 1


def cmyk_profile() -> bytes:
    """Return a printer's profile whose table gives CIELAB for no ink and full ink of each colour."""
    lab = {  # lightness and a, b of the eight inks without black; black ink is black
        (0, 0, 0): (100, 0, 0),
        (1, 0, 0): (60, -30, -40),
        (0, 1, 0): (50, 70, -5),
        (0, 0, 1): (90, -5, 80),
        (1, 1, 0): (30, 20, -45),
        (1, 0, 1): (50, -60, 30),
        (0, 1, 1): (50, 65, 45),
        (1, 1, 1): (20, 0, 0),
    }
    table = b""
    for inks in np.ndindex(2, 2, 2, 2):
        lightness, a, b = (5, 0, 0) if inks[3] else lab[inks[:3]]
        table += bytes([round(lightness * 2.55), a + 128, b + 128])
    line = bytes(range(256))
    unit = b"".join(struct.pack(">i", value) for value in (65536, 0, 0, 0, 65536, 0, 0, 0, 65536))
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + unit + line * 4 + table + line * 3
    return icc_profile(b"CMYK", {b"A2B0": lut}, b"prtr", b"Lab ")


@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
def test_inks_are_converted_by_their_profile(kind: str) -> None:
    """Full yellow of this printer is (90, -5, 80) in CIELAB: a light yellow, not that of a screen."""
    inks = Image.new("CMYK", (16, 16), (0, 0, 255, 0))
    options = {"quality": 100} if kind == "JPEG" else {}
    plain = reading.read(encoded(inks, kind, b"", **options))
    read = reading.read(encoded(inks, kind, cmyk_profile(), **options))
    assert np.abs(plain[8, 8].astype(int) - (255, 255, 0)).max() <= 4
    assert np.abs(read[8, 8].astype(int) - (248, 227, 51)).max() <= 6


def test_lab_images_are_converted() -> None:
    to_lab = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    lab = ImageCms.applyTransform(Image.fromarray(photo()), to_lab)
    stream = BytesIO()
    lab.save(stream, "TIFF")
    for source in (lab, stream.getvalue()):
        difference = np.abs(reading.read(source).astype(int) - photo())  # 8 bits of CIELAB are coarse
        assert difference.mean() < 1 and difference.max() <= 16


def test_srgb_profiles_leave_every_value() -> None:
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    noise = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    np.testing.assert_array_equal(reading.read(encoded(Image.fromarray(noise), "PNG", own)), noise)
    assert colour.converter("RGB", own) is None and colour.converter("RGB", b"") is None


@pytest.mark.parametrize(
    "profile",
    [
        b"nonsense",
        rgb_profile(ADOBE, 2.2)[:200],
        bytes(128) + rgb_profile(ADOBE, 2.2)[128:],
        icc_profile(b"GRAY", {b"kTRC": curve(1.0)}),  # of another colour space than the photo
        cmyk_profile(),
        icc_profile(b"RGB ", {}),
    ],
    ids=["text", "cut", "no head", "grey", "inks", "no tags"],
)
def test_useless_profiles_are_ignored(profile: bytes) -> None:
    data = encoded(Image.fromarray(photo()), "PNG", profile)
    np.testing.assert_array_equal(reading.read(data), photo())


def test_a_transform_is_built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    built = []
    build = ImageCms.buildTransform
    monkeypatch.setattr(ImageCms, "buildTransform", lambda *a, **k: built.append(1) or build(*a, **k))
    colour._transform.cache_clear()
    for profile in (rgb_profile(ADOBE, 2.1), rgb_profile(ADOBE, 2.1), b"nonsense", b"nonsense"):
        reading.read(encoded(Image.fromarray(photo()), "PNG", profile))
    assert len(built) == 1


def test_the_image_of_the_caller_is_not_changed() -> None:
    image = Image.fromarray(in_space(photo(), ADOBE, 2.2))
    image.info["icc_profile"] = rgb_profile(ADOBE, 2.2)
    before = image.copy()
    reading.read(image)
    assert image.tobytes() == before.tobytes() and image.mode == "RGB"


def test_a_pillow_without_colour_management_ignores_profiles(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise ImportError("no littleCMS")

    monkeypatch.setattr(ImageCms, "ImageCmsProfile", missing)
    colour._transform.cache_clear()
    data = encoded(Image.fromarray(photo()), "PNG", rgb_profile(PROPHOTO, 1.8))
    np.testing.assert_array_equal(reading.read(data), photo())
    colour._transform.cache_clear()
