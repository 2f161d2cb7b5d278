"""/openapi.json: OpenAPI 3.1 of the HTTP door, from the same descriptors that serve it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from streamer import __version__
from streamer.api.http.incoming import REQUEST_ID, WHOLE
from streamer.api.http.paths import Route, Routes
from streamer.api.http.schemas import PATCH, Schema, Schemas, comments
from streamer.api.scopes import SCOPES
from streamer.api.services import SERVICES, methods

SUMMARY = "Streams money over the Lightning Network: exact pay-per-time by keysend."
ERRORS = {
    "400": "The request is wrong in itself, or not possible in the present state.",
    "401": "No key came with the call.",
    "403": "The key is not known, or does not allow this.",
    "404": "Nothing has this name.",
    "409": "The request_id was used before with other content.",
    "413": "The body is too large.",
    "429": "A bound is reached; Retry-After says when to try again, where that is known.",
    "501": "Not a method of streamer.",
    "503": "Not now: try again later.",
    "504": "The deadline passed; what was asked for may still happen.",
    "default": "Any other failure.",
}
"""HTTP status → when."""
KEYS: Schema = {
    "key": {"type": "apiKey", "in": "header", "name": "X-API-KEY"},
    "bearer": {"type": "http", "scheme": "bearer"},
    "grpcMetadataKey": {"type": "apiKey", "in": "header", "name": "Grpc-Metadata-X-API-KEY"},
}
MASKLESS = " Without updateMask, what the body names is changed."
DONE = "It is done."
PLAIN = {
    "/metrics": "The metrics, in Prometheus' text format.",
    "/healthz": "Answers while the daemon lives.",
}
READY = "/readyz"
_ERROR: Schema = {
    "type": "object",
    "description": "Why a call was refused.",
    "required": ["code", "message", "details"],
    "properties": {
        "code": {"type": "integer", "description": "gRPC's number of the code."},
        "message": {
            "type": "string",
            "description": "A sentence for the user: what was wrong, and what to do.",
        },
        "details": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["@type"],
                "properties": {"@type": {"type": "string"}},
            },
        },
    },
}


@cache
def description() -> Schema:
    """The whole document. Built once; nobody may change it."""
    schemas = Schemas()
    schemas.found["Error"] = _ERROR
    paths: dict[str, Schema] = {}
    for route in Routes(methods()).all:
        paths.setdefault(_address(route), {})[route.verb.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "streamer",
            "version": __version__,
            "summary": SUMMARY,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": _needs(),
        "tags": [
            {"name": service.name, "description": comments().get(service.full_name, "")}
            for service, _ in SERVICES
        ],
        "paths": dict(sorted(paths.items())) | _plain(),
        "components": {
            "schemas": dict(sorted(schemas.found.items())),
            "responses": {
                "Error": {
                    "description": "Refused.",
                    "content": _json({"$ref": "#/components/schemas/Error"}),
                }
            },
            "securitySchemes": KEYS,
        },
    }


def _address(route: Route) -> str:
    """The template with short names: OpenAPI allows one template for a path, whatever its variables
    are called.
    """
    return re.sub(r"\{([\w.]+)[^}]*\}", lambda found: "{" + _short(found[1]) + "}", route.template)


def _short(field: str) -> str:
    return field.rpartition(".")[2]


def _operation(route: Route, schemas: Schemas) -> Schema:
    method = route.rpc.method
    text = comments().get(method.full_name, "") + (MASKLESS if route.verb == "PATCH" else "")
    operation: Schema = {
        "operationId": route.rpc.name.replace("/", "_"),
        "tags": [method.containing_service.name],
        "summary": text.partition(". ")[0].rstrip("."),
        "description": text,
        "security": _needs(SCOPES[method.full_name]),
        "parameters": list(_parameters(route, schemas)),
        "responses": {"200": _answer(route, schemas)}
        | {status: _refusal(when) for status, when in ERRORS.items()},
    }
    body = _body(route, schemas)
    return operation if body is None else operation | {"requestBody": body}


def _needs(*scopes: str) -> list[Schema]:
    """Any of the ways to send a key, which must have these scopes."""
    return [{name: [str(scope) for scope in scopes]} for name in KEYS]


def _answer(route: Route, schemas: Schemas) -> Schema:
    reply = schemas.reference(route.rpc.method.output_type)
    if not route.rpc.streams:
        return {"description": DONE, "content": _json(reply)}
    line = {
        "type": "object",
        "properties": {"result": reply, "error": {"$ref": "#/components/schemas/Error"}},
    }
    return {
        "description": "One JSON object a line: a result, or the error that ends the stream.",
        "content": _json(line),
    }


def _refusal(when: str) -> Schema:
    return {"description": when, "content": _json({"$ref": "#/components/schemas/Error"})}


def _body(route: Route, schemas: Schemas) -> Schema | None:
    request = route.rpc.method.input_type
    if not route.body:
        return None
    if route.body == WHOLE:
        return {"content": _json(schemas.object(request, frozenset(route.fields)))}
    inner = request.fields_by_name[route.body].message_type
    if inner is None:
        return {"content": _json(schemas.field(request.fields_by_name[route.body]))}
    return {
        "required": True,
        "content": _json(schemas.reference(inner, PATCH if route.verb == "PATCH" else "")),
    }


def _parameters(route: Route, schemas: Schemas) -> Iterator[Schema]:
    request = route.rpc.method.input_type
    for path in route.fields:
        yield {
            "name": _short(path),
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1},
        }
    if route.body != WHOLE:
        for field in request.fields:
            if field.name not in (route.body, *(path.partition(".")[0] for path in route.fields)):
                yield {"name": field.json_name, "in": "query", "schema": schemas.field(field)}
    if REQUEST_ID in request.fields_by_name:
        text = "The request_id: the same key with the same content does it once."
        yield {
            "name": "Idempotency-Key",
            "in": "header",
            "description": text,
            "schema": {"type": "string", "maxLength": 128},
        }


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _plain() -> Schema:
    """What the port shows to anybody."""
    text: Schema = {"content": {"text/plain": {"schema": {"type": "string"}}}}
    shown = {path: {"200": {"description": "Always."} | text} for path in PLAIN}
    shown[READY] = {
        "200": {"description": "Yes."} | text,
        "503": {"description": "No, and why."} | text,
    }
    said = PLAIN | {READY: "Whether the daemon can pay."}
    return {
        path: {
            "get": {
                "operationId": path[1:],
                "summary": said[path].rstrip("."),
                "security": [],
                "responses": responses,
            }
        }
        for path, responses in shown.items()
    }
