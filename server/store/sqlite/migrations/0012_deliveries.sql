-- works with: 4
-- What steps tell people, until it has arrived: content is NULL when there is nothing more to send, and due_at too.
CREATE TABLE deliveries (
    pipeline_logging_id TEXT NOT NULL,
    step_id             TEXT NOT NULL,
    tenant_id           TEXT NOT NULL,
    channel             TEXT NOT NULL,
    severity            TEXT NOT NULL,
    content             TEXT,
    recipients          TEXT NOT NULL,
    tries               INTEGER NOT NULL DEFAULT 0,
    claims              INTEGER NOT NULL DEFAULT 0,
    claimed_by          TEXT NOT NULL DEFAULT '',
    queued_at           INTEGER NOT NULL,
    due_at              INTEGER,
    PRIMARY KEY (pipeline_logging_id, step_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_due ON deliveries (channel, due_at, tenant_id) WHERE due_at IS NOT NULL;
CREATE INDEX deliveries_claimed ON deliveries (claimed_by) WHERE claimed_by != '';
