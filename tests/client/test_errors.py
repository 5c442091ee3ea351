"""Each refusal reaches the caller as one exception with everything that the server said."""

import asyncio

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, Help, QuotaFailure, RetryInfo

from convergence import errors
from convergence.client import ConvergenceClient, answer
from convergence.errors import ConvergenceError, Violation
from convergence.v1.pipeline_service_pb2 import RetryRunRequest

from .peer import TENANT, refuse

CODES = {
    grpc.StatusCode.INVALID_ARGUMENT: errors.InvalidArgument,
    grpc.StatusCode.OUT_OF_RANGE: errors.InvalidArgument,
    grpc.StatusCode.NOT_FOUND: errors.NotFound,
    grpc.StatusCode.ALREADY_EXISTS: errors.AlreadyExists,
    grpc.StatusCode.UNAUTHENTICATED: errors.Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: errors.PermissionDenied,
    grpc.StatusCode.FAILED_PRECONDITION: errors.FailedPrecondition,
    grpc.StatusCode.ABORTED: errors.Aborted,
    grpc.StatusCode.RESOURCE_EXHAUSTED: errors.ResourceExhausted,
    grpc.StatusCode.UNAVAILABLE: errors.Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: errors.DeadlineExceeded,
    grpc.StatusCode.UNIMPLEMENTED: errors.Unimplemented,
    grpc.StatusCode.INTERNAL: errors.Internal,
    grpc.StatusCode.UNKNOWN: errors.Internal,
    grpc.StatusCode.DATA_LOSS: errors.Internal,
    grpc.StatusCode.CANCELLED: ConvergenceError,
}

BAD_REQUEST = BadRequest(
    field_violations=[
        BadRequest.FieldViolation(field="date", description="write YYYY-MM-DD"),
        BadRequest.FieldViolation(field="variables.x", description="the pipeline declares no x"),
    ]
)
QUOTA = QuotaFailure(violations=[QuotaFailure.Violation(subject="runs_per_day", description="100 of 100 are used")])


def refusing(code, message, *details):
    async def handler(_request, context):
        await refuse(context, code, message, *details)

    return handler


async def refusal(client, peer, handler) -> ConvergenceError:
    peer.answers["GetTenant"] = handler
    with pytest.raises(ConvergenceError) as caught:
        await client.get_tenant(TENANT)
    return caught.value


def test_the_table_names_every_code_but_ok():
    assert set(CODES) == set(grpc.StatusCode) - {grpc.StatusCode.OK}


@pytest.mark.parametrize(("code", "kind"), CODES.items(), ids=lambda value: getattr(value, "name", ""))
async def test_each_code_has_its_class(client, peer, code, kind):
    error = await refusal(client, peer, refusing(code, "No.", ErrorInfo(reason="SAID_SO")))

    assert type(error) is kind
    assert (error.code, error.reason, error.message, str(error)) == (code, "SAID_SO", "No.", "No.")


@pytest.mark.parametrize(
    ("details", "violations", "retry_after"),
    [
        ([], (), None),
        (
            [BAD_REQUEST],
            (Violation("date", "write YYYY-MM-DD"), Violation("variables.x", "the pipeline declares no x")),
            None,
        ),
        (
            [QUOTA, RetryInfo(retry_delay=Duration(seconds=1, nanos=500_000_000))],
            (Violation("runs_per_day", "100 of 100 are used"),),
            1.5,
        ),
        ([Help(links=[Help.Link(url="https://example.com")])], (), None),
    ],
    ids=["none", "bad-request", "quota-and-retry", "a-kind-we-do-not-know"],
)
async def test_details(client, peer, details, violations, retry_after):
    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    error = await refusal(client, peer, refusing(code, "No.", ErrorInfo(reason="SAID_SO"), *details))

    assert error.violations == violations
    assert error.retry_after == retry_after
    assert error.reason == "SAID_SO"


async def test_what_the_servers_log_is_searched_for(client, peer):
    info = ErrorInfo(reason="INTERNAL", metadata={"request_id": "r-1"})
    error = await refusal(client, peer, refusing(grpc.StatusCode.INTERNAL, "Something failed.", info))

    assert error.request_id == "r-1"


@pytest.mark.parametrize("trailer", [None, b"", b"\xff\xff no message"], ids=["missing", "empty", "malformed"])
async def test_without_readable_details_code_and_message_hold(client, peer, trailer):
    async def handler(_request, context):
        metadata = (("grpc-status-details-bin", trailer),) if trailer is not None else ()
        await context.abort(grpc.StatusCode.NOT_FOUND, "gone", metadata)

    error = await refusal(client, peer, handler)

    assert (type(error), error.reason, error.message) == (errors.NotFound, "NOT_FOUND", "gone")


async def test_an_rpc_that_the_server_lacks_is_unimplemented(client):
    with pytest.raises(errors.Unimplemented):
        await answer(client.pipelines.RetryRun(RetryRunRequest(tenant_id=TENANT)))


async def test_no_answer_in_time(address, peer):
    async def never(_request, _context):
        await asyncio.Event().wait()

    peer.answers["GetTenant"] = never
    async with ConvergenceClient(address.target, timeout=0.3) as client:
        with pytest.raises(errors.DeadlineExceeded):
            await client.get_tenant(TENANT)


async def test_no_server(address):
    await address.stop()
    async with ConvergenceClient(address.target, timeout=10) as client:
        with pytest.raises(errors.Unavailable) as caught:
            await client.get_tenant(TENANT)
    assert caught.value.is_connection_loss
