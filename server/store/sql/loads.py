"""What the tenants' tables were loaded from."""

from collections.abc import Sequence
from itertools import groupby

from server.domain.load import Load, LoadedObject, LoadRecord
from server.store.port import Lease, LoadConflict
from server.store.sql.database import Row, Transaction, found, marks

# Objects that are asked for in one statement.
_AT_A_TIME = 500


def loads(
    tx: Transaction, tenant_id: str, table: str, partition: str | None = None, uris: Sequence[str] | None = None
) -> list[LoadRecord]:
    """What the table, or the partition, was loaded from; with `uris`, of those objects only."""
    within, day = ("", ()) if partition is None else (" AND partition_day = ?", (partition,))
    if uris is None:
        return _records(_rows(tx, tenant_id, table, f"loaded_at IS NOT NULL{within}", day))
    rows = list[Row]()
    for start in range(0, len(uris), _AT_A_TIME):
        some = tuple(uris[start : start + _AT_A_TIME])
        condition = f"loaded_at IS NOT NULL{within} AND uri IN {marks(some)}"
        rows += _rows(tx, tenant_id, table, condition, (*day, *some))
    return _records(rows)


def begun(tx: Transaction, tenant_id: str, table: str) -> list[LoadRecord]:
    """The loads into the table of which it is not known whether they were committed."""
    return _records(_rows(tx, tenant_id, table, "loaded_at IS NULL", ()))


def _rows(tx: Transaction, tenant_id: str, table: str, condition: str, values: tuple[str, ...]) -> list[Row]:
    sql = f"SELECT * FROM loaded_objects WHERE tenant_id = ? AND table_name = ? AND {condition}"
    return list(tx.execute(sql, (tenant_id, table, *values)).fetchall())


def _records(rows: Sequence[Row]) -> list[LoadRecord]:
    ordered = sorted(rows, key=lambda row: (row["effect_id"], row["uri"]))
    return [_record(list(objects)) for _, objects in groupby(ordered, key=lambda row: row["effect_id"])]


def _record(rows: Sequence[Row]) -> LoadRecord:
    first = rows[0]
    return LoadRecord(
        effect_id=first["effect_id"],
        pipeline_logging_id=first["pipeline_logging_id"],
        step_id=first["step_id"],
        partition=first["partition_day"],
        write_mode=first["write_mode"],
        objects=tuple(
            LoadedObject(uri=row["uri"], etag=row["etag"], size=row["size"], rows=row["row_count"]) for row in rows
        ),
        is_committed=first["loaded_at"] is not None,
    )


def begin(tx: Transaction, lease: Lease, step_id: str, load: Load) -> None:
    """Record what an effect is about to load. Raises LoadConflict."""
    tenant_id = _tenant_of(tx, lease)
    _take_table(tx, tenant_id, load.table)
    for effect_id in (*load.gone, load.effect_id):
        tx.execute("DELETE FROM loaded_objects WHERE effect_id = ?", (effect_id,))
    uris = [loaded.uri for loaded in load.objects]
    there = [] if load.replaces or load.again else loads(tx, tenant_id, load.table, load.partition, uris)
    _require_free([*begun(tx, tenant_id, load.table), *there], load)
    tx.executemany(
        """
        INSERT INTO loaded_objects (tenant_id, table_name, partition_day, uri, effect_id, etag, size, row_count,
                                    write_mode, pipeline_logging_id, step_id)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        """,
        [
            (tenant_id, load.table, load.partition, *_columns(load, loaded), lease.pipeline_logging_id, step_id)
            for loaded in load.objects
        ],
    )


def _columns(load: Load, loaded: LoadedObject) -> tuple[str, str, str, int, int, str]:
    return loaded.uri, load.effect_id, loaded.etag, loaded.size, loaded.rows, load.write_mode


def _tenant_of(tx: Transaction, lease: Lease) -> str:
    sql = "SELECT tenant_id FROM runs WHERE pipeline_logging_id = ?"
    return str(found(tx.execute(sql, (lease.pipeline_logging_id,)).fetchone())["tenant_id"])


def _take_table(tx: Transaction, tenant_id: str, table: str) -> None:
    tx.take_turns(f"loads of {tenant_id}.{table}")


def _require_free(others: Sequence[LoadRecord], load: Load) -> None:
    """Whoever has looked at what is loaded must not have looked too early."""
    mine = {loaded.uri: loaded for loaded in load.objects}
    for other in others:
        shared = [loaded for loaded in other.objects if loaded.uri in mine]
        # Which of two loads is the later one is known only when both have ended.
        in_the_way = shared or load.replaces or other.replaces
        if not other.is_committed and in_the_way and other.meets(load.partition):
            raise LoadConflict(other.pipeline_logging_id)
        same = any(mine[loaded.uri].etag == loaded.etag for loaded in shared)
        if other.is_committed and same:
            raise LoadConflict(other.pipeline_logging_id)


def end(tx: Transaction, effect_id: str, *, is_committed: bool) -> None:
    """What became of an effect that loads; of others there is nothing to say."""
    first = tx.execute("SELECT * FROM loaded_objects WHERE effect_id = ? LIMIT 1", (effect_id,)).fetchone()
    if first is None or first["loaded_at"] is not None:
        return
    if not is_committed:
        tx.execute("DELETE FROM loaded_objects WHERE effect_id = ?", (effect_id,))
        return
    _take_table(tx, first["tenant_id"], first["table_name"])
    _forget_replaced(tx, first)
    tx.execute("UPDATE loaded_objects SET loaded_at = ? WHERE effect_id = ?", (tx.now, effect_id))


def _forget_replaced(tx: Transaction, load: Row) -> None:
    """The rows of what was loaded before are not there any more, or stand beside those of a newer version."""
    condition, values = "TRUE", list[str]()
    if load["write_mode"] != "overwrite":
        condition, values = "partition_day = ?", [load["partition_day"]]
    if load["write_mode"] in ("append", "merge"):
        condition += " AND uri IN (SELECT uri FROM loaded_objects WHERE effect_id = ?)"
        values.append(load["effect_id"])
    tx.execute(
        "DELETE FROM loaded_objects WHERE tenant_id = ? AND table_name = ? AND loaded_at IS NOT NULL"
        f" AND effect_id != ? AND {condition}",
        (load["tenant_id"], load["table_name"], load["effect_id"], *values),
    )


def forget(tx: Transaction, tenant_id: str) -> None:
    """The tenant's tables are gone."""
    tx.execute("DELETE FROM loaded_objects WHERE tenant_id = ?", (tenant_id,))
