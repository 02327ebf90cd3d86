"""What must fit together across the blocks. These rules look at the raw values, so that they speak up in any state."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pydantic import ValidationError

from kcibot.config.chat import Chat
from kcibot.config.fields import FOLDER
from kcibot.config.gates import DEFAULTS, Shortage, policies, shortages
from kcibot.config.loader import Document
from kcibot.config.models import IMPLIED, NOT_ROLES, Authority
from kcibot.config.problems import Problem, Where, shown_name
from kcibot.core.registry import nearest
from kcibot.core.wording import listed

ANY = object()
Rule = Callable[[Document], Iterator[Problem]]
_SLACK_PERSON, _SLACK_CHANNEL = re.compile("[UW][A-Z0-9]+"), re.compile("[CG][A-Z0-9]+")
"""Ids of Slack; a name would be taken for an id that nobody has."""


def conflicts(document: Document, folder: Path) -> list[Problem]:
    """Everything that does not fit together."""
    rules: tuple[Rule, ...] = (
        _unknown_roles,
        _shared_identities,
        _unknown_networks,
        _rooms,
        _slack_ids,
        _unknown_gates,
    )
    found = [problem for rule in rules for problem in rule(document)]
    return found or list(_unreachable(document, folder))


def _unknown_roles(document: Document) -> Iterator[Problem]:
    known = {*IMPLIED, *(str(where[1]) for where, _ in _below(document, "roles", ANY))} - NOT_ROLES
    patterns = (("people", ANY, "roles", ANY), ("roles", ANY, ANY), ("gates", ANY, "role"))
    for where, role in (found for pattern in patterns for found in _below(document, *pattern)):
        if isinstance(role, str) and role not in known:
            yield Problem(document.line(where), where, *_unknown("role", role, known))


def _unknown_gates(document: Document) -> Iterator[Problem]:
    for where, _ in _below(document, "gates", ANY):
        if where[1] not in DEFAULTS:
            yield Problem(document.line(where), where, *_unknown("gate", str(where[1]), DEFAULTS))


def _shared_identities(document: Document) -> Iterator[Problem]:
    owners: dict[tuple[object, object], Where] = {}
    for where, identity in _below(document, "people", ANY, "identities", ANY):
        first = owners.setdefault((where[3], str(identity)), where)
        if first is not where:
            what = f"is the identity of {shown_name(str(first[1]))} too, on line {document.line(first)}"
            yield Problem(document.line(where), where, what, "An identity belongs to one person: keep one of the two")


def _unknown_networks(document: Document) -> Iterator[Problem]:
    for where, _ in _below(document, "people", ANY, "identities", ANY):
        network = where[3]
        if not isinstance(network, str):
            continue  # a list, which is said to be none of what is due
        if network not in Chat.networks:
            yield Problem(document.line(where), where, *_unknown("network", network, Chat.networks))


def _rooms(document: Document) -> Iterator[Problem]:
    configured = [str(where[1]) for where, _ in _below(document, "chat", ANY)]
    seen: dict[str, Where] = {}
    for where, room in _below(document, "chat", "rooms", ANY):
        network = room.partition(":")[0] if isinstance(room, str) and ":" in room else ""
        line = document.line(where)
        if network and network not in Chat.networks:
            yield Problem(line, where, *_unknown("network", network, Chat.networks))
        elif network and network not in configured:
            yield Problem(line, where, f"is a room of {network}, which is not configured", f"Add chat.{network}")
        if isinstance(room, str) and seen.setdefault(room, where) is not where:
            yield Problem(line, where, "is listed twice", "Keep one of the two")


def _slack_ids(document: Document) -> Iterator[Problem]:
    for where, identity in _below(document, "people", ANY, "identities", "slack"):
        if isinstance(identity, str) and not _SLACK_PERSON.fullmatch(identity):
            fix = "Write the id, such as U0123ABCD; !whoami tells everybody theirs"
            yield Problem(document.line(where), where, "is no user id of Slack", fix)
    for where, room in _below(document, "chat", "rooms", ANY):
        network, _, channel = room.partition(":") if isinstance(room, str) else ("", "", "")
        if network == "slack" and not _SLACK_CHANNEL.fullmatch(channel):
            fix = 'Write the id, not the name, such as "slack:C0123ABCD"'
            yield Problem(document.line(where), where, "is no channel id of Slack", fix)


def _unreachable(document: Document, folder: Path) -> Iterator[Problem]:
    """Gates that these people can never open; asked only where people, roles and gates are sound in themselves."""
    mine = {key: value for key, value in document.value.items() if key in Authority.model_fields}
    try:
        authority = Authority.model_validate_json(json.dumps(mine), context={FOLDER: folder})
    except ValidationError:
        return  # what is wrong with these blocks is said already
    for shortage in shortages(policies(authority.gates, authority.production_hours.hours()), authority.known()):
        yield from _short(document, shortage)


def _short(document: Document, shortage: Shortage) -> Iterator[Problem]:
    """A problem at each gate that is written down, and one at the people for those that are the defaults."""
    written = [gate for gate in shortage.gates if ("gates", gate) in document.marks]
    for gate in written:
        where: Where = ("gates", gate)
        fix = f"Give more people the role {shortage.policy.role}, or change gates.{gate}"
        yield Problem(document.line((*where, "quorum")), where, shortage.reason, fix)
    others = [gate for gate in shortage.gates if gate not in written]
    if others:
        gates = f"the gate {others[0]}" if len(others) == 1 else f"each of the gates {listed(others)}"
        fix = f"Give more people the role {shortage.policy.role}, or change {listed([f'gates.{g}' for g in others])}"
        yield Problem(document.line(("people",)), ("people",), f"{gates} {shortage.reason}", fix)


def _unknown(kind: str, name: str, known: Iterable[str]) -> tuple[str, str]:
    near = nearest(name.lower(), known)
    return f"is no {kind}", f"Did you mean {near}?" if near else f"There is: {', '.join(sorted(known))}"


def _below(document: Document, *pattern: object) -> Iterator[tuple[Where, object]]:
    """Every key path of that form, and its value; blocks and lists of another form are passed over."""
    places: list[tuple[Where, object]] = [((), document.value)]
    for part in pattern:
        places = [
            ((*where, key), inner)
            for where, value in places
            for key, inner in _items(value)
            if part is ANY or key == part
        ]
    yield from places


def _items(value: object) -> Iterable[tuple[str | int, object]]:
    match value:
        case dict():
            return value.items()
        case list():
            return enumerate(value)
        case _:
            return ()
