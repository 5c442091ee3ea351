-- works with: 4
-- Schedules, their ticks, and backfills. Workers of an older version that run beside drop what they find of ticks in the
-- outbox (`convergence admin mirror rebuild TENANT` brings it back), let runs of backfills start like any others, and
-- count no failures of schedules.
ALTER TABLE runs ADD COLUMN schedule_id TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN backfill_id TEXT NOT NULL DEFAULT '';
CREATE INDEX runs_of_schedule ON runs (tenant_id, schedule_id, created_at DESC, pipeline_logging_id DESC)
    WHERE schedule_id != '';
CREATE INDEX runs_of_backfill ON runs (backfill_id, created_at DESC, pipeline_logging_id DESC) WHERE backfill_id != '';
CREATE INDEX runs_of_backfill_by_status ON runs (backfill_id, status) WHERE backfill_id != '';
CREATE INDEX runs_open_of_schedule ON runs (tenant_id, schedule_id)
    WHERE schedule_id != '' AND backfill_id = '' AND status IN ('PENDING', 'RUNNING', 'CANCELLING');
CREATE INDEX runs_waiting_first ON runs (tenant_id) WHERE status = 'PENDING' AND backfill_id = '';
CREATE INDEX runs_of_day ON runs (tenant_id, template_name, run_date);

-- next_tick is the nominal time of the tick to deal with next, due_at when; NULL where the schedule does not fire.
CREATE TABLE schedules (
    tenant_id            TEXT NOT NULL,
    schedule_id          TEXT NOT NULL,
    provider             TEXT NOT NULL,
    domain               TEXT NOT NULL,
    template_name        TEXT NOT NULL,
    settings             TEXT NOT NULL,
    overlap              TEXT NOT NULL,
    end_time             INTEGER,
    is_paused            INTEGER NOT NULL,
    pause_reason         TEXT NOT NULL,
    next_tick            INTEGER,
    due_at               INTEGER,
    missed_ticks         INTEGER NOT NULL DEFAULT 0,
    consecutive_failures INTEGER NOT NULL DEFAULT 0,
    last_run             TEXT NOT NULL DEFAULT '',
    revision             INTEGER NOT NULL DEFAULT 1,
    created_at           INTEGER NOT NULL,
    updated_at           INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, schedule_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX schedules_due ON schedules (due_at) WHERE due_at IS NOT NULL;

-- One row for each time that a schedule was due.
CREATE TABLE scheduled_runs (
    tenant_id           TEXT NOT NULL,
    schedule_id         TEXT NOT NULL,
    nominal_time        INTEGER NOT NULL,
    provider            TEXT NOT NULL,
    domain              TEXT NOT NULL,
    template_name       TEXT NOT NULL,
    fired_at            INTEGER NOT NULL,
    run_date            TEXT NOT NULL,
    outcome             TEXT NOT NULL,
    pipeline_logging_id TEXT NOT NULL DEFAULT '',
    pipeline_id         TEXT NOT NULL DEFAULT '',
    message             TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, schedule_id, nominal_time)
) STRICT, WITHOUT ROWID;
CREATE INDEX scheduled_runs_newest ON scheduled_runs (tenant_id, nominal_time DESC, schedule_id DESC);
CREATE INDEX scheduled_runs_buffered ON scheduled_runs (outcome, tenant_id, schedule_id, nominal_time)
    WHERE outcome = 'BUFFERED';
CREATE INDEX scheduled_runs_fired ON scheduled_runs (fired_at);

-- waiting_runs of its days have no run yet; served_at is when the latest run began.
CREATE TABLE backfills (
    backfill_id     TEXT PRIMARY KEY,
    tenant_id       TEXT NOT NULL,
    tenant_ids      TEXT NOT NULL,
    schedule_id     TEXT NOT NULL,
    settings        TEXT NOT NULL,
    warnings        TEXT NOT NULL,
    state           TEXT NOT NULL,
    reason          TEXT NOT NULL DEFAULT '',
    max_active_runs INTEGER NOT NULL,
    total_runs      INTEGER NOT NULL,
    skipped_days    INTEGER NOT NULL,
    waiting_runs    INTEGER NOT NULL,
    served_at       INTEGER NOT NULL DEFAULT 0,
    created_by      TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    finished_at     INTEGER
) STRICT;
CREATE INDEX backfills_newest ON backfills (created_at DESC, backfill_id DESC);
CREATE INDEX backfills_of_tenant ON backfills (tenant_id, created_at DESC, backfill_id DESC);
CREATE INDEX backfills_open ON backfills (served_at, backfill_id) WHERE finished_at IS NULL;
CREATE INDEX backfills_of_schedule ON backfills (tenant_id, schedule_id)
    WHERE schedule_id != '' AND finished_at IS NULL;
CREATE INDEX backfills_ended ON backfills (finished_at) WHERE finished_at IS NOT NULL;

-- The days of a backfill that have not begun.
CREATE TABLE backfill_days (
    backfill_id TEXT NOT NULL,
    position    INTEGER NOT NULL,
    tenant_id   TEXT NOT NULL,
    run_date    TEXT NOT NULL,
    PRIMARY KEY (backfill_id, position)
) STRICT, WITHOUT ROWID;
