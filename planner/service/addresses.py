"""Where a server may listen."""

import ipaddress

from kde.errors import InputError

_LARGEST_PORT = 65535


def is_local(option: str, listen: str) -> bool:
    """Whether only this machine reaches an address: loopback, or a Unix socket.

    Raises:
        InputError: it is neither HOST:PORT nor unix:PATH.
    """
    host, _, port = listen.rpartition(":")
    if host == "unix" and port:
        return True
    if not host or not port.isdigit() or int(port) > _LARGEST_PORT:
        raise InputError(option, field="address", value=listen, remedy="write HOST:PORT or unix:PATH")
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def host_and_port(option: str, listen: str) -> tuple[str, int]:
    """The parts of HOST:PORT.

    Raises:
        InputError: it is something else.
    """
    is_local(option, listen)
    host, _, port = listen.rpartition(":")
    if host == "unix":
        raise InputError(option, field="address", value=listen, remedy="write HOST:PORT")
    return host.strip("[]"), int(port)
