"""Programs that try to get out of the sandbox, to do harm, or to write their own reward.

Each of :data:`REACHES` defines ``probe``, which gives "out" if it did what it must not be able to:
its test expects just that, so a sandbox that leaks is seen by a program that is paid. Each of
:data:`FORGES` is asked for a number that stands outside only.
"""

from __future__ import annotations

import textwrap

REACHES = {
    # ---- files
    "writes to /usr": "open('/usr/lib/x', 'w'); return 'out'",
    "writes to the root": "open('/x', 'w'); return 'out'",
    "makes a folder in the root": "os.mkdir('/x'); return 'out'",
    "writes to /dev": "open('/dev/x', 'w'); return 'out'",
    "writes to /dev/shm": "open('/dev/shm/x', 'w'); return 'out'",
    "writes to /run": "open('/run/x', 'w'); return 'out'",
    "writes to the standard library": "open(os.__file__, 'a'); return 'out'",
    "reads /etc/passwd": "return 'out' if open('/etc/passwd').read() else ''",
    "reads the canary of the host": "open({canary!r}).read(); return 'out'",
    "writes over the canary of the host": "open({canary!r}, 'w'); return 'out'",
    "lists the home": "os.listdir('/home'); return 'out'",
    "lists the home of root": "return 'out' if any('.ssh' in n for n in os.listdir('/root')) else ''",
    "reads packages that are installed": "import numpy; return 'out'",
    "finds site-packages": (
        "import glob; return 'out' if glob.glob('/**/site-packages/*', recursive=True) else ''"
    ),
    "reads the environment of process 1": "open('/proc/1/environ').read(); return 'out'",
    "reads its own memory map": "open('/proc/self/maps').read(); return 'out'",
    "writes to memory through /proc": "open('/proc/self/mem', 'r+b'); return 'out'",
    "lists processes": "return 'out' if any(n.isdigit() for n in os.listdir('/proc')) else ''",
    "asks the kernel to reboot by sysrq": "open('/proc/sysrq-trigger', 'w').write('b'); return 'out'",
    "reads /sys": "os.listdir('/sys'); return 'out'",
    "reads the memory of the machine": "open('/dev/mem', 'rb'); return 'out'",
    "makes a device": "os.mknod('/tmp/d', 0o60600, os.makedev(254, 0)); return 'out'",
    "makes a device of characters": "os.mknod('/tmp/c', 0o20600, os.makedev(1, 1)); return 'out'",
    "follows a symlink out": "os.symlink({canary!r}, 'l'); open('l').read(); return 'out'",
    "follows a relative symlink out": (
        "os.symlink('../' * 20 + {canary!r}.lstrip('/'), 'l'); open('l').read(); return 'out'"
    ),
    "links a file of the host": "os.link({canary!r}, 'h'); return 'out'",
    "renames a folder of the system": "os.rename('/usr', '/tmp/usr'); return 'out'",
    "deletes the standard library": "import shutil; shutil.rmtree(os.path.dirname(os.__file__)); return 'out'",
    "changes modes of the system": "os.chmod('/usr/lib', 0o777); return 'out'",
    "opens a file by its handle": (
        "return 'out' if call(304, -100, b'\\x08' * 64, 0) >= 0 else ''"
    ),
    "runs a file that it wrote": (
        "open('x', 'w').write('#!/bin/sh\\n'); os.chmod('x', 0o755); os.execv('/tmp/x', ['x'])"
    ),
    # ---- mounts and namespaces
    "mounts a file system": "return 'out' if call(165, b't', b'/tmp', b'tmpfs', 0, 0) == 0 else ''",
    "mounts /proc": "return 'out' if call(165, b'p', b'/proc', b'proc', 0, 0) == 0 else ''",
    "unmounts what hides /proc": "return 'out' if call(166, b'/proc', 2) == 0 else ''",
    "changes its root": "os.chroot('/tmp'); return 'out'",
    "pivots its root": "return 'out' if call(155, b'/tmp', b'/tmp') == 0 else ''",
    "makes a user namespace": "return 'out' if call(272, 0x10000000) == 0 else ''",
    "makes a mount namespace": "return 'out' if call(272, 0x20000) == 0 else ''",
    "clones into a namespace": "return 'out' if call(56, 0x10000000 | 17, 0, 0, 0, 0) >= 0 else ''",
    "clones by clone3": "return 'out' if call(435, b'\\0' * 88, 88) >= 0 else ''",
    "joins a namespace": "return 'out' if call(308, 0, 0) == 0 else ''",
    "uses calls of 32 bits": ("return 'out' if call(0x40000000 | 57) >= 0 else ''"),
    # ---- processes and signals
    "forks": "os.fork(); return 'out'",
    "forks by vfork": "return 'out' if call(58) >= 0 else ''",
    "starts a program": "import subprocess; subprocess.run(['/bin/true']); return 'out'",
    "starts a shell": "return 'out' if os.system('true') == 0 else ''",
    "spawns": "os.posix_spawn({python!r}, ['p', '-c', ''], {{}}); return 'out'",
    "replaces itself": "os.execv({python!r}, ['p', '-c', '']); return 'out'",
    "starts processes by multiprocessing": (
        "import multiprocessing as m; p = m.Process(target=print); p.start(); return 'out'"
    ),
    "kills its parent": (
        "parent = os.getppid(); os.kill(parent, 9) if parent else 1 / 0; return 'out'"
    ),
    "kills a process of the host": "os.kill({pid}, 9); return 'out'",
    "traces": "return 'out' if call(101, 16, {pid}, 0, 0) == 0 else ''",
    "asks to be traced": "return 'out' if call(101, 0, 0, 0, 0) == 0 else ''",
    "reads memory of another process": (
        "return 'out' if call(310, {pid}, b'\\0' * 16, 1, b'\\0' * 16, 1, 0) >= 0 else ''"
    ),
    "opens another process": "os.pidfd_open({pid}); return 'out'",
    "takes a descriptor of another process": "return 'out' if call(438, 0, 0, 0) >= 0 else ''",
    "injects keys into a terminal": ("import fcntl; fcntl.ioctl(0, 0x5412, b'x'); return 'out'"),
    "raises its priority": "os.setpriority(os.PRIO_PROCESS, 0, -20); return 'out'",
    "takes all cores": "os.sched_setaffinity(0, [0]); return 'out'",
    "raises its limits": (
        "import resource as r; r.setrlimit(r.RLIMIT_AS, (r.RLIM_INFINITY,) * 2); return 'out'"
    ),
    "lowers its limit on time, to end as by the host": (
        "import resource as r\nr.setrlimit(r.RLIMIT_CPU, (0, 0))\nwhile True: pass"
    ),
    "lowers its limit on time by another call": (
        "call(160, 0, b'\\0' * 16)\ncall(302, 0, 0, b'\\0' * 16, 0)\n"
        "call(302, os.getpid(), 1 << 32, b'\\0' * 16, 0)\nwhile True: pass"
    ),
    "kills itself": "os.kill(os.getpid(), 9); os.kill(0, 9); os.kill(-1, 9)\nwhile True: pass",
    "stops itself": "os.kill(os.getpid(), 19)\nwhile True: pass",
    "aborts": "os.abort()",
    "raises its limit on processes": (
        "import resource as r; r.setrlimit(r.RLIMIT_NPROC, (9999, 9999)); return 'out'"
    ),
    # ---- rights
    "is root": "return 'out' if os.getuid() == 0 or os.geteuid() == 0 else ''",
    "becomes root": "os.setuid(0); return 'out'",
    "takes rights": "return 'out' if call(126, b'\\0' * 8, b'\\xff' * 24) == 0 else ''",
    "loosens its filter": "return 'out' if call(317, 1, 0, 0) == 0 else ''",
    "asks prctl": "return 'out' if call(157, 4, 1, 0, 0, 0) == 0 else ''",
    "changes its personality": "return 'out' if call(135, 0x0040000) >= 0 else ''",
    "loads a module of the kernel": "return 'out' if call(313, 0, b'', 0) == 0 else ''",
    "loads a program into the kernel": "return 'out' if call(321, 5, b'\\0' * 128, 128) >= 0 else ''",
    "watches the kernel": "return 'out' if call(298, b'\\0' * 128, 0, -1, -1, 0) >= 0 else ''",
    "asks for io_uring": "return 'out' if call(425, 8, ctypes.create_string_buffer(256)) >= 0 else ''",
    "handles page faults": "return 'out' if call(323, 1) >= 0 else ''",
    "adds a key to the kernel": "return 'out' if call(248, b'user', b'a', b'b', 1, -3) >= 0 else ''",
    "reboots": "return 'out' if call(169, 0xfee1dead, 672274793, 0x1234567, 0) == 0 else ''",
    "renames the host": "import socket; socket.sethostname('x'); return 'out'",
    "sets the clock": "import time; time.clock_settime(time.CLOCK_REALTIME, 0); return 'out'",
    "makes the host write its disks": "return 'out' if call(162) == 0 else ''",
    "takes memory that no limit counts": "os.memfd_create('x'); return 'out'",
    "takes shared memory": "return 'out' if call(29, 0, 1 << 20, 0o1600) >= 0 else ''",
    # ---- network
    "connects to the host": (
        "import socket; socket.create_connection(('127.0.0.1', {port}), 1); return 'out'"
    ),
    "listens": "import socket; socket.create_server(('127.0.0.1', 0)); return 'out'",
    "sends a datagram": (
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
        "s.sendto(b'x', ('127.0.0.1', {port})); return 'out'"
    ),
    "opens a raw socket": "import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1); return 'out'",
    "opens a socket of Unix": "import socket; socket.socket(socket.AF_UNIX); return 'out'",
    "talks to the kernel by netlink": "import socket; socket.socket(16, 3, 0); return 'out'",
    "asks for a name": "import socket; socket.getaddrinfo('example.org', 80); return 'out'",
    "sends a descriptor to the host": (
        "import socket; socket.send_fds(socket.socket(fileno=3), [b'x'], [0]); return 'out'"
    ),
    # ---- more than it may have: "out" only if it got it
    "takes memory": "x = bytearray(4 << 30); x[::4096] = b'x' * len(x[::4096]); return 'out'",
    "takes memory in small pieces": "x = []\nwhile True: x.append(bytearray(1 << 20))",
    "takes memory by mmap": "import mmap; x = mmap.mmap(-1, 4 << 30); return 'out'",
    "fills the disk": "f = open('f', 'wb')\nwhile True: f.write(b'x' * (1 << 20))",
    "fills the disk in many files": (
        "i = 0\nwhile True:\n    i += 1\n    open(f'f{{i}}', 'wb').write(b'x' * (1 << 20))"
    ),
    "fills the inodes": "i = 0\nwhile i < 100000:\n    i += 1\n    open(f'f{{i}}', 'w')\nreturn 'out'",
    "makes a sparse file of terabytes": "f = open('f', 'wb'); f.truncate(1 << 40); return 'out'",
    "nests folders": ("for i in range(100000):\n    os.mkdir('d'); os.chdir('d')\nreturn 'out'"),
    "opens many files": "x = [open('/dev/null') for _ in range(1000)]; return 'out'",
    "starts many threads": (
        "import threading, time\nfor _ in range(1000): "
        "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\nreturn 'out'"
    ),
    "bombs by fork": "while True:\n    if os.fork() < 0: return 'out'",
    "recurses without end": "import sys; sys.setrecursionlimit(1 << 30)\ndef f(): return f()\nf()",
    "loops": "while True: pass",
    "sleeps": "import time; time.sleep(3600)",
    "ignores signals to end": (
        "import signal\nfor n in range(1, 65):\n    try: signal.signal(n, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass\nwhile True: pass"
    ),
    "blocks signals": (
        "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True: pass"
    ),
    "leaves threads that run on": (
        "import threading\ndef spin():\n    while True: pass\n"
        "[threading.Thread(target=spin, daemon=True).start() for _ in range(4)]\n"
        "while True: pass"
    ),
    "runs in threads that end, which no clock of threads counts": (
        "import threading, hashlib\ndef burn(): hashlib.pbkdf2_hmac('sha512', b'x', b'y', 40000)\n"
        "while True:\n    some = [threading.Thread(target=burn) for _ in range(12)]\n"
        "    [one.start() for one in some]\n"
        "    while any(one.is_alive() for one in some): hashlib.sha256(b'x' * 3000)"
    ),
    "uses more of all cores than it may": (
        "import threading, hashlib\ndef burn():\n"
        "    while True: hashlib.pbkdf2_hmac('sha512', b'x', b'y', 40000)\n"
        "[threading.Thread(target=burn, daemon=True).start() for _ in range(8)]\nburn()"
    ),
    "closes its channel and stays": ("import time; os.close(3); time.sleep(3600)"),
    "computes a number without end": "return 'out' if 9 ** 9 ** 9 ** 9 else ''",
    "matches a pattern without end": "import re; re.match('(a+)+$', 'a' * 64 + 'b'); return 'out'",
    "crashes the interpreter": "ctypes.string_at(0)",
    "floods standard output": "while True: os.write(1, b'x' * 65536) and print('x' * 65536)",
    "floods standard error": "import sys\nwhile True: sys.stderr.write('x' * 65536)",
    "gives gigabytes": "return 'x' * (300 << 20)",
    "gives a list in itself": "x = []; x.append(x); return x",
    "gives a value nested deeply": "x = []\nfor _ in range(5000): x = [x]\nreturn x",
    "gives numbers without end": "import itertools; return itertools.count()",
    "gives a text that is half a character": "return '\\ud83d'",
}
"""what it does -> body of ``probe``"""

