"""Gzip files are unpacked beside the result: checked to the last byte, and read faster than packed ones."""

import gzip
import shutil
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from processors.files.faults import FileFault

_GZIP = b"\x1f\x8b"
_CHUNK = 1 << 20
_TAIL = 1 << 16


def unpacked(path: Path, name: str, folder: Path, most_bytes: int, check: Callable[[], None]) -> Path:
    """The file itself, or what is packed in it as a file in `folder`; its content tells, not its name.

    DuckDB would read gzip too, but takes a file with a broken part or a wrong checksum for a shorter one.
    `check` is called every now and then, to raise when nobody wants the result any more.

    Raises:
        FileFault: it is called .gz and is none, is broken or cut off, or unpacks to more than `most_bytes`.
    """
    with path.open("rb") as file:
        is_gzip = file.read(len(_GZIP)) == _GZIP
    if not is_gzip:
        if name.lower().endswith(".gz"):
            raise FileFault(f"{name}: the file is called .gz and is not gzip")
        return path
    plain = folder / "unpacked"
    written = 0
    with plain.open("wb") as out:
        for part in _parts(path, name):
            check()
            written += len(part)
            if written > most_bytes:
                raise FileFault(f"{name}: the file unpacks to more than {most_bytes >> 20:,} MiB")
            out.write(part)
    return plain


def _parts(path: Path, name: str) -> Iterator[bytes]:
    try:
        with gzip.open(path) as file:
            while part := file.read(_CHUNK):
                yield part
    except EOFError as error:
        raise FileFault(f"{name}: the gzip file is cut off") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise FileFault(f"{name}: the gzip file is broken") from error


def require_lines(path: Path, name: str, longest: int, check: Callable[[], None]) -> None:
    """Refuse a file with a line of more than `longest` bytes: DuckDB leaves out, silently, what no buffer holds.

    Raises:
        FileFault: it has one.
    """
    size, begin = path.stat().st_size, 0
    with path.open("rb") as file:
        while size - begin > longest:
            check()
            end = begin + longest + 1
            # Mostly a line ends in the last few thousand bytes, and the others need not be read.
            begin = _behind_last_line(file, max(begin, end - _TAIL), end) or _behind_last_line(file, begin, end)
            if not begin:
                line = _line_at(path, end - longest - 1, check)
                raise FileFault(f"{name}, line {line}: the line is longer than {longest >> 20} MiB")


def _behind_last_line(file: BinaryIO, begin: int, end: int) -> int:
    """The offset behind the last line break in a piece of a file; 0 when it has none."""
    file.seek(begin)
    part = file.read(end - begin)
    last = part.rfind(b"\n")
    if last < 0:
        last = part.rfind(b"\r")
    return begin + last + 1 if last >= 0 else 0


def _line_at(path: Path, offset: int, check: Callable[[], None]) -> int:
    lines = 1
    with path.open("rb") as file:
        while part := file.read(min(_CHUNK, offset - file.tell())):
            check()
            lines += part.count(b"\n") or part.count(b"\r")
    return lines


def beginning_at(path: Path, offset: int, folder: Path) -> Path:
    """A copy of the file without its first bytes."""
    rest = folder / "rest"
    with path.open("rb") as source, rest.open("wb") as out:
        source.seek(offset)
        shutil.copyfileobj(source, out, _CHUNK)
    return rest
