"""What counts as a picture; and that hostile bytes end in one kind of error, and soon."""

import hashlib
import io
import struct
import time
import zlib
from random import Random

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, PngImagePlugin

from scalepoint_integration.fetching.picture import read_picture
from scalepoint_integration.simulator.pictures import draw
from scalepoint_integration.workqueue import PermanentError


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def plain(size=(640, 480), colour="red", mode="RGB") -> Image.Image:
    return Image.new(mode, size, colour)


def thumbnail(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(read_picture(content).thumbnail), formats=("JPEG",))
    image.load()
    return image


def near(pixel: object, colour: tuple[int, int, int]) -> bool:
    return all(abs(a - b) < 12 for a, b in zip(pixel, colour, strict=True))


def refused(content: bytes, why: str = "SP-302") -> None:
    with pytest.raises(PermanentError, match=why) as caught:
        read_picture(content)
    assert caught.value.code == "SP-302"


# ---- Good ones ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("kind", "content_type", "extension"),
    [
        ("JPEG", "image/jpeg", "jpg"),
        ("PNG", "image/png", "png"),
        ("WEBP", "image/webp", "webp"),
        ("GIF", "image/gif", "gif"),
        ("MPO", "image/jpeg", "jpg"),
    ],
)
def test_the_types_we_take(kind, content_type, extension):
    more = {"save_all": True, "append_images": [plain(colour="blue")]} if kind == "MPO" else {}
    content = encode(plain(), kind, **more)
    picture = read_picture(content)
    assert (picture.content_type, picture.extension) == (content_type, extension)
    assert (picture.width, picture.height, picture.size) == (640, 480, len(content))
    assert picture.sha256 == hashlib.sha256(content).hexdigest()
    small = thumbnail(content)
    assert small.size == (320, 240)
    assert near(small.getpixel((160, 120)), (255, 0, 0))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
@pytest.mark.parametrize("size", [(1, 1), (5000, 3), (3, 5000), (320, 320), (3000, 2000)])
def test_any_shape_gets_a_thumbnail_that_fits(kind, size):
    small = thumbnail(encode(plain(size), kind))
    assert max(small.size) <= 320
    assert small.size == size or max(size) > 320


