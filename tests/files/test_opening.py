"""What unpacks is bounded by what comes out, on every door, and in little memory."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random
import struct
import subprocess
import sys
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law

from mashbill import InputError
from mashbill.files.archives import member_of, unpacked
from mashbill.files.fetch import member
from mashbill.files.opening import (
    DOWNLOAD,
    UNPACKED,
    Meter,
    limit_of,
    may_come,
    open_text_stream,
)

MIB = 1 << 20
ZEROS = bytes(MIB)


def write_gz(path, size):
    with gzip.open(path, "wb", compresslevel=9) as stream:
        for _ in range(size // MIB):
            stream.write(ZEROS)


def write_zst(path, size):
    with pa.CompressedOutputStream(str(path), "zstd") as stream:
        for _ in range(size // MIB):
            stream.write(ZEROS)


def write_zip(path, size, how=zipfile.ZIP_DEFLATED, name="a.txt"):
    with zipfile.ZipFile(path, "w", how) as zipped, zipped.open(name, "w") as stream:
        for _ in range(size // MIB):
            stream.write(ZEROS)


class Zeros(io.RawIOBase):
    def readable(self):
        return True

    def readinto(self, buffer):
        buffer[:] = bytes(len(buffer))
        return len(buffer)


def write_tar(path, size, mode="w:gz", name="a.txt"):
    with tarfile.open(path, mode) as tar:
        info = tarfile.TarInfo(name)
        info.size = size
        tar.addfile(info, io.BufferedReader(Zeros()))


def tar_of(path, *infos, mode="w"):
    with tarfile.open(path, mode) as tar:
        for info, data in infos:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


PEAK = """
import resource, sys
from pathlib import Path
from mashbill import InputError
from mashbill.files.archives import member_of
from mashbill.files.opening import open_text_stream
path, inside = Path(sys.argv[1]), sys.argv[2]
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
before, count, said = peak(), 0, "nothing"
try:
    with member_of(path, inside) if inside else open_text_stream(path, path.name) as stream:
        while piece := stream.read(1 << 20):
            count += len(piece)
except InputError as error:
    said = str(error)
print(peak() - before, count, said)
"""


def peak_of(path, inside="", most="64M"):
    """Return MiB of memory that reading it takes in a process of its own, and what it said."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(path), inside],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, UNPACKED: most},
    )
    memory, count, said = done.stdout.strip().split(" ", 2)
    return int(memory), int(count), said


BOMBS = {
    "a.jsonl.gz": (write_gz, ""),
    "a.jsonl.zst": (write_zst, ""),
    "a.zip": (write_zip, "a.txt"),
    "a.tar.gz": (write_tar, "a.txt"),
    "other.tar.gz": (write_tar, "not-there.txt"),
}


@pytest.mark.few(2)
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_stopped_in_little_memory(tmp_path, name):
    write, inside = BOMBS[name]
    write(tmp_path / name, 256 * MIB)
    assert (tmp_path / name).stat().st_size < MIB
    memory, count, said = peak_of(tmp_path / name, inside)
    assert "unpack to more than 64.0 MiB" in said
    assert name in said
    assert count <= 64 * MIB
    assert memory < 60


@pytest.mark.few(1)
@pytest.mark.parametrize(("how", "most"), [(zipfile.ZIP_BZIP2, 60), (zipfile.ZIP_LZMA, 90)])
def test_methods_that_do_not_bound_a_piece_are_read_in_small_ones(tmp_path, how, most):
    write_zip(tmp_path / "a.zip", 256 * MIB, how)
    memory, count, said = peak_of(tmp_path / "a.zip", "a.txt")
    assert "unpack to more than" in said
    assert (memory < most, count) == (True, 0)


