"""How many units the store commits per second: one effect, one message and one audit entry each, durable.

Run by hand: `python benchmarks/store_commits.py [FOLDER]`. The floor beside it is the same file written by one thread
of bare sqlite3, a transaction per unit: what this disk and this machine can do at all, one at a time.
"""

import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kcibot.core.journal import Audit, Change, Effect, EffectState, SaveEffect, SaveRun, Say
from kcibot.core.message import Place
from kcibot.core.notice import Notice
from kcibot.core.redact import Redactor
from kcibot.core.run import Run, StepRecord
from kcibot.store.codec import PydanticCodec
from kcibot.store.journal import SqlJournal
from kcibot.store.opening import open_store

NOW = datetime(2019, 6, 3, 12, tzinfo=UTC)
PLACE = Place("irc", "#kernelci")
SECONDS = 3.0
SECRETS = 10


def unit(number: int) -> list[Change]:
    return [
        SaveEffect(Effect(1, "push", 1, f"push-{number}", EffectState.DONE, NOW, NOW + timedelta(minutes=5), {"n": 1})),
        Say(f"reply:{number}", PLACE, Notice(f"Pushed {number}", lines=("one line", "and another"))),
        Audit(NOW, "operator", "push", f"kernelci-core {number}", {"old": "a" * 40, "new": "b" * 40}),
    ]


def rate(callers: int, journal: SqlJournal, first: int) -> tuple[float, int]:
    """Units per second, and how many there were."""
    counts = [0] * callers
    begin = time.perf_counter()

    def work(caller: int) -> None:
        while time.perf_counter() - begin < SECONDS:
            journal.commit(unit(first + counts[caller] * callers + caller))
            counts[caller] += 1

    threads = [threading.Thread(target=work, args=(caller,)) for caller in range(callers)]
    run_all(threads, threading.Thread.start)
    run_all(threads, threading.Thread.join)
    return sum(counts) / (time.perf_counter() - begin), sum(counts)


def run_all(threads: list[threading.Thread], step: Callable[[threading.Thread], None]) -> None:
    for thread in threads:
        step(thread)


def floor(path: Path) -> float:
    """Transactions per second of three rows, by bare sqlite3."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t (a TEXT, b TEXT)")
    begin, count = time.perf_counter(), 0
    while time.perf_counter() - begin < SECONDS:
        connection.execute("BEGIN IMMEDIATE")
        for _ in range(3):
            connection.execute("INSERT INTO t VALUES (?, ?)", (str(count), "x" * 150))
        connection.execute("COMMIT")
        count += 1
    connection.close()
    return count / (time.perf_counter() - begin)


def main() -> None:
    redactor = Redactor()
    for number in range(SECRETS):
        redactor.add(f"not-a-real-secret-{number}")
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        sys.stdout.write(f"bare sqlite3, one at a time: {floor(Path(folder) / 'floor.db'):8.0f} transactions/s\n")
        store = open_store(Path(folder) / "kcibot.db", redactor, PydanticCodec())
        store.journal.commit(
            [SaveRun(Run(1, "release", "a release", "operator", PLACE, NOW, (StepRecord("push", "push"),)))]
        )
        first = 0
        for callers in (1, 50):
            before = store.journal.writer.transactions
            per_second, count = rate(callers, store.journal, first)
            first += count * callers + callers
            share = count / (store.journal.writer.transactions - before)
            sys.stdout.write(f"{callers:3} callers: {per_second:8.0f} commits/s, {share:.1f} to a transaction\n")
        store.close()


if __name__ == "__main__":
    main()
