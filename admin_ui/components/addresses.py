"""Where things have their pages."""

from urllib.parse import quote, urlencode


def tenant_path(tenant_id: str) -> str:
    """The page of a tenant."""
    return f"/tenants/{quote(tenant_id, safe='')}"


def with_query(path: str, **values: str) -> str:
    """The path with those of the values that are set."""
    query = urlencode({name: value for name, value in values.items() if value})
    return f"{path}?{query}" if query else path
