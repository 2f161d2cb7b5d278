"""/docs: the API description as one readable page. Nothing is loaded from anywhere, and nothing
runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from html import escape
from typing import Any

from streamer.api.http.openapi import DONE, ERRORS, KEYS, description
from streamer.api.http.schemas import Schema

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --link: #06c; }
@media (prefers-color-scheme: dark) { :root { --link: #6bf; } }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem; }
code, .path { font: 0.9em/1.4 ui-monospace, monospace; }
a { color: var(--link); text-decoration: none; }
nav ul, .fields { list-style: none; padding: 0; columns: 22rem; }
section { border-top: 1px solid var(--line); margin-top: 1.5rem; }
h3 { margin: 1.5rem 0 0.3rem; overflow-wrap: anywhere; }
.verb { background: var(--soft); border: 1px solid var(--line); border-radius: 4px;
  padding: 0 0.4rem; }
table { border-collapse: collapse; width: 100%; }
td, th { border-bottom: 1px solid var(--line); padding: 0.2rem 0.6rem 0.2rem 0;
  text-align: left; vertical-align: top; }
td:first-child { white-space: nowrap; }
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""The Content-Security-Policy of the page: it needs nothing but its own style."""


@cache
def page() -> str:
    """The whole page. Built once."""
    spec = description()
    parts = [*_head(spec), *_contents(spec)]
    for tag in spec["tags"]:
        parts += [
            f'<section><h2 id="{escape(tag["name"])}">{escape(tag["name"])}</h2>'
            f"<p>{escape(tag['description'])}</p>"
        ]
        parts += [part for found in _operations(spec, tag["name"]) for part in _operation(*found)]
        parts.append("</section>")
    parts += [
        '<section><h2 id="errors">Errors</h2>',
        *_table([(status, "", when) for status, when in ERRORS.items()]),
        "</section>",
    ]
    parts.append('<section><h2 id="messages">Messages</h2>')
    for name, schema in spec["components"]["schemas"].items():
        parts += [
            (
                f'<h3 id="{escape(name)}">{escape(name)}</h3>'
                f"<p>{escape(schema.get('description', ''))}</p>"
            ),
            *_fields(schema),
        ]
    return "\n".join([*parts, "</section></body></html>\n"])


def _head(spec: Schema) -> Iterator[str]:
    headers = ", ".join(
        f"<code>{name}</code>"
        for name in ("X-API-KEY: KEY", "Authorization: Bearer KEY", "Grpc-Metadata-X-API-KEY: KEY")
    )
    assert len(KEYS) == headers.count("<code>")
    yield (
        '<!doctype html><html lang="en"><head><meta'
        f' charset="utf-8"><title>{escape(spec["info"]["title"])} API</title>'
    )
    yield (
        '<meta name="viewport" content="width=device-width,'
        f' initial-scale=1"><style>{STYLE}</style></head><body>'
    )
    yield (
        f"<h1>{escape(spec['info']['title'])}"
        f" {escape(spec['info']['version'])}</h1><p>{escape(spec['info']['summary'])}</p>"
    )
    yield (
        f"<p>The key comes in one of these headers: {headers}. For machines: <a"
        ' href="/openapi.json">/openapi.json</a>.</p>'
    )


def _contents(spec: Schema) -> Iterator[str]:
    yield "<nav><ul>"
    for tag in spec["tags"]:
        for path, verb, operation in _operations(spec, tag["name"]):
            name = operation["operationId"]
            link = f'<a href="#{escape(name)}">{escape(name.partition("_")[2])}</a>'
            yield f'<li>{link} <span class="path">{verb.upper()} {escape(path)}</span></li>'
    yield (
        '<li><a href="#errors">Errors</a></li><li><a href="#messages">Messages</a></li></ul></nav>'
    )


def _operations(spec: Schema, tag: str) -> Iterator[tuple[str, str, Schema]]:
    for path, verbs in spec["paths"].items():
        for verb, operation in verbs.items():
            if tag in operation.get("tags", ()):
                yield path, verb, operation


def _operation(path: str, verb: str, operation: Schema) -> Iterator[str]:
    name = operation["operationId"]
    yield f'<h3 id="{escape(name)}">{escape(name.partition("_")[2])}</h3>'
    yield (
        f'<p><code class="verb">{verb.upper()}</code>'
        f" <code>{escape(path)}</code></p><p>{escape(operation['description'])}</p>"
    )
    scopes = next(iter(operation["security"][0].values()))
    yield f"<p>The key needs the scope <code>{escape(', '.join(scopes))}</code>.</p>"
    rows = [
        (one["name"], f"{_kind(one['schema'])}, in the {one['in']}", _said(one))
        for one in operation["parameters"]
    ]
    yield from _table(rows)
    body = _schema(operation["requestBody"]) if "requestBody" in operation else {}
    if body.get("properties") or "$ref" in body:
        yield f"<p>Body: {_kind(body)}</p>"
        yield from _fields(body)
    answer = operation["responses"]["200"]
    more = "" if answer["description"] == DONE else f". {escape(answer['description'])}"
    yield f"<p>Answer: {_kind(_schema(answer))}{more}</p>"
    yield from _fields(_schema(answer))


def _schema(holder: Schema) -> Schema:
    found: Schema = holder["content"]["application/json"]["schema"]
    return found


def _fields(schema: Schema) -> Iterator[str]:
    needed = schema.get("required", ())
    rows = []
    for name, field in schema.get("properties", {}).items():
        marks = [
            mark
            for mark, here in (
                ("required", name in needed),
                ("only in answers", field.get("readOnly")),
            )
            if here
        ]
        rows.append((name, ", ".join([_kind(field), *marks]), field.get("description", "")))
    yield from _table(rows)


def _table(rows: list[tuple[str, str, str]]) -> Iterator[str]:
    """(name, kind as HTML, text) a row; nothing without rows."""
    if rows:
        cells = (
            f"<tr><td><code>{escape(name)}</code></td><td>{kind}</td><td>{escape(text)}</td></tr>"
            for name, kind, text in rows
        )
        yield f"<table>{''.join(cells)}</table>"


def _said(parameter: Mapping[str, Any]) -> str:
    return str(parameter.get("description") or parameter["schema"].get("description", ""))


def _kind(schema: Schema) -> str:
    """A schema's type in a word, as HTML; messages are links."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#{escape(name)}">{escape(name)}</a>'
    if "enum" in schema:
        return "one of " + ", ".join(f"<code>{escape(value)}</code>" for value in schema["enum"])
    if schema["type"] == "array":
        return f"list of {_kind(schema['items'])}"
    if "additionalProperties" in schema:
        return f"map of {_kind(schema['additionalProperties'])}"
    if "examples" in schema:
        return f"string, such as <code>{escape(schema['examples'][0])}</code>"
    return escape(
        f"{schema['type']} ({schema['format']})" if "format" in schema else schema["type"]
    )
