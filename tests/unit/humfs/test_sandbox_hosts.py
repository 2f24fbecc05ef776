"""Where a command may connect to, by the owner's list (reliability 6.1)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from humfs.core.sandbox.hosts import Destination, Hosts, NotAllowed, is_public

HOSTS = Hosts(["registry.npmjs.org", "*.pypi.org", "10.0.0.5:8443", "[2001:db8::1]:443"])


def asked(target: str) -> Destination:
    return HOSTS.asked(f"CONNECT {target} HTTP/1.1\r\nHost: x".encode())


@pytest.mark.parametrize(
    ("target", "goes"),
    [
        ("registry.npmjs.org:443", Destination("registry.npmjs.org", 443)),
        ("REGISTRY.npmjs.ORG.:443", Destination("registry.npmjs.org", 443)),
        ("files.pypi.org:443", Destination("files.pypi.org", 443)),
        ("a.b.pypi.org:443", Destination("a.b.pypi.org", 443)),
        ("10.0.0.5:8443", Destination("10.0.0.5", 8443, is_listed_address=True)),
        ("[2001:db8::1]:443", Destination("2001:db8::1", 443, is_listed_address=True)),
    ],
)
def test_what_is_listed_is_reached(target: str, goes: Destination) -> None:
    assert asked(target) == goes


@pytest.mark.parametrize(
    "target",
    [
        "example.org:443",
        "registry.npmjs.org:80",
        "registry.npmjs.org.evil.org:443",
        "xregistry.npmjs.org:443",
        "pypi.org:443",
        "evilpypi.org:443",
        "10.0.0.5:443",
        "10.0.0.50:8443",
        "127.0.0.1:443",
        "*.pypi.org:443",
        "registry.npmjs.org",
        "registry.npmjs.org:99999",
        "registry.npmjs.org:٤٤٣",
        ":443",
        "",
        "user@registry.npmjs.org:443",
    ],
)
def test_nothing_else_is(target: str) -> None:
    with pytest.raises(NotAllowed):
        asked(target)


@pytest.mark.parametrize("head", [b"", b"GET http://registry.npmjs.org/ HTTP/1.1", b"CONNECT x"])
def test_only_connect_is_served(head: bytes) -> None:
    with pytest.raises(NotAllowed):
        HOSTS.asked(head)


@given(st.binary(max_size=80))
def test_no_head_breaks_it(head: bytes) -> None:
    with pytest.raises(NotAllowed) as refusal:
        HOSTS.asked(b"CONNECT " + head)

    assert refusal.value.status[:3].isdigit()


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("192.168.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("not an address", False),
    ],
)
def test_only_addresses_of_the_internet_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public
