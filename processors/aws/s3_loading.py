"""Objects on their way from a bucket to one file of rows: which of them, and reading them."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from processors.aws.identity import Identity, Role
from processors.aws.s3 import Bucket, StoredObject
from processors.aws.s3_source import S3Source
from processors.base import Context, LoadedObject, Progress
from processors.files.faults import BadRecord
from processors.files.reader import FileReader
from processors.files.result import FileRows, merged

_REPLACING = frozenset({"overwrite", "overwrite_partition"})
# A step may tell 2,000 lines.
_TOLD_ONE_BY_ONE = 100
_SECONDS_BETWEEN_TOLD = 5.0


async def bucket_of(source: S3Source, context: Context) -> Bucket:
    """The bucket as the step may see it. Fails the step when its credential cannot be opened."""
    role: Role | None = None
    access_key: Mapping[str, str] | None = None
    if source.role_arn is not None:
        role = Role(source.role_arn, context["tenant_id"], source.external_id)
    elif source.credential is not None:
        secret = await context["credentials"].secret(source.credential)
        if secret["kind"] == "AWS_ROLE":
            role = Role(secret["role_arn"], context["tenant_id"], secret["external_id"], is_tenants=True)
        else:
            access_key = secret
    return Bucket(
        source.bucket, Identity(region=source.region, endpoint=source.endpoint, role=role, access_key=access_key)
    )


@dataclass(frozen=True, slots=True)
class Choice:
    """What is left to do of what was found."""

    objects: tuple[StoredObject, ...]
    """Those to load."""
    skipped: int
    """How many of those that were found are in the table already."""
    rows_before: int
    """Rows that this step has loaded of them in an earlier attempt."""

    @property
    def size(self) -> int:
        """Bytes to read."""
        return sum(one.size for one in self.objects)


def replaces(write_mode: str) -> bool:
    """Whether a load takes the place of all that the table, or the partition, was loaded from."""
    return write_mode in _REPLACING


def choose(
    found: Sequence[StoredObject], loaded: Mapping[str, LoadedObject], *, write_mode: str, skip_loaded: bool
) -> Choice:
    """What to load: in the modes that add, what is new or has changed; in those that replace, everything or nothing.

    What this step has loaded in an earlier attempt is there, whatever `skip_loaded` says.
    """
    there = {
        one.uri: known
        for one in found
        if (known := loaded.get(one.uri)) is not None
        and (known["etag"], known["size"]) == (one.etag, one.size)
        and (skip_loaded or known["by_this_step"])
    }
    missing = tuple(one for one in found if one.uri not in there)
    if replaces(write_mode) and (missing or len(there) < len(loaded)):
        return Choice(tuple(found), skipped=0, rows_before=0)
    rows = sum(known["rows"] for known in there.values() if known["by_this_step"])
    return Choice(missing, skipped=len(there), rows_before=rows)


@dataclass(frozen=True, slots=True)
class ReadObjects:
    """The rows of all objects of a load, in one Parquet file."""

    path: Path
    fields: Sequence[Mapping[str, Any]]
    objects: Sequence[Mapping[str, Any]]
    """Each object with its version and its rows, as `Loads.load_file` takes them."""
    bad_count: int
    bad_records: Sequence[BadRecord]
    """The first of them."""


class ObjectReader:
    """Reads the objects of one load, one after the other; `stop` ends that from another thread."""

    def __init__(self, bucket: Bucket, reader: FileReader, folder: Path, progress: Progress) -> None:
        self._bucket = bucket
        self._reader = reader
        self._folder = folder
        self._progress = progress
        self._told_at = time.monotonic()

    def stop(self) -> None:
        """End what runs; to be repeated until it has ended."""
        self._bucket.stop()
        self._reader.interrupt()

    def read(self, objects: Sequence[StoredObject], wanted: Sequence[Mapping[str, Any]]) -> ReadObjects:
        """Download and read all of them. Raises ProcessorError, FileFault, Stopped, ReadingStopped."""
        read = list[FileRows]()
        for number, one in enumerate(objects, 1):
            read.append(self._read(one, number, wanted))
            self._tell(number, objects, read)
        fields = merged(read)
        path = self._reader.joined([self._reader.finish(file, fields) for file in read], self._folder / "rows.parquet")
        return ReadObjects(
            path,
            fields,
            [
                {"uri": one.uri, "etag": one.etag, "size": one.size, "rows": file.rows}
                for one, file in zip(objects, read, strict=True)
            ],
            sum(file.bad_count for file in read),
            [bad for file in read for bad in file.bad_records],
        )

    def _read(self, one: StoredObject, number: int, wanted: Sequence[Mapping[str, Any]]) -> FileRows:
        raw = self._folder / f"{number}.object"
        self._bucket.download(one, raw, self._teller(one))
        rows = self._reader.read(raw, one.uri, self._folder / f"{number}.parquet", wanted)
        raw.unlink()
        return rows

    def _teller(self, one: StoredObject) -> Callable[[int], None]:
        def tell(so_far: int) -> None:
            if self._is_time():
                self._progress(f"Reading {one.uri}: {so_far:,} of {one.size:,} bytes", bytes=so_far)

        return tell

    def _tell(self, number: int, objects: Sequence[StoredObject], read: Sequence[FileRows]) -> None:
        one, file, of = objects[number - 1], read[-1], len(objects)
        if number == 1 and (renamed := file.renamed):
            names = ", ".join(f"{header} as {name}" for header, name in list(renamed.items())[:5])
            self._progress(f"{len(renamed)} columns get other names: {names}{', ...' if len(renamed) > 5 else ''}")
        if of <= _TOLD_ONE_BY_ONE or number == of or self._is_time():
            self._progress(
                f"Read {one.uri}: {file.rows:,} rows, {one.size:,} bytes ({number} of {of})",
                rows=sum(each.rows for each in read),
                bytes=sum(each.size for each in objects[:number]),
            )

    def _is_time(self) -> bool:
        now = time.monotonic()
        if now - self._told_at < _SECONDS_BETWEEN_TOLD:
            return False
        self._told_at = now
        return True
