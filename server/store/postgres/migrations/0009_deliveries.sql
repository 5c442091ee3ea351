-- works with: 1
-- What steps tell people, until it has arrived: content is NULL when there is nothing more to send, and due_at too.
CREATE TABLE deliveries (
    pipeline_logging_id TEXT COLLATE "C" NOT NULL,
    step_id             TEXT COLLATE "C" NOT NULL,
    tenant_id           TEXT COLLATE "C" NOT NULL,
    channel             TEXT NOT NULL,
    severity            TEXT NOT NULL,
    content             TEXT,
    recipients          TEXT NOT NULL,
    tries               BIGINT NOT NULL DEFAULT 0,
    claims              BIGINT NOT NULL DEFAULT 0,
    claimed_by          TEXT NOT NULL DEFAULT '',
    queued_at           BIGINT NOT NULL,
    due_at              BIGINT,
    PRIMARY KEY (pipeline_logging_id, step_id)
);
CREATE INDEX deliveries_due ON deliveries (channel, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX deliveries_claimed ON deliveries (claimed_by) WHERE claimed_by != '';
