"""HTTP and JSON in the place of gRPC, as somebody with curl or a browser uses them."""

import asyncio
import json
import re
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from jsonschema import Draft7Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from convergence.v1.run_pb2 import Run
from server.api.app import DESCRIPTORS
from tests.e2e.service import Service, file_appears, finished, start

DESIGN = "/api/v1/pipelines/run/acme_corp/gcp/cost/cost_billing"
DRYRUN = "/api/v1/pipelines/run/acme_corp/gcp/example/dryrun"
RUNS = "/api/v1/tenants/acme_corp/runs"
Json = dict[str, Any]


@pytest.fixture
async def http(service: Service, acme_key: str) -> AsyncIterator[aiohttp.ClientSession]:
    """Somebody with acme_corp's key."""
    async with aiohttp.ClientSession(service.http, headers={"X-API-Key": acme_key}) as session:
        yield session


@pytest.fixture
async def operator(service: Service, acme_key: str) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(service.http, headers={"X-API-Key": service.admin_key}) as session:
        yield session


async def told(http: aiohttp.ClientSession, verb: str, path: str, **given: Any) -> tuple[int, Json]:
    """Status and body."""
    async with http.request(verb, path, **given) as answer:
        assert answer.content_type == "application/json"
        return answer.status, await answer.json()


async def refused(http: aiohttp.ClientSession, verb: str, path: str, **given: Any) -> tuple[int, str, list[str]]:
    """Status, reason and the fields that are wrong."""
    status, body = await told(http, verb, path, **given)
    error = body["error"]
    assert (error["code"], set(error)) == (status, {"code", "status", "message", "details"})
    info, *others = error["details"]
    assert (info["@type"], info["domain"]) == ("type.googleapis.com/google.rpc.ErrorInfo", "convergence")
    fields = [wrong.get("field", "") for other in others for wrong in other.get("field_violations", ())]
    return status, info["reason"], fields


async def events(answer: aiohttp.ClientResponse) -> AsyncIterator[dict[str, str]]:
    """Server-sent events: their fields."""
    event = dict[str, str]()
    async for line in answer.content:
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name:
            event[name] = value
        elif event:
            yield event
            event = {}


# -- requests and answers ----------------------------------------------------------------------------------------------


async def test_the_call_that_users_have_always_made(http: aiohttp.ClientSession) -> None:
    given = {"date": "2025-11-18", "variables": {"admin_email": "user@acme.example.com"}}
    status, run = await told(http, "POST", DESIGN, json=given)
    assert status == 200
    assert uuid.UUID(run["pipeline_logging_id"])
    assert (run["tenant_id"], run["pipeline_id"], run["status"], run["date"]) == (
        "acme_corp",
        "acme_corp-gcp-cost-billing",
        "PENDING",
        "2025-11-18",
    )
    assert run["variables"]["admin_email"] == "user@acme.example.com"
    status, found = await told(http, "GET", f"{RUNS}/{run['pipeline_logging_id']}")
    assert (status, found["pipeline_logging_id"], found["rows_processed"]) == (200, run["pipeline_logging_id"], "0")


async def test_an_idempotency_key_makes_a_repeated_call_the_same(http: aiohttp.ClientSession) -> None:
    key = {"Idempotency-Key": str(uuid.uuid4())}
    _, first = await told(http, "POST", DRYRUN, headers=key)
    _, second = await told(http, "POST", DRYRUN, headers=key)
    assert first["pipeline_logging_id"] == second["pipeline_logging_id"]
    assert await refused(http, "POST", DRYRUN, headers=key, json={"date": "2020-01-01"}) == (
        400,
        "REQUEST_ID_REUSED",
        [],
    )
    assert await refused(http, "POST", DRYRUN, headers=key, json={"request_id": "other"}) == (
        400,
        "INVALID_FIELD",
        ["request_id"],
    )


async def test_filters_stand_behind_the_question_mark(http: aiohttp.ClientSession) -> None:
    query = [("statuses", "SUCCESS"), ("statuses", "PENDING"), ("page_size", "1"), ("count", "true")]
    status, found = await told(http, "GET", RUNS, params=[*query, ("created_after", "2020-01-01T00:00:00Z")])
    assert (status, len(found["runs"])) == (200, 1)
    assert sum(map(int, found["runs_by_status"].values())) >= 1


