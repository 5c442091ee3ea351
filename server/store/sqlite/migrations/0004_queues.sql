-- How many runs of a tenant wait and are active, kept with every change of a run's status: a claim looks at tenants and
-- not at runs, whatever the length of their queues.
CREATE TABLE queues (
    tenant_id  TEXT PRIMARY KEY,
    pending    INTEGER NOT NULL DEFAULT 0,
    active     INTEGER NOT NULL DEFAULT 0,
    claimed_at INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX queues_waiting ON queues (active, claimed_at, tenant_id) WHERE pending > 0;
INSERT INTO queues (tenant_id, pending, active)
    SELECT tenant_id, SUM(status = 'PENDING'), SUM(status IN ('RUNNING', 'CANCELLING')) FROM runs GROUP BY tenant_id;

-- What a tenant has used in a day (2025-11-18) or a month (2025-11) of UTC.
CREATE TABLE usage (
    tenant_id    TEXT NOT NULL,
    period       TEXT NOT NULL,
    runs         INTEGER NOT NULL DEFAULT 0,
    bytes_billed INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, period)
) STRICT, WITHOUT ROWID;

-- Calls that servers have taken from a tenant's allowance of this minute (since 1970).
CREATE TABLE request_rates (
    tenant_id TEXT PRIMARY KEY,
    minute    INTEGER NOT NULL,
    taken     INTEGER NOT NULL
) STRICT;

-- Which worker copies a tenant's records into its x_meta_ tables, until when, how often it has begun to, and
-- up to which of these times nothing of its writes is under way any more.
CREATE TABLE mirrors (
    tenant_id   TEXT PRIMARY KEY,
    worker_id   TEXT NOT NULL,
    lease_until INTEGER NOT NULL,
    flushes     INTEGER NOT NULL,
    settled     INTEGER NOT NULL DEFAULT 0
) STRICT;

ALTER TABLE tenants ADD COLUMN plan TEXT NOT NULL DEFAULT '';
ALTER TABLE tenants ADD COLUMN quotas TEXT NOT NULL DEFAULT '{}';
UPDATE tenants SET quotas = json_object('maximum_bytes_billed', maximum_bytes_billed)
    WHERE maximum_bytes_billed IS NOT NULL;
ALTER TABLE tenants DROP COLUMN maximum_bytes_billed;

ALTER TABLE runs ADD COLUMN retry_of TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX runs_retried ON runs (retry_of) WHERE retry_of != '';
CREATE INDEX runs_ended ON runs (finished_at, pipeline_logging_id) WHERE finished_at IS NOT NULL;

DROP INDEX runs_active;
CREATE INDEX runs_active ON runs (lease_until) WHERE status IN ('RUNNING', 'CANCELLING');

-- What all servers of this store must agree on.
CREATE TABLE facts (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- What belongs to a run is removed with it.
CREATE INDEX requests_of_run ON requests (pipeline_logging_id);
CREATE INDEX outbox_of_record ON outbox (key);
