"""Images that come inside the event, as base64."""

import base64

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scalepoint_integration.fetching.picture import decode_inline
from scalepoint_integration.workqueue import PermanentError

calm = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
BYTES = bytes(range(256)) * 3 + b"\xfb\xff"
PLAIN = base64.b64encode(BYTES).decode()


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.rstrip("="),
        base64.urlsafe_b64encode(BYTES).decode(),
        base64.encodebytes(BYTES).decode(),
        f"  \r\n{PLAIN}\n\t ",
        f"data:image/png;base64,{PLAIN}",
        f"DATA:image/png;charset=x;BASE64,{PLAIN}",
        f"data:;base64,{PLAIN.replace('+', '%2B').replace('/', '%2F').replace('=', '%3D')}",
    ],
)
def test_base64_as_senders_write_it(text):
    assert decode_inline(text) == BYTES


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "=", "====", "A", "AAAAA", "QUJD!", "QQ==QQ==", "Zm9v\0", "æøå=", "\ud800AAA", "AA-+ %41", "{}"),
        *("data:", "data:image/png,AAAA", "data:image/png;base64", "data:image/png;base64,", "https://x.example/x.jpg"),
    ],
)
def test_what_is_not_base64(text):
    with pytest.raises(PermanentError) as caught:
        decode_inline(text)
    assert caught.value.code == "SP-302"


def test_the_limit_of_inline_images(settings):
    settings.SCALEPOINT = {"IMAGE_MAX_BYTES": 1000}
    assert len(decode_inline(base64.b64encode(bytes(1000)).decode())) == 1000
    with pytest.raises(PermanentError, match="SP-302 larger than 1000 bytes"):
        decode_inline(base64.b64encode(bytes(1001)).decode())


@calm
@given(st.binary(min_size=1, max_size=200))
def test_whatever_is_encoded_comes_back(content):
    assert decode_inline(base64.b64encode(content).decode()) == content
    assert decode_inline(base64.urlsafe_b64encode(content).decode().rstrip("=")) == content


@calm
@given(st.text(max_size=60))
def test_any_text_gives_bytes_or_the_one_error(text):
    try:
        assert decode_inline(text)
    except PermanentError as error:
        assert error.code == "SP-302"
