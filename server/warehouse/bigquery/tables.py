"""Datasets and tables, as resources of BigQuery's API."""

from google.api_core.exceptions import Conflict, NotFound, PreconditionFailed
from google.cloud import bigquery

from server.domain.schema import DatasetRef, TableField, TableRef, TableSpec
from server.warehouse.bigquery.calls import ONCE, TIMEOUT, Calls
from server.warehouse.bigquery.schemas import schema_fields, spec_of, table_of
from server.warehouse.partitions import INGESTION_TIME
from server.warehouse.port import TableChange, WarehouseError
from server.warehouse.schema_contract import additions, require_creatable


class Tables:
    """The datasets and tables of one project. Every method may raise WarehouseError."""

    def __init__(self, client: bigquery.Client, calls: Calls) -> None:
        self._client = client
        self._calls = calls
        self._locations: dict[DatasetRef, str] = {}
        """Where datasets were when they were last looked at; it changes only when one is removed and made again."""

    async def ensure_dataset(self, dataset: DatasetRef, *, location: str, description: str) -> bool:
        """Create the dataset unless it exists; True when it was created.

        It is looked for first: whoever may not create datasets may have one that was made for them.
        """
        if await self._found_at(dataset):
            return False
        resource = bigquery.Dataset(str(dataset))
        resource.location = location
        resource.description = description or None
        try:
            await self._calls.run(
                lambda: self._client.create_dataset(resource, retry=ONCE, timeout=TIMEOUT), expect=Conflict
            )
        except Conflict:
            return False
        self._locations[dataset] = location
        return True

    async def delete_dataset(self, dataset: DatasetRef) -> bool:
        """Remove the dataset with everything in it; False when there was none."""
        try:
            await self._calls.run(
                lambda: self._client.delete_dataset(
                    str(dataset), delete_contents=True, not_found_ok=False, retry=ONCE, timeout=TIMEOUT
                ),
                expect=NotFound,
            )
        except NotFound:
            return False
        finally:
            self._locations.pop(dataset, None)
        return True

    async def location(self, dataset: DatasetRef) -> str:
        """Where the dataset is, and with it all jobs that read or write it. Raises DATASET_NOT_FOUND."""
        location = self._locations.get(dataset) or await self._found_at(dataset)
        if location is None:
            raise _no_dataset(dataset)
        return location

    async def _found_at(self, dataset: DatasetRef) -> str | None:
        """Where the dataset is now, remembered from then on; None when there is no such dataset."""
        try:
            found = await self._calls.run(
                lambda: self._client.get_dataset(str(dataset), retry=ONCE, timeout=TIMEOUT), expect=NotFound
            )
        except NotFound:
            self._locations.pop(dataset, None)
            return None
        self._locations[dataset] = found.location
        return self._locations[dataset]

    def forget_locations(self) -> None:
        """Look anew where datasets are: one may have been removed, and made again elsewhere."""
        self._locations.clear()

    async def names(self, dataset: DatasetRef) -> list[str]:
        """The names of the dataset's tables, sorted; none when there is no such dataset."""

        def names() -> list[str]:
            return [table.table_id for table in self._client.list_tables(str(dataset), retry=ONCE, timeout=TIMEOUT)]

        try:
            return sorted(await self._calls.run(names, expect=NotFound))
        except NotFound:
            return []

    async def spec(self, table: TableRef) -> TableSpec | None:
        """The table's schema and settings, or None when there is no such table."""
        found = await self._get(table)
        return spec_of(found) if found else None

    async def partitioned_by(self, table: TableRef) -> str | None:
        """The column that the table is partitioned by, INGESTION_TIME for the time of loading; None when it is not,
        or when the table may not be looked at, as one behind a view."""
        try:
            found = await self._get(table)
        except WarehouseError:
            return None
        partitioning = found and found.time_partitioning
        return (partitioning.field or INGESTION_TIME) if partitioning else None

    async def _get(self, table: TableRef) -> bigquery.Table | None:
        try:
            return await self._calls.run(
                lambda: self._client.get_table(str(table), retry=ONCE, timeout=TIMEOUT), expect=NotFound
            )
        except NotFound:
            return None

    async def ensure(self, table: TableRef, spec: TableSpec) -> TableChange:
        """Create the table, or add the columns it lacks; also when others do the same at the same time."""
        while True:
            found = await self._get(table)
            if found is None:
                require_creatable(table, spec)
                if await self._create(table, spec):
                    return TableChange(created=True)
                continue
            have = spec_of(found)
            added = additions(table, have, spec)
            if not added.fields or await self._grow(found, added.fields):
                return TableChange(created=False, added_columns=tuple(field.name for field in added.fields))

    async def _create(self, table: TableRef, spec: TableSpec) -> bool:
        """False when somebody else was faster."""
        resource = table_of(table, spec)
        try:
            await self._calls.run(
                lambda: self._client.create_table(resource, retry=ONCE, timeout=TIMEOUT), expect=(Conflict, NotFound)
            )
        except Conflict:
            return False
        except NotFound:
            raise _no_dataset(table.in_dataset) from None
        return True

    async def _grow(self, found: bigquery.Table, added: tuple[TableField, ...]) -> bool:
        """Give the table further columns; False when it has changed since it was read."""
        # The others as BigQuery gave them: they may have more than a TableField tells, such as policy tags.
        found.schema = [*found.schema, *schema_fields(added)]
        try:
            # The client sends the etag along, so that nothing that others did in between is undone.
            await self._calls.run(
                lambda: self._client.update_table(found, ["schema"], retry=ONCE, timeout=TIMEOUT),
                expect=PreconditionFailed,
            )
        except PreconditionFailed:
            return False
        return True


def _no_dataset(dataset: DatasetRef) -> WarehouseError:
    return WarehouseError("DATASET_NOT_FOUND", f"dataset {dataset} was not found")
