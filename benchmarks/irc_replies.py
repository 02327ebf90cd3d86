"""How fast the bot answers over IRC, beside the floor: a bot of 25 lines that stores nothing and asks nobody's leave.

Run by hand: `python benchmarks/irc_replies.py [FOLDER]`. FOLDER is where the load client and the floor bot are,
`ircload.py` and `baseline_bot.py`; by default `../shared/bench` beside this checkout. An ngircd without flood
penalties is needed: apt-get install ngircd.

Each of the two bots sits on a server of its own, the same program with the same configuration, so that their turns can
alternate: what else the machine does hits both, and the ratios stand where the figures do not. Ours is `kcibot run` as
anybody starts it, with a whole configuration, all its commands, and its database on disk with FULL durability: each
`!ping` is stored with its answer before it is answered. Its flood limit is off, and the network is said to take lines
as fast as the configuration can say.

A start is the time from the process's begin until a client that was already in the channel has its first answer; the
first start of ours makes the database. Of the load, each row is the median of the rounds, while what was lost or
doubled is summed. At the end the database has to hold as many commands as were given.

At 50 a second a median near 20 ms is not the bot's: the server holds back a small packet until the client has
acknowledged the one before (Nagle), the client does that with its next command, and one stall is enough to begin it.
"""

import json
import os
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BENCH = Path(__file__).resolve().parents[1].parent / "shared" / "bench"
LOADER, FLOOR = "ircload.py", "baseline_bot.py"
NICK, CHANNEL = "benchbot", "#bench"
STARTS, ROUNDS, COMMANDS, PACED, COMMITS = 5, 3, 5000, 500, 1000
MB, SHARE = 60, 0.01
"""The budgets for memory, and for the share of a core."""
IDLE_SECONDS = 10.0
END_SECONDS = 20.0
MISSING = 2
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
"""Servers are where only root looks by itself."""

SERVER = """\
[Global]
Name = bench.test
Listen = 127.0.0.1
Ports = {port}
ServerUID = 65534
ServerGID = 65534
[Limits]
MaxConnections = 50
MaxConnectionsIP = 0
MaxPenaltyTime = 0
PingTimeout = 120
[Options]
DNS = no
Ident = no
PAM = no
"""

NOWHERE = "http://127.0.0.1:9"
BOT = f"""\
bot: {{name: {NICK}, state: state, flood: 0}}
chat:
  irc: {{server: 127.0.0.1, port: %d, security: none, nick: {NICK}, rate: 10000, burst: 10000}}
  rooms: ["irc:{CHANNEL}"]
people:
  operator: {{roles: [operator], identities: {{irc: operator}}}}
  manager-1: {{roles: [release-manager], identities: {{irc: manager-1}}}}
  manager-2: {{roles: [release-manager], identities: {{irc: manager-2}}}}
production_hours: {{days: [Mon, Tue, Wed, Thu, Fri], from: "08:00", to: "16:00"}}
services:
  jenkins: {{url: "{NOWHERE}", user: kcibot, token: {{file: token}}}}
  git: {{repositories: {{core: "{NOWHERE}/core.git"}}, author_name: kcibot, author_email: kcibot@example.org}}
  images: {{engine: "{NOWHERE}", registry: "{NOWHERE}"}}
  mail: {{host: 127.0.0.1, port: 9, security: none}}
  results_api: {{url: "{NOWHERE}", token: {{file: token}}, versions: {{backend: "{NOWHERE}"}}}}
  storage: {{url: "{NOWHERE}"}}
"""

Load = dict[str, Any]
"""One JSON object of the load client: `replies_per_s`, `p50_ms`, `lost` and so on."""


@dataclass(frozen=True)
class Usage:
    """Of a process: resident memory (MB), and processor time so far (seconds)."""

    megabytes: float
    seconds: float

    @classmethod
    def of(cls, pid: int) -> "Usage":
        """As the kernel tells it; its ticks are hundredths of a second."""
        memory = Path(f"/proc/{pid}/statm").read_text().split()[1]
        times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        ticks = sum(map(int, times)) / os.sysconf("SC_CLK_TCK")
        return cls(int(memory) * os.sysconf("SC_PAGE_SIZE") / 1e6, ticks)


