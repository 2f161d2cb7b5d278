"""The data folder: one daemon at a time, the preimage secret, and where the journal is.

    lock         held with flock while a daemon uses the folder; its text is the daemon's pid
    secret       32 random bytes, made with the folder, from which every preimage comes
    journal.db   the journal (and journal.db-wal, journal.db-shm beside it)

The secret and the journal belong together: the journal keeps a fingerprint of the secret, and one
without the other is refused, because new preimages for old payments would pay them a second time.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from streamer.words.errors import FailedPrecondition, StoreRefused

SECRET_BYTES = 32
FINGERPRINT_BYTES = 8
JOURNAL = "journal.db"
SECRET = "secret"  # noqa: S105
LOCK = "lock"
PROBE = "probe"
PROBE_BYTES = 256 << 10
"""What must fit before a replay is tried: WAL and index of a few commits."""
_LABEL = b"streamer/secret-fingerprint/v1"


@dataclass(slots=True)
class Folder:
    """An opened and locked data folder. kind is "lnd" or "simulator"; secret must never be logged
    or shown.
    """

    path: Path
    kind: str
    secret: bytes = field(repr=False)
    lock: int = field(repr=False)

    @property
    def journal(self) -> Path:
        """Where the journal is."""
        return self.path / JOURNAL

    @property
    def fingerprint(self) -> str:
        """16 hex digits that tell the secret from any other, and nothing else of it."""
        return hashlib.sha256(_LABEL + self.secret).digest()[:FINGERPRINT_BYTES].hex()

    def close(self) -> None:
        """Release the lock; does nothing the second time."""
        if self.lock >= 0:
            os.close(self.lock)
            self.lock = -1


def open_folder(path: Path, kind: str) -> Folder:
    """Open the folder, making it (0700) if it is not there, and lock it.

    Raises StoreRefused: another daemon uses it, it cannot be made or written, or its secret is
    gone.
    """
    _make(path)
    lock = _lock(path)
    try:
        return Folder(path, kind, _secret(path), lock)
    except BaseException:
        os.close(lock)
        raise


def _make(path: Path) -> None:
    if path.is_dir():
        return
    if path.exists():
        raise not_a_folder(path)
    try:
        path.mkdir(mode=0o700)
        sync_folder(path.parent)
    except FileNotFoundError as problem:
        raise (unwritable(path, problem) if path.parent.is_dir() else no_parent(path)) from problem
    except OSError as problem:
        raise unwritable(path, problem) from problem


def _lock(path: Path) -> int:
    try:
        lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as problem:
        raise unwritable(path, problem) from problem
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    except BlockingIOError as problem:
        holder = os.pread(lock, 20, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(lock)
        raise StoreRefused(
            f"another streamer (pid {holder}) uses {path}: stop it, or give this one its own"
            " data_dir"
        ) from problem
    except OSError as problem:
        os.close(lock)
        raise unwritable(path, problem) from problem
    return lock


def _secret(path: Path) -> bytes:
    if not (path / JOURNAL).exists() and not (path / SECRET).exists():
        return _new_secret(path)
    return kept_secret(path)


def kept_secret(path: Path) -> bytes:
    """The secret that is there. Raises StoreRefused if it is gone, unreadable or not whole."""
    file = path / SECRET
    try:
        found = file.read_bytes()
    except FileNotFoundError as problem:
        raise StoreRefused(
            f"{file} is missing, and {JOURNAL} beside it was written with one: put back the one of"
            " a copy of this folder. A new one would not know the payments that are open"
        ) from problem
    except OSError as problem:
        raise StoreRefused(
            f"{file} cannot be read ({problem.strerror}): it must belong to the user that runs"
            " streamer"
        ) from problem
    if len(found) != SECRET_BYTES:
        raise StoreRefused(
            f"{file} has {len(found)} bytes instead of {SECRET_BYTES}: put back the one of a copy"
            " of this folder"
        )
    return found


def _new_secret(path: Path) -> bytes:
    made = secrets.token_bytes(SECRET_BYTES)
    draft = path / f"{SECRET}.new"
    try:
        draft.unlink(missing_ok=True)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.write(handle, made)
            os.fsync(handle)
        finally:
            os.close(handle)
        draft.rename(path / SECRET)
        sync_folder(path)
    except OSError as problem:
        raise unwritable(path, problem) from problem
    return made


def require_writable(path: Path) -> None:
    """Write PROBE_BYTES into the folder, to the disk, and take them away. Raises FailedPrecondition
    if the disk refuses.
    """
    probe = path / PROBE
    try:
        try:
            with probe.open("wb") as file:
                file.write(bytes(PROBE_BYTES))
                file.flush()
                os.fsync(file.fileno())
        finally:
            probe.unlink(missing_ok=True)
    except OSError as problem:
        raise FailedPrecondition(
            f"the disk of {path} still refuses to be written ({problem.strerror}): make room or"
            " repair it, then `streamer sending start`"
        ) from problem


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def not_a_folder(path: Path) -> StoreRefused:
    """data_dir is a file."""
    return StoreRefused(f"{path} is a file: data_dir must be a folder")


def no_parent(path: Path) -> StoreRefused:
    """The folder that data_dir is to be made in is not there."""
    return StoreRefused(
        f"the data folder {path} cannot be made, because {path.parent} does not exist: make it, or"
        " change data_dir"
    )


def unwritable(path: Path, problem: OSError) -> StoreRefused:
    """The system does not let us write there, or look."""
    return StoreRefused(
        f"the data folder {path} cannot be written ({problem.strerror}): make it writable for this"
        " user, or change data_dir"
    )
