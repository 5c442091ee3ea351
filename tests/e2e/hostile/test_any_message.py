"""Every method with messages that are valid and odd: the answer is OK or an error that the API page tells of."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from tests.e2e.hostile.answers import ask
from tests.e2e.service import Service, make_checkout, onboard
from tests.e2e.test_access import methods

# Larger ones gRPC itself refuses.
MOST_BYTES = 4 * 1024 * 1024
# What is right, so that a call with one thing that is odd gets as far as that.
RIGHT: dict[str, list[Any]] = {
    "tenant_id": ["", "acme_corp", "acme_corp", "victim_corp", "new_corp"],
    "pipeline_logging_id": ["00000000-0000-4000-8000-000000000000"],
    "provider": ["gcp"],
    "domain": ["example"],
    "template_name": ["dryrun"],
    "key": ["greeting", "destination_table"],
    "key_id": ["0123456789ab"],
    "scopes": ["runs:read", "tenant:admin"],
    "paths": ["display_name", "quotas", "quotas.runs_per_day", "state", "allowed_sources", "plan", "cron", "jitter"],
    "confirm_delete_dataset": ["", "victim_corp"],
    "secret": ['{"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "' + "a" * 40 + '"}'],
    "name": ["bucket"],
    "kind": [2],
    "schedule_id": ["daily", "other"],
    "cron": ["0 6 * * *", "*/5 * * * *"],
    "time_zone": ["", "Europe/Berlin"],
    "backfill_id": ["00000000-0000-4000-8000-000000000000"],
    "tenant_ids": ["acme_corp"],
    "start_date": ["2025-11-01"],
    "end_date": ["2025-11-03"],
    "state": [2, 3],
    "request_id": ["", "again"],
}
RIGHT_MESSAGES = {"tenant", "schedule", "update_mask"}
TEXTS = st.one_of(
    st.sampled_from(
        ["", " ", "\0", "a\0b", "\x1b[2J", "\r\n", "\u202eabc", "\u200b", "\ufeff", "\U0010ffff", "ß" * 300]
    ),
    st.sampled_from(["../..", "%", "'", "`", "{tenant_id}", "null", "*", "x" * 100_000]),
    st.text(max_size=20),
)
_BITS = {
    FieldDescriptor.TYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_INT64: (-(2**63), 2**63 - 1),
}
ODD_NUMBERS = [0, 1, -1, 2, 500, 10**9, -(10**9), 253402300799, 253402300800, -62135596801]


def values(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    """A value, or the only entry, of a field."""
    if field.message_type is not None:
        return fields(field.message_type)
    if field.type == FieldDescriptor.TYPE_STRING:
        return st.sampled_from(RIGHT.get(field.name, [""])) | TEXTS
    if field.type == FieldDescriptor.TYPE_BOOL:
        return st.booleans()
    if field.type == FieldDescriptor.TYPE_ENUM:
        numbers = [value.number for value in field.enum_type.values]
        return st.sampled_from([*numbers, -1, max(numbers) + 1, 2**31 - 1, -(2**31)])
    low, high = _BITS[field.type]
    return st.sampled_from([*(number for number in ODD_NUMBERS if low <= number <= high), low, high])


def entries(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    """All of a field: a value, few values, or one very often."""
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        key, value = kind.fields_by_name["key"], kind.fields_by_name["value"]
        few = st.dictionaries(values(key), values(value), max_size=3)
        return few | st.integers(1, 5_000).map(lambda count: {f"v{number}": "x" for number in range(count)})
    if field.is_repeated:
        return st.lists(values(field), max_size=3) | st.builds(
            lambda value, count: [value] * count, values(field), st.sampled_from([60, 5_000])
        )
    return values(field)


@st.composite
def fields(draw: st.DrawFn, kind: Descriptor) -> Mapping[str, Any]:
    """A message's fields: some that are odd among some that are right."""
    names = [field.name for field in kind.fields]
    odd = draw(st.sets(st.sampled_from(names), max_size=3)) if names else ()
    found = {}
    for field in kind.fields:
        if field.name in odd:
            found[field.name] = draw(entries(field))
        elif field.name in RIGHT_MESSAGES:
            found[field.name] = draw(fields(field.message_type))
        elif field.name in RIGHT:
            value = draw(st.sampled_from(RIGHT[field.name]))
            found[field.name] = [value] if field.is_repeated else value
    return found


def filled(message: Message, given: Mapping[str, Any]) -> Message:
    for name, value in given.items():
        field = message.DESCRIPTOR.fields_by_name[name]
        here = getattr(message, name)
        if isinstance(value, dict) and field.message_type.GetOptions().map_entry:
            here.update(value)
        elif isinstance(value, list) and field.message_type is not None:
            for entry in value:
                filled(here.add(), entry)
        elif isinstance(value, list):
            here.extend(value)
        elif field.message_type is not None:
            here.SetInParent()
            filled(here, value)
        else:
            setattr(message, name, value)
    return message


@pytest.fixture(scope="module")
async def keys(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Service, dict[str, str]]]:
    """A service that may be left in any state, and who calls it."""
    started = await Service.start(make_checkout(tmp_path_factory.mktemp("any") / "checkout"))
    await onboard(started, "victim_corp")
    yield started, {"operator": started.admin_key, "tenant": await onboard(started, "acme_corp"), "nobody": ""}
    await started.stop()


@pytest.fixture(scope="module")
async def channel(keys: tuple[Service, dict[str, str]]) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(keys[0].target) as opened:
        yield opened


@pytest.mark.parametrize("method", list(methods()), ids=lambda method: method.name)
@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
async def test_it_is_answered(
    channel: grpc.aio.Channel, keys: tuple[Service, dict[str, str]], method: MethodDescriptor, data: st.DataObject
) -> None:
    request: Any = filled(GetMessageClass(method.input_type)(), data.draw(fields(method.input_type)))
    assume(request.ByteSize() <= MOST_BYTES)
    # The tenant that calls has to stay.
    assume(method.name != "OffboardTenant" or request.tenant_id != "acme_corp")
    for key in keys[1].values():
        answer = await ask(
            channel,
            f"{method.containing_service.name}/{method.name}",
            request,
            [("x-api-key", key)] if key else [],
        )
        assert key or answer.code == "UNAUTHENTICATED"


async def test_the_server_serves_after_all_that(
    channel: grpc.aio.Channel, keys: tuple[Service, dict[str, str]]
) -> None:
    health = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
    assert health.status == health_pb2.HealthCheckResponse.SERVING
    assert keys[0].process.returncode is None
