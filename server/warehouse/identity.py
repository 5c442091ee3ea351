"""What makes two writes under one job id the same."""

import hashlib
from collections.abc import Iterable

from server.warehouse.port import WarehouseError, WriteEffect


def identity(effect: WriteEffect) -> dict[str, str]:
    """Each part of what an effect is, under the name that a person knows it by."""
    rows = effect.sql if effect.file is None else effect.file.digest
    return {
        "destination": str(effect.destination),
        "mode": effect.mode,
        "query" if effect.file is None else "load": hashlib.sha256(rows.encode(errors="surrogatepass")).hexdigest(),
        "partition": str(effect.partition or ""),
        "merge keys": ",".join(effect.merge_keys),
    }


def reused(effect: WriteEffect, other: Iterable[str]) -> WarehouseError:
    """The error for a job id that was given to two effects; `other` are the parts in which they differ."""
    return WarehouseError(
        "JOB_ID_REUSED",
        f"job {effect.job_id} was a write with another {' and another '.join(other)}; "
        "a job id stands for one effect, so give this one an id of its own",
    )
