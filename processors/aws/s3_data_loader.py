"""aws.s3_data_loader: load the objects of an S3 bucket into a table of the tenant's dataset, each once."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import Field

from processors.aws.keys import with_day
from processors.aws.s3_source import S3Source
from processors.base import Context, ProcessorError, Progress
from processors.destination import Destination, Strict
from processors.files.options import ReadOptions

if TYPE_CHECKING:
    from processors.aws.s3 import Bucket
    from processors.aws.s3_loading import Choice, ReadObjects

_SHOWN = 20
_INTERRUPT_SECONDS = 0.05
_STOP_SECONDS = 3.0

_T = TypeVar("_T")


class S3DataLoader:
    """S3 to BigQuery: find objects, read them, load their rows."""

    class Config(Strict):
        """Settings of a step."""

        source: S3Source
        file: ReadOptions = ReadOptions()
        destination: Destination
        max_bad_records: Annotated[int, Field(ge=0)] = 0
        """How many records that cannot be read are left out before the step fails."""
        skip_loaded: bool = True
        """Objects that are in the table in the same version are not loaded again."""

    async def plan(self, step_config: dict[str, Any], context: Context) -> dict[str, Any]:
        """Which objects would be loaded."""
        config = self.Config.model_validate(step_config)
        _, chosen = await _found(config, context)
        names = ", ".join(one.uri for one in chosen.objects[:_SHOWN])
        more = ", ..." if len(chosen.objects) > _SHOWN else ""
        told = f"{len(chosen.objects)} objects of {chosen.size:,} bytes are loaded: {names}{more}"
        return {
            "table_written": context["loads"].plan_load(config.destination.table),
            "write_mode": config.destination.write_mode,
            "warnings": [told if chosen.objects else "no object is new or has changed: nothing is loaded"],
        }

    async def execute(self, step_config: dict[str, Any], context: Context) -> dict[str, Any]:
        """Load what is new.

        Details: objects_loaded, objects_skipped, bytes_read, bad_record_count, bad_records (the first of them), and
        what `load_file` answers, but for the rows.
        """
        config = self.Config.model_validate(step_config)
        bucket, chosen = await _found(config, context)
        if not chosen.objects:
            return _nothing_new(chosen, context["progress"])
        read = await _read(config, context, bucket, chosen)
        bad = [str(record) for record in read.bad_records[:_SHOWN]]
        if read.bad_count > config.max_bad_records:
            return _too_many_bad(config, read.bad_count, bad)
        for line in bad:
            context["progress"](f"Left out: {line}")
        context["progress"](f"Writing to {config.destination.table}", write_mode=config.destination.write_mode)
        outcome = await context["loads"].load_file(
            read.path,
            config.destination.table,
            fields=read.fields,
            objects=read.objects,
            again=not config.skip_loaded,
            **config.destination.options(context),
        )
        rows = outcome.pop("rows_written")
        context["progress"](f"Wrote {rows:,} rows to {config.destination.table}", rows=rows)
        details = {**_told(chosen), "bad_record_count": read.bad_count, "bad_records": bad, **outcome}
        total = rows + chosen.rows_before
        return {"status": "SUCCESS", "rows_processed": total, "details": details, "warning": read.bad_count > 0}


async def _found(config: S3DataLoader.Config, context: Context) -> "tuple[Bucket, Choice]":
    """What there is to load. Raises ProcessorError when there are no objects and that is not wanted."""
    # botocore and DuckDB are for workers: a server that checks settings need not load them.
    from processors.aws.s3_loading import bucket_of, choose, replaces  # noqa: PLC0415

    source, destination = config.source, config.destination
    bucket = await bucket_of(source, context)
    pattern = with_day(source.pattern, date.fromisoformat(context["date"]))
    find = bucket.matching if source.manifest is None else bucket.of_manifest
    found = await _in_thread(lambda: find(pattern), bucket.stop)
    context["progress"](f"{len(found)} objects match s3://{source.bucket}/{pattern}", objects=len(found))
    if not found and source.missing == "fail":
        raise ProcessorError(
            f"no object matches s3://{source.bucket}/{pattern}; where there may be none, set source.missing to skip"
        )
    loaded = await context["loads"].loaded_objects(
        destination.table,
        uris=None if replaces(destination.write_mode) else [one.uri for one in found],
        write_mode=destination.write_mode,
        partition_date=destination.partition_date,
    )
    return bucket, choose(found, loaded, write_mode=destination.write_mode, skip_loaded=config.skip_loaded)


async def _read(config: S3DataLoader.Config, context: Context, bucket: "Bucket", chosen: "Choice") -> "ReadObjects":
    from processors.aws.s3_loading import ObjectReader  # noqa: PLC0415
    from processors.files.faults import FileFault  # noqa: PLC0415
    from processors.files.reader import FileReader  # noqa: PLC0415

    template = config.destination.template(context)
    there = await context["warehouse"].table_fields(config.destination.table)
    named = {field["name"].lower() for field in template}
    wanted = [*template, *(field for field in there or () if field["name"].lower() not in named)]
    # Without a template, the files say what a new table looks like.
    detect = config.destination.allow_field_addition or not wanted
    reader = ObjectReader(
        bucket, FileReader(config.file, detect=detect), context["scratch"](), _from_thread(context["progress"])
    )
    try:
        return await _in_thread(lambda: reader.read(chosen.objects, wanted), reader.stop)
    except FileFault as fault:
        raise ProcessorError(str(fault), permanent=True) from None


def _from_thread(progress: Progress) -> Progress:
    """The same for another thread."""
    loop = asyncio.get_running_loop()

    def tell(message: str, **fields: Any) -> None:
        loop.call_soon_threadsafe(lambda: progress(message, **fields))

    return tell


async def _in_thread(work: Callable[[], _T], stop: Callable[[], None]) -> _T:
    """Run what blocks; cancelled, stop it and wait a while for its end.

    In a thread of its own: loads take hours, and would wait for each other's places in a pool, cancelled ones too.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="s3-load")
    running = asyncio.wrap_future(pool.submit(work))
    pool.shutdown(wait=False)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS):
                while not running.done():
                    stop()
                    await asyncio.wait({running}, timeout=_INTERRUPT_SECONDS)
        # What S3 does not answer ends when its time is up, and reaches nothing any more.
        running.add_done_callback(lambda ended: ended.exception())
        raise


def _nothing_new(chosen: "Choice", progress: Progress) -> dict[str, Any]:
    if not chosen.skipped:
        return {"status": "SKIPPED", "rows_processed": 0, "details": _told(chosen)}
    progress(f"All {chosen.skipped} objects are in the table already", objects=chosen.skipped)
    return {"status": "SUCCESS", "rows_processed": chosen.rows_before, "details": _told(chosen)}


def _too_many_bad(config: S3DataLoader.Config, count: int, shown: Sequence[str]) -> dict[str, Any]:
    """Another attempt would find the same."""
    more = f"; and {count - len(shown)} more" if count > len(shown) else ""
    error = f"{count} bad records, and max_bad_records is {config.max_bad_records}: {'; '.join(shown)}{more}"
    details = {"error": error, "bad_record_count": count, "bad_records": list(shown)}
    return {"status": "FAILED", "permanent": True, "rows_processed": 0, "details": details}


def _told(chosen: "Choice") -> Mapping[str, int]:
    return {
        "objects_loaded": len(chosen.objects),
        "objects_skipped": chosen.skipped,
        "bytes_read": chosen.size,
    }


def get_engine() -> S3DataLoader:
    """The factory that the registry calls."""
    return S3DataLoader()
