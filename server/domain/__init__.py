"""The rules of the product, free of any I/O: standard library, pydantic and sqlglot only."""
