"""The room: an append-only file that any number of processes share as a chat channel, without a server.

One event per line, as JSON. Whoever appends holds an exclusive lock, gives the event the next number (1, 2, 3 ...)
and syncs it to the disk before the lock is released; whoever reads holds a shared one. What a reader has seen is
therefore on the disk, and never half a line. The room vouches for who speaks: whoever can write the file can speak
for everybody in it, so that it is readable and writable for its owner only.
"""

import contextlib
import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from kcibot.chat.room_event import Event, RoomKind, dump, load
from kcibot.core.notice import Notice
from kcibot.errors import OutcomeUnknown, PermanentError, TransientError

__all__ = ["CHANNEL", "POLL_SECONDS", "Event", "Reader", "Room", "RoomKind", "utc_now"]

CHANNEL = "kernelci"
"""The channel of a room in which nobody named another."""

POLL_SECONDS = 0.04
LOCK_SECONDS = 10.0
_LOCK_RETRY_SECONDS = 0.002
_TAIL_BYTES = 1 << 16


def utc_now() -> datetime:
    return datetime.now(UTC)


class Room:
    """The room in one folder. `now` is asked for the time of every event."""

    def __init__(self, folder: Path, now: Callable[[], datetime] = utc_now) -> None:
        self.path = folder / "room.jsonl"
        self._now = now

    def say(self, person: str, text: str, channel: str = CHANNEL) -> Event:
        """A person says something; errors as of `append`."""
        return self.append(RoomKind.MESSAGE, channel, person, text=text)

    def react(self, person: str, target: int, emoji: str, channel: str = CHANNEL) -> Event:
        """A person reacts to the message of that number; `emoji` is a name such as `+1`."""
        return self.append(RoomKind.REACTION, channel, person, text=emoji, target=target)

    def unreact(self, person: str, target: int, emoji: str, channel: str = CHANNEL) -> Event:
        """A person takes a reaction back."""
        return self.append(RoomKind.UNREACTION, channel, person, text=emoji, target=target)

    def append(
        self,
        kind: RoomKind,
        channel: str,
        speaker: str,
        *,
        text: str = "",
        target: int = 0,
        notice: Notice | None = None,
        key: str = "",
    ) -> Event:
        """Append one event and return it with its number and time; it is on the disk when this returns.

        A line that a killed writer left unfinished is cut off first. Raises TransientError if the event certainly is
        not in the room, OutcomeUnknown if it may be, PermanentError if the room's last line is damaged.
        """
        with _locked(self.path, fcntl.LOCK_EX) as fd:
            number = _mend(fd) + 1
            event = Event(number, self._now(), kind, channel, speaker, text, target, notice, key)
            _write(fd, dump(event))
        return event

    def read(self, after: int = 0) -> list[Event]:
        """Every event with a higher number; none if nobody ever spoke."""
        return self.reader(after).take()

    def reader(self, after: int = 0) -> "Reader":
        return Reader(self.path, after)

    def follow(self, after: int, cancelled: threading.Event) -> Iterator[Event]:
        """Every event with a higher number, once each and in order, those to come too, until `cancelled` is set.

        Raises as `Reader.take`; follow again from the last number that was seen.
        """
        reader = self.reader(after)
        while not cancelled.is_set():
            events = reader.take()
            for event in events:
                if cancelled.is_set():
                    return
                yield event
            if not events:
                cancelled.wait(POLL_SECONDS)


