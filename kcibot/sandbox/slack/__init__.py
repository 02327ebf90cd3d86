"""A stand-in for Slack, strict where Slack is: see `docs` for what could not be checked against Slack itself."""

from kcibot.sandbox.slack.delivery import Ack, Pace, Shipment
from kcibot.sandbox.slack.message import Ephemeral, Message
from kcibot.sandbox.slack.people import BOT_SCOPES, EVENTS, Kind, SlackApp
from kcibot.sandbox.slack.stand_in import SlackStandIn
from kcibot.sandbox.slack.text import smart
from kcibot.sandbox.slack.uploads import Upload
from kcibot.sandbox.slack.web_api import Called
from kcibot.sandbox.slack.workspace import NoSuchThingError

__all__ = [
    "BOT_SCOPES",
    "EVENTS",
    "Ack",
    "Called",
    "Ephemeral",
    "Kind",
    "Message",
    "NoSuchThingError",
    "Pace",
    "Shipment",
    "SlackApp",
    "SlackStandIn",
    "Upload",
    "smart",
]
