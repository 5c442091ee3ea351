"""Runs as clients see them: accept, read, cancel."""

import json
from collections.abc import Sequence

from server.domain.audit import Actor, AuditAction
from server.domain.pipeline import RunSnapshot
from server.domain.quotas import Plans
from server.domain.retries import continued
from server.domain.run import LogEntry, Run, RunEvent, RunKind, RunStatus, RunTrigger, StepRun, StepStatus
from server.store.port import (
    EVENT_CHARACTERS,
    AlreadyRetried,
    NewRun,
    OriginGone,
    QueueState,
    RequestConflict,
    RequestKey,
)
from server.store.sql import audit
from server.store.sql.database import Row, Transaction, found, marks
from server.store.sql.offboarded import require_not_gone
from server.store.sql.outbox import note, note_many
from server.store.sql.queues import admit, lock, move
from server.store.sql.rows import event_body, event_of, moment, run_of, snapshot_of

_NEXT = "last_sequence = last_sequence + 1"


def accept(tx: Transaction, new: NewRun, plans: Plans) -> Run:
    """Store a run with everything that belongs to it, or find the one that the same request made.

    Raises:
        RequestConflict, TenantGone, QuotaExceeded, AlreadyRetried, OriginGone.
    """
    if new.request is not None and not take_request(tx, new.request, new.pipeline_logging_id):
        return found_run(find_request(tx, new.request))
    admit(tx, new, plans)
    # Whoever asked before the tenant was offboarded may come here after it; what the product itself starts ends it.
    if new.trigger is not RunTrigger.SYSTEM:
        require_not_gone(tx, new.tenant_id)
    row, steps = _insert_run(tx, new), _first_steps(tx, new)
    tx.executemany(
        "INSERT INTO steps (pipeline_logging_id, position, step_id, body) VALUES (?, ?, ?, ?)",
        [
            (new.pipeline_logging_id, position, step.step_id, step.model_dump_json())
            for position, step in enumerate(steps)
        ],
    )
    run = run_of(row, steps)
    _insert_event(tx, run.pipeline_logging_id, row["last_sequence"], run)
    if run.kind is RunKind.EXECUTE:
        projected = [("step", f"{run.pipeline_logging_id}/{step.step_id}") for step in steps]
        note_many(tx, run.tenant_id, [("run", run.pipeline_logging_id), *projected])
    return run


def take_request(tx: Transaction, request: RequestKey, made: str) -> bool:
    """Whether nobody has used the request's id yet; whoever uses it at this moment is waited for.

    `made` is the id of what the request makes: a run, for most.
    """
    return bool(
        tx.execute(
            """
            INSERT INTO requests (tenant_id, method, request_id, content_hash, pipeline_logging_id, created_at)
            VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
            """,
            (
                request.tenant_id,
                request.method,
                request.request_id,
                request.content_hash,
                made,
                tx.now,
            ),
        ).rowcount
    )


def remember(tx: Transaction, request: RequestKey) -> None:
    """Note a request that makes no run of its own. Raises RequestConflict."""
    if not take_request(tx, request, ""):
        requested(tx, request)


def _first_steps(tx: Transaction, new: NewRun) -> list[StepRun]:
    """The steps as they begin: those that succeeded in the run that is retried are done."""
    fresh = [StepRun(step_id=step.step_id, name=step.name, ps_type=step.ps_type) for step in new.snapshot.steps]
    if not new.retry_of:
        return fresh
    # Nobody removes it while its steps are taken over.
    origin = tx.execute(f"SELECT 1 FROM runs WHERE pipeline_logging_id = ?{tx.for_update}", (new.retry_of,)).fetchone()
    if origin is None:
        raise OriginGone(new.retry_of)
    return continued(fresh, stored_steps(tx, new.retry_of), new.retry_of)


def _insert_run(tx: Transaction, new: NewRun) -> Row:
    body = new.snapshot.model_dump_json(exclude_defaults=True)
    tx.execute(
        "INSERT INTO snapshots (pipeline_logging_id, body, traceparent) VALUES (?, ?, ?)",
        (new.pipeline_logging_id, body, new.traceparent or None),
    )
    row = tx.execute(
        """
        INSERT INTO runs (pipeline_logging_id, tenant_id, pipeline_id, provider, domain, template_name, status,
                          trigger_kind, run_date, variables, config_hash, created_by, created_at, kind, retry_of,
                          schedule_id, backfill_id, last_sequence)
        VALUES (?, ?, ?, ?, ?, ?, 'PENDING', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)
        ON CONFLICT DO NOTHING RETURNING *
        """,
        (
            new.pipeline_logging_id,
            new.tenant_id,
            new.pipeline_id,
            new.name.provider,
            new.name.domain,
            new.name.template_name,
            new.trigger,
            new.date,
            json.dumps(new.variables),
            new.config_hash,
            new.by.key_id,
            tx.now,
            new.kind,
            new.retry_of,
            new.schedule_id,
            new.backfill_id,
        ),
    ).fetchone()
    if row is None:
        raise AlreadyRetried(new.retry_of)
    told = {"kind": new.kind, "pipeline": str(new.name), "trigger": new.trigger}
    audit.record(tx, new.by, AuditAction.RUN_ACCEPT, new.pipeline_logging_id, tenant_id=new.tenant_id, details=told)
    return row


