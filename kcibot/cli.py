"""The command line: run the bot, try it, check its configuration, verify its audit log, save its database."""

import gc
import logging
import os
import signal
import sys
import threading
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kcibot.errors import ConfigError, KcibotError

if TYPE_CHECKING:
    from kcibot.app import Bot
    from kcibot.config import Config
    from kcibot.core.registry import Registry
    from kcibot.sandbox.clock import SandboxClock

log = logging.getLogger(__name__)

CONFIG = click.option(
    "--config",
    "path",
    default="config.yaml",
    show_default=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The configuration file.",
)


@click.group()
@click.version_option(version("kcibot"), prog_name="kcibot")
def main() -> None:
    """Update KernelCI's production from the team's chat channel."""


@main.command()
@CONFIG
@click.option("--clock", type=click.Path(path_type=Path), hidden=True, help="The sandbox's clock file.")
@click.option("--bound", type=int, hidden=True, help="A pipe: when nobody holds its other end any more, stop.")
def run(path: Path, clock: Path | None, bound: int | None) -> None:
    """Run the bot until it is told to stop (SIGTERM or SIGINT); SIGHUP has it read its people anew."""
    gc.disable()  # a start makes much and drops little: to look for garbage meanwhile costs a tenth of it
    stop, reload = threading.Event(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if bound is not None:
        threading.Thread(target=_stop_at_the_end_of, args=(bound, stop), name="bound", daemon=True).start()
    from kcibot.app import Bot  # noqa: PLC0415 (kcibot --help must not wait for the bot's libraries)
    from kcibot.core.redact import Redactor  # noqa: PLC0415
    from kcibot.logs import set_up  # noqa: PLC0415

    redactor = Redactor()
    config, commands = _loaded(path)
    set_up(redactor, config.bot.log_level.upper())
    try:
        bot = Bot(config, commands, redactor, _sandbox_clock(clock))
    except ConfigError as error:
        raise _refused(error) from error
    bot.start()
    gc.freeze()
    gc.enable()
    signal.signal(signal.SIGHUP, lambda *_: reload.set())
    while not stop.wait(0.5) and not bot.failed.is_set():
        if reload.is_set():
            reload.clear()
            _reload(bot, path)
    bot.stop()
    sys.exit(1 if bot.failed.is_set() else 0)


def _stop_at_the_end_of(pipe: int, stop: threading.Event) -> None:
    """The end comes also when the other side is killed."""
    os.set_inheritable(pipe, False)  # noqa: FBT003 (it takes it so)
    while os.read(pipe, 1):
        continue
    stop.set()


def _reload(bot: "Bot", path: Path) -> None:
    """What is wrong with the new configuration is logged, and the people stay as they are."""
    try:
        config, _ = _loaded(path)
        changes = bot.reload(config)
    except (KcibotError, click.ClickException, SystemExit) as error:
        log.error("the configuration was not reloaded: %s", error)  # noqa: TRY400 (its trace says nothing)
        return
    log.info("people reloaded: %s", "; ".join(changes) or "nothing changed")


@main.command("check-config", short_help="Say everything that is wrong with a configuration.")
@CONFIG
def check_config(path: Path) -> None:
    """Check a configuration without connecting to anything: every problem, with its line, its key and its fix."""
    from kcibot import config  # noqa: PLC0415

    try:
        problems = config.check(path, _commands(path).sections)
    except ConfigError as error:
        raise _refused(error) from error
    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        raise SystemExit(2)
    click.echo(f"{path} is fine")


@main.command()
@CONFIG
@click.option("--within", default=60.0, show_default=True, help="How many seconds ago the last tick may have been.")
def health(path: Path, within: float) -> None:
    """Exit with 0 if a running bot ticked lately, with 1 if not."""
    from kcibot.app import PULSE  # noqa: PLC0415

    config, _ = _loaded(path)
    pulse = config.bot.state / PULSE
    age = time.time() - pulse.stat().st_mtime if pulse.exists() else None
    if age is None or age > within:
        click.echo("no tick yet" if age is None else f"the last tick was {age:.0f} s ago", err=True)
        raise SystemExit(1)
    click.echo(f"the last tick was {age:.0f} s ago")


@main.command()
@CONFIG
def room(path: Path) -> None:
    """Join the console room of a running bot, in this terminal."""
    from kcibot.chat.room import Room  # noqa: PLC0415
    from kcibot.chat.terminal import Terminal  # noqa: PLC0415

    config, _ = _loaded(path)
    network = "console"
    channels = [place.channel for place in config.rooms() if place.network == network]
    if config.chat.console is None or not channels:
        raise _refused(ConfigError("no room of the console is configured: see chat.console and chat.rooms"))
    persons = [name for person in config.people() for where, name in person.identities if where == network]
    Terminal(Room(config.chat.console.folder), persons, channel=channels[0]).run()


@main.command("slack-manifest", short_help="Print the manifest of the Slack app.")
@click.option("--name", default="kcibot", show_default=True, help="What the app and its bot are to be called.")
@click.option("--json", "as_json", is_flag=True, help="As JSON; otherwise as YAML.")
def slack_manifest(name: str, *, as_json: bool) -> None:
    """Print the manifest from which the Slack app is created: https://api.slack.com/apps, "From a manifest".

    Then install it, and make an app-level token with the scope connections:write: the manifest cannot ask for it.
    """
    import json  # noqa: PLC0415 (kcibot --help must not wait for it)

    import yaml  # noqa: PLC0415

    from kcibot.chat.slack.manifest import manifest  # noqa: PLC0415

    app = manifest(name)
    click.echo(json.dumps(app, indent=2) if as_json else yaml.safe_dump(app, sort_keys=False).rstrip())


@main.group()
def audit() -> None:
    """Look at the audit log."""


@audit.command()
@CONFIG
@click.option("--head", default="", help="The hash that a release report or an announcement printed.")
def verify(path: Path, head: str) -> None:
    """Prove that no entry was changed, removed or reordered; with --head, that none was cut off."""
    from kcibot.app import DATABASE  # noqa: PLC0415
    from kcibot.store import audit as chain  # noqa: PLC0415
    from kcibot.store.database import Database  # noqa: PLC0415

    config, _ = _loaded(path)
    try:
        verdict = chain.verify(Database(config.bot.state / DATABASE), head)
    except KcibotError as error:
        raise _refused(error) from error
    if not verdict.ok:
        click.echo(verdict.problem, err=True)
        raise SystemExit(1)
    click.echo(f"{verdict.entries} entries, unbroken; head {verdict.head}")


@main.group()
def db() -> None:
    """Look after the database."""


@db.command()
@CONFIG
@click.argument("target", type=click.Path(path_type=Path))
def backup(path: Path, target: Path) -> None:
    """Make a consistent copy, also while the bot runs."""
    from kcibot.app import DATABASE  # noqa: PLC0415
    from kcibot.store.backup import backup as copy  # noqa: PLC0415

    config, _ = _loaded(path)
    try:
        copy(config.bot.state / DATABASE, target)
    except KcibotError as error:
        raise _refused(error) from error
    click.echo(f"saved to {target}")


@main.command(short_help="KernelCI in miniature, and a chat room in this terminal.")
@click.option("--folder", default="demo", show_default=True, type=click.Path(path_type=Path), help="Where it lives.")
@click.option("--auto", is_flag=True, help="Play a whole release with scripted persons, check it, and leave.")
@click.option("--yaml", type=click.Path(path_type=Path), help="A folder with real build-configs and test-configs.")
@click.option("--begin", type=click.DateTime(["%Y-%m-%dT%H:%M"]), help="When it begins there, in UTC; now if left out.")
@click.option(
    "--chat",
    type=click.Choice(["irc", "slack"]),
    multiple=True,
    help="Who has the room too: a local IRC server, and with --auto a Slack stand-in. May be given twice.",
)
def demo(folder: Path, yaml: Path | None, begin: datetime | None, chat: tuple[str, ...], *, auto: bool) -> None:
    """Start KernelCI in miniature and a chat room in the terminal: no account is needed anywhere.

    With --chat irc a local InspIRCd with services has the room too, for every IRC client; it says what to install. With
    --chat slack --auto a stand-in of Slack's has it, for the scripted persons; with both, they are on one or the other.
    """
    from kcibot.sandbox import demo as sandbox  # noqa: PLC0415

    try:
        start = sandbox.play if auto else sandbox.visit
        raise SystemExit(start(folder.resolve(), yaml, begin.replace(tzinfo=UTC) if begin else None, chat))
    except KcibotError as error:
        raise _refused(error) from error


def _loaded(path: Path) -> "tuple[Config, Registry]":
    """The configuration and the commands; all problems at once, and exit status 2."""
    from kcibot import config  # noqa: PLC0415

    try:
        commands = _commands(path)
        return config.load(path, commands.sections), commands
    except ConfigError as error:
        raise _refused(error) from error


def _commands(path: Path) -> "Registry":
    """The installed commands, and those of the folder that the configuration names."""
    from kcibot import config  # noqa: PLC0415
    from kcibot.app import registry  # noqa: PLC0415

    return registry(config.commands_path(path))


def _refused(error: KcibotError) -> SystemExit:
    click.echo(str(error), err=True)
    return SystemExit(2)


def _sandbox_clock(path: Path | None) -> "SandboxClock | None":
    if path is None:
        return None
    from kcibot.sandbox.clock import SandboxClock  # noqa: PLC0415

    return SandboxClock(path)
