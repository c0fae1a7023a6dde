"""Photos of damage, drawn: the same name is always the same picture, and no two names share one."""

import io
import math
from functools import lru_cache
from random import Random

from PIL import Image, ImageDraw, ImageFont

SIZE = (800, 600)
SMALL = (320, 240)
_WALLS = ("#b9472f", "#d8c9a3", "#8f9a9e", "#e3e0d8", "#6f7f5c", "#c98f4e")
_SKIES = ("#9fb8c8", "#c7d3da", "#76828c", "#dbe4ea")


@lru_cache(maxsize=512)
def draw(name: str, kind: str = "JPEG", size: tuple[int, int] = SIZE) -> bytes:
    """A house with a hole in it and ``name`` as a caption. ``kind`` is JPEG or PNG; ``size`` in pixels."""
    chance = Random(f"{name} {kind}")  # noqa: S311  a drawing, not a secret
    width, height = size
    ground = round(height * 0.8)
    image = Image.new("RGB", size, chance.choice(_SKIES))
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, ground, width, height), fill="#5d6b4a")
    left, right = round(width * chance.uniform(0.08, 0.2)), round(width * chance.uniform(0.8, 0.92))
    eaves = round(height * chance.uniform(0.35, 0.45))
    pen.rectangle((left, eaves, right, ground), fill=chance.choice(_WALLS))
    roof = [(left - 20, eaves), (width * chance.uniform(0.4, 0.6), height * 0.12), (right + 20, eaves)]
    pen.polygon(roof, fill="#4a4442")
    for place in range(3):
        x = left + (right - left) * (place + 0.5) / 3
        pen.rectangle((x - width / 22, eaves + 40, x + width / 22, eaves + 40 + height / 7), fill="#2f4858")
    x, y = chance.uniform(left, right), chance.uniform(height * 0.25, ground)
    hole = [(chance.uniform(0.4, 1.0) * height / 7, math.tau * step / 11) for step in range(11)]
    pen.polygon([(x + far * math.cos(turn), y + far * math.sin(turn)) for far, turn in hole], fill="#181412")
    pen.rectangle((0, height - height // 12, width, height), fill="white")
    pen.text((12, height - height // 14), f"Eksempel: {name}", fill="black", font=ImageFont.load_default(height / 24))
    out = io.BytesIO()
    image.save(out, kind, **({"quality": 82} if kind == "JPEG" else {"optimize": False}))
    return out.getvalue()