def find_request(tx: Transaction, request: RequestKey) -> Run | None:
    """The run of an earlier request with the same id; another content is a conflict."""
    run_id = requested(tx, request)
    return None if run_id is None else stored_run(tx, run_id)


def requested(tx: Transaction, request: RequestKey) -> str | None:
    """The id of what an earlier request with the same id has made, or None. Raises RequestConflict."""
    row = tx.execute(
        "SELECT content_hash, pipeline_logging_id FROM requests WHERE tenant_id = ? AND method = ? AND request_id = ?",
        (request.tenant_id, request.method, request.request_id),
    ).fetchone()
    if row is None:
        return None
    if row["content_hash"] != request.content_hash:
        raise RequestConflict(request.request_id)
    return str(row["pipeline_logging_id"])


def found_run(run: Run | None) -> Run:
    """A run that is known to be there."""
    if run is None:
        raise LookupError("a run that the store relies on is missing")
    return run


def find_run(tx: Transaction, pipeline_logging_id: str) -> Run | None:
    """The run with its steps."""
    row = tx.execute("SELECT * FROM runs WHERE pipeline_logging_id = ?", (pipeline_logging_id,)).fetchone()
    return None if row is None else run_of(row, stored_steps(tx, pipeline_logging_id))


def find_snapshot(tx: Transaction, pipeline_logging_id: str) -> RunSnapshot | None:
    """What the run was accepted with."""
    row = tx.execute("SELECT body FROM snapshots WHERE pipeline_logging_id = ?", (pipeline_logging_id,)).fetchone()
    return None if row is None else snapshot_of(row["body"])


def stored_run(tx: Transaction, pipeline_logging_id: str) -> Run:
    """A run that is known to be there, with its steps."""
    return found_run(find_run(tx, pipeline_logging_id))


def stored_steps(tx: Transaction, pipeline_logging_id: str) -> list[StepRun]:
    """The steps of a run in file order."""
    rows = tx.execute("SELECT body FROM steps WHERE pipeline_logging_id = ? ORDER BY position", (pipeline_logging_id,))
    return [StepRun.model_validate_json(row["body"]) for row in rows]


def request_cancel(tx: Transaction, pipeline_logging_id: str, by: Actor) -> Run | None:
    """A waiting run ends here and now; a running one is told to."""
    run = find_run(tx, pipeline_logging_id)
    if run is None or run.status.is_terminal:
        return run
    lock(tx, run.tenant_id)
    run = locked_run(tx, pipeline_logging_id)
    if run.status in {RunStatus.RUNNING, RunStatus.PENDING}:
        audit.record(tx, by, AuditAction.RUN_CANCEL, pipeline_logging_id, tenant_id=run.tenant_id)
    if run.status is RunStatus.RUNNING:
        return change(tx, pipeline_logging_id, "status = 'CANCELLING', cancel_requested_at = ?", (tx.now,))
    return _cancel_waiting(tx, run) if run.status is RunStatus.PENDING else run


def _cancel_waiting(tx: Transaction, run: Run) -> Run:
    message = "cancelled before it started"
    end_open_steps(tx, run, StepStatus.CANCELLED, message)
    move(tx, run.tenant_id, pending=-1)
    assignments = "status = 'CANCELLED', cancel_requested_at = ?, finished_at = ?, error_message = ?"
    return change(tx, run.pipeline_logging_id, assignments, (tx.now, tx.now, message))


def locked_run(tx: Transaction, pipeline_logging_id: str) -> Run:
    """The run as nobody else can change it before this transaction ends."""
    tx.execute(f"SELECT 1 FROM runs WHERE pipeline_logging_id = ?{tx.for_update}", (pipeline_logging_id,)).fetchone()
    return stored_run(tx, pipeline_logging_id)


