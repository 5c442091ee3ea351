-- Times are microseconds since 1970 UTC, JSON is text. Ids are compared byte by byte, as their keysets need it.

CREATE TABLE tenants (
    tenant_id       TEXT COLLATE "C" PRIMARY KEY,
    display_name    TEXT NOT NULL,
    state           TEXT NOT NULL,
    location        TEXT NOT NULL,
    contact_emails  TEXT NOT NULL,
    allowed_sources TEXT NOT NULL,
    plan            TEXT NOT NULL,
    quotas          TEXT NOT NULL,
    onboarding_run  TEXT NOT NULL,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL
);

CREATE TABLE api_keys (
    key_id       TEXT COLLATE "C" PRIMARY KEY,
    tenant_id    TEXT COLLATE "C",
    name         TEXT NOT NULL,
    scopes       TEXT NOT NULL,
    digest       BYTEA NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,
    last_used_at BIGINT,
    revoked_at   BIGINT
);
CREATE INDEX api_keys_of_tenant ON api_keys (tenant_id, created_at);

-- Beside the runs and not in them: lists of runs need not read it.
CREATE TABLE snapshots (
    pipeline_logging_id TEXT COLLATE "C" PRIMARY KEY,
    body                TEXT NOT NULL
);

CREATE TABLE runs (
    pipeline_logging_id TEXT COLLATE "C" PRIMARY KEY,
    tenant_id           TEXT COLLATE "C" NOT NULL,
    pipeline_id         TEXT NOT NULL,
    provider            TEXT NOT NULL,
    domain              TEXT NOT NULL,
    template_name       TEXT NOT NULL,
    kind                TEXT NOT NULL,
    status              TEXT NOT NULL,
    trigger_kind        TEXT NOT NULL,
    run_date            TEXT NOT NULL,
    variables           TEXT NOT NULL,
    config_hash         TEXT NOT NULL,
    created_by          TEXT NOT NULL,
    retry_of            TEXT COLLATE "C" NOT NULL DEFAULT '',
    created_at          BIGINT NOT NULL,
    started_at          BIGINT,
    finished_at         BIGINT,
    cancel_requested_at BIGINT,
    error_message       TEXT NOT NULL DEFAULT '',
    failed_step         TEXT NOT NULL DEFAULT '',
    rows_processed      BIGINT NOT NULL DEFAULT 0,
    plan                TEXT,
    last_sequence       BIGINT NOT NULL DEFAULT 0,
    lease_worker        TEXT NOT NULL DEFAULT '',
    lease_epoch         BIGINT NOT NULL DEFAULT 0,
    lease_until         BIGINT NOT NULL DEFAULT 0,
    leases_lost         INTEGER NOT NULL DEFAULT 0
) WITH (fillfactor = 70);
CREATE INDEX runs_newest ON runs (created_at DESC, pipeline_logging_id DESC);
CREATE INDEX runs_of_tenant ON runs (tenant_id, created_at DESC, pipeline_logging_id DESC);
-- The queue and the leases: their size follows what is active, not what has been.
CREATE INDEX runs_waiting ON runs (tenant_id, created_at, pipeline_logging_id) WHERE status = 'PENDING';
-- Without lease_until, so that renewing a lease touches no index.
CREATE INDEX runs_active ON runs (tenant_id) WHERE status IN ('RUNNING', 'CANCELLING');
CREATE UNIQUE INDEX runs_retried ON runs (retry_of) WHERE retry_of != '';
CREATE INDEX runs_ended ON runs (finished_at, pipeline_logging_id) WHERE finished_at IS NOT NULL;

CREATE TABLE steps (
    pipeline_logging_id TEXT COLLATE "C" NOT NULL,
    position            INTEGER NOT NULL,
    step_id             TEXT NOT NULL,
    body                TEXT NOT NULL,
    PRIMARY KEY (pipeline_logging_id, step_id)
) WITH (fillfactor = 70);

CREATE TABLE events (
    pipeline_logging_id TEXT COLLATE "C" NOT NULL,
    sequence            BIGINT NOT NULL,
    time                BIGINT NOT NULL,
    body                TEXT NOT NULL,
    PRIMARY KEY (pipeline_logging_id, sequence)
);

CREATE TABLE requests (
    tenant_id           TEXT COLLATE "C" NOT NULL,
    method              TEXT NOT NULL,
    request_id          TEXT NOT NULL,
    content_hash        TEXT NOT NULL,
    pipeline_logging_id TEXT NOT NULL,
    created_at          BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, method, request_id)
);

CREATE TABLE outbox (
    number    BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id TEXT COLLATE "C" NOT NULL,
    kind      TEXT NOT NULL,
    key       TEXT NOT NULL
);
CREATE INDEX outbox_of_tenant ON outbox (tenant_id, number);

-- How many runs of a tenant wait and are active, kept with every change of a run's status: a claim looks at tenants and
-- not at runs, whatever the length of their queues.
CREATE TABLE queues (
    tenant_id  TEXT COLLATE "C" PRIMARY KEY,
    pending    BIGINT NOT NULL DEFAULT 0,
    active     BIGINT NOT NULL DEFAULT 0,
    claimed_at BIGINT NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
CREATE INDEX queues_waiting ON queues (active, claimed_at, tenant_id) WHERE pending > 0;

-- What a tenant has used in a day (2025-11-18) or a month (2025-11) of UTC.
CREATE TABLE usage (
    tenant_id    TEXT COLLATE "C" NOT NULL,
    period       TEXT NOT NULL,
    runs         BIGINT NOT NULL DEFAULT 0,
    bytes_billed BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, period)
) WITH (fillfactor = 50);

-- Calls that servers have taken from a tenant's allowance of this minute (since 1970).
CREATE TABLE request_rates (
    tenant_id TEXT COLLATE "C" PRIMARY KEY,
    minute    BIGINT NOT NULL,
    taken     BIGINT NOT NULL
) WITH (fillfactor = 50);

-- Which worker copies a tenant's records into its x_meta_ tables, until when, how often it has begun to, and
-- up to which of these times nothing of its writes is under way any more.
CREATE TABLE mirrors (
    tenant_id   TEXT COLLATE "C" PRIMARY KEY,
    worker_id   TEXT NOT NULL,
    lease_until BIGINT NOT NULL,
    flushes     BIGINT NOT NULL,
    settled     BIGINT NOT NULL DEFAULT 0
);

-- What all servers of this store must agree on.
CREATE TABLE facts (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- What belongs to a run is removed with it.
CREATE INDEX requests_of_run ON requests (pipeline_logging_id);
CREATE INDEX outbox_of_record ON outbox (key);
