"""The service on a warehouse that speaks BigQuery's protocol, behind a proxy that may let things go wrong."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from server.domain.schema import DatasetRef
from server.warehouse.bigquery import BigQueryWarehouse
from tests.bigquery.proxy import Exchange, Fault, Proxy, pass_through
from tests.bigquery.server import BigQueryServer
from tests.e2e.service import Service, make_checkout

PROJECT = "my-finops-project"
"""Another one than the embedded warehouse stands in for."""
JOBS = "POST .*/jobs$"
FOR_EVER = 1_000_000


@asynccontextmanager
async def service_on(proxy: Proxy, folder: Path, **settings: str) -> AsyncIterator[Service]:
    """A server whose worker reaches BigQuery through the proxy."""
    started = await Service.start(
        make_checkout(folder), bigquery_project=PROJECT, bigquery_endpoint=proxy.endpoint, **settings
    )
    try:
        yield started
    finally:
        await started.stop()


@asynccontextmanager
async def proxy_of(server: BigQueryServer) -> AsyncIterator[Proxy]:
    """A proxy in front of the server, which is emptied before."""
    server.empty()
    opened = await Proxy.open(server.endpoint)
    try:
        yield opened
    finally:
        await opened.close()


@asynccontextmanager
async def another_look(endpoint: str) -> AsyncIterator[BigQueryWarehouse]:
    """The same project, not seen through the proxy."""
    opened = await BigQueryWarehouse.open(project=PROJECT, location="US", endpoint=endpoint)
    try:
        yield opened
    finally:
        await opened.close()


def own(tenant_id: str) -> DatasetRef:
    return DatasetRef(PROJECT, tenant_id)


def at_start_of(text: str, fault: Fault) -> Fault:
    """The fault for the starts of jobs in whose SQL the text is; everything else passes, dry runs too."""

    async def chosen(exchange: Exchange) -> None:
        job = exchange.request.body["configuration"]
        is_meant = not job.get("dryRun") and text in job["query"]["query"]
        await (fault if is_meant else pass_through)(exchange)

    return chosen
