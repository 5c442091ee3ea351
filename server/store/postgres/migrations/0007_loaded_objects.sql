-- works with: 1
-- What the tenants' tables were loaded from; loaded_at is NULL until it is known that the load was committed.
CREATE TABLE loaded_objects (
    tenant_id           TEXT COLLATE "C" NOT NULL,
    table_name          TEXT COLLATE "C" NOT NULL,
    partition_day       TEXT COLLATE "C" NOT NULL,
    uri                 TEXT COLLATE "C" NOT NULL,
    effect_id           TEXT COLLATE "C" NOT NULL,
    etag                TEXT NOT NULL,
    size                BIGINT NOT NULL,
    row_count           BIGINT NOT NULL,
    write_mode          TEXT NOT NULL,
    pipeline_logging_id TEXT COLLATE "C" NOT NULL,
    step_id             TEXT COLLATE "C" NOT NULL,
    loaded_at           BIGINT,
    PRIMARY KEY (tenant_id, table_name, partition_day, uri, effect_id)
);
CREATE INDEX loaded_objects_of_effect ON loaded_objects (effect_id);
CREATE INDEX loaded_objects_begun ON loaded_objects (tenant_id, table_name) WHERE loaded_at IS NULL;
