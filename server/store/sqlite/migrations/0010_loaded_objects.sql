-- works with: 4
-- What the tenants' tables were loaded from; loaded_at is NULL until it is known that the load was committed.
CREATE TABLE loaded_objects (
    tenant_id           TEXT NOT NULL,
    table_name          TEXT NOT NULL,
    partition_day       TEXT NOT NULL,
    uri                 TEXT NOT NULL,
    effect_id           TEXT NOT NULL,
    etag                TEXT NOT NULL,
    size                INTEGER NOT NULL,
    row_count           INTEGER NOT NULL,
    write_mode          TEXT NOT NULL,
    pipeline_logging_id TEXT NOT NULL,
    step_id             TEXT NOT NULL,
    loaded_at           INTEGER,
    PRIMARY KEY (tenant_id, table_name, partition_day, uri, effect_id)
);
CREATE INDEX loaded_objects_of_effect ON loaded_objects (effect_id);
CREATE INDEX loaded_objects_begun ON loaded_objects (tenant_id, table_name) WHERE loaded_at IS NULL;
