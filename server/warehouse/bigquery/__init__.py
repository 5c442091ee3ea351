"""BigQuery behind the Warehouse port: the only code that imports google.cloud."""

from server.warehouse.bigquery.adapter import BigQueryWarehouse

__all__ = ["BigQueryWarehouse"]
