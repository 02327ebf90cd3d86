"""Secrets in the definition of a job: found by their places, so that those on Jenkins stay where they are.

Git is no place for secrets: it holds a placeholder or nothing where Jenkins holds the real one, and what Jenkins gives
back of a password is encrypted. So the two are never taken for each other by their values, and never shown.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple
from xml.parsers import expat

from kcibot_commands.rules.problem import RuleError

SECRET = re.compile(r"(?i)(password|secret|token|passphrase|privatekey)$")
PASSWORD = "PasswordParameterDefinition"
FLAGS = ("true", "false")
"""Settings like `useToken`, whatever they are called."""
_CONTROL = re.compile(r"&#(?:x(?P<hex>[0-9a-fA-F]+)|(?P<dec>[0-9]+));")
_START_TAG = re.compile(rb"<(?P<tag>[^\s/>]+)(?:\s+[^\s=]+\s*=\s*(?:\"[^\"]*\"|'[^']*'))*\s*(?P<bare>/?)>")
_SPACE, _TAB, _LINE, _RETURN = 0x20, 9, 10, 13


class Secret(NamedTuple):
    """One secret: its name for people, its value, and where its raw text stands, in bytes; `bare` is `<tag/>`'s tag."""

    name: str
    value: str
    start: int
    end: int
    bare: bytes

    def __repr__(self) -> str:
        return f"Secret({self.name})"


def is_control(reference: re.Match[str]) -> bool:
    """Jenkins writes XML 1.1, which allows references to control characters that our parser refuses."""
    code = int(reference["hex"], 16) if reference["hex"] else int(reference["dec"])
    return code < _SPACE and code not in (_TAB, _LINE, _RETURN)


def without_controls(xml: str) -> str:
    """The same text, as long, that our parser reads."""
    return _CONTROL.sub(lambda found: "?" * len(found[0]) if is_control(found) else found[0], xml)


def with_controls_shown(xml: str) -> str:
    def shown(found: re.Match[str]) -> str:
        code = int(found["hex"], 16) if found["hex"] else int(found["dec"])
        return f"\\x{code:02x}" if is_control(found) else found[0]

    return _CONTROL.sub(shown, xml)


def secrets_in(xml: str) -> tuple[Secret, ...]:
    """All secrets in the order of the text, also empty ones. RuleError if it is no XML."""
    finder = _Finder(without_controls(xml))
    try:
        finder.parser.Parse(finder.data, True)  # noqa: FBT003 (positional in expat)
    except expat.ExpatError as error:
        raise RuleError(f"the job definition is no XML: {error}") from error
    return tuple(sorted(finder.found, key=lambda one: one.start))


def with_secrets_of(xml: str, live: str) -> str:
    """The text with the secrets that `live` has at the same places; others stay as they are.

    RuleError if Jenkins hides them from the bot, or if it cannot be told which is which.
    """
    have, want = secrets_in(live), secrets_in(xml)
    _refuse_hidden(have)
    _refuse_ambiguous(have, want)
    several = {name for name, count in Counter(one.name for one in want).items() if count > 1}
    old = {one.name: live.encode()[one.start : one.end] for one in have if one.value and one.name not in several}
    data = xml.encode()
    for one in reversed(want):
        if one.name in old:
            data = data[: one.start] + _filled(one, old[one.name]) + data[one.end :]
    return data.decode()


def refuse_hidden(xml: str) -> None:
    """RuleError for a definition in which Jenkins gave stars instead of secrets: writing it would lose them."""
    _refuse_hidden(secrets_in(xml))


def left_alone(wanted: str, live: str) -> tuple[str, ...]:
    """Names of the secrets that `with_secrets_of` leaves as they are, though the wanted text has something else."""
    old = {one.name: one.value for one in secrets_in(live) if one.value}
    return tuple(one.name for one in secrets_in(wanted) if one.name in old and one.value != old[one.name])


def _filled(one: Secret, raw: bytes) -> bytes:
    return b"<" + one.bare + b">" + raw + b"</" + one.bare + b">" if one.bare else raw


def _refuse_hidden(secrets: tuple[Secret, ...]) -> None:
    for one in secrets:
        if one.value and not one.value.strip("*"):
            raise RuleError(f"Jenkins hides the secret of {one.name}: the bot may not configure this job")


def _refuse_ambiguous(have: tuple[Secret, ...], want: tuple[Secret, ...]) -> None:
    """Several at one place are told apart by nothing but their order, which Git may have changed."""
    for name, count in (Counter(one.name for one in have) | Counter(one.name for one in want)).items():
        values = [[one.value for one in side if one.name == name] for side in (have, want)]
        if count > 1 and values[0] and values[1] and values[0] != values[1]:
            raise RuleError(f"there are several secrets at {name}, and I cannot tell which is which: set them by hand")


def _refuse_document_type(*_declared: object) -> None:
    raise RuleError("a job definition with a document type is not read")


@dataclass
class _Open:
    """An element that has not ended yet. `password` is the default of a password parameter, `name` the parameter's."""

    tag: str
    start: int
    text: list[str] = field(default_factory=list)
    leaf: bool = True
    name: str = ""
    password: Secret | None = None


class _Finder:
    """Reads a definition and remembers where its secrets are."""

    def __init__(self, xml: str) -> None:
        before = len(xml) - len(xml.lstrip())
        self.data = xml.encode()[before:]
        self.found: list[Secret] = []
        self.parser = expat.ParserCreate("utf-8")
        self.parser.StartElementHandler = self._begin
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.StartDoctypeDeclHandler = _refuse_document_type
        self._offset = before
        self._open: list[_Open] = []

    def _begin(self, tag: str, _attributes: object) -> None:
        if self._open:
            self._open[-1].leaf = False
        self._open.append(_Open(tag, self.parser.CurrentByteIndex))

    def _text(self, text: str) -> None:
        self._open[-1].text.append(text)

    def _end(self, tag: str) -> None:
        one = self._open.pop()
        above = self._open[-1] if self._open else one
        if one.password:
            self.found.append(one.password._replace(name=f"parameter {one.name}"))
        text = "".join(one.text).strip()
        if tag == "name":
            above.name = text
        elif tag == "defaultValue" and above.tag.endswith(PASSWORD):
            above.password = self._secret(one, text)
        elif one.leaf and SECRET.search(tag) and text not in FLAGS:
            self.found.append(self._secret(one, text))

    def _secret(self, one: _Open, text: str) -> Secret:
        path = "/".join([*(above.tag for above in self._open[1:]), one.tag])
        tag = _START_TAG.match(self.data, one.start)
        if tag is None:
            raise RuleError(f"{path} is written in a way that I cannot edit")
        end = self.parser.CurrentByteIndex
        if tag["bare"]:
            return Secret(path, "", one.start + self._offset, tag.end() + self._offset, tag["tag"])
        return Secret(path, text, tag.end() + self._offset, end + self._offset, b"")
