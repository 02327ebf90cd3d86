"""The app that `kcibot slack-manifest` describes can do what the code does, hears what it listens for, and no more."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import kcibot.chat.slack
from kcibot.chat.slack.manifest import APP_SCOPES, EVENTS, METHODS, SCOPES, manifest
from kcibot.core.notice import Notice
from kcibot.sandbox.slack.web_api import METHODS as KNOWN
from tests.fakes.slack_bot import HERE, bot, prompt
from tests.fakes.slack_people import MANAGER, OBSERVER, OPERATOR, RELEASES, eventually

CHAT = Path(kcibot.chat.slack.__file__).parent
NEEDED_BY_EVENT = {
    "app_mention": {"app_mentions:read"},
    "member_joined_channel": {"channels:read", "groups:read"},
    "member_left_channel": {"channels:read", "groups:read"},
    "message.channels": {"channels:history"},
    "message.groups": {"groups:history"},
    "message.im": {"im:history"},
    "reaction_added": {"reactions:read"},
    "reaction_removed": {"reactions:read"},
}
"""As documented with each event."""


def printed(*words: str) -> str:
    argv = [sys.executable, "-m", "kcibot", "slack-manifest", *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_it_is_printed_as_yaml_and_as_json(form: str) -> None:
    text = printed("--name", "relbot", *(["--json"] if form == "json" else []))
    app = json.loads(text) if form == "json" else yaml.safe_load(text)
    assert app == manifest("relbot")
    assert app["features"]["bot_user"]["display_name"] == "relbot"
    assert app["settings"]["socket_mode_enabled"] is True
    assert app["settings"]["interactivity"] == {"is_enabled": True}


def test_the_scopes_are_those_that_methods_and_events_need_and_no_others() -> None:
    subscribed = manifest()["settings"]["event_subscriptions"]["bot_events"]
    by_event = set().union(*(NEEDED_BY_EVENT[event] for event in subscribed))
    by_method = {scope for needed in METHODS.values() for scope in needed} - set(APP_SCOPES)
    assert set(manifest()["oauth_config"]["scopes"]["bot"]) == by_event | by_method == set(SCOPES)


def test_every_method_that_the_code_names_is_listed_and_the_other_way_round() -> None:
    family = "apps|auth|chat|conversations|emoji|files|im|pins|reactions|team|users|views"
    sources = [path for path in CHAT.glob("*.py") if path.name != "manifest.py"]
    named = {name for path in sources for name in re.findall(rf'"((?:{family})\.[a-zA-Z.]+)"', path.read_text())}
    inside_the_sdk = {"files.getUploadURLExternal", "files.completeUploadExternal"}
    assert named - {"files.upload"} | inside_the_sdk == set(METHODS)


def test_the_stand_in_wants_the_scopes_that_are_listed() -> None:
    for name, scopes in METHODS.items():
        if KNOWN[name].scope:
            assert KNOWN[name].scope in scopes


def test_with_these_scopes_alone_everything_works() -> None:
    with bot() as (slack, chat, desk):
        ref = chat.post(HERE, prompt(), "k")
        chat.edit(ref, prompt(code="def456"))
        chat.post(HERE, Notice("no", whisper=OBSERVER), "w")
        chat.post(HERE, Notice("log", lines=("x" * 100,) * 500), "long", ref)
        slack.react(MANAGER, RELEASES, ref.message_id, "+1")
        assert chat.reactions(ref)
        assert chat.find(HERE, "k") == ref
        assert chat.find(HERE, "long")
        slack.say(OPERATOR, RELEASES, "!ping", ref.message_id)
        slack.drop_sockets()
        eventually(lambda: desk.connections == 2)
        called = {one.method for one in slack._called}
        assert called == set(METHODS)
        assert {one.error for one in slack._called} == {""}


def test_every_event_type_has_somebody_who_listens() -> None:
    source = (CHAT / "ear.py").read_text()
    assert all(f'"{event}"' in source for event in EVENTS)


def test_the_bot_does_not_wait_for_slacks_libraries() -> None:
    slack = "[name for name in sys.modules if name.startswith('slack_')]"
    code = f"import sys, kcibot.app, kcibot.chat.slack.adapter; print({slack})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
