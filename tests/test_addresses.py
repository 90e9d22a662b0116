"""Which addresses are public."""

from __future__ import annotations

import pytest

from progresshub.addresses import is_public


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101", "172.32.0.1", "100.128.0.1"],
)
def test_what_anybody_may_reach_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "",
        "localhost",
        "100.100.100.200",
        "127.255.255.254",
        "168.63.129.16",
        "172.31.255.255",
        "192.0.0.192",
        "198.19.0.1",
        "::7f00:1",
        "::ffff:0:127.0.0.1",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "fd00:ec2::254",
        "fec0::1",
        "2130706433",
        "0x7f.1",
    ],
)
def test_what_is_not_for_everybody_is_not(address: str) -> None:
    assert not is_public(address)