def test_archives_in_archives_are_counted_together(tmp_path):
    write_zip(tmp_path / "in.zip", 128 * MIB)
    with zipfile.ZipFile(tmp_path / "out.zip", "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.write(tmp_path / "in.zip", "in.zip")
    memory, _, said = peak_of(tmp_path / "out.zip", "in.zip!a.txt")
    assert "unpack to more than 64.0 MiB" in said
    assert memory < 60
    with pytest.raises(InputError, match="goes 9 archives deep; 8 at most"):
        member(tmp_path / "out.zip", "!".join(["in.zip"] * 9))


def test_an_honest_file_passes_and_a_larger_one_with_the_users_word(tmp_path, monkeypatch):
    write_gz(tmp_path / "a.gz", 40 * MIB)  # 1000 to 1, and small
    with open_text_stream(tmp_path / "a.gz", "a.gz") as stream:
        assert sum(len(piece) for piece in iter(lambda: stream.read(MIB), b"")) == 40 * MIB
    monkeypatch.setenv(UNPACKED, "39M")
    with (
        pytest.raises(InputError, match=rf"more than 39.0 MiB.*set {UNPACKED}"),
        open_text_stream(tmp_path / "a.gz", "a.gz") as stream,
    ):
        stream.read()
    monkeypatch.setenv(UNPACKED, "40MiB")
    with open_text_stream(tmp_path / "a.gz", "a.gz") as stream:
        assert len(stream.read()) == 40 * MIB


def test_the_bound_is_a_ratio_and_a_size(monkeypatch):
    monkeypatch.delenv(UNPACKED, raising=False)
    assert Meter("x", 100).most == 1 << 30
    assert Meter("x", 10 << 30).most == 2000 << 30
    for text, size in (("5", 5), ("2k", 2048), ("3GB", 3 << 30), ("1TiB", 1 << 40)):
        monkeypatch.setenv(UNPACKED, text)
        assert limit_of(UNPACKED) == size
    for text in ("-1", "1e9", "many", "1X", "9" * 99, "٣"):
        monkeypatch.setenv(UNPACKED, text)
        with pytest.raises(InputError, match=f"{UNPACKED} = .*is no number of bytes"):
            limit_of(UNPACKED)


def test_headers_and_lists_of_archives_are_bounded(tmp_path):
    info = tarfile.TarInfo("a.txt")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 512 * MIB
    with gzip.open(tmp_path / "long.tar.gz", "wb", compresslevel=1) as stream:
        stream.write(info.tobuf(tarfile.GNU_FORMAT))
        for _ in range(64):
            stream.write(ZEROS)
    memory, _, said = peak_of(tmp_path / "long.tar.gz", "a.txt")
    assert "a header of 536870912 bytes" in said
    assert memory < 40
    with zipfile.ZipFile(tmp_path / "list.zip", "w") as zipped:
        zipped.writestr("a.txt", "a")
    data = bytearray((tmp_path / "list.zip").read_bytes())
    struct.pack_into("<I", data, data.rfind(b"PK\5\6") + 12, 100 << 20)
    (tmp_path / "list.zip").write_bytes(data)
    with pytest.raises(InputError, match="lists too many members"):
        member(tmp_path / "list.zip", "a.txt")


def encrypted(path):
    with zipfile.ZipFile(path, "w") as zipped:
        zipped.writestr("a.txt", "secret")
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.find(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)


def unknown_method(path):
    with zipfile.ZipFile(path, "w") as zipped:
        zipped.writestr("a.txt", "secret")
    data = bytearray(path.read_bytes())
    data[8] = data[data.find(b"PK\1\2") + 10] = 97
    path.write_bytes(data)


def cut(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("a.txt", random.Random(1).randbytes(100_000))
    data = path.read_bytes()
    at = data.rfind(b"PK\1\2")
    path.write_bytes(data[: at // 2] + bytes(at - at // 2) + data[at:])


def shorter(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("a.txt", "a" * 1000)
    path.write_bytes(path.read_bytes()[:-30])


def info_of(name, kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize(
    ("write", "inside", "message"),
    [
        (encrypted, "a.txt", r"x.bin!a.txt is encrypted; unpack it yourself"),
        (unknown_method, "a.txt", r"x.bin!a.txt cannot be unpacked: NotImplementedError"),
        (cut, "a.txt", r"x.bin!a.txt cannot be unpacked"),
        (shorter, "a.txt", r"x.bin is neither a zip nor a tar archive, or not a whole one"),
        (lambda p: p.write_bytes(b"text"), "a", "is neither a zip nor a tar archive"),
        (lambda p: p.write_bytes(b""), "a", "is neither a zip nor a tar archive"),
        (lambda p: p.write_bytes(b"\x1f\x8bxx"), "a", r"x.bin is packed, and not a whole file|nei"),
        (lambda p: tar_of(p, (info_of("a", tarfile.SYMTYPE, "/etc/passwd"), b"")), "a",
         r"x.bin!a is a link to '/etc/passwd'; name the file"),
        (lambda p: tar_of(p, (info_of("b"), b"b"), (info_of("a", tarfile.LNKTYPE, "b"), b"")), "a",
         r"x.bin!a is a link to 'b'"),
        (lambda p: tar_of(p, (info_of("a", tarfile.CHRTYPE), b"")), "a", "is a device or pipe"),
        (lambda p: tar_of(p, (info_of("a", tarfile.FIFOTYPE), b"")), "a", "is a device or pipe"),
        (lambda p: tar_of(p, (info_of("a", tarfile.DIRTYPE), b"")), "a", "is a folder"),
        (lambda p: tar_of(p, (info_of("/a"), b"a")), "/a", "'/a' names none"),
        (lambda p: tar_of(p, (info_of("../a"), b"a")), "../a", "'../a' names none"),
        (lambda p: tar_of(p, (info_of("b"), b"a")), "a", r"has no member 'a'; it has b; correct"),
        (lambda p: tar_of(p, (info_of("b"), b"a")), "", r"'' names none"),
        (lambda p: tar_of(p, (info_of("b"), b"a")), "b!c", r"x.bin!b is neither a zip nor a tar"),
        (lambda p: tar_of(p, (info_of("b"), b"a")), "x" * 300, r"is too long for the name"),
        (lambda p: p.mkdir(), "a", r"x.bin is no file"),
        (lambda _: None, "a", r"x.bin is not there"),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_out_is_told(tmp_path, write, inside, message):
    write(tmp_path / "x.bin")
    with pytest.raises(InputError, match=message):
        member(tmp_path / "x.bin", inside)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_the_last_member_of_a_name_is_the_one(tmp_path, mode):
    path = tmp_path / "x.tar"
    tar_of(path, (info_of("a"), b"old and long"), (info_of("b"), b"b"), (info_of("a"), b"new"),
           mode=mode)  # fmt: skip
    assert member(path, "a") == b"new"
    kept = unpacked(path, "a", tmp_path / "cache")
    assert kept.read_bytes() == b"new"
    assert unpacked(path, "a", tmp_path / "cache") == kept
    with member_of(path, "b") as stream:
        assert (stream.read(), stream.seek(0), stream.read()) == (b"b", 0, b"b")
    assert {p.name for p in (tmp_path / "cache" / "members").iterdir()} >= {kept.parent.name}
    assert not [p for p in (tmp_path / "cache" / "members").iterdir() if p.name[0] == "."]


def whole() -> dict[str, bytes]:
    text = b"".join(b'{"text": "%d"}\n' % i for i in range(50))
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", text)
    tarred = io.BytesIO()
    with tarfile.open(fileobj=tarred, mode="w:gz") as archive:
        info = info_of("a.txt")
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text))
    zst = pa.BufferOutputStream()
    with pa.CompressedOutputStream(zst, "zstd") as stream:
        stream.write(text)
    return {
        "a.gz": gzip.compress(text),
        "a.zst": zst.getvalue().to_pybytes(),
        "a.zip": zipped.getvalue(),
        "a.tar.gz": tarred.getvalue(),
        "a.tar.bz2": bz2.compress(gzip.decompress(tarred.getvalue())),
        "a.tar.xz": lzma.compress(gzip.decompress(tarred.getvalue())),
    }


WHOLE = whole()


@law(250)
@given(
    name=st.sampled_from(sorted(WHOLE)),
    changes=st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), max_size=6),
    cut_at=st.integers(0, 1 << 20),
)
def test_any_damage_is_told_and_never_a_traceback(tmp_path_factory, name, changes, cut_at):
    data = bytearray(WHOLE[name])
    for place, value in changes:
        data[place % len(data)] = value
    data = data[: len(data) - cut_at % len(data)] if cut_at % 3 == 0 else data
    path = tmp_path_factory.getbasetemp() / f"damaged-{name}"
    path.write_bytes(data)
    said = name
    try:
        if name in ("a.gz", "a.zst"):
            with open_text_stream(path, name) as stream:
                stream.read()
        else:
            member(path, "a.txt")
    except InputError as error:
        said = str(error)
    assert name in said


class Endless(BaseHTTPRequestHandler):
    """Sends without end, and does not say how much."""

    def do_HEAD(self):
        self.send_response(200)
        self.end_headers()

    def do_GET(self):
        self.do_HEAD()
        try:
            while True:
                self.wfile.write(ZEROS)
        except OSError:
            pass

    def log_message(self, *args):
        pass


@pytest.mark.enable_socket
def test_a_download_without_end_is_ended(tmp_path, monkeypatch):
    from mashbill.files.listing import fetch_all

    monkeypatch.setenv(DOWNLOAD, "20M")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endless)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/a.jsonl"
        with pytest.raises(InputError, match=rf"a.jsonl: it is larger than {DOWNLOAD} allows"):
            fetch_all(url, None, tmp_path, tmp_path / "cache", lambda names, _: list(names))
    finally:
        server.shutdown()
        server.server_close()
    assert not [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]


def test_a_server_that_does_not_say_how_much_may_send_so_much(monkeypatch):
    monkeypatch.delenv(DOWNLOAD, raising=False)
    may_come("x", 4 << 30, None)
    may_come("x", 1 << 45, 1 << 45)
    with pytest.raises(InputError, match=f"does not say how large it is.*set {DOWNLOAD}"):
        may_come("x", (4 << 30) + 1, None)
    with pytest.raises(InputError, match="more came than the 5 bytes"):
        may_come("x", 6, 5)
    monkeypatch.setenv(DOWNLOAD, "8G")
    may_come("x", (4 << 30) + 1, None)