FORGES = {
    "prints a verdict": "print('passed')\nprint('{\"value\": 1}')\ndef secret(): return 0",
    "ends before its tests": "import os\nos._exit(0)",
    "ends well in a call": "import os\ndef secret(): os._exit(0)",
    "raises SystemExit in a call": "import sys\ndef secret(): sys.exit(0)",
    "registers an end that is good": "import atexit, os\natexit.register(os._exit, 0)\nraise SystemExit",
    "answers before it is asked": """
        import os, struct
        for n in range(2000):
            text = b'{"value": %d}' % n
            os.write(3, struct.pack('!I', len(text)) + text)
        """,
    "answers twice": """
        import os, struct
        def secret():
            text = b'{"value": 0}'
            os.write(3, (struct.pack('!I', len(text)) + text) * 2)
            return 0
        """,
    "says that it answers terabytes": "import os\nos.write(3, b'\\xff' * 64)\ndef secret(): return 0",
    "begins an answer and never ends it": "import os\ndef secret():\n    os.write(3, b'\\0\\0\\1')\n    while True: pass",
    "answers what is no JSON": "import os\ndef secret():\n    os.write(3, b'\\0\\0\\0\\4nope')\n    os._exit(0)",
    "closes what answers go through, and stays": (
        "import os, time\nos.close(3)\nwhile True: time.sleep(1)\ndef secret(): return 0"
    ),
    "ends half of what answers go through": """
        import ctypes, time
        libc = ctypes.CDLL(None)
        def secret():
            libc.shutdown(3, 1)
            time.sleep(3600)
        """,
    "ends the other half": """
        import ctypes, time
        ctypes.CDLL(None).shutdown(3, 0)
        def secret(): time.sleep(3600)
        """,
    "drips an answer": """
        import os, struct, time
        def secret():
            text = b'{"value": 0}'
            for byte in struct.pack('!I', len(text)) + text:
                os.write(3, bytes([byte]))
                time.sleep(0.02)
            time.sleep(3600)
        """,
    "answers late, for what is asked next": """
        import os, struct, threading, time
        def late():
            time.sleep(0.3)
            text = b'{"value": 4812633907, "value": 4812633907}'
            os.write(3, struct.pack('!I', len(text)) + text)
        def secret():
            threading.Thread(target=late).start()
            time.sleep(3600)
        """,
    "answers as long as can be": "def secret(): return 'x' * ((4 << 20) - 12)",
    "answers longer than can be": "def secret(): return 'x' * ((4 << 20) - 11)",
    "closes what answers go through": "import os\nos.close(3)\ndef secret(): return 0",
    "reads what it is asked next": """
        import os
        def secret():
            os.set_blocking(3, False)
            return os.read(3, 65536)
        """,
    "patches what writes JSON": """
        import json
        json.dumps = lambda *a, **k: '{"value": "passed"}'
        def secret(): return 0
        """,
    "patches the harness": """
        import sys
        main = sys.modules['__main__']
        main._written = lambda *a: {'value': True}
        main._suite = main._done = lambda *a: 'passed'
        def secret(): return 0
        """,
    "patches what compares": """
        import builtins, math
        builtins.isinstance = lambda *a: True
        math.isclose = lambda *a, **k: True
        def secret(): return 0
        """,
    "equals everything": """
        class Same(int):
            def __eq__(self, other): return True
            def __ne__(self, other): return False
            __hash__ = int.__hash__
        def secret(): return Same(0)
        """,
    "is every text": """
        class Same(str):
            def __eq__(self, other): return True
            __hash__ = str.__hash__
        def secret(): return Same('')
        """,
    "looks for what is expected in its callers": """
        import sys
        def secret():
            frame, found = sys._getframe(), []
            while frame:
                found += [v for v in frame.f_locals.values() if type(v) is int]
                found += [v['expected'] for v in frame.f_locals.values()
                          if isinstance(v, dict) and 'expected' in v]
                frame = frame.f_back
            return max(found, default=0)
        """,
    "looks for what is expected in memory": """
        import gc
        def secret():
            dicts = [d for d in gc.get_objects() if isinstance(d, dict)]
            return next((d['expected'] for d in dicts if 'expected' in d), 0)
        """,
    "looks for tests in files": """
        import os
        def secret():
            for folder, _, files in os.walk('/tmp'):
                for name in files:
                    if 'test' in name:
                        return open(os.path.join(folder, name)).read()
            return 0
        """,
    "writes files of tests and rewards": """
        for name in ('reward.txt', 'result.json', 'test_program.py', 'conftest.py'):
            open(name, 'w').write('1.0')
        def secret(): return 0
        """,
    "writes a reward that is no number": "open('/tmp/reward.txt', 'w').write('nan')\ndef secret(): return float('nan')",
    "gives infinity": "def secret(): return float('inf')",
    "gives what our notation writes": "def secret(): return {'$other': 'x'}",
    "gives a name of a type that lies": """
        class Lie:
            pass
        Lie.__name__ = '4'
        def secret(): return Lie()
        """,
    "gives all at once": "def secret(): return list(range(100000))",
    "is asked by another name": "def __getattr__(name): return lambda *a: 0",
    "raises what tells": "def secret(): raise ValueError({'value': 1})",
    "has an error of many names": """
        class Error(Exception): pass
        Error.__name__ = '4812633907' * 100
        for n in range(500): Error = type(f'E{n}', (Error,), {})
        def secret(): raise Error('x' * (1 << 20))
        """,
    "has an error that cannot be told": """
        class Bad(Exception):
            def __str__(self): raise RuntimeError
        def secret(): raise Bad
        """,
}
"""what it does -> the whole program"""

_CALL = """
import ctypes, os
_libc = ctypes.CDLL(None, use_errno=True)
def call(*args):
    return _libc.syscall(*[a if isinstance(a, bytes) else ctypes.c_long(a) if isinstance(a, int)
                           else a for a in args])
def probe():
"""


def reaching(body: str, **facts: object) -> str:
    """Return the program whose ``probe`` has this body, with facts of the host in it."""
    return _CALL + textwrap.indent(body.format(**facts), "    ") + "\n"


def forging(body: str) -> str:
    """Return a program."""
    return textwrap.dedent(body)
