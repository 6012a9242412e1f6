"""What the outbound guard lets through, judged without a network."""

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.domain.errors import InvalidRequest
from headgate.net.guard import (
    AddressGuard,
    Reach,
    RefusedAddress,
    is_public,
    judge_address,
    read_url,
)

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "93.184.216.34",
    "172.15.255.255",
    "172.32.0.1",
    "100.63.255.255",
    "100.128.0.1",
    "223.255.255.255",
    "2606:4700::1111",
    "2001:4860:4860::8888",
    "2a00:1450:4001:81b::200e",
    "::ffff:8.8.8.8",
]

NOT_PUBLIC = [
    # this machine, this network
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "0.1.2.3",
    "::1",
    "::",
    # private
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "100.127.255.255",
    "fc00::1",
    "fdff::1",
    # link-local, and the metadata that clouds keep there
    "169.254.169.254",
    "169.254.170.2",
    "169.254.170.23",
    "fe80::1",
    "fe80::1%eth0",
    "fd00:ec2::254",
    "100.100.100.200",
    # special purposes
    "192.0.0.9",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "192.88.99.1",
    "240.0.0.1",
    "255.255.255.255",
    "2001:db8::1",
    "3fff::1",
    "100::1",
    "5f00::1",
    "4000::1",
    # multicast and site-local
    "224.0.0.1",
    "239.255.255.250",
    "ff02::1",
    "ff0e::1",
    "fec0::1",
    # IPv4 inside IPv6
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "::127.0.0.1",
    "::ffff:0:127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::8.8.8.8",
    "64:ff9b:1::10.0.0.1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2002:808:808::1",
    "2001:0:53aa:64c::f5ff:fffe",
    "2001:0:a9fe:a9fe::1",
    # no address at all
    "",
    "localhost",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "127.1",
    "1.1.1.1 ",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_open_internet_is_public(address: str) -> None:
    assert is_public(address)
    assert judge_address(address) is None


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_any_other_address_is_not_public(address: str) -> None:
    assert not is_public(address)
    assert judge_address(address)


@given(st.ip_addresses(v=4))
def test_mapping_an_ipv4_address_into_ipv6_changes_nothing(address: ipaddress.IPv4Address) -> None:
    assert is_public(f"::ffff:{address}") == is_public(address)


@given(st.ip_addresses(v=4))
def test_no_tunnel_or_translation_of_any_ipv4_address_is_public(address: ipaddress.IPv4Address) -> None:
    low = int(address)
    for network, shift in (("64:ff9b::", 0), ("64:ff9b:1::", 0), ("2002::", 80), ("2001::", 0), ("::", 0)):
        assert not is_public(ipaddress.IPv6Address(int(ipaddress.IPv6Address(network)) + (low << shift)))


@given(st.ip_addresses())
def test_nothing_that_the_standard_library_calls_special_is_public(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return
    special = (
        address.is_private,
        address.is_loopback,
        address.is_link_local,
        address.is_multicast,
        address.is_reserved,
        address.is_unspecified,
    )
    assert not (is_public(address) and any(special))


GOOD_URLS = [
    "https://api.example.com",
    "https://api.example.com/v1",
    "http://api.example.com:8000/v1",
    "https://API.Example.COM./v1",
    "https://xn--bcher-kva.example/v1",
    "https://bücher.example/v1",
    "https://my_vllm.example.com/v1",
    "https://1.1.1.1/v1",
    "https://[2606:4700::1111]:8443/v1",
    "https://3com.example",
    "https://example.com/v1?user@host",
]


@pytest.mark.parametrize("url", GOOD_URLS)
def test_an_ordinary_url_passes(url: str) -> None:
    AddressGuard().check_url(url)


BAD_URLS = [
    # literals of every spelling
    "http://127.0.0.1/",
    "http://127.0.0.1:8000/v1",
    "http://[::1]/",
    "http://[::]/",
    "http://0.0.0.0/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[0:0:0:0:0:ffff:7f00:1]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[2002:7f00:1::]/",
    "http://[fe80::1%25eth0]/",
    "http://[fe80::1%eth0]/",
    "http://10.0.0.1/",
    # numbers that some resolvers take for addresses
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.1/",
    "http://0x7f.0.0.0x1/",
    "http://0177.0.0.1/",
    "http://017700000001/",
    "http://127.1/",
    "http://127.0.1/",
    "http://127.0.0.1./",
    "http://0/",
    "http://1.1.1.1.1/",
    "http://256.256.256.256/",
    "http://0x/",
    "http://foo.0x7f/",
    "http://foo.1/",
    # letters that become digits
    "http://１２７.0.0.1/",
    "http://①②⑦.⓪.⓪.①/",
    "http://127。0。0。1/",
    # escapes, users, and what parsers disagree about
    "http://%31%32%37.0.0.1/",
    "http://%6c%6fcalhost/",
    "http://user@example.com/",
    "http://user:pass@example.com/",
    "http://@example.com/",
    "http://:@example.com/",
    "http://example.com@169.254.169.254/",
    "http://169.254.169.254\\@example.com/",
    "http://example.com\\.evil/",
    "http://exa mple.com/",
    "http://example.com /",
    " http://example.com/",
    "http://exam\tple.com/",
    "http://example.com/\r\nHost: evil",
    "http://example.com/\x00",
    "http://exa<mple.com/",
    "http://exa%00mple.com/",
    "http://example..com/",
    "http://example.com../",
    "http://-/",
    "http://" + "a" * 64 + ".com/",
    "http://" + ".".join(["a" * 60] * 5) + "/",
    # schemes, and no host
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "unix:///var/run/docker.sock",
    "javascript:alert(1)",
    "ws://example.com/",
    "//example.com/",
    "example.com",
    "example.com/v1",
    "http:example.com",
    "http:///v1",
    "http://",
    "https://:443/",
    "http://[::1",
    "http://[not-an-address]/",
    "http://example.com:0/",
    "http://example.com:65536/",
    "http://example.com:80:80/",
    "http://example.com:abc/",
    "",
    # ports of other protocols
    "http://example.com:22/",
    "http://example.com:25/",
    "http://example.com:389/",
    "https://example.com:1023/",
]


@pytest.mark.parametrize("url", BAD_URLS)
def test_a_url_that_leads_elsewhere_is_refused_and_names_the_field(url: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        AddressGuard().check_url(url)
    assert caught.value.code == "invalid_request"
    assert [error.field for error in caught.value.errors] == ["base_url"]


def test_a_refusal_shows_neither_path_nor_query_nor_password() -> None:
    for url in (
        "http://u:s3cret@example.com/",
        "http://10.0.0.1/s3cret?key=s3cret",
        "ftp://example.com/s3cret",
    ):
        with pytest.raises(InvalidRequest) as caught:
            AddressGuard().check_url(url)
        assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "host", ["vllm.internal", "VLLM.Internal.", "10.0.3.7", "fd12::7", "[fd12::7]", "localhost"]
)
def test_a_host_that_the_operator_named_passes_on_any_port(host: str) -> None:
    guard = AddressGuard(allowed_hosts=[host])
    shown = f"[{host}]" if ":" in host and not host.startswith("[") else host
    guard.check_url(f"http://{shown}:81/v1")
    guard.check_url(f"http://{shown.upper()}/v1")
    assert guard.admit(read_url(f"http://{shown}/v1")) is Reach.NAMED


def test_a_named_host_passes_by_no_other_name() -> None:
    guard = AddressGuard(allowed_hosts=["vllm.internal"])
    for host in ("vllm.internal.evil.com", "evil-vllm.internal", "internal"):
        assert guard.admit(read_url(f"http://{host}/")) is Reach.PUBLIC


def test_a_named_host_may_be_private_but_never_where_machines_keep_credentials() -> None:
    guard = AddressGuard(allowed_hosts=["vllm.internal"])
    for address in ("10.0.0.1", "192.168.0.1", "100.64.0.1", "fd12::1", "127.0.0.1", "8.8.8.8"):
        assert guard.judge(address, Reach.NAMED) is None, address
    for address in (
        *(
            "169.254.169.254",
            "169.254.170.2",
            "fd00:ec2::254",
            "fe80::1",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "ff02::1",
        ),
        *("64:ff9b::a9fe:a9fe", "::ffff:169.254.169.254", "255.255.255.255", "not an address"),
    ):
        assert guard.judge(address, Reach.NAMED) is not None, address


def test_a_named_address_passes_however_it_was_reached() -> None:
    guard = AddressGuard(allowed_hosts=["10.0.3.7"])
    assert guard.judge("10.0.3.7", Reach.PUBLIC) is None
    assert guard.judge("::ffff:10.0.3.7", Reach.PUBLIC) is None
    assert guard.judge("10.0.3.8", Reach.PUBLIC) is not None


def test_loopback_passes_only_where_it_is_allowed() -> None:
    local = AddressGuard(allow_loopback=True)
    for host in ("127.0.0.1", "127.8.8.8", "[::1]", "[::ffff:127.0.0.1]"):
        local.check_url(f"http://{host}:11434/v1")
        with pytest.raises(InvalidRequest):
            AddressGuard().check_url(f"http://{host}:11434/v1")
    for url in (
        "http://10.0.0.1/",
        "http://169.254.169.254/",
        "http://0.0.0.0:8000/",
        "http://127.0.0.1:22/",
    ):
        with pytest.raises(InvalidRequest):
            local.check_url(url)


def test_no_socket_is_made_for_an_address_out_of_reach() -> None:
    guard = AddressGuard()
    inside = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("10.0.0.1", 443))
    outside = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("1.1.1.1", 443))
    with pytest.raises(RefusedAddress):
        guard.open_socket(inside, Reach.PUBLIC)
    for info, reach in ((outside, Reach.PUBLIC), (inside, Reach.ANYWHERE)):
        with guard.open_socket(info, reach) as made:
            assert (made.family, made.type) == (socket.AF_INET, socket.SOCK_STREAM)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com/v1/a%2Fb/c%2fd?x=a%20b&y=1+2%2B&z=~%7E",
        "https://api.example.com/a/../b//c;d:@e",
        "https://api.example.com/models/openai/gpt@v1:free",
    ],
)
def test_a_plain_url_is_sent_as_it_was_written(url: str) -> None:
    assert str(read_url(url)) == url
