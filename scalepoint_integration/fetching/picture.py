"""What counts as a picture, judged by its content alone: names and declared types are a stranger's words.

Nothing here trusts the bytes. Whatever is wrong with them ends in PermanentError(errors.IMAGE_REJECTED, why).
"""

import base64
import hashlib
import io
from contextlib import suppress
from urllib.parse import unquote

from PIL import Image

from scalepoint_integration import errors
from scalepoint_integration.conf import conf
from scalepoint_integration.models.image import Picture
from scalepoint_integration.workqueue import PermanentError

# The plug-ins that may look at the bytes at all: Pillow knows fifty, and each is a door. MPO is what some cameras make
# of JPEG; only its first picture counts.
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
_TYPES = {
    "JPEG": ("image/jpeg", "jpg"),
    "MPO": ("image/jpeg", "jpg"),
    "PNG": ("image/png", "png"),
    "WEBP": ("image/webp", "webp"),
    "GIF": ("image/gif", "gif"),
}
# A progressive JPEG is decoded scan by scan. Cameras write about ten; ten thousand are a few kilobytes and an hour.
_MAX_SCANS = 100
_SCAN = b"\xff\xda"
# WebP's decoder keeps several whole pictures: one pixel there costs as much memory as three elsewhere.
_COST = {"WEBP": 3}
# EXIF's orientation. ImageOps.exif_transpose does the same, but writes all of the EXIF anew and fails where it is odd.
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_picture(content: bytes) -> Picture:
    """Check a picture and make its thumbnail: of the first frame, at most ``thumbnail_pixels`` wide and high.

    Raises PermanentError SP-302: no picture of a type we take, too many pixels, broken, cut off. A picture may use
    4 bytes of memory per pixel meanwhile, and a second of time; so never in a web request.
    """
    options = conf()
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            content_type, extension = _TYPES[image.format or ""]
            # Before anything is decoded. Pillow's own limit only warns at first, and is another number.
            cost = image.width * image.height * _COST.get(image.format or "", 1)
            if not 0 < cost <= options.image_max_pixels:
                raise PermanentError(errors.IMAGE_REJECTED, f"{image.width} x {image.height} pixels")
            if extension == "jpg" and content.count(_SCAN) > _MAX_SCANS:
                raise PermanentError(errors.IMAGE_REJECTED, "a JPEG of too many scans")
            width, height, thumbnail = _look(image, options.thumbnail_pixels)
    except PermanentError:
        raise
    except Exception as error:
        # Pillow's plug-ins raise nearly every exception there is on broken files, and the list changes.
        raise PermanentError(errors.IMAGE_REJECTED, f"not a picture, or broken ({type(error).__name__})") from error
    return Picture(
        content_type=content_type,
        extension=extension,
        width=width,
        height=height,
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        thumbnail=thumbnail,
    )


def decode_inline(content: str) -> bytes:
    """The bytes of base64 as senders write it: plain or a ``data:`` URL, broken into lines, either alphabet, with or
    without padding. Raises PermanentError SP-302 for anything else, and for more than ``image_max_bytes``."""
    limit = conf().image_max_bytes
    if content[:5].lower() == "data:":
        head, comma, content = content.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise PermanentError(errors.IMAGE_REJECTED, "not base64")
        content = unquote(content)
    text = "".join(content.split()).rstrip("=").replace("-", "+").replace("_", "/")
    if len(text) * 3 // 4 > limit:
        raise PermanentError(errors.IMAGE_REJECTED, f"larger than {limit} bytes")
    try:
        found = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        raise PermanentError(errors.IMAGE_REJECTED, "not base64") from None
    if not found:
        raise PermanentError(errors.IMAGE_REJECTED, "empty")
    return found


def _look(image: Image.Image, side: int) -> tuple[int, int, bytes]:
    """Width, height and thumbnail. Decodes all of the file, so that one which is cut off shows."""
    width, height = image.size
    # A JPEG can be decoded at a fraction of its size: an eighth of the time, and of the memory.
    image.draft("RGB", (side * 2, side * 2))
    image.load()
    small: Image.Image = image
    if max(image.size) > side * 8:
        # The others are thinned out first, which needs no second copy in full size: nobody sees it after the next step.
        scale = side * 8 / max(image.size)
        small = image.resize([max(1, round(each * scale)) for each in image.size], Image.Resampling.NEAREST)
    if small.mode.startswith("I;16"):
        small = small.point(lambda value: value / 256).convert("L")  # a plain convert makes all of it white
    small = small.convert("RGBA" if small.has_transparency_data else "RGB")
    small.thumbnail((side, side), reducing_gap=2.0)
    turn = None
    with suppress(Exception):  # odd EXIF costs the turn, not the picture
        turn = image.getexif().get(_ORIENTATION)
    if turn in _TURNS:
        small = small.transpose(_TURNS[turn])
        width, height = (height, width) if turn >= 5 else (width, height)
    paper = Image.new("RGB", small.size, "white")
    paper.paste(small, mask=small.getchannel("A") if small.mode == "RGBA" else None)
    out = io.BytesIO()
    paper.save(out, "JPEG", quality=80, optimize=True)
    return width, height, out.getvalue()
