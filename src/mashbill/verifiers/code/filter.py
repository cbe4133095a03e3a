"""The seccomp filter: which system calls a program in the sandbox may make.

A list of what is allowed, not of what is forbidden: whatever a later kernel adds is refused. What
is on neither list is answered as if the kernel did not know it (ENOSYS), so that the C library
takes the older way; what is on the list of refusals is refused as such (EPERM), so that a program
is told why. Threads may be made, processes may not.

Sources: seccomp(2) and bpf's classic instructions in Documentation/networking/filter.rst of Linux;
numbers from arch/x86/entry/syscalls/syscall_64.tbl.
"""

from __future__ import annotations

import struct

ARCHITECTURE = "x86_64"
"""machine, as :func:`platform.machine` names it, whose numbers these are"""
_AUDIT_ARCH = 0xC000003E
_LOAD, _EQUAL, _AT_LEAST, _AND, _RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
_NUMBER, _ARCH, _FIRST, _SECOND, _THIRD = 0, 4, 16, 24, 32  # offsets in struct seccomp_data, low
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_EPERM, _ENOSYS = 1, 38
_Step = tuple[int, int, int, int]
_ALLOWS: _Step = (_RETURN, 0, 0, _ALLOW)
_REFUSES: _Step = (_RETURN, 0, 0, _ERRNO | _EPERM)
_UNKNOWN: _Step = (_RETURN, 0, 0, _ERRNO | _ENOSYS)
_THREAD = 0x00010000
_NEW_SPACES = 0x7E020080
_LOCAL = 1  # AF_UNIX

_ALLOWED = {
    # files, which are those of the sandbox
    "read": 0, "write": 1, "open": 2, "close": 3, "stat": 4, "fstat": 5, "lstat": 6, "poll": 7,
    "lseek": 8, "pread64": 17, "pwrite64": 18, "readv": 19, "writev": 20, "access": 21, "pipe": 22,
    "select": 23, "dup": 32, "dup2": 33, "sendfile": 40, "fcntl": 72, "flock": 73, "fsync": 74,
    "fdatasync": 75, "truncate": 76, "ftruncate": 77, "getcwd": 79, "chdir": 80, "fchdir": 81,
    "rename": 82, "mkdir": 83, "rmdir": 84, "creat": 85, "link": 86, "unlink": 87, "symlink": 88,
    "readlink": 89, "chmod": 90, "fchmod": 91, "umask": 95, "utime": 132, "statfs": 137,
    "fstatfs": 138, "getdents64": 217, "fadvise64": 221, "utimes": 235, "openat": 257,
    "mkdirat": 258, "newfstatat": 262, "unlinkat": 263, "renameat": 264, "linkat": 265,
    "symlinkat": 266, "readlinkat": 267, "fchmodat": 268, "faccessat": 269, "pselect6": 270,
    "ppoll": 271, "utimensat": 280, "fallocate": 285, "dup3": 292, "pipe2": 293, "preadv": 295,
    "pwritev": 296, "renameat2": 316, "copy_file_range": 326, "statx": 332, "close_range": 436,
    "faccessat2": 439,
    # memory and threads
    "mmap": 9, "mprotect": 10, "munmap": 11, "brk": 12, "mremap": 25, "msync": 26, "mincore": 27,
    "madvise": 28, "futex": 202, "set_tid_address": 218, "set_robust_list": 273,
    "get_robust_list": 274, "membarrier": 324, "rseq": 334, "futex_waitv": 449, "arch_prctl": 158,
    "sched_yield": 24, "sched_getparam": 143, "sched_getscheduler": 145,
    "sched_get_priority_max": 146, "sched_get_priority_min": 147, "sched_getaffinity": 204,
    "getcpu": 309,
    # signals, which reach no further than the pid space
    "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "rt_sigpending": 127,
    "rt_sigtimedwait": 128, "rt_sigsuspend": 130, "sigaltstack": 131, "kill": 62, "tgkill": 234,
    "pause": 34, "wait4": 61, "waitid": 247, "restart_syscall": 219, "exit": 60,
    "exit_group": 231,
    # time
    "nanosleep": 35, "getitimer": 36, "alarm": 37, "setitimer": 38, "gettimeofday": 96,
    "times": 100, "time": 201, "clock_gettime": 228, "clock_getres": 229, "clock_nanosleep": 230,
    "timerfd_create": 283, "timerfd_settime": 286, "timerfd_gettime": 287,
    # waiting for descriptors, and what pairs of sockets need
    "epoll_create": 213, "epoll_wait": 232, "epoll_ctl": 233, "epoll_pwait": 281,
    "epoll_create1": 291, "eventfd": 284, "eventfd2": 290, "sendto": 44, "recvfrom": 45,
    "shutdown": 48, "getsockname": 51, "getpeername": 52, "getsockopt": 55,
    # what it is and what it may use
    "getpid": 39, "uname": 63, "getrlimit": 97, "getrusage": 98, "sysinfo": 99, "getuid": 102,
    "getgid": 104, "geteuid": 107, "getegid": 108, "getppid": 110, "getpgrp": 111,
    "getgroups": 115, "getresuid": 118, "getresgid": 120, "getpgid": 121, "getsid": 124,
    "getpriority": 140, "gettid": 186, "getrandom": 318,
}  # fmt: skip
_REFUSED = {
    "shmget": 29, "shmat": 30, "shmctl": 31, "socket": 41, "connect": 42, "accept": 43,
    "sendmsg": 46, "recvmsg": 47, "bind": 49, "listen": 50, "fork": 57, "vfork": 58, "execve": 59,
    "semget": 64, "msgget": 68, "chown": 92, "fchown": 93, "lchown": 94, "ptrace": 101,
    "syslog": 103, "setuid": 105, "setgid": 106, "setpgid": 109, "setsid": 112, "setreuid": 113,
    "setregid": 114, "setgroups": 116, "setresuid": 117, "setresgid": 119, "setfsuid": 122,
    "setfsgid": 123, "capset": 126, "mknod": 133, "personality": 135, "setpriority": 141,
    "sched_setscheduler": 144, "mlock": 149, "mlockall": 151, "pivot_root": 155, "prctl": 157,
    "chroot": 161, "sync": 162, "acct": 163, "settimeofday": 164, "mount": 165, "umount2": 166,
    "swapon": 167, "reboot": 169, "sethostname": 170, "setdomainname": 171, "iopl": 172,
    "ioperm": 173, "init_module": 175, "delete_module": 176, "quotactl": 179, "setxattr": 188,
    "tkill": 200, "sched_setaffinity": 203, "clock_settime": 227, "mq_open": 240,
    "kexec_load": 246, "add_key": 248, "request_key": 249, "keyctl": 250, "mknodat": 259,
    "fchownat": 260, "unshare": 272, "accept4": 288, "inotify_init1": 294,
    "perf_event_open": 298, "fanotify_init": 300, "name_to_handle_at": 303,
    "open_by_handle_at": 304, "syncfs": 306, "setns": 308, "process_vm_readv": 310,
    "process_vm_writev": 311, "kcmp": 312, "finit_module": 313, "seccomp": 317,
    "memfd_create": 319, "bpf": 321, "execveat": 322, "userfaultfd": 323,
    "pidfd_send_signal": 424, "io_uring_setup": 425, "io_uring_enter": 426,
    "io_uring_register": 427, "pidfd_open": 434, "pidfd_getfd": 438, "process_madvise": 440,
}  # fmt: skip
_CLONE, _CLONE3, _SOCKETPAIR, _IOCTL = 56, 435, 53, 16
_SETRLIMIT, _PRLIMIT = 160, 302
_TERMINAL = (0x5401, 0x5413, 0x5421, 0x541B, 0x5450, 0x5451)
"""what of ioctl is allowed: asking what a terminal is and how much can be read, setting flags"""


