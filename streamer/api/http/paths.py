"""Path templates of `google.api.http`, and which method a path and a verb mean.

    Template = "/" Segments [ ":" verb ]      Segment = "*" | "**" | literal | "{" field [ "="
    Segments ] "}"

A colon that is not percent-encoded always begins the verb, so `/v1/streams/x:resume` never means a
stream called "x:resume". Of two templates for one path the one with fewer variables is meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from google.api import annotations_pb2, http_pb2

from streamer.api.services import Rpc

_PIECE = re.compile(
    r"\{(?P<field>[\w.]+)(?:=(?P<inner>[^}]+))?\}|(?P<many>\*\*)|(?P<one>\*)|(?P<literal>[^{}*]+)"
)
_ONE = r"[^/:]+"
_MANY = r"[^:]+"


@dataclass(frozen=True, slots=True)
class Route:
    """One binding of a method. body is "", "*" or the field that the body fills."""

    rpc: Rpc
    verb: str
    template: str
    body: str
    pattern: re.Pattern[str]
    fields: tuple[str, ...]
    """Dotted paths of the request's fields that the path names, in the order of the pattern's
    groups.
    """


class Routes:
    """Every binding of every method."""

    def __init__(self, rpcs: Iterable[Rpc]) -> None:
        found = [route for rpc in rpcs for route in _bindings(rpc)]
        self.all = tuple(sorted(found, key=lambda route: len(route.fields)))

    def find(self, verb: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """The binding that is meant, with the values in the path (percent-encoded as it came); None
        without one.
        """
        for route in self.all:
            if route.verb == verb and (match := route.pattern.fullmatch(path)):
                return route, dict(zip(route.fields, map(unquote, match.groups()), strict=True))
        return None

    def verbs(self, path: str) -> list[str]:
        """Verbs under which this path means something."""
        return sorted({route.verb for route in self.all if route.pattern.fullmatch(path)})


def _bindings(rpc: Rpc) -> list[Route]:
    rule = rpc.method.GetOptions().Extensions[annotations_pb2.http]
    return [
        _route(rpc, each)
        for each in (rule, *rule.additional_bindings)
        if each.WhichOneof("pattern")
    ]


def _route(rpc: Rpc, rule: http_pb2.HttpRule) -> Route:
    kind = rule.WhichOneof("pattern")
    verb, template = (
        (rule.custom.kind, rule.custom.path)
        if kind == "custom"
        else (kind.upper(), getattr(rule, kind))
    )
    pattern, fields = compiled(template)
    return Route(rpc, verb, template, rule.body, pattern, fields)


def compiled(template: str) -> tuple[re.Pattern[str], tuple[str, ...]]:
    """The expression that matches a template's paths, and the fields that its groups are."""
    fields: list[str] = []
    pattern = ""
    for piece in _PIECE.finditer(template):
        if piece["field"]:
            fields.append(piece["field"])
            pattern += f"({_inner(piece['inner'] or '*')})"
        else:
            pattern += _inner(piece[0])
    return re.compile(pattern), tuple(fields)


def _inner(segments: str) -> str:
    return "".join(
        {"**": _MANY, "*": _ONE}.get(part, re.escape(part))
        for part in re.split(r"(\*\*|\*)", segments)
    )
