"""What a playbook's events tell: changes, handlers that ran, failures; a short line as each task begins and ends."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kcibot.core.ports import Report
from kcibot.services.ansible.differences import differences

QUOTED_CHARACTERS = 400
ANSWER_CHARACTERS = 10_000
MESSAGES_KEPT = 40
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(slots=True)
class Story:
    """What the events told so far. It never raises: an exception in here would end the play in the middle.

    `check` keeps the differences of a check's tasks, `looking` the answers of commands that only look, as the host,
    the task, the exit code, what was said, and when it was asked.
    """

    report: Report
    check: bool = False
    looking: bool = False
    changes: list[str] = field(default_factory=list)
    handlers: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    unreachable: list[tuple[str, str]] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    answers: list[tuple[str, str, int, str, float]] = field(default_factory=list)
    stats: Mapping[str, Any] | None = None
    effects: bool = False
    handling: bool = False

    def hear(self, event: Mapping[str, Any]) -> bool:
        """Take one event; true, so that ansible-runner keeps it until the folder is removed."""
        data = event.get("event_data") or {}
        match event.get("event"):
            case "playbook_on_task_start":
                self.handling = bool(data.get("is_conditional"))  # this is how the plugin marks a handler
                self.report(f"{'handler ' if self.handling else ''}{data.get('task') or data.get('name') or '?'} ...")
            case "runner_on_ok" | "runner_on_failed" if self.looking and "rc" in _result(data):
                self._answered(data)
            case "runner_on_ok":
                self._ok(data)
            case "runner_on_failed" if self.looking or not data.get("ignore_errors"):
                self._failed(data)
            case "runner_on_unreachable":
                self._unreached(data)
            case "playbook_on_stats":
                self.stats = data
            case "verbose" | "error" | "warning":
                self._message(str(event.get("stdout", "")))
        return True

    def _ok(self, data: Mapping[str, Any]) -> None:
        result = _result(data)
        changed = bool(result.get("changed"))
        name = f"{data.get('host', '?')}: {data.get('task', '?')}"
        self.effects = self.effects or changed or _secret(result)  # what is secret may have changed anything
        if changed:
            self.changes.append(name + _commits(result))
        if self.check and not _secret(result):
            self.differences += [f"{name}\n{text}" for text in differences(result)]
        if self.handling:
            self.handlers.append(name)
        self.report(f"{name}: {'changed' if changed else 'ok'}")

    def _failed(self, data: Mapping[str, Any]) -> None:
        result = _result(data)
        self.effects = self.effects or bool(result.get("changed")) or _secret(result)
        name = f"{data.get('host', '?')}: {data.get('task', '?')}"
        self.failures.append(f"{name}: {_reason(result)}")
        self.report(f"{name}: failed")

    def _answered(self, data: Mapping[str, Any]) -> None:
        result = _result(data)
        code = int(result["rc"])
        said = str(result.get("stdout") or "") if code == 0 else _reason(result)
        asked = _moment(str(data.get("start") or ""))
        self.answers.append((str(data.get("host")), str(data.get("task")), code, said[:ANSWER_CHARACTERS], asked))

    def _unreached(self, data: Mapping[str, Any]) -> None:
        host = str(data.get("host", "?"))
        self.unreachable.append((host, _reason(_result(data))))
        self.report(f"{host}: unreachable")

    def _message(self, text: str) -> None:
        lines = (_COLOUR.sub("", line).strip() for line in text.splitlines())
        self.messages = [*self.messages, *(line for line in lines if line)][-MESSAGES_KEPT:]


def cut(text: str) -> str:
    """On one line, without colours, and no longer than a chat bears."""
    line = " ".join(_COLOUR.sub("", text).split())
    return line if len(line) <= QUOTED_CHARACTERS else f"{line[:QUOTED_CHARACTERS]}..."


def _result(data: Mapping[str, Any]) -> Mapping[str, Any]:
    result = data.get("res")
    return result if isinstance(result, dict) else {}


def _reason(result: Mapping[str, Any]) -> str:
    """Why a task failed, unless its author said that nothing of it may be logged."""
    if _secret(result):
        return "its output is secret"
    parts = (str(result.get(key) or "").strip() for key in ("msg", "stderr"))
    return cut("; ".join(dict.fromkeys(part for part in parts if part)) or "it gave no reason")


def _secret(result: Mapping[str, Any]) -> bool:
    """Whether its author said that nothing of it may be logged."""
    return bool(result.get("censored") or result.get("_ansible_no_log"))


def _moment(text: str) -> float:
    """Seconds since 1970; 0 if Ansible did not say, so that whatever is compared with it counts as too old."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0


def _commits(result: Mapping[str, Any]) -> str:
    """The old and new commit that a checkout names."""
    before, after = result.get("before"), result.get("after")
    if isinstance(after, str) and re.fullmatch(r"[0-9a-f]{40}", after):
        start = before[:12] if isinstance(before, str) and before else "nothing"
        return f" ({start} -> {after[:12]})"
    return ""