def test_the_thumbnail_shows_the_picture():
    small, whole = (
        thumbnail(draw("roof", "PNG", (4000, 3000))),
        Image.open(io.BytesIO(draw("roof", "PNG", (4000, 3000)))),
    )
    for x, y in ((5, 5), (160, 200), (300, 230), (20, 160)):
        assert near(small.getpixel((x, y)), whole.getpixel((x * 4000 // 320, y * 3000 // 240))), (x, y)


@pytest.mark.parametrize(
    "image",
    [
        plain(mode="RGBA", colour=(255, 0, 0, 0)),
        plain(mode="LA", colour=(0, 0)),
        plain((4000, 3000), mode="RGBA", colour=(255, 0, 0, 0)),
    ],
)
def test_what_is_transparent_becomes_white(image):
    assert near(thumbnail(encode(image, "PNG")).getpixel((5, 5)), (255, 255, 255))


def test_a_transparent_palette_becomes_white():
    image = plain().quantize(4)
    for kind in ("PNG", "GIF"):
        content = encode(image, kind, transparency=image.getpixel((5, 5)))
        assert near(thumbnail(content).getpixel((5, 5)), (255, 255, 255))


@pytest.mark.parametrize(
    ("image", "kind", "colour"),
    [
        (plain(mode="L", colour=200), "PNG", (200, 200, 200)),
        (plain(mode="1", colour=1), "PNG", (255, 255, 255)),
        (plain(mode="I;16", colour=100 * 256), "PNG", (100, 100, 100)),
        (plain(mode="CMYK", colour=(0, 255, 255, 0)), "JPEG", (255, 0, 0)),
        (plain(mode="L", colour=200), "JPEG", (200, 200, 200)),
    ],
)
def test_other_modes(image, kind, colour):
    assert near(thumbnail(encode(image, kind)).getpixel((5, 5)), colour)


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_it_is_turned_as_its_exif_says(turn, kind):
    upright = plain((400, 200), "white")
    ImageDraw.Draw(upright).rectangle((0, 0, 99, 99), fill="red")  # top left
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # how to store it so that the turn brings it back
    stored = upright.transpose(Image.Transpose(back[turn])) if turn > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = turn
    content = encode(stored, kind, exif=exif)
    picture = read_picture(content)
    assert (picture.width, picture.height) == (400, 200)
    small = thumbnail(content)
    assert small.size == (320, 160)
    assert near(small.getpixel((10, 10)), (255, 0, 0))
    assert near(small.getpixel((310, 150)), (255, 255, 255))


@pytest.mark.parametrize(
    "exif", [b"", b"Exif\0\0", b"Exif\0\0MM\0*\0\0\xff\xff", b"Exif\0\0II*\0" + b"\xff" * 40, b"junk"]
)
@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_odd_exif_costs_nothing_but_the_turn(exif):
    assert read_picture(encode(plain(), "JPEG", exif=exif)).width == 640


def test_nothing_but_pixels_is_in_a_thumbnail():
    exif = Image.Exif()
    exif[0x010E] = "secret description"
    exif.get_ifd(0x8825)[2] = (55.0, 40.0, 30.0)
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Comment", "secret comment")
    for content in (
        encode(plain(), "JPEG", exif=exif, comment="secret comment", icc_profile=b"secret profile"),
        encode(plain(), "PNG", exif=exif, pnginfo=notes, icc_profile=b"secret profile"),
        encode(plain(), "WEBP", exif=exif, xmp=b"secret xmp"),
        encode(plain(), "GIF", comment="secret comment"),
    ):
        small = thumbnail(content)
        assert not small.getexif()
        assert set(small.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        assert b"secret" not in read_picture(content).thumbnail


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_many_frames_the_first_counts(kind):
    frames = [plain(colour=(0, 0, each)) for each in range(60)]
    content = encode(plain(colour="red"), kind, save_all=True, append_images=frames)
    assert near(thumbnail(content).getpixel((5, 5)), (255, 0, 0))


def test_what_the_simulator_draws_is_good():
    assert read_picture(draw("roof")).content_type == "image/jpeg"
    assert read_picture(draw("roof", "PNG")).content_type == "image/png"


# ---- Refused ------------------------------------------------------------------------------------------------------
SAMPLES = [
    encode(Image.effect_noise((64, 48), 80).convert("RGB"), kind, **options)
    for kind, options in (
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("GIF", {"save_all": True, "append_images": [plain((64, 48), "blue")]}),
    )
]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xd8",
        b"<!doctype html><p>Log in",
        b'<svg xmlns="http://www.w3.org/2000/svg"/>',
        b"%PDF-1.7\n",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"MZ\x90\0" + bytes(200),
        b"PK\x03\x04" + bytes(200),
        encode(plain(), "BMP"),
        encode(plain(), "TIFF"),
        encode(plain(), "ICO"),
        encode(plain(), "AVIF"),
        encode(plain(), "PPM"),
        encode(plain(), "JPEG2000"),
    ],
)
def test_what_is_no_picture_we_take(content):
    refused(content, "UnidentifiedImageError")  # by Pillow: no plug-in for it has looked at the bytes


@pytest.mark.parametrize("content", [draw("cut"), draw("cut", "PNG"), *SAMPLES])
def test_what_is_cut_off(content):
    whole = len(content) - 64  # behind that only an end mark or a second frame may be missing
    for length in (0, 1, 10, 40, len(content) // 4, len(content) // 2, whole // 2, len(content) * 2 // 5):
        refused(content[:length])


def png(width: int, height: int) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(30_000, 30_000), (12_000, 12_000), (7072, 7072), (2**31 - 1, 2**31 - 1), (0, 10)])
def test_too_many_pixels_are_refused_before_they_are_decoded(size, recwarn):
    began = time.monotonic()
    refused(png(*size))
    assert time.monotonic() - began < 0.2


def test_the_limit_of_pixels_is_the_one_in_the_settings(settings):
    settings.SCALEPOINT = {"IMAGE_MAX_PIXELS": 640 * 480}
    assert read_picture(encode(plain(), "PNG")).width == 640
    refused(encode(plain((641, 480)), "PNG"), "641 x 480 pixels")
    refused(encode(plain(), "WEBP"), "pixels")  # whose decoder needs three times the memory


def test_the_size_of_thumbnails_is_the_one_in_the_settings(settings):
    settings.SCALEPOINT = {"THUMBNAIL_PIXELS": 100}
    assert thumbnail(encode(plain(), "JPEG")).size == (100, 75)


def test_a_jpeg_of_endless_scans_is_refused():
    content = encode(plain((4000, 4000)), "JPEG", progressive=True)
    last = content.rindex(b"\xff\xda")
    began = time.monotonic()
    refused(content[:-2] + content[last:-2] * 5000 + b"\xff\xd9", "too many scans")
    assert time.monotonic() - began < 0.2


# ---- Hostile bytes ------------------------------------------------------------------------------------------------
def survives(content: bytes) -> None:
    """Either a picture or our one error; nothing else gets out."""
    try:
        picture = read_picture(content)
    except PermanentError as error:
        assert error.code == "SP-302"
    else:
        assert picture.thumbnail


calm = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))


@calm
@given(st.binary(max_size=300), st.sampled_from([b"", *(each[:12] for each in SAMPLES), b"\xff\xd8\xff\xe1"]))
@example(b"", b"GIF89a")
def test_random_bytes_raise_nothing_else(content, head):
    survives(head + content)


@calm
@given(st.sampled_from(SAMPLES), st.integers(0, 2**32), st.integers(1, 12))
def test_mutated_files_raise_nothing_else(sample, seed, changes):
    chance, content = Random(seed), bytearray(sample)
    for _ in range(changes):
        place = chance.randrange(len(content)) if chance.random() < 0.5 else chance.randrange(min(100, len(content)))
        match chance.randrange(5):
            case 0:
                content[place] = chance.randrange(256)
            case 1:
                content[place] ^= 1 << chance.randrange(8)
            case 2:
                content[place : place + 4] = chance.choice([b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff"])
            case 3:
                del content[place : place + chance.randrange(1, 40)]
            case _:
                content[place:place] = content[: chance.randrange(60)]
        if not content:
            break
    survives(bytes(content))
