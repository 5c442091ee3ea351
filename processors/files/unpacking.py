"""Gzip files are unpacked beside the result: checked to the last byte, and read faster than packed ones."""

import gzip
import mmap
import shutil
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from processors.files.faults import FileFault

_GZIP = b"\x1f\x8b"
_CHUNK = 1 << 20


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
    if size <= longest:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        while size - begin > longest:
            check()
            # Of the file only what stands around these line breaks is read.
            end = begin + longest + 1
            last = content.rfind(b"\n", begin, end)
            if last < 0:
                last = content.rfind(b"\r", begin, end)
            if last < 0:
                raise FileFault(f"{name}, line {_line_at(path, begin)}: the line is longer than {longest >> 20} MiB")
            begin = last + 1


def _line_at(path: Path, offset: int) -> int:
    lines = 1
    with path.open("rb") as file:
        while part := file.read(min(_CHUNK, offset - file.tell())):
            lines += part.count(b"\n") or part.count(b"\r")
    return lines


def beginning_at(path: Path, offset: int, folder: Path) -> Path:
    """A copy of the file without its first bytes."""
    rest = folder / "rest"
    with path.open("rb") as source, rest.open("wb") as out:
        source.seek(offset)
        shutil.copyfileobj(source, out, _CHUNK)
    return rest
