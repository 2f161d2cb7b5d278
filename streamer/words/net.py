"""Addresses as people write them: host:port."""

from __future__ import annotations

import socket
from ipaddress import ip_address


def is_loopback(address: str) -> bool:
    """Whether host:port stays on this machine."""
    return is_loopback_host(address.rpartition(":")[0].strip("[]"))


def is_loopback_host(host: str) -> bool:
    """Whether a host is this machine, and reached from nowhere else."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def bound(listen: str, backlog: int) -> socket.socket:
    """A listening socket at host:port. Raises OSError, whose strerror says why not."""
    host, _, port = listen.rpartition(":")
    name = host.strip("[]")
    family = socket.AF_INET6 if ":" in name else socket.AF_INET
    try:
        return socket.create_server(
            (name, int(port)), family=family, backlog=backlog, reuse_port=False
        )
    except OSError as error:
        raise OSError(
            error.errno, (error.strerror or str(error)).partition(" (while ")[0]
        ) from None
