"""Messages to people, until they have arrived.

A claim is a lease: it moves the time at which the message is due to the lease's end.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from server.domain.delivery import (
    GIVE_UP_SECONDS,
    Channel,
    Delivery,
    DeliveryState,
    Mail,
    Outcome,
    SlackMessage,
    message_id,
)
from server.domain.run import Run
from server.store.delivery_port import DeliveryClaim
from server.store.sql.database import Row, Transaction, found, from_micros, marks
from server.store.sql.rows import moment

_GIVE_UP_MICROS = int(GIVE_UP_SECONDS * 1_000_000)
_QUEUED, _FAILED = DeliveryState.QUEUED, DeliveryState.FAILED
_PLACE = "pipeline_logging_id = ? AND step_id = ?"

_Recipient = dict[str, Any]
"""`recipient`, `state`, `tries`, `note` and `tried_at`, microseconds since 1970 UTC."""


def queue(tx: Transaction, pipeline_logging_id: str, step_id: str, message: Mail | SlackMessage) -> None:
    """Store what a step tells people, once: whoever did the step again tells the same."""
    fresh = [
        {"recipient": recipient, "state": _QUEUED, "tries": 0, "note": "", "tried_at": None}
        for recipient in message.recipients
    ]
    tx.execute(
        "INSERT INTO deliveries"
        " (pipeline_logging_id, step_id, tenant_id, channel, severity, content, recipients, queued_at, due_at)"
        " SELECT pipeline_logging_id, CAST(? AS TEXT), tenant_id, CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT),"
        " CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS BIGINT)"
        " FROM runs WHERE pipeline_logging_id = ? ON CONFLICT DO NOTHING",
        (
            step_id,
            message.channel,
            message.severity,
            message.model_dump_json(),
            json.dumps(fresh),
            tx.now,
            tx.now,
            pipeline_logging_id,
        ),
    )


def is_due(tx: Transaction, channel: Channel, skip: Sequence[str]) -> bool:
    """Whether a claim could find something."""
    return _due(tx, channel, skip, "") is not None


def claim(
    tx: Transaction, worker_id: str, channel: Channel, skip: Sequence[str], lease_micros: int
) -> DeliveryClaim | None:
    """Claim the message that is due longest."""
    due = _due(tx, channel, skip, tx.skip_locked)
    if due is None:
        return None
    row = found(
        tx.execute(
            f"UPDATE deliveries SET due_at = ?, claims = claims + 1, claimed_by = ? WHERE {_PLACE} RETURNING *",
            (tx.now + lease_micros, worker_id, due["pipeline_logging_id"], due["step_id"]),
        ).fetchone()
    )
    return DeliveryClaim(
        row["tenant_id"],
        row["pipeline_logging_id"],
        row["step_id"],
        Channel(row["channel"]),
        row["claims"],
        row["content"],
        from_micros(row["queued_at"]),
        tuple(each["recipient"] for each in _recipients(row) if each["state"] == _QUEUED),
        row["tries"],
    )


def _due(tx: Transaction, channel: Channel, skip: Sequence[str], lock_as: str) -> Row | None:
    """Which message it is: SQLite's index has all of that, however many messages are passed over."""
    others = f" AND tenant_id NOT IN {marks(skip)}" if skip else ""
    return tx.execute(
        f"SELECT pipeline_logging_id, step_id FROM deliveries WHERE due_at <= ? AND channel = ?{others}"
        f" ORDER BY due_at LIMIT 1{lock_as}",
        (tx.now, channel, *skip),
    ).fetchone()


def record(
    tx: Transaction, claimed: DeliveryClaim, outcomes: Mapping[str, Outcome], pause_micros: int
) -> list[Delivery]:
    """Record a try, unless the message is another worker's by now."""
    row = tx.execute(
        f"SELECT * FROM deliveries WHERE {_PLACE} AND claims = ? AND due_at IS NOT NULL{tx.for_update}", _key(claimed)
    ).fetchone()
    if row is None:
        return []
    gives_up = tx.now >= row["queued_at"] + _GIVE_UP_MICROS
    recipients = [
        _tried(each, outcomes[each["recipient"]], tx.now, gives_up=gives_up) if each["recipient"] in outcomes else each
        for each in _recipients(row)
    ]
    is_open = any(each["state"] == _QUEUED for each in recipients)
    # At least one more try at the very end.
    due_at = min(tx.now + pause_micros, max(tx.now, row["queued_at"] + _GIVE_UP_MICROS)) if is_open else None
    updated = tx.execute(
        "UPDATE deliveries SET recipients = ?, tries = tries + 1, due_at = ?, content = ?, claimed_by = ''"
        f" WHERE {_PLACE} RETURNING *",
        (
            json.dumps(recipients),
            due_at,
            row["content"] if is_open else None,
            row["pipeline_logging_id"],
            row["step_id"],
        ),
    ).fetchone()
    return [item for item in _deliveries(updated) if item.recipient in outcomes] if updated else []


def _tried(before: _Recipient, outcome: Outcome, now: int, *, gives_up: bool) -> _Recipient:
    state, note = outcome.state, outcome.note
    if state is _QUEUED and gives_up:
        state, note = _FAILED, f"given up after {GIVE_UP_SECONDS / 3_600:g} hours: {note}"
    return {**before, "state": state, "note": note, "tries": before["tries"] + 1, "tried_at": now}


def release(tx: Transaction, worker_id: str) -> None:
    """What a worker has claimed that has ended is due at once."""
    tx.execute("UPDATE deliveries SET due_at = ?, claimed_by = '' WHERE claimed_by = ?", (tx.now, worker_id))


def with_deliveries(tx: Transaction, run: Run) -> Run:
    """The run with what its steps have told people, in the order in which they did."""
    rows = tx.execute(
        "SELECT * FROM deliveries WHERE pipeline_logging_id = ? ORDER BY queued_at, step_id", (run.pipeline_logging_id,)
    )
    return run.model_copy(update={"deliveries": tuple(item for row in rows for item in _deliveries(row))})


def _key(claimed: DeliveryClaim) -> tuple[str, str, int]:
    return claimed.pipeline_logging_id, claimed.step_id, claimed.number


def _recipients(row: Row) -> list[_Recipient]:
    recipients: list[_Recipient] = json.loads(row["recipients"])
    return recipients


def _deliveries(row: Row) -> list[Delivery]:
    return [
        Delivery(
            step_id=row["step_id"],
            message_id=message_id(row["pipeline_logging_id"], row["step_id"]),
            channel=Channel(row["channel"]),
            severity=row["severity"],
            recipient=each["recipient"],
            state=DeliveryState(each["state"]),
            tries=each["tries"],
            note=each["note"],
            queued_at=from_micros(row["queued_at"]),
            tried_at=moment(each["tried_at"]),
            next_try_at=moment(row["due_at"]) if each["state"] == _QUEUED else None,
        )
        for each in _recipients(row)
    ]
