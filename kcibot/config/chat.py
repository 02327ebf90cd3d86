"""The blocks of the chat networks: where they are, as whom the bot comes, and what their rooms see."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from kcibot.config.fields import Block, FilePath, Name, Room, Text, Timeout, complain, http
from kcibot.config.secrets import Secret
from kcibot.config.services import SECRET_EXAMPLE, Port
from kcibot.core.relay import Sees


class Console(Block):
    """A room in the terminal; `folder` is where the bot and its visitors meet."""

    folder: FilePath = Field(examples=['"room"'])


class Sasl(Block):
    """How the bot proves who it is: `plain` with the password of an account, `external` with a client certificate.

    If it cannot, it does not speak there at all.
    """

    mechanism: Literal["plain", "external"] = "plain"
    account: Text = Field(examples=["kcibot"])
    password: Secret | None = Field(default=None, examples=[SECRET_EXAMPLE % "IRC_PASSWORD"])
    certificate: FilePath | None = Field(default=None, examples=['"/etc/kcibot/irc.pem"'])

    @model_validator(mode="after")
    def _fits(self) -> "Sasl":
        if self.mechanism == "plain" and self.password is None:
            raise complain("has no password", "Add password: {env: NAME}, or use mechanism: external")
        if self.mechanism == "external" and self.certificate is None:
            raise complain("has no certificate", "Add certificate: a PEM file with certificate and key")
        return self


class Irc(Block):
    """A connection to an IRC network. `rate` is how many lines a second it takes from us, after the first `burst`."""

    server: Text = Field(examples=['"irc.libera.chat"'])
    port: Port = 6697
    security: Literal["tls", "none"] = "tls"
    ca_file: FilePath | None = Field(default=None, examples=['"/etc/ssl/certs/ca-certificates.crt"'])
    nick: Name = Field(default="kcibot", examples=["kcibot"])
    sasl: Sasl | None = None
    rate: float = Field(default=1.0, gt=0, le=10_000)
    burst: int = Field(default=5, ge=1, le=10_000)
    longest: int = Field(default=8, ge=1, le=100)
    timeout: Timeout = timedelta(seconds=30)
    ping: Timeout = timedelta(seconds=60)

    @model_validator(mode="after")
    def _is_private(self) -> "Irc":
        if self.security == "none" and self.sasl:
            is_plain = self.sasl.mechanism == "plain"
            why = "would send its password in the clear" if is_plain else "could not show its certificate without TLS"
            raise complain(why, "Use security: tls")
        return self


class Slack(Block):
    """A Slack app in Socket Mode: `kcibot slack-manifest` prints what to create it from.

    `missed` is how far back it looks for what was typed while it was away; what is older is not even reported.
    """

    bot_token: Secret = Field(examples=[SECRET_EXAMPLE % "SLACK_BOT_TOKEN"])
    app_token: Secret = Field(examples=[SECRET_EXAMPLE % "SLACK_APP_TOKEN"])
    api: Annotated[str, AfterValidator(http("chat.slack.bot_token"))] = "https://slack.com/api/"
    timeout: Timeout = timedelta(seconds=30)
    missed: Timeout = Field(default=timedelta(hours=24), examples=['"24h"'])


class Chat(Block):
    """The networks, the rooms that see the steps, and what those of each network see of the others."""

    networks: ClassVar[tuple[str, ...]] = ("console", "irc", "slack")

    console: Console | None = Field(default=None, examples=['{folder: "room"}'])
    irc: Irc | None = Field(default=None, examples=['{server: "irc.libera.chat"}'])
    slack: Slack | None = None
    rooms: tuple[Room, ...] = Field(min_length=1, examples=['["console:#kernelci"]'])
    relay: Mapping[Name, Sees] = Field(default={}, examples=["{irc: alerts}"])
