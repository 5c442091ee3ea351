"""The OpenAPI 3.1 description of the addresses, made from the protos with their comments."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, ServiceDescriptor

from server.gateway.comments import comments
from server.gateway.rules import Rule, Rules

_PACKAGE = "convergence.v1."
_NUMBER = "^-?[0-9]{1,19}$"
_SPAN = r"^-?[0-9]{1,12}(\.[0-9]{1,9})?s$"
_MASK = r"^[a-z0-9_.,]*$"
# As protobuf's JSON has them.
_KINDS: Mapping[int, dict[str, Any]] = {
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    FieldDescriptor.TYPE_INT32: {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    FieldDescriptor.TYPE_UINT32: {"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
    FieldDescriptor.TYPE_INT64: {"type": "string", "pattern": _NUMBER, "description": "A whole number, as a text."},
    FieldDescriptor.TYPE_DOUBLE: {"type": "number"},
    FieldDescriptor.TYPE_FLOAT: {"type": "number"},
}
_MESSAGES: Mapping[str, dict[str, Any]] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": _SPAN, "examples": ["3600s"]},
    "google.protobuf.FieldMask": {"type": "string", "pattern": _MASK},
    "google.protobuf.Struct": {"type": "object"},
    "google.protobuf.Value": {},
    "google.protobuf.ListValue": {"type": "array"},
}
_ERROR = {
    "type": "object",
    "description": "Why a request was refused.",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "description": "As AIP-193 has it.",
            "required": ["code", "status", "message", "details"],
            "properties": {
                "code": {"type": "integer", "description": "The HTTP status."},
                "status": {"type": "string", "description": "The gRPC status: `NOT_FOUND`."},
                "message": {"type": "string", "description": "What is wrong, in a sentence."},
                "details": {
                    "type": "array",
                    "description": "`google.rpc.ErrorInfo` with the reason, and where they apply `BadRequest`, "
                    "`QuotaFailure` and `RetryInfo`.",
                    "items": {"type": "object", "required": ["@type"], "properties": {"@type": {"type": "string"}}},
                },
            },
        }
    },
}
_ABOUT = (
    "Pipelines for cloud costs, for many tenants. Every address is a method of the gRPC service; the fields have the "
    "same names there. Whole numbers of 64 bits are texts."
)

Json = dict[str, Any]


def describe(services: Iterable[ServiceDescriptor], version: str) -> Json:
    """The whole document."""
    services = list(services)
    schemas = _Schemas()
    paths = dict[str, Json]()
    seen = dict[str, int]()
    for rule in Rules(services).all:
        name = rule.method.name
        seen[name] = seen.get(name, 0) + 1
        operation_id = name if seen[name] == 1 else f"{name}{seen[name]}"
        paths.setdefault(_address(rule), {})[rule.verb.lower()] = _operation(rule, operation_id, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Convergence Data Pipeline", "version": version, "description": _ABOUT},
        "servers": [{"url": "/"}],
        "security": [{"api_key": []}],
        "tags": [{"name": _tag(service), "description": comments().get(service.full_name, "")} for service in services],
        "paths": dict(sorted(paths.items())),
        "components": {
            "securitySchemes": {"api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}},
            "schemas": {"Error": _ERROR, **dict(sorted(schemas.found.items()))},
        },
    }


def _address(rule: Rule) -> str:
    """With one name for what stands in one place, whichever part of a request it is."""
    address = rule.template
    for path in rule.fields:
        address = address.replace(f"{{{path}}}", f"{{{_last(path)}}}")
    return address


def _last(path: str) -> str:
    return path.rpartition(".")[2]


def _tag(service: ServiceDescriptor) -> str:
    return service.name.removesuffix("Service")


def _operation(rule: Rule, operation_id: str, schemas: "_Schemas") -> Json:
    method, kind = rule.method, rule.method.input_type
    told = comments().get(method.full_name, "")
    operation: Json = {
        "operationId": operation_id,
        "tags": [_tag(method.containing_service)],
        "summary": " ".join(re.split(r"(?<=\.)\s", told, maxsplit=1)[0].split()),
        "description": told,
        "parameters": [*_in_path(rule, schemas), *_in_query(rule, schemas), *_in_headers(rule)],
        "responses": {**_answers(rule, schemas), "default": _content("application/json", _ref("Error"), "Refused.")},
    }
    if rule.body:
        of_body = kind if rule.body == "*" else kind.fields_by_name[rule.body].message_type
        operation["requestBody"] = {"content": {"application/json": {"schema": schemas.body(of_body, rule)}}}
    return operation


def _answers(rule: Rule, schemas: "_Schemas") -> Json:
    answer = schemas.of_message(rule.method.output_type)
    if not rule.method.server_streaming:
        return {"200": _content("application/json", answer, "Done.")}
    return {
        "200": _content(
            "text/event-stream", {"type": "string"}, f"Events, each with a {rule.method.output_type.name}."
        ),
        "204": {"description": "There is nothing behind the event that `Last-Event-ID` names, and nothing will come."},
    }


def _content(kind: str, schema: Json, description: str) -> Json:
    return {"description": description, "content": {kind: {"schema": schema}}}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _in_path(rule: Rule, schemas: "_Schemas") -> Iterable[Json]:
    for path in rule.fields:
        field = _field(rule.method.input_type, path)
        schema = schemas.of_field(field) | ({"minLength": 1} if field.type == FieldDescriptor.TYPE_STRING else {})
        yield {"name": _last(path), "in": "path", "required": True, "schema": schema, "description": _told(field)}


def _in_query(rule: Rule, schemas: "_Schemas") -> Iterable[Json]:
    if rule.body == "*":
        return
    for field in rule.method.input_type.fields:
        kind = field.message_type
        if field.name in {*rule.fields, rule.body} or (kind is not None and kind.full_name not in _MESSAGES):
            continue
        schema = schemas.of_field(field)
        if field.name == "update_mask":
            schema |= {"description": "By default everything that the body says."}
        yield {"name": field.name, "in": "query", "schema": schema, "description": _told(field)}


def _in_headers(rule: Rule) -> Iterable[Json]:
    fields = rule.method.input_type.fields_by_name
    if "request_id" in fields:
        told = "Stands for `request_id`."
        yield {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}, "description": told}
    if "after_sequence" in fields:
        told = "Stands for `after_sequence`; browsers send it when they come again."
        yield {"name": "Last-Event-ID", "in": "header", "schema": {"type": "string"}, "description": told}


def _field(kind: Descriptor, path: str) -> FieldDescriptor:
    """The field at the end of a path that a rule has."""
    *parents, last = path.split(".")
    for name in parents:
        inner = kind.fields_by_name[name].message_type
        assert inner is not None  # noqa: S101 - protoc has checked the rule
        kind = inner
    return kind.fields_by_name[last]


def _told(field: FieldDescriptor) -> str:
    return comments().get(field.full_name, "")


class _Schemas:
    """The schemas of messages and enums, as they are needed."""

    def __init__(self) -> None:
        self.found: dict[str, Json] = {}

    def of_message(self, kind: Descriptor) -> Json:
        """A reference to the message's schema, or the schema of what JSON has a form of its own for."""
        if kind.full_name in _MESSAGES:
            return dict(_MESSAGES[kind.full_name])
        name = kind.full_name.removeprefix(_PACKAGE)
        if name not in self.found:
            self.found[name] = {}
            self.found[name] |= self._object(kind, without=())
        return _ref(name)

    def body(self, kind: Descriptor | None, rule: Rule) -> Json:
        """The schema of a body, without what stands in the address."""
        assert kind is not None  # noqa: S101 - a body is a message
        prefix = "" if rule.body == "*" else f"{rule.body}."
        return self._object(kind, without=[path.removeprefix(prefix) for path in rule.fields])

    def of_field(self, field: FieldDescriptor) -> Json:
        """The schema of a field's value."""
        if not field.is_repeated:
            return self._of_one(field)
        kind = field.message_type
        if kind is not None and kind.GetOptions().map_entry:
            return {"type": "object", "additionalProperties": self._of_one(kind.fields_by_name["value"])}
        return {"type": "array", "items": self._of_one(field)}

    def _of_one(self, field: FieldDescriptor) -> Json:
        if field.message_type is not None:
            return self.of_message(field.message_type)
        if field.enum_type is not None:
            return self._of_enum(field.enum_type)
        return dict(_KINDS[field.type])

    def _of_enum(self, enum: EnumDescriptor) -> Json:
        name = enum.full_name.removeprefix(_PACKAGE)
        if name not in self.found:
            lines = [comments().get(enum.full_name, "")]
            lines += [f"`{one.name}`: {comments().get(f'{enum.full_name}.{one.name}', '')}" for one in enum.values]
            values = [value.name for value in enum.values]
            self.found[name] = {"type": "string", "enum": values, "description": "\n\n".join(filter(None, lines))}
        return _ref(name)

    def _object(self, kind: Descriptor, *, without: Iterable[str]) -> Json:
        without = set(without)
        properties = {
            field.name: self.of_field(field) | ({"description": told} if (told := _told(field)) else {})
            for field in kind.fields
            if field.name not in without
        }
        described = comments().get(kind.full_name, "")
        return {
            "type": "object",
            **({"description": described} if described else {}),
            "properties": properties,
            "additionalProperties": False,
        }
