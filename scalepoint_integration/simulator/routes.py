"""The addresses of the simulator: a literal table of routes."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from scalepoint_integration.simulator import bad_images
from scalepoint_integration.simulator.api import served
from scalepoint_integration.simulator.control import control
from scalepoint_integration.simulator.exchange import Exchange
from scalepoint_integration.simulator.pictures import draw
from scalepoint_integration.simulator.polling import receive
from scalepoint_integration.simulator.settlements import give_settlement
from scalepoint_integration.simulator.submitted import send_event, submit_expense, submit_file, submit_to_case
from scalepoint_integration.simulator.tokens import give_token

_EVENTS = "/api/events/v1/([a-z]{2})/external/([^/]+)"
_ECX = "/ecx/host/api/integration"
_TYPES = {"jpg": "JPEG", "png": "PNG"}


@dataclass(frozen=True, slots=True)
class Route:
    """``path`` is a regular expression for all of the path; its groups are handed to ``act`` as texts."""

    method: str
    path: str
    act: Callable[..., None]


def health(exchange: Exchange) -> None:
    exchange.answer(200, b'{"status": "ok"}', "application/json")


def image(exchange: Exchange, name: str, ending: str) -> None:
    kind = _TYPES[ending]
    exchange.answer(200, draw(name, kind), f"image/{kind.lower()}")


ROUTES = (
    Route("GET", "/health", health),
    # Good images: any name, always the same picture for the same one.
    Route("GET", r"/images/([\w-]+)\.(jpg|png)", image),
    # Scalepoint's own addresses. Each can be told to fail under its name: State.fail.
    Route("POST", "/connect/token", served("token", give_token)),
    Route("GET", f"{_EVENTS}/receive", served("receive", receive)),
    Route("POST", f"{_EVENTS}/send", served("send", send_event)),
    Route("GET", r"/webapp/ScalePoint/([a-z]{2})/case/([^/]+)/revision/([^/]+)", served("settlement", give_settlement)),
    Route("POST", f"{_ECX}/v1/file/submitForCase", served("file", submit_to_case)),
    Route("POST", f"{_ECX}/v1/file/submitForDamageNotification", served("damage_file", submit_file)),
    Route("POST", f"{_ECX}/v2/expense/submit", served("expense", submit_expense)),
    Route("POST", r"/control/(\w+)", control),
    # Images that misbehave, for tests. Nothing that the simulator posts refers to them.
    Route("GET", "/images/bad/hang.jpg", bad_images.hang),  # the request is read, and then nothing
    Route("GET", "/images/bad/slow-head.jpg", bad_images.slow_head),  # headers without end, one every 0.05 s
    Route("GET", "/images/bad/slow.jpg", bad_images.slow),  # a good picture, one byte every 0.05 s
    Route("GET", "/images/bad/reset.jpg", bad_images.reset),  # half a picture, then a TCP reset
    Route("GET", "/images/bad/truncated.jpg", bad_images.truncated),  # less than Content-Length, then closed
    Route("GET", "/images/bad/cut.jpg", bad_images.cut),  # half a picture under an honest Content-Length
    Route("GET", "/images/bad/huge.jpg", bad_images.huge),  # Content-Length of a terabyte
    Route("GET", "/images/bad/endless.jpg", bad_images.endless),  # chunks for ever, no length
    Route("GET", "/images/bad/gzip.jpg", bad_images.gzip),  # Content-Encoding: gzip, ten megabytes of zeros inside
    Route("GET", "/images/bad/bomb.png", bad_images.bomb),  # 30,000 x 30,000 pixels in 110 kB
    Route("GET", "/images/bad/html.jpg", bad_images.html),  # a page that is called a picture
    Route("GET", "/images/bad/svg.jpg", bad_images.svg),  # a drawing with a script in it
    Route("GET", "/images/bad/empty.jpg", bad_images.empty),  # 200 and nothing
    Route("GET", "/images/bad/redirect.jpg", bad_images.redirect_good),  # 302 to a good image here
    Route("GET", "/images/bad/loop.jpg", bad_images.redirect_loop),  # 302 to itself
    Route("GET", "/images/bad/private.jpg", bad_images.redirect_private),  # 302 to a cloud's metadata address
    Route("GET", "/images/bad/file.jpg", bad_images.redirect_file),  # 302 to file:///etc/passwd
    Route("GET", r"/images/bad/flaky-([\w-]+)\.jpg", bad_images.flaky),  # 503 the first time, then good
    Route("GET", r"/images/bad/status-([1-5]\d\d)\.jpg", bad_images.status),  # that status, with Retry-After: 7
)


def find(method: str, path: str) -> Callable[[Exchange], None] | None:
    """The action for an address, with the groups of its path filled in; None if there is no such address."""
    for route in ROUTES:
        if route.method == method and (match := re.fullmatch(route.path, path)):
            return partial(_act, route, match.groups())
    return None


def _act(route: Route, groups: tuple[str, ...], exchange: Exchange) -> None:
    route.act(exchange, *groups)
