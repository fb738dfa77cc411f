"""The system-call filter of a sandboxed command, as classic BPF for `bwrap --seccomp`.

Assembled here rather than with libseccomp: it is two dozen calls and three comparisons, needs no native library, and
is the same bytes on every machine. Allowed is everything but the calls named below; sockets are limited to the
Internet families and route netlink, because path-name Unix sockets (container daemons, key agents, desktop buses) are
reachable through read-only mounts and vsock leads out of a network namespace.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping

# Numbers on x86-64 and on arm64, from the kernel's system-call tables. All newer calls have one number.
_DENIED: Mapping[str, tuple[int, int]] = {
    # other processes, and descriptors of other processes
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    # mounts and namespaces
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    # io_uring makes sockets without socket(); the others are attack surface nothing here needs
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
}
_SOCKET, _IOCTL = (41, 198), (16, 29)
_AF_INET, _AF_INET6, _AF_NETLINK, _NETLINK_ROUTE = 2, 10, 16, 0
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C  # both put characters into a terminal's input

MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""The machines there is a filter for, with their column above and the kernel's number for their calls."""
_X32 = 0x40000000  # x86-64 calls with this bit are a second set of numbers

_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data; arguments are 8 bytes
_ALLOW, _EPERM, _KILL = 0x7FFF0000, 0x00050001, 0x80000000


def program(machine: str | None = None) -> bytes:
    """The filter for `machine` (this one unless given). Raises `LookupError` for one whose numbers are not known."""
    column, architecture = MACHINES[machine or os.uname().machine]
    code = [
        _op(_LOAD, _ARCHITECTURE),
        _op(_EQUAL, architecture, skip_if_true=1),
        _op(_RETURN, _KILL),
        _op(_LOAD, _NUMBER),
        *_deny(_AT_LEAST, _X32),
    ]
    for numbers in _DENIED.values():
        code += _deny(_EQUAL, numbers[column])
    code += _for_call(_SOCKET[column], _socket_families())
    code += _for_call(_IOCTL[column], [_argument(1), *_deny(_EQUAL, _TIOCSTI), *_deny(_EQUAL, _TIOCLINUX)])
    code.append(_op(_RETURN, _ALLOW))
    return b"".join(code)


def _socket_families() -> list[bytes]:
    """Only the low half of an argument counts: the kernel takes the family as an int."""
    return [
        _argument(0),
        *_allow(_AF_INET),
        *_allow(_AF_INET6),
        _op(_EQUAL, _AF_NETLINK, skip_if_true=1),
        _op(_RETURN, _EPERM),
        _argument(2),
        *_allow(_NETLINK_ROUTE),
        _op(_RETURN, _EPERM),
    ]


def _for_call(number: int, body: list[bytes]) -> list[bytes]:
    """`body` for one system call; it ends by allowing, so that the accumulator need not be restored."""
    body = [*body, _op(_RETURN, _ALLOW)]
    return [_op(_EQUAL, number, skip_if_false=len(body)), *body]


def _deny(comparison: int, value: int) -> list[bytes]:
    return [_op(comparison, value, skip_if_false=1), _op(_RETURN, _EPERM)]


def _allow(value: int) -> list[bytes]:
    return [_op(_EQUAL, value, skip_if_false=1), _op(_RETURN, _ALLOW)]


def _argument(index: int) -> bytes:
    return _op(_LOAD, _FIRST_ARGUMENT + 8 * index)


def _op(code: int, value: int, *, skip_if_true: int = 0, skip_if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, skip_if_true, skip_if_false, value)
