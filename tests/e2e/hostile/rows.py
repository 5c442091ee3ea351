"""A hostile request as a row of a table: what is sent, and how it is refused."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message

from convergence.v1.pipeline_service_pb2 import RunPipelineRequest
from tests.e2e.hostile.answers import Metadata
from tests.e2e.hostile.world import World

MEGABYTE = 1024 * 1024
INVALID, MISSING, DENIED = "INVALID_ARGUMENT", "NOT_FOUND", "PERMISSION_DENIED"
PRECONDITION, EXHAUSTED, UNKNOWN_KEY = "FAILED_PRECONDITION", "RESOURCE_EXHAUSTED", "UNAUTHENTICATED"
PIPELINES, TENANTS, SYSTEM = "PipelineService/", "TenantService/", "SystemService/"
SCHEDULES = "ScheduleService/"

Request = Message | bytes
FromWorld = Callable[[World], Request]


@dataclass(frozen=True)
class Row:
    """One idea of somebody who means no good. Whatever it is, nothing may have changed afterwards."""

    name: str
    method: str
    request: Request | FromWorld
    reason: str
    code: str = INVALID
    key: str = "acme"
    """By the World's name; '' for none."""
    says: str = ""
    """A part of the message, or of what is told of a field."""
    hidden: str = ""
    """What neither the answer nor the log, nor any file of the server, may show."""
    file: bytes = b""
    """The pipeline file that is run, made for this row."""
    metadata: Callable[[World], Metadata] | None = field(default=None, kw_only=True)
    """In place of the key."""

    @property
    def file_name(self) -> str:
        return "f_" + re.sub(r"[^a-z0-9]+", "_", self.name.lower())[:60]

    def message(self, world: World) -> Request:
        return self.request(world) if callable(self.request) else self.request

    def sent(self, world: World) -> Metadata:
        if self.metadata is not None:
            return self.metadata(world)
        return (("x-api-key", world.keys[self.key]),) if self.key else ()


def run(
    name: str,
    reason: str,
    path: tuple[str, str, str] = ("gcp", "example", "dryrun"),
    *,
    code: str = INVALID,
    key: str = "acme",
    says: str = "",
    hidden: str = "",
    **fields: Any,
) -> Row:
    """A run of a pipeline that is there, unless told otherwise."""
    provider, domain, template_name = path
    request = RunPipelineRequest(provider=provider, domain=domain, template_name=template_name, **fields)
    return Row(name, PIPELINES + "RunPipeline", request, reason, code, key, says, hidden)


def yaml(name: str, reason: str, text: str | bytes, *, says: str = "", hidden: str = "", **variables: str) -> Row:
    """A run of a pipeline file."""
    data = text.encode() if isinstance(text, str) else text
    row = Row(name, PIPELINES + "RunPipeline", RunPipelineRequest(), reason, says=says, hidden=hidden, file=data)
    named = RunPipelineRequest(provider="hostile", template_name=row.file_name, variables=variables)
    return Row(name, row.method, named, reason, says=says, hidden=hidden, file=data)


def sql(name: str, reason: str, query: str, *, says: str = "", value: str | None = None) -> Row:
    """A run whose one step has this query; its `{value}` is the request's."""
    declared = {"variables": {"value": "1"}} if value is not None else {}
    step = {"step_id": "load", "ps_type": "gcp.bq_etl", "source": {"query": query}, "destination": {"table": "rows"}}
    text = json.dumps({"pipeline_id": "hostile", **declared, "steps": [step]})
    return yaml(name, reason, text, says=says, **({"value": value} if value is not None else {}))


def step(name: str, reason: str, says: str = "", **settings: Any) -> Row:
    """A run whose one step, which would be right, has these settings as well."""
    right = {
        "step_id": "load",
        "ps_type": "gcp.bq_etl",
        "source": {"query": "SELECT 1 AS n"},
        "destination": {"table": "rows"},
    }
    text = json.dumps({"pipeline_id": "hostile", "steps": [{**right, **settings}]})
    return yaml(name, reason, text, says=says)