async def test_a_change_says_what_it_changes(http: aiohttp.ClientSession, operator: aiohttp.ClientSession) -> None:
    path = "/api/v1/tenants/acme_corp"
    _, before = await told(http, "GET", path)
    _, after = await told(http, "PATCH", path, json={"display_name": "Acme", "etag": before["etag"]})
    assert (after["display_name"], after["contact_emails"]) == ("Acme", before["contact_emails"])
    _, after = await told(operator, "PATCH", path, json={"quotas": {"max_pending_runs": "77"}})
    assert (after["quotas"]["max_pending_runs"], after["display_name"]) == ("77", "Acme")
    # Named and not said: cleared.
    _, after = await told(http, "PATCH", path, params={"update_mask": "display_name"}, json={})
    assert after["display_name"] == "acme_corp"
    _, after = await told(operator, "PATCH", path, params={"update_mask": "quotas.max_pending_runs"}, json={})
    assert "max_pending_runs" not in after["quotas"]
    assert (await refused(http, "PATCH", path, json={"etag": "old", "display_name": "x"}))[:2] == (
        409,
        "ETAG_MISMATCH",
    )


async def test_schedules_have_fields_in_the_address_and_in_the_body(http: aiohttp.ClientSession) -> None:
    path = "/api/v1/tenants/acme_corp/schedules"
    schedule = {"schedule_id": "http", "provider": "gcp", "domain": "example", "template_name": "dryrun"}
    status, made = await told(http, "POST", path, json={"schedule": {**schedule, "interval": "3600s"}})
    assert (status, made["tenant_id"], made["interval"], made["state"]) == (200, "acme_corp", "3600s", "ACTIVE")
    _, changed = await told(http, "PATCH", f"{path}/http", json={"cron": "0 6 * * *", "catch_up": {"max_runs": 3}})
    assert (changed["cron"], changed["catch_up"]["max_runs"], "interval" in changed) == ("0 6 * * *", 3, False)
    assert await told(http, "POST", f"{path}/http:pause", json={"reason": "late"}) == (200, await paused(http, path))
    assert await told(http, "DELETE", f"{path}/http") == (200, {})
    both = {**schedule, "cron": "* * * * *", "interval": "60s"}
    assert (await refused(http, "POST", path, json={"schedule": both}))[:2] == (400, "INVALID_FIELD")


async def paused(http: aiohttp.ClientSession, path: str) -> Json:
    _, found = await told(http, "GET", f"{path}/http")
    assert (found["state"], found["pause_reason"]) == ("PAUSED", "late")
    return found


# -- what is refused ---------------------------------------------------------------------------------------------------


async def test_everything_that_is_wrong_is_told_at_once(http: aiohttp.ClientSession) -> None:
    body = {"date": 1, "nope": 2, "variables": {"a": 3}, "tenant_id": "rival_inc"}
    assert await refused(http, "POST", DRYRUN, json=body) == (
        400,
        "INVALID_FIELD",
        ["tenant_id", "date", "nope", "variables"],
    )
    query = {"page_size": "x", "nope": "1", "count": "maybe", "created_after": "yesterday", "statuses": "DONE"}
    assert await refused(http, "GET", RUNS, params=query) == (
        400,
        "UNKNOWN_FIELD",
        ["nope", "page_size", "count", "created_after", "statuses"],
    )
    schedule = {"schedule": {"cron": 5, "catch_up": {"max_runs": "many", "x": 1}}}
    assert await refused(http, "POST", "/api/v1/tenants/acme_corp/schedules", json=schedule) == (
        400,
        "INVALID_FIELD",
        ["schedule.cron", "schedule.catch_up.max_runs", "schedule.catch_up.x"],
    )
    # What the service itself finds.
    wrong = {"date": "2025-13-01", "variables": {"zzz": "1"}}
    assert await refused(http, "POST", DRYRUN, json=wrong) == (400, "UNKNOWN_VARIABLE", ["variables.zzz", "date"])


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "line 1, column 2"),
        (b"[]", "has to be an object"),
        (b'{"date": NaN}', "NaN is no number"),
        (b'{"date": "a", "date": "b"}', "date stands there twice"),
        (b"\xff", "no UTF-8"),
        (b'{"variables":' * 40 + b"{}" + b"}" * 40, "deeper than 32"),
        (b"[" * 500_000, "deeper than 32"),
        (b'{"date": ' + b"1" * 10_000 + b"}", "no JSON"),
    ],
    ids=lambda value: value[:12] if isinstance(value, bytes) else "",
)
async def test_what_is_no_json(http: aiohttp.ClientSession, body: bytes, says: str) -> None:
    status, answer = await told(http, "POST", DRYRUN, data=body, headers={"Content-Type": "application/json"})
    assert (status, answer["error"]["details"][0]["reason"]) == (400, "INVALID_JSON")
    assert says in answer["error"]["message"]