class Reader:
    """Reads the room on from where it stopped; looking costs one `stat` while nothing happens."""

    def __init__(self, path: Path, after: int = 0) -> None:
        self._path = path
        self._after = after
        self._number = 0
        self._offset = 0

    def take(self) -> list[Event]:
        """What is new since the last time.

        Raises TransientError if the file cannot be read now, PermanentError for a line that nobody can read or a
        file that lost lines; events before such a line are given first.
        """
        size = self._size()
        if size < self._offset:
            raise PermanentError("The chat room's file has lost lines that were already read. Start with a new room.")
        if size == self._offset:
            return []
        return self._parsed(self._whole_lines())

    def _size(self) -> int:
        try:
            return self._path.stat().st_size
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise TransientError(f"The chat room's file cannot be read: {error.strerror}.") from error

    def _whole_lines(self) -> list[bytes]:
        with _locked(self._path, fcntl.LOCK_SH) as fd:
            data = _read(fd, self._offset, os.fstat(fd).st_size)
        return data.split(b"\n")[:-1]

    def _parsed(self, lines: list[bytes]) -> list[Event]:
        events: list[Event] = []
        for line in lines:
            try:
                event = load(line, self._number + 1) if self._number >= self._after else None
            except PermanentError:
                if events:
                    break
                raise
            self._number += 1
            self._offset += len(line) + 1
            if event:
                events.append(event)
        return events


# ---- the file --------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _locked(path: Path, lock: int) -> Iterator[int]:
    """The open file while its lock is held; closing it gives the lock back, and so does being killed."""
    try:
        fd = _open(path) if lock == fcntl.LOCK_EX else os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise TransientError(f"The chat room's file cannot be opened: {error.strerror}.") from error
    try:
        _lock(fd, lock)
        yield fd
    finally:
        os.close(fd)


def _open(path: Path) -> int:
    """Open it for appending; a new file's name is on the disk before anything is in it."""
    flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC
    with contextlib.suppress(FileNotFoundError):
        return os.open(path, flags)
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, flags | os.O_CREAT, 0o600)
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return fd


def _lock(fd: int, lock: int) -> None:
    """Wait for the lock, but not for ever: a process may have been stopped while it held it."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(fd, lock | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise TransientError(
                    f"The chat room has been held by another process for {LOCK_SECONDS:.0f} s."
                ) from None
            time.sleep(_LOCK_RETRY_SECONDS)
        except OSError as error:
            raise TransientError(f"The chat room's file cannot be locked: {error.strerror}.") from error
        else:
            return


def _read(fd: int, start: int, end: int) -> bytes:
    try:
        return os.pread(fd, end - start, start)
    except OSError as error:
        raise TransientError(f"The chat room's file cannot be read: {error.strerror}.") from error


def _mend(fd: int) -> int:
    """Cut off what follows the last whole line, and return that line's number (0 if there is none)."""
    size = os.fstat(fd).st_size
    end, line = _last_line(fd, size)
    if end < size:
        try:
            os.ftruncate(fd, end)
        except OSError as error:
            raise TransientError(f"The chat room's last line cannot be mended: {error.strerror}.") from error
    if not line:
        return 0
    try:
        return int(json.loads(line)["number"])
    except (ValueError, KeyError, TypeError) as error:
        raise PermanentError("The last line of the chat room's file is damaged. Start with a new room.") from error


def _last_line(fd: int, size: int) -> tuple[int, bytes]:
    """Where the last whole line ends, and the line without its end; reads no more than needed."""
    span = _TAIL_BYTES
    while True:
        start = max(0, size - span)
        data = _read(fd, start, size)
        end = data.rfind(b"\n")
        begin = data.rfind(b"\n", 0, max(end, 0))
        if begin >= 0 or start == 0:
            return (start + end + 1, data[begin + 1 : end]) if end >= 0 else (0, b"")
        span *= 4


def _write(fd: int, line: bytes) -> None:
    end = os.fstat(fd).st_size
    rest = memoryview(line)
    try:
        while rest:
            rest = rest[os.write(fd, rest) :]
    except OSError as error:
        # Without its newline it does not count, even if cutting it off fails too: the next writer does that.
        with contextlib.suppress(OSError):
            os.ftruncate(fd, end)
        raise TransientError(f"The chat room's file cannot be written: {error.strerror}.") from error
    try:
        os.fsync(fd)
    except OSError as error:
        raise OutcomeUnknown(
            f"The message is in the chat room, but perhaps not on the disk: {error.strerror}."
        ) from error
