"""files.*: the upload in two steps (published with both methods; forms only is reported by people).

Not verified: the error for a channel that the bot is not in (published: invalid_channel, posting_to_channel_denied;
people report not_in_channel), and that the share of a file appears before the answer (here it does; Slack may take a
moment).
"""

from typing import Any

from kcibot.sandbox.slack.call import Call, Refusal
from kcibot.sandbox.slack.chat_methods import remark_unescaped, thread_of
from kcibot.sandbox.slack.message import Message
from kcibot.sandbox.slack.people import TEAM
from kcibot.sandbox.slack.uploads import Upload

LONGEST_ALT_TEXT = 1000
LONGEST_SNIPPET = 1_000_000
LARGEST = 1_000_000_000


def get_upload_url(call: Call) -> dict[str, Any]:
    length = call.number("length", 0, LARGEST)
    if not call.text("filename") or not length:
        raise Refusal("missing_argument")
    if len(call.text("alt_txt")) > LONGEST_ALT_TEXT:
        raise Refusal("alt_txt_too_large")
    if call.text("snippet_type") and length > LONGEST_SNIPPET:
        raise Refusal("snippet_too_large")
    upload = call.uploads.open(call.workspace.new_id("F"), call.required("filename"), length)
    upload.alt_text, upload.snippet_type = call.text("alt_txt"), call.text("snippet_type")
    return {"upload_url": f"{call.url}/upload/v1/{upload.ticket}", "file_id": upload.id}


def complete_upload(call: Call) -> dict[str, Any]:
    done = _named(call)
    if call.text("channel_id"):
        _share(call, done)
    for upload in done:
        upload.complete = True
    return {"files": [{"id": upload.id, "title": upload.title} for upload in done]}


def _named(call: Call) -> list[Upload]:
    """The uploads that are named, each with its bytes and not completed before; `files` is a JSON string."""
    files = call.structure("files", "invalid_arguments")
    if not isinstance(files, list) or not files or not all(isinstance(one, dict) for one in files):
        raise Refusal("invalid_arguments", ("must be an array of objects [json-pointer:/files]",))
    done = []
    for one in files:
        upload = call.uploads.files.get(str(one.get("id")))
        if upload is None or upload.data is None or upload.complete:
            raise Refusal("file_not_found")
        upload.title = one.get("title") or upload.filename
        done.append(upload)
    return done


def _share(call: Call, uploads: list[Upload]) -> None:
    if call.text("channel_id") not in call.workspace.channels:
        raise Refusal("invalid_channel")
    channel, app = call.channel("channel_id"), call.workspace.app
    comment = call.text("initial_comment")
    remark_unescaped(call, comment)
    message = Message(channel.id, call.workspace.new_ts(), app.user, comment, TEAM, app.bot, app.id)
    thread = call.timestamp("thread_ts", "invalid_thread_ts")
    message.thread_ts = thread_of(call.workspace, channel.id, thread, call) if thread else ""
    message.subtype = "file_share"
    message.files = [{"id": one.id, "name": one.filename, "title": one.title, "size": one.length} for one in uploads]
    call.workspace.post(message)
    for upload in uploads:
        upload.channel, upload.thread_ts, upload.comment = channel.id, message.thread_ts, comment
