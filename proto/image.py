"""The public schema (our own packages, and Impervious') as one descriptor set, and the comments in
it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from google.api import annotations_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent
PUBLIC = ("streamer", "imp")
INCLUDES = (
    f"-I{ROOT}",
    f"-I{files('grpc_tools') / '_proto'}",
    f"-I{Path(annotations_pb2.__file__).parents[2]}",
)

CHILDREN = {
    "message_type": 4,
    "enum_type": 5,
    "service": 6,
    "field": 2,
    "nested_type": 3,
    "value": 2,
    "method": 2,
}
"""Numbers of the fields that hold named things: paths of SourceCodeInfo are made of them."""
NESTED_ENUM = 4


def image(*, comments: bool) -> bytes:
    """The public files and all that they import; comments: with source positions and comments."""
    sources = sorted(str(path) for folder in PUBLIC for path in (ROOT / folder).rglob("*.proto"))
    info = ["--include_source_info"] if comments else []
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "image.binpb"
        if protoc.main(
            [
                "protoc",
                *INCLUDES,
                "--include_imports",
                *info,
                f"--descriptor_set_out={made}",
                *sources,
            ]
        ):
            raise SystemExit("protoc failed")
        return made.read_bytes()


def comments_in(descriptors: bytes) -> dict[str, str]:
    """Full name → comment, of everything in the public files that has one."""
    found: dict[str, str] = {}
    for file in FileDescriptorSet.FromString(descriptors).file:
        if file.name.startswith(PUBLIC):
            texts = {
                tuple(place.path): _text(place.leading_comments)
                for place in file.source_code_info.location
                if place.leading_comments
            }
            found |= {name: texts[path] for path, name in _named(file) if path in texts}
    return dict(sorted(found.items()))


def _named(file: FileDescriptorProto) -> Iterator[tuple[tuple[int, ...], str]]:
    for kind in ("message_type", "enum_type", "service"):
        yield from _below(getattr(file, kind), (CHILDREN[kind],), file.package)


def _below(
    things: Iterable[Any], path: tuple[int, ...], parent: str
) -> Iterator[tuple[tuple[int, ...], str]]:
    for index, thing in enumerate(things):
        here, name = (*path, index), f"{parent}.{thing.name}"
        yield here, name
        for kind in ("field", "nested_type", "value", "method", "enum_type"):
            number = NESTED_ENUM if kind == "enum_type" else CHILDREN[kind]
            yield from _below(getattr(thing, kind, ()), (*here, number), name)


def _text(comment: str) -> str:
    return " ".join(line.strip() for line in comment.strip().splitlines())