def end_open_steps(tx: Transaction, run: Run, status: StepStatus, message: str) -> None:
    """No step of a run that has ended is still to come."""
    for step in run.steps:
        if step.status is StepStatus.PENDING:
            store_step(tx, run.pipeline_logging_id, ended(tx, step, status, message))


def ended(tx: Transaction, step: StepRun, status: StepStatus, message: str) -> StepRun:
    """The step as it ends at this moment."""
    return step.model_copy(update={"status": status, "finished_at": moment(tx.now), "error_message": message})


def store_step(tx: Transaction, pipeline_logging_id: str, step: StepRun) -> StepRun:
    """Replace a step's record, and tell watchers and mirror."""
    tx.execute(
        "UPDATE steps SET body = ? WHERE pipeline_logging_id = ? AND step_id = ?",
        (step.model_dump_json(), pipeline_logging_id, step.step_id),
    )
    note_run(tx, add_event(tx, pipeline_logging_id, step), step.step_id)
    return step


def change(tx: Transaction, pipeline_logging_id: str, assignments: str, values: Sequence[object]) -> Run:
    """Change a run, and tell watchers and mirror of it; `assignments` are those of an UPDATE, and no one else's."""
    statement = f"UPDATE runs SET {assignments}, {_NEXT} WHERE pipeline_logging_id = ? RETURNING *"
    row = found(tx.execute(statement, (*values, pipeline_logging_id)).fetchone())
    run = run_of(row)
    # Watchers know the steps from the first event and from the steps' own.
    _insert_event(tx, pipeline_logging_id, row["last_sequence"], run)
    note_run(tx, row)
    return run.model_copy(update={"steps": tuple(stored_steps(tx, pipeline_logging_id))})


def add_event(tx: Transaction, pipeline_logging_id: str, content: Run | StepRun | LogEntry) -> Row:
    """Append an event under the run's next number; answers what `note_run` has to know of the run."""
    statement = (
        f"UPDATE runs SET {_NEXT} WHERE pipeline_logging_id = ?"
        " RETURNING last_sequence, pipeline_logging_id, tenant_id, kind"
    )
    row = found(tx.execute(statement, (pipeline_logging_id,)).fetchone())
    _insert_event(tx, pipeline_logging_id, row["last_sequence"], content)
    return row


def _insert_event(tx: Transaction, pipeline_logging_id: str, sequence: int, content: Run | StepRun | LogEntry) -> None:
    tx.execute(
        "INSERT INTO events (pipeline_logging_id, sequence, time, body) VALUES (?, ?, ?, ?)",
        (pipeline_logging_id, sequence, tx.now, event_body(content)),
    )


def events(tx: Transaction, pipeline_logging_id: str, after: int, limit: int) -> list[RunEvent]:
    """Events above `after`, in order, as many as are asked for and fit."""
    rows = tx.execute(
        """
        SELECT * FROM (
            SELECT few.*, SUM(LENGTH(body)) OVER (ORDER BY sequence) - LENGTH(body) AS before
            FROM (SELECT * FROM events WHERE pipeline_logging_id = ? AND sequence > ? ORDER BY sequence LIMIT ?) AS few
        ) AS piece WHERE before < ? ORDER BY sequence
        """,
        (pipeline_logging_id, after, limit, EVENT_CHARACTERS),
    )
    return [event_of(row) for row in rows]


def last_sequences(tx: Transaction, pipeline_logging_ids: Sequence[str]) -> dict[str, int]:
    """The number of the latest event of each run."""
    wanted = f"pipeline_logging_id IN {marks(pipeline_logging_ids)}"
    rows = tx.execute(f"SELECT pipeline_logging_id, last_sequence FROM runs WHERE {wanted}", pipeline_logging_ids)
    return {row["pipeline_logging_id"]: row["last_sequence"] for row in rows}


def note_run(tx: Transaction, run: Row, step_id: str = "") -> None:
    """Leave a note that a run's projection, or that of one of its steps, is out of date; plans have none."""
    if run["kind"] == RunKind.EXECUTE:
        run_id = run["pipeline_logging_id"]
        note(tx, run["tenant_id"], "step" if step_id else "run", f"{run_id}/{step_id}" if step_id else run_id)


def queue_states(tx: Transaction, pipeline_logging_ids: Sequence[str]) -> list[QueueState]:
    """The runs with those ids, as the mirror needs them."""
    rows = tx.execute(
        f"SELECT * FROM runs WHERE pipeline_logging_id IN {marks(pipeline_logging_ids)}", pipeline_logging_ids
    ).fetchall()
    return [QueueState(run_of(row, stored_steps(tx, row["pipeline_logging_id"])), row["lease_worker"]) for row in rows]