@dataclass
class Contender:
    """A bot, how it is started, the server it sits on, and what was measured of it."""

    name: str
    argv: Sequence[str]
    folder: Path
    port: int
    bench: Path
    starts: list[float] = field(default_factory=list)
    rounds: dict[str, list[Load]] = field(default_factory=dict)
    idle: Usage = field(default_factory=lambda: Usage(0, 0))
    idle_share: float = 0.0
    after: Usage = field(default_factory=lambda: Usage(0, 0))

    def load(self, *options: str) -> Load:
        """One run of the load client. SystemExit if it could not do its work."""
        argv = [sys.executable, str(self.bench / LOADER), "--port", str(self.port), *options]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)  # noqa: S603 (our own load client)
        answer: Load = json.loads(done.stdout or "{}")
        if "error" in answer or not answer:
            raise SystemExit(f"{self.name}: {answer.get('error')} {done.stderr}\n{self._log()}")
        return answer

    @contextmanager
    def running(self) -> Iterator[int]:
        with process(self.argv, self.folder, self.folder / "bot.log") as pid:
            yield pid

    def start_once(self) -> None:
        """From nothing to the first answer, as a client sees it who is already there."""
        argv = [sys.executable, str(self.bench / LOADER), "--port", str(self.port), "--n-zero", "--nick", "waiter"]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as waiter:  # noqa: S603
            time.sleep(0.5)  # it has to be in the channel, and says nothing of that
            begin = time.perf_counter()
            with self.running():
                said, _ = waiter.communicate()
                self.starts.append(time.perf_counter() - begin)
        if "ready_s" not in said:
            raise SystemExit(f"{self.name} did not answer: {said}\n{self._log()}")

    def forget(self) -> None:
        """Begin anew, with no database."""
        self.starts.clear()
        shutil.rmtree(self.folder / "state", ignore_errors=True)

    def rest(self, pid: int) -> None:
        """What it takes while nobody says anything."""
        before = Usage.of(pid)
        time.sleep(IDLE_SECONDS)
        self.idle = Usage.of(pid)
        self.idle_share = (self.idle.seconds - before.seconds) / IDLE_SECONDS

    def median(self, what: str, figure: str) -> float:
        return statistics.median(float(one[figure]) for one in self.rounds[what])

    def total(self, *figures: str) -> int:
        return sum(int(one[figure]) for some in self.rounds.values() for one in some for figure in figures)

    @property
    def start(self) -> str:
        return f"{statistics.median(self.starts):.2f}"

    @property
    def memory(self) -> str:
        return f"{self.idle.megabytes:.1f} / {self.after.megabytes:.1f}"

    def _log(self) -> str:
        return (self.folder / "bot.log").read_text(errors="replace")[-2000:]


@contextmanager
def process(argv: Sequence[str], folder: Path, log: Path) -> Iterator[int]:
    around = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    around |= {"PATH": PATH, "PYTHONPYCACHEPREFIX": str(folder.parent / "compiled")}
    with log.open("ab") as output:
        started = subprocess.Popen(  # noqa: S603 (the bots and the server of this file)
            argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=around
        )
    try:
        yield started.pid
    finally:
        started.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            started.wait(END_SECONDS)
        started.kill()
        started.wait()


