from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class VersionRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Version(_message.Message):
    __slots__ = ("commit", "commit_hash", "version", "app_major", "app_minor", "app_patch", "app_pre_release", "build_tags", "go_version")
    COMMIT_FIELD_NUMBER: _ClassVar[int]
    COMMIT_HASH_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    APP_MAJOR_FIELD_NUMBER: _ClassVar[int]
    APP_MINOR_FIELD_NUMBER: _ClassVar[int]
    APP_PATCH_FIELD_NUMBER: _ClassVar[int]
    APP_PRE_RELEASE_FIELD_NUMBER: _ClassVar[int]
    BUILD_TAGS_FIELD_NUMBER: _ClassVar[int]
    GO_VERSION_FIELD_NUMBER: _ClassVar[int]
    commit: str
    commit_hash: str
    version: str
    app_major: int
    app_minor: int
    app_patch: int
    app_pre_release: str
    build_tags: _containers.RepeatedScalarFieldContainer[str]
    go_version: str
    def __init__(self, commit: _Optional[str] = ..., commit_hash: _Optional[str] = ..., version: _Optional[str] = ..., app_major: _Optional[int] = ..., app_minor: _Optional[int] = ..., app_patch: _Optional[int] = ..., app_pre_release: _Optional[str] = ..., build_tags: _Optional[_Iterable[str]] = ..., go_version: _Optional[str] = ...) -> None: ...
