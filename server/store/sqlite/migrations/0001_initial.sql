-- Times are microseconds since 1970 UTC, JSON is text.

CREATE TABLE tenants (
    tenant_id       TEXT PRIMARY KEY,
    display_name    TEXT NOT NULL,
    state           TEXT NOT NULL,
    location        TEXT NOT NULL,
    contact_emails  TEXT NOT NULL,
    allowed_sources TEXT NOT NULL,
    onboarding_run  TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL
) STRICT;

CREATE TABLE api_keys (
    key_id       TEXT PRIMARY KEY,
    tenant_id    TEXT,
    name         TEXT NOT NULL,
    scopes       TEXT NOT NULL,
    digest       BLOB NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    last_used_at INTEGER,
    revoked_at   INTEGER
) STRICT;
CREATE INDEX api_keys_of_tenant ON api_keys (tenant_id, created_at);

-- Beside the runs and not in them: lists of runs need not read it.
CREATE TABLE snapshots (
    pipeline_logging_id TEXT PRIMARY KEY,
    body                TEXT NOT NULL
) STRICT;

CREATE TABLE runs (
    pipeline_logging_id TEXT PRIMARY KEY,
    tenant_id           TEXT NOT NULL,
    pipeline_id         TEXT NOT NULL,
    provider            TEXT NOT NULL,
    domain              TEXT NOT NULL,
    template_name       TEXT NOT NULL,
    status              TEXT NOT NULL,
    trigger_kind        TEXT NOT NULL,
    run_date            TEXT NOT NULL,
    variables           TEXT NOT NULL,
    config_hash         TEXT NOT NULL,
    created_at          INTEGER NOT NULL,
    started_at          INTEGER,
    finished_at         INTEGER,
    cancel_requested_at INTEGER,
    error_message       TEXT NOT NULL DEFAULT '',
    failed_step         TEXT NOT NULL DEFAULT '',
    created_by          TEXT NOT NULL,
    rows_processed      INTEGER NOT NULL DEFAULT 0,
    last_sequence       INTEGER NOT NULL DEFAULT 0,
    lease_worker        TEXT NOT NULL DEFAULT '',
    lease_epoch         INTEGER NOT NULL DEFAULT 0,
    lease_until         INTEGER NOT NULL DEFAULT 0,
    leases_lost         INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX runs_newest ON runs (created_at DESC, pipeline_logging_id DESC);
CREATE INDEX runs_of_tenant ON runs (tenant_id, created_at DESC, pipeline_logging_id DESC);
-- The queue and the leases: their size follows what is active, not what has been.
CREATE INDEX runs_waiting ON runs (tenant_id, created_at, pipeline_logging_id) WHERE status = 'PENDING';
CREATE INDEX runs_active ON runs (tenant_id, lease_until) WHERE status IN ('RUNNING', 'CANCELLING');

CREATE TABLE steps (
    pipeline_logging_id TEXT NOT NULL,
    position            INTEGER NOT NULL,
    step_id             TEXT NOT NULL,
    body                TEXT NOT NULL,
    PRIMARY KEY (pipeline_logging_id, step_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    pipeline_logging_id TEXT NOT NULL,
    sequence            INTEGER NOT NULL,
    time                INTEGER NOT NULL,
    body                TEXT NOT NULL,
    PRIMARY KEY (pipeline_logging_id, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE requests (
    tenant_id           TEXT NOT NULL,
    method              TEXT NOT NULL,
    request_id          TEXT NOT NULL,
    content_hash        TEXT NOT NULL,
    pipeline_logging_id TEXT NOT NULL,
    created_at          INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, method, request_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE outbox (
    number    INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id TEXT NOT NULL,
    kind      TEXT NOT NULL,
    key       TEXT NOT NULL
) STRICT;
CREATE INDEX outbox_of_tenant ON outbox (tenant_id, number);
