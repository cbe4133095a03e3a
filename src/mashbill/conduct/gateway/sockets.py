"""Listening sockets that two processes share, so that a new gateway begins before the old one ends.

Both bind the address with ``SO_REUSEPORT``, and the kernel gives each connection to one of them. A
socket that is closed takes with it what waits to be accepted. So an ending process first has the
kernel give new connections to the last socket of the group, by a filter of one instruction
(``SO_ATTACH_REUSEPORT_CBPF``, socket(7): the filter's result is the socket's place in the group),
then accepts what was already its own, and then closes. Where it is alone, there is no second place,
and the kernel chooses as before. The filter stays with the group: later processes are given
everything from when they listen, which is when they are ready.
"""

from __future__ import annotations

import array
import contextlib
import socket
import struct
import sys
from typing import TYPE_CHECKING

from mashbill.core.errors import InputError

if TYPE_CHECKING:
    from mashbill.conduct.gateway.settings import Listen

_ATTACH = 51  # SO_ATTACH_REUSEPORT_CBPF of Linux, which Python does not name
_RETURN = 0x06  # BPF_RET | BPF_K


def listening(listen: Listen) -> socket.socket:
    """Return a socket that listens.

    Raises:
        InputError: if it cannot.
    """
    try:
        found = socket.getaddrinfo(
            listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, _, _, _, address = found[0]
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if hasattr(socket, "SO_REUSEPORT"):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind(address)
            sock.listen(listen.backlog)
            sock.setblocking(False)  # noqa: FBT003
        except OSError:
            sock.close()
            raise
    except OSError as error:
        msg = (
            f"listen: {listen.host} port {listen.port} cannot be listened on: "
            f"{error.strerror or error}; give another host or port"
        )
        raise InputError(msg) from error
    return sock


def hand_over(sock: socket.socket) -> bool:
    """Have the kernel give new connections to the other socket of the group, if there is one.

    Returns:
        Whether the kernel took it.
    """
    if sys.platform != "linux":
        return False
    program = array.array("Q", [struct.unpack("=Q", struct.pack("=HBBI", _RETURN, 0, 0, 1))[0]])
    at, _ = program.buffer_info()
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, _ATTACH, struct.pack("HP", 1, at))
        return True
    return False
