-- works with: 1
-- What steps found out about the quality of data. A worker of an older version that runs beside drops what it finds of it
-- in the outbox: `convergence admin mirror rebuild TENANT` brings it back.
CREATE TABLE data_quality_results (
    pipeline_logging_id TEXT COLLATE "C" NOT NULL,
    step_id             TEXT COLLATE "C" NOT NULL,
    check_id            TEXT COLLATE "C" NOT NULL,
    tenant_id           TEXT COLLATE "C" NOT NULL,
    table_name          TEXT NOT NULL,
    status              TEXT NOT NULL,
    checked_at          BIGINT NOT NULL,
    place               BIGINT NOT NULL,
    body                TEXT NOT NULL,
    PRIMARY KEY (pipeline_logging_id, step_id, check_id)
);
CREATE INDEX data_quality_newest
    ON data_quality_results (tenant_id, checked_at DESC, pipeline_logging_id DESC, step_id DESC, place DESC);
CREATE INDEX data_quality_of_table
    ON data_quality_results (tenant_id, table_name, checked_at DESC, pipeline_logging_id DESC, step_id DESC, place DESC);
CREATE INDEX data_quality_by_status
    ON data_quality_results (tenant_id, status, checked_at DESC, pipeline_logging_id DESC, step_id DESC, place DESC);
