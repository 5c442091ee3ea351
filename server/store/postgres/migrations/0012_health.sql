-- works with: 1
-- When a record was changed whose row in the x_meta_ tables is out of date; 0 where an older version did not say.
ALTER TABLE outbox ADD COLUMN noted_at BIGINT NOT NULL DEFAULT 0;

-- What workers tell of themselves.
CREATE TABLE workers (
    worker_id       TEXT PRIMARY KEY,
    version         TEXT NOT NULL,
    places          INTEGER NOT NULL,
    running         INTEGER NOT NULL,
    warehouse_fault TEXT NOT NULL,
    started_at      BIGINT NOT NULL,
    seen_at         BIGINT NOT NULL
);
