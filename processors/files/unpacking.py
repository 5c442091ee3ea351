"""Gzip files are unpacked beside the result: checked to the last byte, and read faster than packed ones."""

import gzip
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
    """Refuse a file with a line of more than twice `longest` bytes: DuckDB leaves out, silently, what no buffer holds.

    Raises:
        FileFault: it has one.
    """
    lines = 1
    with path.open("rb") as file:
        while block := file.read(longest):
            check()
            # One of the blocks has nothing but that line.
            if len(block) == longest and b"\n" not in block and b"\r" not in block:
                raise FileFault(f"{name}, line {lines}: the line is longer than {longest >> 20} MiB")
            lines += block.count(b"\n") or block.count(b"\r")


def beginning_at(path: Path, offset: int, folder: Path) -> Path:
    """A copy of the file without its first bytes."""
    rest = folder / "rest"
    with path.open("rb") as source, rest.open("wb") as out:
        source.seek(offset)
        shutil.copyfileobj(source, out, _CHUNK)
    return rest
