"""Files of rows, as they come from outside, into typed Parquet: CSV, NDJSON and Parquet, plain or gzip.

`FileReader.read` turns each file of a load into a Parquet file, `merged` finds the one schema of them all, and
`FileReader.finish` brings each file to it. None of it knows where files come from or where rows go.
"""
