"""Finds the addresses of hosts, and only public ones: a name must not lead into the installation's own network.

What is checked is what is connected to. A name that is looked up twice may lead to two places.
"""

import socket
from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from aiohttp.abc import AbstractResolver, ResolveResult

# RFC 6052: an IPv4 address within an IPv6 one, for networks that translate.
_TRANSLATED = IPv6Network("64:ff9b::/96")
# RFC 4291, 2.4: all that has been given out. Beside it lie site-local addresses, and others that hold IPv4 ones.
_GIVEN_OUT = IPv6Network("2000::/3")
# RFC 6890: a network's own; this Python knows of a part of it only.
_PROTOCOLS = IPv4Network("192.0.0.0/24")


class NotPublic(OSError):
    """A host's name leads to an address that is not public."""


class PublicResolver(AbstractResolver):
    """Resolves as another resolver does, and answers with addresses only when all of them are public."""

    def __init__(self, resolver: AbstractResolver, *, private: Collection[str]) -> None:
        """`private`: hosts that may be anywhere."""
        self._resolver = resolver
        self._private = private

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The host's addresses. Raises NotPublic, OSError."""
        found = await self._resolver.resolve(host, port, family)
        if host not in self._private and not all(is_public(result["host"]) for result in found):
            raise NotPublic(f"{host} leads to an address that is not public")
        return found

    async def close(self) -> None:
        """Release the other resolver."""
        await self._resolver.close()


def is_public(text: str) -> bool:
    """Whether an address belongs to the public internet; of one that holds another one, both have to."""
    address = ip_address(text)
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return _is_public(address.ipv4_mapped)
        if address in _TRANSLATED:
            return _is_public(IPv4Address(int(address) & 0xFFFFFFFF))
        if address not in _GIVEN_OUT or address.sixtofour is not None or address.teredo is not None:
            return False
    return _is_public(address)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    return address.is_global and not address.is_multicast and address not in _PROTOCOLS
