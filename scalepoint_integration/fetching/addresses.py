"""What a URL says, and which addresses are of the open internet. Nothing is opened or looked up here."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import quote, urlsplit

# Our own table: ipaddress.is_global changes with Python's version, and calls some of these global.
_CLOSED_4 = tuple(
    ip_network(each)
    for each in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15"),
        *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
    )
)
_OPEN_6 = ip_network("2000::/3")
_CLOSED_6 = tuple(map(ip_network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))

PORTS = {"https": 443, "http": 80}
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
# What a browser takes for a number: 1, 017, 0x7f. A name that ends in one is an address in disguise.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_KEPT = "%/:@!$&'()*+,;=?~-._"  # in a path or query; all else is sent percent-encoded


@dataclass(frozen=True, slots=True)
class Place:
    """What a URL says. ``host`` is in lower case, in ASCII, without brackets; ``target`` is path and query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def origin(self) -> tuple[str, str, int]:
        return (self.scheme, self.host, self.port)


def is_public(address: str) -> bool:
    """Whether an address (as ``getaddrinfo`` writes it) is one of the open internet."""
    ip = ip_address(address)
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped is None:
            return ip in _OPEN_6 and not any(ip in network for network in _CLOSED_6)
        ip = ip.ipv4_mapped
    return not any(ip in network for network in _CLOSED_4)


def is_local(host: str) -> bool:
    """Whether it is a name or number that nobody outside can reach, for a hint to people: no name is looked up."""
    try:
        return not is_public(host)
    except ValueError:
        return "." not in host or host.endswith((".localhost", ".local", ".internal", ".lan"))


def parse(url: str) -> Place:
    """Raises ValueError. What two readers could take for two things is refused rather than read."""
    if not url.isprintable() or "\\" in url:
        raise ValueError
    parts = urlsplit(url)
    if parts.scheme not in PORTS or "@" in parts.netloc:
        raise ValueError
    target = quote(parts.path or "/", _KEPT) + (f"?{quote(parts.query, _KEPT)}" if parts.query else "")
    port = PORTS[parts.scheme] if parts.port is None else parts.port
    return Place(parts.scheme, _host(parts.hostname or "", "[" in parts.netloc), port, target)


def _host(text: str, bracketed: bool) -> str:
    if bracketed:
        if "%" in text:
            raise ValueError  # a network card of ours
        return str(IPv6Address(text))
    # Folds full-width digits and ideographic dots to what they look like: before the checks, not after.
    host = text.encode("idna").decode("ascii").lower().removesuffix(".")
    labels = host.split(".")
    if len(host) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError
    return str(IPv4Address(host)) if _NUMBER.fullmatch(labels[-1]) else host
