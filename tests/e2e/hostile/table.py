"""The whole table."""

from tests.e2e.hostile import callers, lists, pipeline_files, queries, records, runs, timing
from tests.e2e.hostile.rows import Row

GROUPS: dict[str, list[Row]] = {
    "ids and paths": runs.IDS_AND_PATHS,
    "keys and metadata": callers.KEYS,
    "scopes and other tenants": callers.SCOPES,
    "variables": runs.VARIABLES,
    "values in SQL": queries.VALUES,
    "SQL statements": queries.STATEMENTS,
    "YAML": pipeline_files.YAML,
    "processors": pipeline_files.PROCESSORS,
    "pages, masks, etags, times, numbers": lists.LISTS,
    "request ids": runs.REQUEST_IDS,
    "credentials": records.CREDENTIALS,
    "quotas and plans": records.QUOTAS,
    "bytes on the wire": callers.WIRE,
    "offboarding": records.OFFBOARDING,
    "schedules": timing.CREATE,
    "schedules that are there": timing.READ,
    "backfills": timing.BACKFILLS,
    "sizes": lists.SIZES,
    "unicode": lists.UNICODE,
}
ROWS = [row for rows in GROUPS.values() for row in rows]
