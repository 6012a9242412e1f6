"""Which hosts a caller's URL may lead to. Judgement alone: nothing here resolves a name or waits.

A URL is judged before anything is sent, and every address is judged again by `open_socket`, at the moment it
is connected to. The second judgement is the binding one: between the two a name may change its address.
"""

import enum
import functools
import ipaddress
import re
import socket
from collections.abc import Iterable
from typing import Any

from yarl import URL

from headgate.domain.errors import InvalidRequest

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
AddressInfo = tuple[Any, Any, int, str, tuple[Any, ...]]
"""What `getaddrinfo` gives and a connector connects to: family, type, protocol, canonical name, address."""

FIELD = "base_url"
"""The request field that a refusal names: addresses come from there."""

_PLAIN_PORTS = frozenset({80, 443})
_LOWEST_FREE_PORT = 1024
_NAME = re.compile(r"(?=.{1,254}$)(?:[a-z0-9_][a-z0-9_-]{0,62}\.)*[a-z0-9_][a-z0-9_-]{0,62}\.?")
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")
_UNPRINTED = re.compile(r"[\x00-\x20\x7f]")


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


# `is_global` follows IANA's registries of special addresses as of each Python release. Listed, what newer
# releases added, or what it takes for global and is not, gets the same answer everywhere.
_CLOSED = _networks(
    "192.0.0.0/24",  # protocol assignments (RFC 6890), port control's anycast among them
    "192.88.99.0/24",  # 6to4 relays (RFC 7526)
    "224.0.0.0/4",  # multicast
    "2001::/23",  # protocol assignments (RFC 2928), Teredo among them (RFC 4380)
    "2002::/16",  # 6to4 (RFC 3056)
    "3fff::/20",  # documentation (RFC 9637)
)
# Global unicast as far as it is given out (RFC 4291 2.4). Outside lie NAT64 (RFC 6052, RFC 8215),
# IPv4-compatible, site-local and multicast addresses, most of which is_global takes for global.
_UNICAST6 = ipaddress.ip_network("2000::/3")
# Never meant by a name that an operator allowed. The machine's credentials live in the link-local ones and
# in AWS's fd00:ec2::/32; NAT64 would lead to them too.
_NEVER = _networks(
    *("0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"),
    *("::/128", "fe80::/10", "fd00:ec2::/32", "ff00::/8", "64:ff9b::/96", "64:ff9b:1::/48"),
)


class RefusedAddress(OSError):
    """An address that must not be connected to: an OSError, as a connector expects of a socket."""


class Reach(enum.Enum):
    """How far a request may go: anywhere (the platform's hosts), to public addresses, to an allowed host."""

    ANYWHERE = enum.auto()
    PUBLIC = enum.auto()
    NAMED = enum.auto()


def judge_address(address: str | Address) -> str | None:
    """Why an address is not public, in a few words; None when it is. What is no address is not public.

    An IPv4-mapped address is what it maps to. NAT64, 6to4 and Teredo never pass, whatever is inside.
    """
    parsed = _unmap(_parse_address(address))
    if parsed is None:
        return "not an IP address"
    if parsed.version == 6 and parsed not in _UNICAST6:
        return "not a global unicast address"
    if not parsed.is_global or _within(parsed, _CLOSED):
        return "not a global address"
    return None


def is_public(address: str | Address) -> bool:
    """Whether the address belongs to the open internet."""
    return judge_address(address) is None


def read_url(text: str) -> URL:
    """The URL as it will be sent, byte for byte where it is plain ASCII.

    Raises InvalidRequest naming `base_url` when it is no absolute http(s) URL with a well-formed host, or has
    a user, or spaces and control characters, which parsers disagree about. The message never quotes the URL.
    """
    if _UNPRINTED.search(text):
        raise _refusal("The URL has spaces or control characters.")
    try:
        url = URL(text, encoded=text.isascii())
        port = url.port
    except ValueError:
        raise _refusal("An absolute http or https URL is needed.") from None
    if url.scheme not in ("http", "https") or not url.raw_host or not port:
        raise _refusal("An absolute http or https URL is needed.")
    if "@" in url.raw_authority:
        raise _refusal("No user or password may be in the URL.")
    _check_host(url.raw_host)
    return url


