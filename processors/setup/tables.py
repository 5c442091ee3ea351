"""What both setup processors do: a dataset, and the tables of their ps_template in it."""

from typing import Any

from processors.base import Context


async def plan_tables(context: Context) -> dict[str, Any]:
    """Which of the ps_template's tables are missing. Columns that tables lack are found when the step runs."""
    warehouse = context["warehouse"]
    there = set(await warehouse.list_tables())
    missing = [name for name in context["ps_template"]["schemas"] if name not in there]
    return {
        "schema_changes": [f"{warehouse.project}.{warehouse.dataset}.{name} is created" for name in missing],
    }


async def ensure_tables(context: Context, *, location: str, description: str) -> dict[str, Any]:
    """Create the run's own dataset and every table that the ps_template lists; add columns that are missing."""
    warehouse, progress = context["warehouse"], context["progress"]
    dataset_created = await warehouse.ensure_dataset(location=location, description=description)
    progress(f"Dataset {warehouse.dataset} {'created' if dataset_created else 'was there'}", location=location)
    created, added = [], []
    for name, table in context["ps_template"]["schemas"].items():
        change = await warehouse.ensure_table(
            name,
            table["fields"],
            description=table["description"],
            table_config={key: table[key] for key in ("time_partitioning", "clustering_fields") if key in table},
        )
        created += [name] if change["created"] else []
        added += [f"{name}.{column}" for column in change["added_columns"]]
    progress(f"{len(created)} tables created, {len(added)} columns added", tables=", ".join(created) or "none")
    return {
        "status": "SUCCESS",
        "rows_processed": 0,
        "details": {"dataset_created": dataset_created, "tables_created": created, "columns_added": added},
    }
