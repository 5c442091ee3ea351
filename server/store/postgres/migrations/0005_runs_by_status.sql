-- works with: 1
-- Lists of the runs in a status cost the same, whatever the length of the history and however rare the status is.
CREATE INDEX runs_by_status ON runs (status, created_at DESC, pipeline_logging_id DESC);
CREATE INDEX runs_of_tenant_by_status ON runs (tenant_id, status, created_at DESC, pipeline_logging_id DESC);
