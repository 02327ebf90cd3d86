"""Traps at the other end: in the stand-ins, in the mailbox, and in hooks of the repositories that are pushed to."""

import shlex
import time
from collections.abc import Iterator
from pathlib import Path

from aiosmtpd.smtp import Envelope

from kcibot.sandbox.http import Request, Response, StandIn
from kcibot.sandbox.mailbox import MailboxStandIn
from tests.chaos.points import ANSWERED, ARMED, KILLS, PID, SENT, TRACE, Traps, stable

LOOKS = frozenset({"GET", "HEAD"})
PUSHES = "chaos-pushes"

HOOK = """\
#!/bin/sh
# Passes a trap of tests/chaos/points.py, and keeps what was pushed.
folder={folder}
line="$(printf '%s\\t%s' {label} {phase})"
turn=$(($(grep -cxF "$line" "$folder/{trace}") + 1))
echo "$line" >> "$folder/{trace}"
point="$(printf '%s\\t%s' "$line" "$turn")"
if grep -qxF "$point" "$folder/{armed}"; then
  echo "$point" >> "$folder/{kills}"
  kill -9 "$(cat "$folder/{pid}")"
  sleep {late}
fi
"""


def trap_server(server: StandIn, name: str, traps: Traps, late_seconds: float = 0.0) -> None:
    """Two traps at every request that is more than a look.

    A request whose sender was killed is dealt with all the same, so much later.
    """
    answer = server.answer

    def trapped(request: Request) -> Response | None:
        if request.method in LOOKS:
            return answer(request)
        label = f"{name} {request.method} {stable(request.path)}"
        if traps.reach(label, SENT):
            time.sleep(late_seconds)
        response = answer(request)
        traps.reach(label, ANSWERED)
        return response

    server.answer = trapped  # type: ignore[method-assign]


def trap_mailbox(mailbox: MailboxStandIn, traps: Traps, late_seconds: float = 0.0) -> None:
    """Two traps at every mail; one whose sender was killed is kept so much later."""
    keep = mailbox.keep

    def trapped(envelope: Envelope, user: str) -> None:
        if traps.reach("mailbox keeps a mail", SENT):
            time.sleep(late_seconds)
        keep(envelope, user)
        traps.reach("mailbox keeps a mail", ANSWERED)

    mailbox.keep = trapped  # type: ignore[method-assign]


def hook_repository(repository: Path, name: str, folder: Path, late_seconds: float = 0.0) -> None:
    """Two traps in every push to that bare repository, after which `pushes` tells what arrived.

    A push whose sender was killed goes on so much later.
    """
    for hook, phase, more in (("pre-receive", SENT, ""), ("post-receive", ANSWERED, f"cat >> {PUSHES}\n")):
        path = repository / "hooks" / hook
        path.parent.mkdir(exist_ok=True)
        script = HOOK.format(
            folder=shlex.quote(str(folder.resolve())),
            label=shlex.quote(f"git server takes a push to {name}"),
            phase=phase,
            trace=TRACE,
            armed=ARMED,
            kills=KILLS,
            pid=PID,
            late=late_seconds,
        )
        path.write_text(script + more)
        path.chmod(0o755)


def pushes(repository: Path) -> Iterator[tuple[str, str, str]]:
    """Every reference that was ever pushed there: its name, its old and its new object id."""
    path = repository / PUSHES
    for line in path.read_text().splitlines() if path.exists() else ():
        old, new, ref = line.split(" ", 2)
        yield ref, old, new
