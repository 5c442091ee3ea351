-- works with: 4
-- The trace that the run belongs to, as W3C's header of that name has it; NULL while nothing is traced.
ALTER TABLE snapshots ADD COLUMN traceparent TEXT;
