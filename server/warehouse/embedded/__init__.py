"""The warehouse of one machine: BigQuery's tables and SQL on a DuckDB file."""

from server.warehouse.embedded.adapter import EmbeddedWarehouse

__all__ = ["EmbeddedWarehouse"]
