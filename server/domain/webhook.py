"""Addresses of incoming webhooks, and which of them messages may be posted to.

A tenant gives such an address, and a worker connects to it from inside the installation's network: it may lead to
Slack, and nowhere else.
"""

import re
from dataclasses import dataclass
from ipaddress import ip_address

_URL = re.compile(r"(https?)://([a-z0-9.-]{1,253})(?::([0-9]{1,5}))?/[A-Za-z0-9/_.-]{1,500}")
_ORIGIN = re.compile(r"(https?)://([a-z0-9.-]{1,253})(?::([0-9]{1,5}))?")
_HOST = re.compile(r"[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})+")
_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a connection goes to."""

    scheme: str
    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


@dataclass(frozen=True, slots=True)
class WebhookHosts:
    """What messages may be posted to."""

    origins: frozenset[Origin]
    private: frozenset[str]
    """Hosts whose addresses may be private: an operator has named the whole origin, and knows where it is."""

    @classmethod
    def parse(cls, text: str) -> "WebhookHosts":
        """Read hosts, and origins such as `https://chat.example.internal:8443`, with blanks between.

        Raises ValueError for anything else, and for plain HTTP to another machine.
        """
        origins, private = set[Origin](), set[str]()
        for word in text.split():
            if (match := _ORIGIN.fullmatch(word)) is not None:
                origin = _origin(match)
                if origin.scheme == "http" and not origin.is_loopback:
                    raise ValueError(f"{word[:100]!r} is plain HTTP to another machine, where others can read it")
                origins.add(origin)
                private.add(origin.host)
            elif _HOST.fullmatch(word) and not word.rpartition(".")[2].isdigit():
                origins.add(Origin("https", word, 443))
            else:
                raise ValueError(
                    f"{word[:100]!r} is neither a host (hooks.slack.com) nor an origin (https://host:port)"
                )
        return cls(frozenset(origins), frozenset(private))

    def allow(self, url: str) -> bool:
        """Whether messages may be posted to that address."""
        return (match := _URL.fullmatch(url)) is not None and _origin(match) in self.origins


def host_of(url: str) -> str:
    """The host of a webhook's address, which is no secret; '' when it is no such address."""
    match = _URL.fullmatch(url)
    return match[2] if match else ""


def secret_of(url: str) -> str:
    """The part of the address that lets whoever knows it post: what stands behind the host."""
    return "/" + url.partition("://")[2].partition("/")[2]


def _origin(match: re.Match[str]) -> Origin:
    return Origin(match[1], match[2], int(match[3] or _PORTS[match[1]]))
