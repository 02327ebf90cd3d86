"""The record of who did what, as far back as people ask for it."""

from kcibot.sdk import Call, Notice, Outcome, command

MOST = 50


@command("audit", role="observer", example="!audit 5")
def audit(call: Call, number: int = 10) -> Outcome:
    """Show the last entries of the audit log, newest last, and the hash of its head."""
    entries = call.world.journal.audit_tail(max(1, min(number, MOST)))
    lines = tuple(
        " ".join(
            part
            for part in (f"{e.number}.", f"{e.entry.at:%d %b %H:%M:%S}", e.entry.who, e.entry.what, e.entry.subject)
            if part
        )
        for e in entries
    )
    return Outcome(Notice("Audit log", lines=(*lines, f"Head: {call.world.journal.audit_head()}")))
