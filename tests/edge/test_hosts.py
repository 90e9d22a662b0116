"""Whom a request is for, and which page it comes from."""

from __future__ import annotations

import pytest

from progresshub.edge.hosts import Hosts, Origins, is_local
from progresshub.errors import Forbidden, ForeignHost

HOST = "localhost:8080"
OWN = f"http://{HOST}"


def hosts(*allowed: str, addresses: tuple[str, ...] = ("127.0.0.1:8080",)) -> Hosts:
    return Hosts(addresses, allowed)


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8080", "LOCALHOST:9999", "127.0.0.1:8080", "127.0.0.1", "[::1]:8080", "[::1]", "::1"],
)
def test_local_names_pass_whatever_the_port(host):
    hosts().check([host])


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "localhost:8080@evil.example",
        "evil.example#localhost",
        "localhost.",
        "192.168.1.5:8080",
        "127.0.0.1.nip.example",
        "[::2]:8080",
        "[fe80::1]",
        "localhost:port",
        " localhost",
        "",
    ],
)
def test_any_other_host_is_refused(host):
    with pytest.raises(ForeignHost):
        hosts().check([host])


@pytest.mark.parametrize("given", [[], ["localhost", "localhost"], ["localhost", "evil.example"]])
def test_exactly_one_host_must_be_named(given):
    with pytest.raises(ForeignHost):
        hosts().check(given)


def test_every_place_that_names_a_host_counts():
    with pytest.raises(ForeignHost):
        hosts().check(["localhost"], "localhost", "evil.example")


def test_a_host_from_the_settings_passes():
    hosts("Hub.example").check(["hub.example:1234"])


def test_a_host_from_the_settings_with_a_port_holds_for_that_port():
    allowed = hosts("hub.example:8443")
    allowed.check(["hub.example:8443"])

    with pytest.raises(ForeignHost):
        allowed.check(["hub.example:8080"])


def test_the_address_that_is_listened_on_passes():
    hosts(addresses=("192.168.1.5:8080", "[fd00::1]:8080")).check(["192.168.1.5:8080"], "[fd00::1]")


@pytest.mark.parametrize("address", ["0.0.0.0:8080", "[::]:8080", ":8080"])
def test_who_listens_everywhere_answers_for_addresses_and_not_for_names(address):
    everywhere = hosts(addresses=(address,))
    everywhere.check(["10.1.2.3:8080"], "[fd00::1]:8080")

    with pytest.raises(ForeignHost):
        everywhere.check(["evil.example:8080"])


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("127.0.0.1:8080", True),
        ("127.8.8.8:1", True),
        ("[::1]:8080", True),
        ("localhost:0", True),
        ("unix:/run/hub.sock", True),
        ("0.0.0.0:8080", False),
        (":8080", False),
        ("[::]:8080", False),
        ("192.168.1.5:8080", False),
        ("hub.example:8080", False),
        ("localhost.evil.example:80", False),
    ],
)
def test_an_address_is_local_or_it_is_not(address, local):
    assert is_local(address) is local


def page(method: str = "GET", *allowed: str, **headers: str) -> None:
    Origins(allowed).check(method, {name.replace("_", "-"): value for name, value in headers.items()}, HOST)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_what_is_no_page_passes(method):
    page(method)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_our_own_pages_pass(method):
    page(method, Origin=OWN, Sec_Fetch_Site="same-origin")


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "http://evil.example",
        "http://localhost:3000",
        "http://localhost",
        "file://localhost:8080",
        "",
        "localhost:8080",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_pages_of_other_origins_are_refused(method, origin):
    with pytest.raises(Forbidden):
        page(method, Origin=origin)


def test_pages_of_an_origin_in_the_settings_pass():
    page("POST", "http://app.example/", Origin="http://APP.example", Sec_Fetch_Site="cross-site")


def test_with_a_star_any_page_passes():
    page("POST", "*", Origin="http://evil.example")
    page("POST", "*", Origin="null")


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_a_foreign_page_embeds_is_refused(site):
    with pytest.raises(Forbidden):
        page(Sec_Fetch_Site=site, Sec_Fetch_Mode="no-cors", Sec_Fetch_Dest="image", Referer="http://evil.example/page")


def test_a_link_on_a_foreign_page_may_be_followed():
    page(Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate", Sec_Fetch_Dest="document")


def test_a_foreign_page_may_not_put_ours_into_a_frame():
    with pytest.raises(Forbidden):
        page(Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate", Sec_Fetch_Dest="iframe")


def test_a_form_on_a_foreign_page_is_refused_though_it_navigates():
    with pytest.raises(Forbidden):
        page("POST", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate", Sec_Fetch_Dest="document")


def test_an_allowed_page_may_embed_media_which_send_no_origin():
    page(
        "GET",
        "http://app.example",
        Sec_Fetch_Site="cross-site",
        Sec_Fetch_Mode="no-cors",
        Sec_Fetch_Dest="audio",
        Referer="http://app.example/player?n=1",
    )


def test_cookies_count_for_named_origins_and_not_for_any():
    origins = Origins(["*", "http://app.example"])

    assert origins.trusts(None, HOST)
    assert origins.trusts(OWN, HOST)
    assert origins.trusts("http://app.example", HOST)
    assert not origins.trusts("http://evil.example", HOST)
