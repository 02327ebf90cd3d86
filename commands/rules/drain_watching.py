"""What a drain knows from its looks so far, kept as JSON from one look to the next."""

from dataclasses import dataclass
from datetime import datetime

from kcibot.sdk import BuildRef
from kcibot_commands.rules.burn_down import Curve
from kcibot_commands.rules.drain_proof import Quiet


@dataclass(frozen=True, slots=True)
class Watching:
    """What is known from the looks so far. `silent_since`: Jenkins has not answered since then.

    `running` are builds whose end was not measured yet, `curve` is how many builds ran or waited at each look.
    """

    started: datetime
    quiet: Quiet | None = None
    session: str = ""
    last_seen: tuple[str, ...] = ()
    restarts: int = 0
    silent_since: datetime | None = None
    failures: int = 0
    running: tuple[BuildRef, ...] = ()
    curve: Curve = ()


def dump(state: Watching) -> dict[str, object]:
    """As JSON, for the wait."""
    quiet = state.quiet and {
        "at": state.quiet.at.isoformat(),
        "session": state.quiet.session,
        "next_builds": dict(state.quiet.next_builds),
    }
    return {
        "started": state.started.isoformat(),
        "quiet": quiet,
        "session": state.session,
        "last_seen": list(state.last_seen),
        "restarts": state.restarts,
        "silent_since": state.silent_since and state.silent_since.isoformat(),
        "failures": state.failures,
        "running": [[ref.job, ref.number] for ref in state.running],
        "curve": [list(point) for point in state.curve],
    }


def load(memory: object) -> Watching | None:
    """What `dump` made; None if there is nothing yet, or nothing of ours."""
    if not isinstance(memory, dict) or "started" not in memory:
        return None
    quiet, silent = memory["quiet"], memory["silent_since"]
    return Watching(
        started=datetime.fromisoformat(memory["started"]),
        quiet=Quiet(datetime.fromisoformat(quiet["at"]), quiet["session"], quiet["next_builds"]) if quiet else None,
        session=memory["session"],
        last_seen=tuple(memory["last_seen"]),
        restarts=memory["restarts"],
        silent_since=datetime.fromisoformat(silent) if silent else None,
        failures=memory["failures"],
        running=tuple(BuildRef(job, number) for job, number in memory.get("running", ())),
        curve=tuple((at, count) for at, count in memory.get("curve", ())),
    )
