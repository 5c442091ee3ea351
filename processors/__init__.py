"""Pipeline processors: `ps_type: gcp.bq_etl` is the module `processors.gcp.bq_etl`."""
