"""The part of the store that keeps schedules, their ticks and backfills."""

from collections.abc import Collection, Mapping
from datetime import date

from server.domain.audit import Actor
from server.domain.backfill import Backfill, BackfillState, Day
from server.domain.pipeline import PipelineName
from server.domain.quotas import Plans
from server.domain.run import RunStatus
from server.domain.schedule import NewSchedule, Schedule, ScheduleSettings, Tick
from server.store.port import NewRun, RequestKey
from server.store.schedule_port import (
    BackfillFilter,
    BackfillPosition,
    BackfillWork,
    DueSchedules,
    NewBackfill,
    ScheduleFilter,
    SchedulePosition,
    Settlement,
    TickFilter,
    TickPosition,
    TickToFire,
    TickToRecord,
    WaitingDay,
    WaitingTick,
)
from server.store.sql import backfills, firing, schedules, ticks
from server.store.sql.database import Database


class SqlScheduleStore:
    """A ScheduleStore in an SQL database."""

    _db: Database

    @property
    def writes_at_once(self) -> int:
        """See the port."""
        return self._db.writes_at_once

    async def create_schedule(self, new: NewSchedule, *, by: Actor, request: RequestKey | None) -> Schedule:
        """See the port."""
        return await self._db.write(lambda tx: schedules.create(tx, new, by, request))

    async def find_schedule_request(self, request: RequestKey) -> Schedule | None:
        """See the port."""
        return await self._db.read(lambda tx: schedules.find_request(tx, request))

    async def get_schedule(self, tenant_id: str, schedule_id: str) -> Schedule | None:
        """See the port."""
        return await self._db.read(lambda tx: schedules.find(tx, tenant_id, schedule_id))

    async def list_schedules(
        self, wanted: ScheduleFilter, *, after: SchedulePosition | None, limit: int
    ) -> list[Schedule]:
        """See the port."""
        return await self._db.scan(lambda tx: schedules.list_schedules(tx, wanted, after, limit))

    async def update_schedule(self, was: Schedule, settings: ScheduleSettings, *, by: Actor) -> Schedule:
        """See the port."""
        return await self._db.write(lambda tx: schedules.update(tx, was, settings, by))

    async def delete_schedule(self, was: Schedule, *, by: Actor) -> None:
        """See the port."""
        await self._db.write(lambda tx: schedules.delete(tx, was, by))

    async def pause_schedule(self, tenant_id: str, schedule_id: str, reason: str, *, by: Actor) -> Schedule | None:
        """See the port."""
        return await self._db.write(lambda tx: schedules.pause(tx, tenant_id, schedule_id, reason, by))

    async def resume_schedule(self, tenant_id: str, schedule_id: str, *, by: Actor) -> Schedule | None:
        """See the port."""
        return await self._db.write(lambda tx: schedules.resume(tx, tenant_id, schedule_id, by))

    async def list_ticks(self, wanted: TickFilter, *, after: TickPosition | None, limit: int) -> list[Tick]:
        """See the port."""
        return await self._db.scan(lambda tx: ticks.list_ticks(tx, wanted, after, limit))

    async def due_schedules(self, *, skip: Collection[tuple[str, str]], limit: int) -> DueSchedules:
        """See the port."""
        return await self._db.read(lambda tx: schedules.due(tx, skip, limit))

    async def settle(self, schedule: Schedule, settlement: Settlement, plans: Plans) -> str | None:
        """See the port."""
        return await self._db.write(lambda tx: firing.settle(tx, schedule, settlement, plans))

    async def waiting_ticks(self, *, skip: Collection[tuple[str, str]], limit: int) -> list[WaitingTick]:
        """See the port."""
        return await self._db.read(lambda tx: firing.waiting_ticks(tx, skip, limit))

    async def start_tick(self, waiting: WaitingTick, fired: TickToFire, plans: Plans) -> bool:
        """See the port."""
        return await self._db.write(lambda tx: firing.start_tick(tx, waiting, fired, plans))

    async def refuse_tick(self, waiting: WaitingTick, tick: TickToRecord) -> None:
        """See the port."""
        await self._db.write(lambda tx: firing.refuse_tick(tx, waiting, tick))

    async def turn_back(self, schedule: Schedule) -> None:
        """See the port."""
        await self._db.write(lambda tx: firing.turn_back(tx, schedule))

    async def latest_statuses(
        self, name: PipelineName, tenant_ids: Collection[str], start: date, end: date
    ) -> Mapping[Day, RunStatus]:
        """See the port."""
        return await self._db.scan(lambda tx: backfills.latest_statuses(tx, name, tenant_ids, start, end))

    async def create_backfill(self, new: NewBackfill, *, by: Actor, request: RequestKey | None) -> Backfill:
        """See the port."""
        return await self._db.write(lambda tx: backfills.create(tx, new, by, request), is_long=True)

    async def find_backfill_request(self, request: RequestKey) -> Backfill | None:
        """See the port."""
        return await self._db.read(lambda tx: backfills.find_request(tx, request))

    async def get_backfill(self, backfill_id: str) -> Backfill | None:
        """See the port."""
        return await self._db.read(lambda tx: backfills.find(tx, backfill_id))

    async def list_backfills(
        self, wanted: BackfillFilter, *, after: BackfillPosition | None, limit: int
    ) -> list[Backfill]:
        """See the port."""
        return await self._db.scan(lambda tx: backfills.list_backfills(tx, wanted, after, limit))

    async def change_backfill(
        self, backfill_id: str, state: BackfillState, reason: str, *, by: Actor
    ) -> Backfill | None:
        """See the port."""
        return await self._db.write(lambda tx: backfills.change(tx, backfill_id, state, reason, by), is_long=True)

    async def backfill_work(self, *, skip: Collection[tuple[str, str]], limit: int) -> BackfillWork:
        """See the port."""
        return await self._db.read(lambda tx: backfills.work(tx, skip, limit))

    async def start_day(self, waiting: WaitingDay, run: NewRun, plans: Plans) -> bool:
        """See the port."""
        return await self._db.write(lambda tx: backfills.start_day(tx, waiting, run, plans))

    async def waiting_tenants(self, backfill_id: str) -> list[str]:
        """See the port."""
        return await self._db.read(lambda tx: backfills.waiting_tenants(tx, backfill_id))

    async def drop_days(self, backfill_id: str, tenant_id: str) -> None:
        """See the port."""
        await self._db.write(lambda tx: backfills.drop_days(tx, backfill_id, tenant_id), is_long=True)

    async def end_backfill(self, backfill_id: str) -> None:
        """See the port."""
        await self._db.write(lambda tx: backfills.end(tx, backfill_id), is_long=True)
