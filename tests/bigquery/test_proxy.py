import asyncio
import http.client
import signal
import sys
from typing import Any

import pytest
import requests
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery as client_library

from tests.bigquery.faults import Hold, answer, close, cut_reply, drop_reply
from tests.bigquery.proxy import Exchange, Proxy
from tests.bigquery.server import BigQueryServer

DATASETS = "/projects/acme/datasets"
CREATE = f"POST .*{DATASETS}$"
CREATE_COSTS = """
import json, sys, urllib.request

body = json.dumps({"datasetReference": {"projectId": "acme", "datasetId": "costs"}}).encode()
urllib.request.urlopen(urllib.request.Request(sys.argv[1], body, {"Content-Type": "application/json"}))
"""


async def send(proxy: Proxy, method: str, path: str, body: Any = None) -> requests.Response:
    return await asyncio.to_thread(
        requests.request, method, f"{proxy.endpoint}/bigquery/v2{path}", json=body, timeout=30
    )


async def create(proxy: Proxy, name: str = "costs") -> requests.Response:
    return await send(proxy, "POST", DATASETS, {"datasetReference": {"projectId": "acme", "datasetId": name}})


def datasets(server: BigQueryServer) -> list[str]:
    return [found["datasetReference"]["datasetId"] for found in server.call("GET", DATASETS)["datasets"]]


async def test_what_is_sent_arrives_and_is_recorded(proxy: Proxy, bigquery: BigQueryServer) -> None:
    created = await create(proxy)
    listed = await send(proxy, "GET", f"{DATASETS}?all=true&filter=")
    removed = await send(proxy, "DELETE", f"{DATASETS}/costs")

    assert created.json()["datasetReference"]["datasetId"] == "costs"
    assert [found["id"] for found in listed.json()["datasets"]] == ["acme:costs"]
    assert (removed.status_code, removed.content, datasets(bigquery)) == (204, b"", [])
    assert [request.method for request in proxy.requests] == ["POST", "GET", "DELETE"]
    assert proxy.requests[0].body["datasetReference"] == {"projectId": "acme", "datasetId": "costs"}
    assert proxy.requests[0].headers["content-type"] == "application/json"
    assert (proxy.requests[1].path, proxy.requests[1].query) == (f"/bigquery/v2{DATASETS}", {"all": "true"})
    assert proxy.sent(CREATE) == proxy.requests[:1]


async def test_a_connection_serves_one_request_after_the_other(proxy: Proxy) -> None:
    connection = http.client.HTTPConnection(proxy.endpoint.removeprefix("http://"), timeout=30)

    def ask() -> tuple[int, tuple[str, int]]:
        connection.request("GET", "/bigquery/v2/projects")
        address = connection.sock.getsockname()
        reply = connection.getresponse()
        reply.read()
        return reply.status, address

    assert await asyncio.to_thread(ask) == await asyncio.to_thread(ask)
    connection.close()


async def test_an_error_is_answered_instead_of_forwarding(proxy: Proxy, bigquery: BigQueryServer) -> None:
    proxy.fail(CREATE, answer(429, "rateLimitExceeded", "Too many", retry_after=7))

    refused = await create(proxy)

    assert (refused.status_code, refused.headers["Retry-After"], datasets(bigquery)) == (429, "7", [])
    assert refused.json()["error"] == {
        "code": 429,
        "message": "Too many",
        "errors": [{"reason": "rateLimitExceeded", "message": "Too many", "domain": "global"}],
    }


async def test_the_nth_request_fails_and_those_after_it(proxy: Proxy) -> None:
    proxy.fail(CREATE, answer(503, "backendError"), nth=2, times=2)

    assert (await send(proxy, "GET", DATASETS)).status_code == 200
    assert [(await create(proxy, name)).status_code for name in ("a", "b", "c", "d")] == [200, 503, 503, 200]


async def test_a_mended_proxy_has_no_more_faults(proxy: Proxy) -> None:
    proxy.fail("", answer(503, "backendError"), times=1_000_000)

    assert (await send(proxy, "GET", DATASETS)).status_code == 503
    proxy.mend()
    assert (await send(proxy, "GET", DATASETS)).status_code == 200


async def test_a_request_that_is_not_forwarded_has_no_effect(proxy: Proxy, bigquery: BigQueryServer) -> None:
    proxy.fail(CREATE, close)

    with pytest.raises(requests.ConnectionError):
        await create(proxy)
    assert datasets(bigquery) == []


async def test_a_lost_acknowledgement_has_its_effect(proxy: Proxy, bigquery: BigQueryServer) -> None:
    proxy.fail(CREATE, drop_reply)

    with pytest.raises(requests.ConnectionError):
        await create(proxy)
    assert datasets(bigquery) == ["costs"]


async def test_a_reply_is_cut_in_its_body(proxy: Proxy, bigquery: BigQueryServer) -> None:
    proxy.fail(CREATE, cut_reply)

    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        await create(proxy)
    assert datasets(bigquery) == ["costs"]


@pytest.mark.parametrize(("forwarded", "before"), [(False, []), (True, ["held"])])
async def test_a_held_request_lets_others_pass(
    proxy: Proxy, bigquery: BigQueryServer, forwarded: bool, before: list[str]
) -> None:
    hold = Hold(forwarded=forwarded)
    proxy.fail(CREATE, hold)

    held = asyncio.create_task(create(proxy, "held"))
    await hold.reached.wait()
    assert datasets(bigquery) == before
    assert (await create(proxy, "other")).status_code == 200
    assert not held.done()

    hold.go_on.set()
    assert (await held).status_code == 200
    assert sorted(datasets(bigquery)) == ["held", "other"]


async def test_a_killed_client_does_not_stop_its_request(proxy: Proxy, bigquery: BigQueryServer) -> None:
    carried_out = asyncio.Event()

    async def kill(exchange: Exchange) -> None:
        client.kill()
        await client.wait()
        reply = await exchange.forward()
        carried_out.set()
        await exchange.answer(reply)

    proxy.fail(CREATE, kill)
    url = f"{proxy.endpoint}/bigquery/v2{DATASETS}"
    client = await asyncio.create_subprocess_exec(sys.executable, "-c", CREATE_COSTS, url)

    assert await client.wait() == -signal.SIGKILL
    await carried_out.wait()
    assert datasets(bigquery) == ["costs"]
    assert (await send(proxy, "GET", DATASETS)).status_code == 200


async def test_bigquerys_client_tries_again(proxy: Proxy, bigquery: BigQueryServer) -> None:
    bigquery.call("POST", DATASETS, {"datasetReference": {"projectId": "acme", "datasetId": "costs"}})
    client = client_library.Client("acme", AnonymousCredentials(), client_options={"api_endpoint": proxy.endpoint})
    proxy.fail("GET", answer(503, "backendError"))
    proxy.fail("GET", drop_reply, nth=2)

    found = await asyncio.to_thread(client.get_dataset, "costs")

    assert (found.dataset_id, len(proxy.requests)) == ("costs", 3)
    client.close()


async def test_a_faulty_fault_is_told(bigquery: BigQueryServer) -> None:
    async def broken(_exchange: Exchange) -> None:
        raise LookupError("of the test")

    proxy = await Proxy.open(bigquery.endpoint)
    proxy.fail("GET", broken)
    with pytest.raises(requests.ConnectionError):
        await send(proxy, "GET", DATASETS)

    with pytest.raises(ExceptionGroup) as told:
        await proxy.close()
    assert [str(error) for error in told.value.exceptions] == ["of the test"]
