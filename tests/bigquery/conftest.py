from collections.abc import AsyncIterator

import pytest_asyncio

from server.domain.schema import DatasetRef
from server.warehouse.bigquery import BigQueryWarehouse
from tests.bigquery.proxy import Proxy

OWN = DatasetRef("acme-project", "acme_corp")


@pytest_asyncio.fixture
async def warehouse(proxy: Proxy) -> AsyncIterator[BigQueryWarehouse]:
    """The adapter behind the proxy, with an empty dataset; what that took is not among the proxy's requests."""
    opened = await BigQueryWarehouse.open(project=OWN.project, location="US", endpoint=proxy.endpoint)
    await opened.ensure_dataset(OWN, location="US")
    proxy.requests.clear()
    yield opened
    await opened.close()
