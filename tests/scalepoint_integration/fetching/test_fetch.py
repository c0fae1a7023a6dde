"""Opening foreign addresses: which, and where a redirect may lead."""

import socket

import pytest

from scalepoint_integration.fetching.addresses import is_local, is_public
from scalepoint_integration.fetching.fetch import fetch
from scalepoint_integration.simulator.pictures import draw
from scalepoint_integration.workqueue import PermanentError, RetryableError
from tests.scalepoint_integration.fetching.hostile_urls import HOSTILE
from tests.scalepoint_integration.fetching.listeners import NAME, Listener


# ---- What is never opened -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("url", HOSTILE)
def test_a_hostile_spelling_is_refused_without_a_connection(url, canary, trust):
    with pytest.raises(PermanentError) as caught:
        fetch(url.replace("{port}", str(canary.port)))
    assert (caught.value.code, str(caught.value)) == ("SP-301", "SP-301 address not allowed")
    assert canary.connections == 0


@pytest.mark.parametrize(
    "addresses",
    [
        ("127.0.0.1",),
        ("10.0.0.7",),
        ("::1",),
        ("::ffff:127.0.0.1",),
        ("fe80::1%lo",),
        ("2f00::1", "127.0.0.1"),  # a public one in front, or behind, does not help
        ("127.0.0.1", "2f00::1"),
        ("93.184.215.14", "169.254.169.254"),
    ],
)
def test_a_name_with_any_private_address_is_refused(addresses, canary, resolve, trust):
    resolve(*addresses)
    with pytest.raises(PermanentError, match=r"^SP-301 address not allowed$"):
        fetch(f"https://{NAME}/x.jpg")
    assert canary.connections == 0


def test_a_name_is_resolved_once_and_the_checked_address_is_the_one_connected_to(monkeypatch, trust):
    """Rebinding: public when it is checked, private when somebody would look again."""
    looked_up, connected = [], []

    def getaddrinfo(host, port, *args, **kwargs):
        looked_up.append(host)
        address = "93.184.215.14" if len(looked_up) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    def connect(sock, address):
        connected.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(socket.socket, "connect", connect)
    with pytest.raises(RetryableError):
        fetch(f"https://{NAME}/x.jpg")
    assert (looked_up, connected) == ([NAME], ["93.184.215.14"])


def test_a_connection_that_ends_elsewhere_is_dropped(monkeypatch, resolve, trust):
    """What a redirecting firewall rule, or a bug of ours, would look like."""
    sent = []
    resolve("93.184.215.14")
    monkeypatch.setattr(socket.socket, "connect", lambda sock, address: None)
    monkeypatch.setattr(socket.socket, "getpeername", lambda sock: ("127.0.0.1", 443))
    monkeypatch.setattr(socket.socket, "send", lambda sock, content: sent.append(content))
    with pytest.raises(PermanentError, match="address not allowed"):
        fetch(f"https://{NAME}/x.jpg")
    assert sent == []


def test_the_table_of_public_addresses():
    public = ["1.1.1.1", "172.32.0.1", "100.128.0.1", "::ffff:1.1.1.1", "2606:4700::1111", "2a00::1"]
    closed = [
        "0.1.2.3",
        "100.127.255.255",
        "240.0.0.1",
        "::ffff:10.0.0.1",
        "2001:1ff::1",
        "2002::1",
        "64:ff9b::101:101",
    ]
    assert [each for each in public if not is_public(each)] == []
    assert [each for each in closed if is_public(each)] == []


@pytest.mark.parametrize(
    ("host", "local"),
    [
        *((each, True) for each in ("localhost", "intranet", "crm.local", "10.0.0.1", "::1", "fe80::1", "192.88.99.1")),
        *((each, False) for each in ("crm.example", "1.1.1.1", "2606:4700::1111")),
    ],
)
def test_the_set_up_list_has_the_same_belief(host, local):
    assert is_local(host) == local


# ---- Trusted origins ----------------------------------------------------------------------------------------------
def test_a_trusted_origin_is_opened_and_only_exactly_that(server, trust):
    trust(server.url, "not an origin", "ftp://x", image_seconds=5)
    assert fetch(f"{server.images_url}/roof.jpg") == draw("roof")
    port = server.url.rpartition(":")[2]
    others = ("http://localhost:", "https://127.0.0.1:", "http://127.0.0.2:", "http://u@127.0.0.1:", "http://[::1]:")
    for other in (f"{each}{port}" for each in others):
        with pytest.raises(PermanentError, match="address not allowed"):
            fetch(f"{other}/images/roof.jpg")


def test_a_name_can_be_trusted_and_goes_to_the_address_it_resolved_to(resolve, trust):
    looked_up = resolve("127.0.0.1")
    with Listener() as listener:
        trust(f"http://{NAME}:{listener.port}/", image_seconds=5)
        assert fetch(f"http://{NAME.upper()}.:{listener.port}/æble å.jpg?a=b c&d=%20") == b"good"
        assert looked_up == [NAME]
        head = listener.asked[0].decode("ascii").split("\r\n")
    assert head[0] == "GET /%C3%A6ble%20%C3%A5.jpg?a=b%20c&d=%20 HTTP/1.1"
    assert f"Host: {NAME}:{listener.port}" in head
    assert "Accept-Encoding: identity" in head
    assert not [line for line in head if line.lower().startswith(("cookie", "authorization", "referer"))]


def test_a_dead_first_address_leaves_the_others(resolve, trust):
    resolve("127.0.0.9", "127.0.0.1")  # nothing listens on the first
    with Listener() as listener:
        trust(f"http://{NAME}:{listener.port}", image_seconds=5)
        assert fetch(f"http://{NAME}:{listener.port}/") == b"good"


def test_the_environment_changes_nothing(server, trust, monkeypatch, tmp_path, canary):
    trust(server.url, image_seconds=5)
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{canary.port}")
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert fetch(f"{server.images_url}/roof.jpg") == draw("roof")
    assert canary.asked == []


# ---- Redirects ----------------------------------------------------------------------------------------------------
def test_a_redirect_is_followed(server, trust):
    trust(server.url, image_seconds=5)
    assert fetch(f"{server.images_url}/bad/redirect.jpg") == draw("moved")


def test_a_redirect_loop_ends_after_the_hops_allowed(server, trust):
    trust(server.url, image_seconds=5, image_max_redirects=3)
    server.requests.clear()
    with pytest.raises(PermanentError, match="SP-301 too many redirects"):
        fetch(f"{server.images_url}/bad/loop.jpg")
    assert len(server.requests) == 4


@pytest.mark.parametrize("name", ["private", "file"])
def test_a_redirect_is_checked_like_the_first_address(server, trust, name):
    trust(server.url, image_seconds=5)
    with pytest.raises(PermanentError, match=r"^SP-301 address not allowed$"):
        fetch(f"{server.images_url}/bad/{name}.jpg")


@pytest.mark.parametrize("location", ["//{}/", "http://{}/", "https://{}/", "http://x@{}/", "http://[::1", "\\\\{}\\"])
def test_a_redirect_elsewhere_reaches_nobody(raw, location):
    with Listener() as other:
        target = location.format(f"127.0.0.1:{other.port}")
        with pytest.raises(PermanentError, match="address not allowed"):
            raw(f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode())
        assert other.connections == 0


def test_a_redirect_to_nowhere(raw):
    with pytest.raises(PermanentError, match="redirects to nowhere"):
        raw(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n")