class AddressGuard:
    """Lets requests out to public addresses, and to hosts that the operator allowed by name.

    allowed_hosts: host names and addresses, without port, that may be private (a vLLM in the VPC).
    allow_loopback: also this machine; for the local runner, never on AWS.
    """

    def __init__(self, *, allowed_hosts: Iterable[str] = (), allow_loopback: bool = False) -> None:
        self._allowed = frozenset(_normal(host) for host in allowed_hosts)
        self._allow_loopback = allow_loopback

    def check_url(self, url: str) -> None:
        """Judges what can be judged without the network. Raises InvalidRequest naming `base_url`."""
        self.admit(read_url(url))

    def admit(self, url: URL) -> Reach:
        """How far a request to this URL may reach. Raises InvalidRequest naming `base_url`.

        Ports are 80, 443 and those above 1023: others belong to mail, shells and directories. A host that was
        allowed by name may use any.
        """
        host = _normal(url.raw_host or "")
        if host in self._allowed:
            return Reach.NAMED
        if url.port not in _PLAIN_PORTS and (url.port or 0) < _LOWEST_FREE_PORT:
            raise _refusal(f"Port {url.port} is not allowed; use 443, 80 or one above 1023.")
        if _parse_address(host) is not None and self.judge(host, Reach.PUBLIC) is not None:
            raise refusal_of(host)
        return Reach.PUBLIC

    def judge(self, address: str | Address, reach: Reach) -> str | None:
        """Why this address may not be connected to; None when it may."""
        plain = _unmap(_parse_address(address))
        if plain is None:
            return "not an IP address"
        if reach is Reach.ANYWHERE or str(plain) in self._allowed:
            return None
        if self._allow_loopback and plain.is_loopback:
            return None
        if reach is Reach.NAMED:
            return "an address that no name may stand for" if _within(plain, _NEVER) else None
        return judge_address(plain)

    def require(self, address: str | Address, reach: Reach) -> None:
        """Raises RefusedAddress when this address may not be connected to.

        Always in the same words: of several errors with the same text, the connector passes on the first as
        it is, while different ones become a plain OSError, whose meaning is lost.
        """
        if self.judge(address, reach) is not None:
            raise RefusedAddress("the address is out of reach")

    def open_socket(self, info: AddressInfo, reach: Reach) -> socket.socket:
        """An unconnected socket for this address. Raises RefusedAddress, and opens none, for a wrong one."""
        family, kind, protocol, _, address = info
        self.require(str(address[0]), reach)
        return socket.socket(family=family, type=kind, proto=protocol)


def refusal_of(host: str) -> InvalidRequest:
    """What the caller gets for a host that is out of reach. It never tells which address a name has."""
    return _refusal(f"{host} is not at a public address; the operator may allow it as a private host.")


def _refusal(message: str) -> InvalidRequest:
    return InvalidRequest.of_field(FIELD, message)


def _within(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks if network.version == address.version)


def _unmap(address: Address | None) -> Address | None:
    """The IPv4 address inside an IPv4-mapped one: that is what the kernel connects to."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


@functools.lru_cache(maxsize=512)
def _check_host(host: str) -> None:
    """Raises InvalidRequest for a host that some resolvers read as an address and others don't.

    The last label decides, as in the WHATWG URL standard's "ends in a number" check: a number there
    (`2130706433`, `0x7f.1`, `0177.0.0.1`, `127.1`) means an address, which must then have four plain parts.
    """
    lowered = host.lower()
    if ":" in lowered:
        if "%" in lowered or _parse_address(lowered) is None:
            raise _refusal("The host is not a plain IPv6 address.")
        return
    if not _NAME.fullmatch(lowered):
        raise _refusal("The host name is not valid.")
    last = lowered.rstrip(".").rpartition(".")[2]
    if _NUMBER.fullmatch(last) and _parse_address(lowered) is None:
        raise _refusal("The host is not a plain IPv4 address.")


@functools.lru_cache(maxsize=512)
def _parse_address(address: str | Address) -> Address | None:
    if not isinstance(address, str):
        return address
    try:
        return ipaddress.ip_address(address)
    except ValueError:
        return None


def _normal(host: str) -> str:
    """A host as it is compared: lower case, no brackets or trailing dot, addresses in their shortest form."""
    text = host.strip().strip("[]").lower().removesuffix(".")
    address = _unmap(_parse_address(text))
    return text if address is None else str(address)