@contextmanager
def server(folder: Path) -> Iterator[int]:
    """The port of an ngircd of our own."""
    folder.mkdir(mode=0o755)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    (folder / "ngircd.conf").write_text(SERVER.format(port=port))
    with process(["ngircd", "-n", "-f", str(folder / "ngircd.conf")], folder, folder / "log"):
        until(lambda: listens(port), f"ngircd did not start: see {folder / 'log'}")
        yield port


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def until(ready: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + END_SECONDS
    while not ready():
        if time.monotonic() > deadline:
            raise SystemExit(otherwise)
        time.sleep(0.02)


def configured(folder: Path, port: int) -> Path:
    """A configuration of the bot in that folder, which is made."""
    folder.mkdir()
    (folder / "token").write_text("11aabbccddeeff00112233445566778899")
    (folder / "token").chmod(0o600)
    (folder / "config.yaml").write_text(BOT % port)
    return folder


def contenders(stack: ExitStack, folder: Path, bench: Path) -> tuple[Contender, Contender]:
    """The floor and ours, each with its server."""
    floor_port, our_port = (stack.enter_context(server(folder / f"server-{name}")) for name in ("floor", "ours"))
    floor = [sys.executable, str(bench / FLOOR), str(floor_port)]
    ours = [sys.executable, "-m", "kcibot", "run", "--config", "config.yaml"]
    (folder / "floor").mkdir()
    return (
        Contender("floor", floor, folder / "floor", floor_port, bench),
        Contender("kcibot", ours, configured(folder / "ours", our_port), our_port, bench),
    )


def measure(pair: Sequence[Contender]) -> None:
    for one in pair:
        one.start_once()  # its code is compiled then, as an installation's is
        one.forget()
        for _ in range(STARTS):
            one.start_once()
    with ExitStack() as stack:
        pids = [stack.enter_context(one.running()) for one in pair]
        for one, pid in zip(pair, pids, strict=True):
            one.load("--n-zero")
            one.rest(pid)
        for _ in range(ROUNDS):
            for what, options in LOADS.items():
                for one in pair:
                    one.rounds.setdefault(what, []).append(one.load(*options))
        for one, pid in zip(pair, pids, strict=True):
            one.after = Usage.of(pid)


LOADS = {
    "1 in flight": ("-n", str(COMMANDS), "--window", "1"),
    "50 in flight": ("-n", str(COMMANDS), "--window", "50"),
    "50 a second": ("-n", str(PACED), "--rate", "50"),
}


def stored(folder: Path) -> int:
    """How many commands the bot's database has, dealt with."""
    with sqlite3.connect(folder / "state" / "kcibot.db") as database:
        return int(database.execute("SELECT count(*) FROM inbox WHERE settled AND text LIKE '!ping q%'").fetchone()[0])


def commits(folder: Path) -> tuple[float, float]:
    """Median and 99th percentile of a durable transaction of one row by bare sqlite3 on that disk, in milliseconds."""
    with closing(sqlite3.connect(folder / "commits.db", isolation_level=None)) as database:
        database.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t (a TEXT)")
        spans = []
        for _ in range(COMMITS):
            begin = time.perf_counter()
            database.execute("INSERT INTO t VALUES (?)", ("x" * 500,))
            spans.append(1000 * (time.perf_counter() - begin))
    found = statistics.quantiles(spans, n=100)
    return found[49], found[98]


Shown = tuple[str, str]
"""A figure of the floor and of ours."""


def line(what: str, shown: Shown, ratio: str = "", budget: str = "", *, met: bool | None = None) -> str:
    verdict = {None: "", True: "met", False: "missed"}[met]
    return f"{what:34} {shown[0]:>16} {shown[1]:>16} {ratio:>6}  {budget:14} {verdict}".rstrip() + "\n"


def speed(what: str, floor: Contender, ours: Contender, least: float) -> str:
    """Replies in a second of either, and the budget for their ratio."""
    theirs, own = floor.median(what, "replies_per_s"), ours.median(what, "replies_per_s")
    ratio = own / theirs
    shown = f"{theirs:.0f}", f"{own:.0f}"
    return line(f"{what}: replies/s", shown, f"{ratio:.2f}", f">= {least}", met=ratio >= least)


def latency(what: str, floor: Contender, ours: Contender, most: float | None = None) -> str:
    """Median and 99th percentile of either, in milliseconds."""
    shown = tuple(f"{one.median(what, 'p50_ms'):.2f} / {one.median(what, 'p99_ms'):.2f}" for one in (floor, ours))
    budget, met = ("", None) if most is None else (f"p99 < {most:g} ms", ours.median(what, "p99_ms") < most)
    return line(f"{what}: p50 / p99, ms", (shown[0], shown[1]), "", budget, met=met)


def table(floor: Contender, ours: Contender) -> Iterator[str]:
    yield line("", ("floor", "kcibot"), "ratio", "budget")
    yield speed("1 in flight", floor, ours, 0.4)
    yield latency("1 in flight", floor, ours, 5)
    yield speed("50 in flight", floor, ours, 0.5)
    yield latency("50 in flight", floor, ours)
    yield latency("50 a second", floor, ours)
    astray = floor.total("lost", "dup"), ours.total("lost", "dup")
    yield line("lost + doubled", (str(astray[0]), str(astray[1])), "", "0", met=astray[1] == 0)
    sent, there = ours.total("n_sent"), stored(ours.folder)
    yield line("commands stored / given", ("", f"{there} / {sent}"), "", "all", met=there == sent)
    yield line("start, s: median of 5", (floor.start, ours.start), "", "< 1.0 s", met=float(ours.start) < 1)
    yield line("  with a new database", ("", f"{ours.starts[0]:.2f}"), "", "< 1.0 s", met=ours.starts[0] < 1)
    yield line("memory idle / after, MB", (floor.memory, ours.memory), "", "idle < 60 MB", met=ours.idle.megabytes < MB)
    idle = f"{floor.idle_share:.1%}", f"{ours.idle_share:.1%}"
    yield line("processor when idle", idle, "", "< 1 %", met=ours.idle_share < SHARE)


def main() -> None:
    bench = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else BENCH
    missing = [f"{bench / name} is not there" for name in (LOADER, FLOOR) if not (bench / name).is_file()]
    if not shutil.which("ngircd", path=PATH):
        missing.append("there is no ngircd: apt-get install ngircd")
    if missing:
        sys.stderr.write("".join(f"{one}\n" for one in missing))
        raise SystemExit(MISSING)
    with tempfile.TemporaryDirectory(prefix="kcibot-bench-") as folder, ExitStack() as stack:
        Path(folder).chmod(0o755)  # the server drops root and reads its configuration
        floor, ours = contenders(stack, Path(folder), bench)
        middle, worst = commits(Path(folder))
        measure((floor, ours))
        sys.stdout.writelines(table(floor, ours))
        sys.stdout.write(f"a bare durable commit to this disk: p50 {middle:.2f} ms, p99 {worst:.2f} ms\n")


if __name__ == "__main__":
    main()