@pytest.mark.parametrize("body", [b'{"date": "\\ud800"}', b'{"variables": {"\\udc00": "x"}}'], ids=["value", "name"])
async def test_what_is_no_text(http: aiohttp.ClientSession, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    assert (await refused(http, "POST", DRYRUN, data=body, headers=headers))[:2] == (400, "INVALID_FIELD")


async def test_a_header_that_is_no_text(service: Service, acme_key: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(service.http.rpartition(":")[2]))
    lines = (f"POST {DRYRUN} HTTP/1.1", "Host: x", f"X-API-Key: {acme_key}", "Idempotency-Key: caf\xe9", "", "")
    writer.write("\r\n".join(lines).encode("latin-1"))
    async with asyncio.timeout(20):
        assert (await reader.readline()).split()[1] == b"400"
    writer.close()


async def test_of_strangers_nothing_is_read(service: Service) -> None:
    """Whatever they send, they are told what everybody is told; of one body the end never comes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(service.http.rpartition(":")[2]))
    lines = (f"POST {DRYRUN} HTTP/1.1", "Host: x", "Content-Type: application/json", "Content-Length: 9")
    writer.write("\r\n".join((*lines, "", "{")).encode())
    async with asyncio.timeout(20):
        assert (await reader.readline()).split()[1] == b"401"
    writer.close()
    async with aiohttp.ClientSession(service.http) as nobody:
        for given in ({"data": b"{"}, {"json": {"nope": 1}}, {"data": b"x"}):
            assert (await refused(nobody, "POST", DRYRUN, **given))[:2] == (401, "API_KEY_INVALID")


async def test_of_very_many_faults_the_first_are_told(http: aiohttp.ClientSession) -> None:
    status, answer = await told(http, "POST", DRYRUN, json={f"field_{number}": 1 for number in range(50_000)})
    assert (status, answer["error"]["details"][0]["reason"]) == (400, "UNKNOWN_FIELD")


async def test_what_http_alone_refuses(http: aiohttp.ClientSession) -> None:
    assert (await refused(http, "GET", "/api/v1/nowhere"))[:2] == (404, "NO_SUCH_ADDRESS")
    assert (await refused(http, "GET", "/api/v1/tenants/%ff"))[:2] == (404, "NO_SUCH_ADDRESS")
    assert (await refused(http, "POST", DRYRUN, data=b"x=1"))[:2] == (415, "NOT_JSON")
    zipped = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert (await refused(http, "POST", DRYRUN, data=b"x", headers=zipped))[:2] == (415, "NOT_JSON")
    large = b'{"date": "' + b"1" * 1_100_000 + b'"}'
    as_json = {"Content-Type": "application/json"}
    assert (await refused(http, "POST", DRYRUN, data=large, headers=as_json))[:2] == (413, "BODY_TOO_LARGE")
    assert (await refused(http, "GET", RUNS, json={"page_size": 1}))[:2] == (400, "INVALID_JSON")
    async with http.put("/api/v1/tenants") as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "GET, POST")


async def test_who_may_not_is_told_as_over_grpc(service: Service, http: aiohttp.ClientSession, rival_key: str) -> None:
    del rival_key
    missing = await told(http, "GET", "/api/v1/tenants/nobody_at_all/runs")
    foreign = await told(http, "GET", "/api/v1/tenants/rival_inc/runs")
    for _, body in (missing, foreign):
        body["error"]["details"][0].pop("metadata")
    assert missing == foreign
    assert missing[0] == 404
    assert (await refused(http, "GET", "/api/v1/tenants"))[:2] == (403, "PERMISSION_DENIED")
    async with aiohttp.ClientSession(service.http) as nobody:
        for headers in ({}, {"X-API-Key": "cvg_x"}, {"X-API-Key": "caf\u00e9"}):
            assert await refused(nobody, "GET", RUNS, headers=headers) == (401, "API_KEY_INVALID", [])


async def test_a_quota_says_when_to_come_again(service: Service, operator: aiohttp.ClientSession) -> None:
    body = {"tenant_id": "small_corp", "quotas": {"runs_per_day": 0}}
    _, made = await told(operator, "POST", "/api/v1/tenants", json=body)
    async with service.client() as client:
        assert (await finished(client, Run(**ids(made["run"])))).status == Run.SUCCESS
    path = "/api/v1/pipelines/run/small_corp/gcp/example/dryrun"
    async with operator.post(path, headers={"X-API-Key": made["api_key_secret"]}) as answer:
        assert answer.status == 429
        assert 0 < int(answer.headers["Retry-After"]) <= 86_400
        assert "google.rpc.QuotaFailure" in await answer.text()


def ids(run: Json) -> dict[str, str]:
    return {name: run[name] for name in ("tenant_id", "pipeline_logging_id")}


async def test_the_audit_log_has_the_callers_own_address(service: Service, http: aiohttp.ClientSession) -> None:
    lie = {"X-Forwarded-Peer": "ipv4:6.6.6.6:6", "Idempotency-Key": str(uuid.uuid4())}
    _, run = await told(http, "POST", DRYRUN, headers=lie)
    async with service.client() as client:
        (event,) = [
            event
            async for event in client.iter_audit_events(tenant_id="acme_corp")
            if event.subject == run["pipeline_logging_id"]
        ]
    assert re.fullmatch(r"ipv4:127\.0\.0\.1:\d+", event.peer)


# -- streams -----------------------------------------------------------------------------------------------------------


async def test_a_run_is_followed_from_where_somebody_was(
    service: Service, http: aiohttp.ClientSession, acme_key: str, tmp_path: Path
) -> None:
    async with service.client(acme_key) as client:
        run = await start(client, "acme_corp", "trial/gate", variables={"folder": str(tmp_path)})
    await file_appears(tmp_path / "began-1")
    path = f"{RUNS}/{run.pipeline_logging_id}/events"
    seen = list[dict[str, str]]()
    async with http.get(path) as answer:
        assert (answer.status, answer.content_type) == (200, "text/event-stream")
        async for event in events(answer):
            if "id" in event:
                seen.append(event)
            if event.get("event") == "step":
                break
    (tmp_path / "open").touch()
    async with http.get(path, params={"after_sequence": "1"}, headers={"Last-Event-ID": seen[-1]["id"]}) as answer:
        seen += [event async for event in events(answer) if "id" in event]
    assert [int(event["id"]) for event in seen] == list(range(1, len(seen) + 1))
    assert json.loads(seen[-1]["data"])["run"]["status"] == "SUCCESS"
    # Browsers come again until they hear that there is no more.
    async with http.get(path, headers={"Last-Event-ID": seen[-1]["id"]}) as answer:
        assert answer.status == 204
    assert (await refused(http, "GET", path, headers={"Last-Event-ID": "x"}))[2] == ["after_sequence"]
    assert (await refused(http, "GET", f"{RUNS}/{uuid.uuid4()}/events"))[:2] == (404, "RUN_NOT_FOUND")


async def test_a_backfill_is_followed_to_its_end(http: aiohttp.ClientSession) -> None:
    days = {"start_date": "2023-03-01", "end_date": "2023-03-03"}
    status, made = await told(http, "POST", "/api/v1/pipelines/backfill/gcp/example/dryrun", json=days)
    assert (status, made["total_runs"]) == (200, 2)
    async with asyncio.timeout(60), http.get(f"/api/v1/backfills/{made['backfill_id']}/events") as answer:
        assert (answer.status, answer.content_type) == (200, "text/event-stream")
        states = [event async for event in events(answer) if "data" in event]
    assert {name for state in states for name in state} == {"data"}, "they have no numbers, and are of one kind"
    last = json.loads(states[-1]["data"])
    assert (last["backfill_id"], last["state"], last["runs_by_status"]) == (
        made["backfill_id"],
        "FINISHED",
        {"SUCCESS": 2},
    )
    path = f"/api/v1/backfills/{uuid.uuid4()}/events"
    assert (await refused(http, "GET", path))[:2] == (404, "BACKFILL_NOT_FOUND")


async def test_a_stream_ends_with_its_reader(
    service: Service, http: aiohttp.ClientSession, acme_key: str, tmp_path: Path
) -> None:
    """There may be so many at a time: if one stayed open, the last of these would be refused."""
    async with service.client(acme_key) as client:
        run = await start(client, "acme_corp", "trial/gate", variables={"folder": str(tmp_path)})
        await file_appears(tmp_path / "began-1")
        path = f"{RUNS}/{run.pipeline_logging_id}/events"
        for _ in range(30):
            answers = await asyncio.gather(*(http.get(path) for _ in range(50)))
            assert {answer.status for answer in answers} == {200}
            for answer in answers:
                answer.close()
        (tmp_path / "open").touch()
        await finished(client, run)


# -- the rest ----------------------------------------------------------------------------------------------------------


async def test_probes_need_no_key(service: Service) -> None:
    async with aiohttp.ClientSession(service.http) as nobody:
        for path in ("/healthz", "/readyz"):
            assert await told(nobody, "GET", path) == (200, {"status": "ok"})
        assert (await refused(nobody, "POST", "/healthz"))[:2] == (404, "NO_SUCH_ADDRESS")


async def test_the_schema_of_pipelines_has_the_servers_processors(service: Service) -> None:
    async with aiohttp.ClientSession(service.http) as nobody:
        status, schema = await told(nobody, "GET", "/schemas/pipeline.json")
        others = [await told(nobody, "GET", f"/schemas/{kind}.json") for kind in ("suite", "plans")]
    assert status == 200
    assert [(code, other["title"]) for code, other in others] == [
        (200, "Convergence suite"),
        (200, "Convergence plans"),
    ]
    Draft7Validator(schema).validate(yaml.safe_load((service.checkout / "configs/trial/gate.yml").read_text()))
    # Those of the product, and one of the operator's own.
    assert {"gcp.bq_etl", "trial.gate"} <= set(schema["$defs"]["Step"]["properties"]["ps_type"]["anyOf"][0]["enum"])


async def test_the_description_is_right_and_leaves_nothing_out(service: Service) -> None:
    """By the schema of OpenAPI 3.1, and with words for whoever reads it without the protos."""
    async with aiohttp.ClientSession(service.http) as nobody:
        _, found = await told(nobody, "GET", "/openapi.json")
    assert [error.message for error in OpenAPIV31SpecValidator(found).iter_errors()] == []
    parts = dict[str, Json]()
    for verb, path, operation in operations_of(found):
        parts[f"{verb} {path}"] = operation
        parts |= {f"{verb} {path} {one['name']}": one for one in operation["parameters"]}
        body = operation.get("requestBody", {"content": {}})["content"].get("application/json", {"schema": {}})
        parts |= {f"{verb} {path} {name}": one for name, one in body["schema"].get("properties", {}).items()}
    for name, schema in found["components"]["schemas"].items():
        parts[name] = schema
        parts |= {f"{name}.{field}": one for field, one in schema.get("properties", {}).items()}
    assert len(parts) > 500
    assert [name for name, part in parts.items() if not part.get("description")] == []


def operations_of(found: Json) -> Iterator[tuple[str, str, Json]]:
    for path, operations in found["paths"].items():
        for verb, operation in operations.items():
            yield verb, path, operation


async def test_the_description_names_every_method(service: Service) -> None:
    async with aiohttp.ClientSession(service.http) as nobody:
        _, found = await told(nobody, "GET", "/openapi.json")
        async with nobody.get("/docs") as answer:
            page = await answer.text()
        for script in re.findall(r'(?:src|href)="([^"]+)"', page):
            async with nobody.get(script) as answer:
                assert answer.status == 200, script
    assert found["openapi"] == "3.1.0"
    operations = [operation for _, _, operation in operations_of(found)]
    methods = [method.name for service in DESCRIPTORS for method in service.methods]
    # A method with several addresses has an operation for each: ListRuns, ListRuns2.
    assert {operation["operationId"].rstrip("0123456789") for operation in operations} == set(methods)
    assert all(operation["summary"] for operation in operations), "the comments of the protos"
    assert found["components"]["schemas"]["Run.Status"]["enum"][1:3] == ["PENDING", "RUNNING"]
