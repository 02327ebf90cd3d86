"""A bot that is killed has kept everything it promised, and nothing half."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from kcibot.core.redact import Redactor
from kcibot.store.audit import verify
from kcibot.store.codec import PydanticCodec
from kcibot.store.opening import open_store

CALLERS = 4
WORKER = """
import os, sys, threading
from datetime import UTC, datetime
from pathlib import Path
from kcibot.core.journal import Audit, Remember, Say
from kcibot.core.message import Place
from kcibot.core.notice import Notice
from kcibot.core.redact import Redactor
from kcibot.store.codec import PydanticCodec
from kcibot.store.opening import open_store

now, callers = datetime(2019, 6, 3, 12, tzinfo=UTC), int(sys.argv[2])
store = open_store(Path(sys.argv[1]), Redactor(), PydanticCodec())

def work(number):
    while True:
        store.journal.commit([
            Remember("unit", str(number), number),
            Say(f"unit:{number}", Place("irc", "#kernelci"), Notice(f"unit {number}")),
            Audit(now, "operator", "unit", str(number)),
        ])
        os.write(1, f"{number}\\n".encode())
        number += callers

for first in range(callers):
    threading.Thread(target=work, args=(first,)).start()
"""


def killed_after(path: Path, lines: int) -> set[str]:
    """Run the worker, kill it once it has printed so many numbers; all that it printed."""
    command = [sys.executable, "-c", WORKER, str(path), str(CALLERS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        printed = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        printed += process.stdout.readlines()
    return {line.decode().strip() for line in printed if line.endswith(b"\n")}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_was_promised_before_a_kill_is_there_and_nothing_is_there_by_halves(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "kcibot.db"
    promised = killed_after(path, random.Random(seed).randint(50, 1500))  # noqa: S311
    store = open_store(path, Redactor(), PydanticCodec())
    notes = set(store.journal.recall("unit"))
    said = {message.key.removeprefix("unit:") for message in store.outbox.undelivered("irc", 1_000_000)}
    audited = {entry.entry.subject for entry in store.journal.audit_tail(1_000_000)}
    store.close()
    assert promised <= notes
    assert notes == said == audited
    assert len(notes - promised) <= CALLERS
    assert verify(store.database).ok
