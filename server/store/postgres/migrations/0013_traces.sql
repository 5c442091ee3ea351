-- works with: 1
-- The trace that the run belongs to, as W3C's header of that name has it; NULL while nothing is traced.
-- It stands here and not in runs: servers of older versions have prepared statements that read all columns of those.
ALTER TABLE snapshots ADD COLUMN traceparent TEXT;