def program() -> bytes:
    """Return the filter as classic BPF, eight bytes an instruction.

    Which call it is is found by halving, since the kernel goes through the filter once for each
    call that there is when it is installed, and it is installed for each program.
    """
    steps: list[_Step] = [
        (_LOAD, 0, 0, _ARCH),
        (_EQUAL, 1, 0, _AUDIT_ARCH),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    leaves: dict[int, list[_Step]] = {number: [_ALLOWS] for number in _ALLOWED.values()}
    leaves |= {number: [_REFUSES] for number in _REFUSED.values()}
    leaves[_CLONE] = [  # a thread of this process, and no space
        (_LOAD, 0, 0, _FIRST),
        (_AND, 0, 0, _THREAD | _NEW_SPACES),
        *_if_one_of((_THREAD,)),
    ]
    # A limit on processor time ends it as the host's memory running out does, by SIGKILL. Who sets
    # one of its own could call its end an outage, so the number 0 (RLIMIT_CPU) is only read.
    leaves[_SETRLIMIT] = [(_LOAD, 0, 0, _FIRST), (_EQUAL, 0, 1, 0), _REFUSES, _ALLOWS]
    leaves[_PRLIMIT] = [
        (_LOAD, 0, 0, _SECOND), (_EQUAL, 1, 0, 0), _ALLOWS,
        (_LOAD, 0, 0, _THIRD + 4), (_EQUAL, 0, 3, 0),
        (_LOAD, 0, 0, _THIRD), (_EQUAL, 0, 1, 0), _ALLOWS, _REFUSES,
    ]  # fmt: skip
    leaves[_SOCKETPAIR] = [(_LOAD, 0, 0, _FIRST), *_if_one_of((_LOCAL,))]
    leaves[_IOCTL] = [(_LOAD, 0, 0, _SECOND), *_if_one_of(_TERMINAL)]
    steps += _halved(_ranges(leaves))
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def _if_one_of(values: tuple[int, ...]) -> list[_Step]:
    """Return steps that allow a call whose argument is one of these, and refuse it else."""
    found: list[_Step] = []
    for value in values:
        found += [(_EQUAL, 0, 1, value), _ALLOWS]
    return [*found, _REFUSES]


def _ranges(leaves: dict[int, list[_Step]]) -> list[tuple[int, list[_Step]]]:
    """Return (first number, steps) of what is done from there on, up to the next."""
    found: list[tuple[int, list[_Step]]] = []
    for number in range(max(leaves) + 2):
        steps = leaves.get(number, [_UNKNOWN])
        if not found or found[-1][1] != steps:
            found.append((number, steps))
    return found


def _halved(ranges: list[tuple[int, list[_Step]]]) -> list[_Step]:
    """Return steps that find a number's range; as deep as the list's length has binary digits."""
    if len(ranges) == 1:
        return ranges[0][1]
    middle = len(ranges) // 2
    below, from_there = _halved(ranges[:middle]), _halved(ranges[middle:])
    return [(_AT_LEAST, len(below), 0, ranges[middle][0]), *below, *from_there]
