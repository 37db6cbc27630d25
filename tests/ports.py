"""Choose ports for the servers of tests."""

import secrets
import socket
from collections import deque

# Below the ports that a system gives to clients, and to servers that ask for any.
_FIRST, _LAST = 10_100, 32_000  # browsers refuse 10080
_RESERVATION = 30_000  # added to the port; a server for HTTP/3 also uses the UDP port of its own number
_MAX_RESERVED = 32
_reserved: deque[socket.socket] = deque()


def free_port() -> int:
    """Return a port of 127.0.0.1 that no server uses, and that no other process of tests gets.

    Otherwise two servers that start at the same time might get one port, and the tests of one of them would
    ask the other. A UDP socket reserves the port in all processes, until this process has reserved others.
    """
    while True:
        port = _FIRST + secrets.randbelow(_LAST - _FIRST)
        reservation = socket.socket(type=socket.SOCK_DGRAM)
        try:
            reservation.bind(("127.0.0.1", port + _RESERVATION))
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            reservation.close()
            continue
        _reserved.append(reservation)
        if len(_reserved) > _MAX_RESERVED:
            _reserved.popleft().close()
        return port
