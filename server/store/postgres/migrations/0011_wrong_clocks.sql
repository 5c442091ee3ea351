-- works with: 1
-- When it was found out when the schedule fires next: a time that is still to come was wrong.
ALTER TABLE schedules ADD COLUMN moved_at BIGINT NOT NULL DEFAULT 0;
UPDATE schedules
SET moved_at = COALESCE(
    (
        SELECT MAX(fired_at) FROM scheduled_runs
        WHERE scheduled_runs.tenant_id = schedules.tenant_id AND scheduled_runs.schedule_id = schedules.schedule_id
    ),
    created_at
);
CREATE INDEX schedules_moved ON schedules (moved_at);
