"""The client's calls about backfills: what they send, and what they bring back."""

import pytest

from convergence.client import ConvergenceClient
from convergence.v1.backfill_pb2 import Backfill
from convergence.v1.pipeline_service_pb2 import (
    BackfillPipelineRequest,
    CancelBackfillRequest,
    GetBackfillRequest,
    ListBackfillsRequest,
    ListBackfillsResponse,
    PauseBackfillRequest,
    ResumeBackfillRequest,
)

from .backfills import BACKFILL_ID, DAYS, a_backfill
from .peer import TENANT


async def test_a_backfill_is_asked_for_as_the_caller_says(client, peer):
    peer.answers["BackfillPipeline"] = a_backfill()
    asked = {
        "provider": "gcp",
        "domain": "cost",
        "template_name": "cost_billing",
        **DAYS,
        "variables": {"region": "eu"},
        "order": Backfill.NEWEST_FIRST,
        "reprocess": Backfill.ONLY_FAILED,
        "max_active_runs": 4,
        "request_id": "mine",
    }

    assert await client.backfill_pipeline([TENANT, "globex"], **asked) == a_backfill()
    assert await client.backfill_pipeline(all_tenants=True, **asked) == a_backfill()

    named, of_all = peer.requests["BackfillPipeline"]
    assert named == BackfillPipelineRequest(tenant_ids=[TENANT, "globex"], **asked)
    assert of_all == BackfillPipelineRequest(all_tenants=True, **asked)


@pytest.mark.parametrize(("plan_only", "usual", "expected"), [(False, 20, 20), (True, 20, 60), (True, 90, 90)])
async def test_a_plan_may_take_a_minute(peer, address, plan_only, usual, expected):
    left = []

    async def noting(_request, context):
        left.append(context.time_remaining())
        return a_backfill()

    peer.answers["BackfillPipeline"] = noting

    async with ConvergenceClient(address.target, timeout=usual) as client:
        await client.backfill_pipeline([TENANT], provider="gcp", template_name="a", **DAYS, plan_only=plan_only)

    assert left == [pytest.approx(expected, abs=5)]
    assert [request.plan_only for request in peer.requests["BackfillPipeline"]] == [plan_only]


async def test_all_backfills_come_page_by_page(client, peer):
    async def listed(request, _context):
        token = "" if request.page_token else "more"
        return ListBackfillsResponse(backfills=[a_backfill(reason=request.page_token)], next_page_token=token)

    peer.answers["ListBackfills"] = listed
    wanted = {"schedule_id": "nightly", "states": [Backfill.ACTIVE, Backfill.PAUSED], "page_size": 7}

    reasons = [backfill.reason async for backfill in client.iter_backfills(TENANT, **wanted)]

    assert reasons == ["", "more"]
    assert peer.requests["ListBackfills"] == [
        ListBackfillsRequest(tenant_id=TENANT, page_token=token, **wanted) for token in ("", "more")
    ]


STEERING = {
    "GetBackfill": (
        lambda client: client.get_backfill(BACKFILL_ID),
        GetBackfillRequest(backfill_id=BACKFILL_ID),
    ),
    "PauseBackfill": (
        lambda client: client.pause_backfill(BACKFILL_ID, reason="too dear"),
        PauseBackfillRequest(backfill_id=BACKFILL_ID, reason="too dear"),
    ),
    "ResumeBackfill": (
        lambda client: client.resume_backfill(BACKFILL_ID),
        ResumeBackfillRequest(backfill_id=BACKFILL_ID),
    ),
    "CancelBackfill": (
        lambda client: client.cancel_backfill(BACKFILL_ID),
        CancelBackfillRequest(backfill_id=BACKFILL_ID),
    ),
}


@pytest.mark.parametrize("method", STEERING)
async def test_a_backfill_is_shown_and_steered(client, peer, method):
    call, asked = STEERING[method]
    peer.answers[method] = a_backfill(Backfill.PAUSED)

    assert await call(client) == a_backfill(Backfill.PAUSED)
    assert peer.requests[method] == [asked]
