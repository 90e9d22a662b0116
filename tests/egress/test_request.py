from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from progresshub.egress.request import Refused, parse


def test_a_tunnel_is_asked_for_by_name_and_port():
    request = parse(b"CONNECT example.org:443 HTTP/1.1\r\nProxy-Authorization: Basic eA==")

    assert (request.host, request.port, request.tunnel, request.credentials) == (
        "example.org",
        443,
        True,
        b"Basic eA==",
    )


def test_the_host_that_was_checked_is_the_one_that_is_named():
    request = parse(b"GET http://a@example.org:81/x?y=1 HTTP/1.1\r\nHost: 10.0.0.1\r\nRange: bytes=1-")

    assert (request.host, request.port) == ("example.org", 81)
    assert request.head.split(b"\r\n") == [
        b"GET /x?y=1 HTTP/1.1",
        b"Range: bytes=1-",
        b"Host: example.org:81",
        b"Connection: close",
        b"",
        b"",
    ]


def test_what_is_for_the_proxy_stays_there():
    head = b"GET http://[::1]/ HTTP/1.1\r\nProxy-Authorization: Basic eA==\r\nProxy-Connection: keep-alive"

    request = parse(head)

    assert (request.host, request.port) == ("::1", 80)
    assert request.head == b"GET / HTTP/1.1\r\nHost: [::1]\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"", 400),
        (b"GET / HTTP/1.1", 400),
        (b"GET ftp://example.org/ HTTP/1.1", 400),
        (b"GET https://example.org/ HTTP/1.1", 400),
        (b"GET http:///x HTTP/1.1", 400),
        (b"GET http://example.org:99999/ HTTP/1.1", 400),
        (b"GET http://[::1/ HTTP/1.1", 400),
        (b"PUT http://example.org/ HTTP/1.1", 405),
        (b"CONNECT example.org HTTP/1.1", 400),
        (b"CONNECT user@example.org:443 HTTP/1.1", 400),
        (b"CONNECT example.org:0 HTTP/1.1", 400),
        (b"CONNECT example.org:443 HTTP/1.1\r\n folded: x", 400),
        (b"GET http://example.org/ HTTP/1.1\r\nX: a\nHost: b", 400),
        (b"GET http://example.org/\x00 HTTP/1.1", 400),
    ],
)
def test_what_can_be_misunderstood_is_refused(head, status):
    with pytest.raises(Refused) as caught:
        parse(head)

    assert caught.value.status == status


WORDS = b"GET |CONNECT |http://|https://|[::1]|127.0.0.1|@|:80|:|/| HTTP/1.1|Host: |a: b|#|?|%|[|]|\\|\xff"
PIECES = st.sampled_from([*WORDS.split(b"|"), b"\r\n", b"\r", b"\n", b"\x00"])


@given(st.lists(PIECES, max_size=20).map(b"".join))
def test_whatever_comes_is_read_one_way_or_refused(head):
    with suppress(Refused):
        request = parse(head)
        assert request.host
        assert 0 < request.port < 65_536
        assert request.head.count(b"\r\n\r\n") == (not request.tunnel)
        assert b"\n" not in request.head.replace(b"\r\n", b"")
