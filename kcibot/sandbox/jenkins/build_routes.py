"""Builds over HTTP: stopping, marking, deleting, logs and artifacts."""

import mimetypes
from html import escape

from kcibot.sandbox.http import Response
from kcibot.sandbox.jenkins.auth import Permission
from kcibot.sandbox.jenkins.beans import quoted
from kcibot.sandbox.jenkins.call import Call, api
from kcibot.sandbox.jenkins.machine_beans import MachineExporter
from kcibot.sandbox.jenkins.model import Run
from kcibot.sandbox.jenkins.pages import HTML, Refusal, bad_request, oops, page
from kcibot.sandbox.jenkins.world import World

PLAIN = "text/plain;charset=utf-8"


class BuildRoutes:
    """Below `/job/NAME/NUMBER/`."""

    def __init__(self, world: World, exporter: MachineExporter) -> None:
        self.world = world
        self.show = exporter

    def answer(self, call: Call, run: Run, rest: list[str]) -> Response:
        match rest:
            case ["api", flavour]:
                return api(call, flavour, self.show.run(run))
            case ["consoleText"]:
                return Response(200, _log(run), {"Content-Type": PLAIN})
            case ["logText", "progressiveText"]:
                return _progressive(call, run, as_html=False)
            case ["logText", "progressiveHtml"]:
                return _progressive(call, run, as_html=True)
            case ["artifact", *path] if "/".join(path) in run.artifacts:
                name = "/".join(path)
                kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
                return Response(200, run.artifacts[name], {"Content-Type": kind})
            case [] | ["consoleFull"] | ["console"]:
                return page(200, f"{run.job.name} #{run.number}", f"<pre>{escape(_log(run).decode())}</pre>")
            case [action]:
                return self._act(call, run, action)
            case ["injectedEnvVars", "api", _]:
                return Response(404, b"<html><body>Not found</body></html>", {"Content-Type": HTML})
        raise call.missing()

    def _act(self, call: Call, run: Run, action: str) -> Response:
        path = quoted(run.path)
        match action:
            case "stop":
                call.need_post()
                call.need(Permission.CANCEL)
                self.world.stop(run, call.caller.user.name)
            case "term" | "kill":
                path = f"{path}{action}/"
            case "toggleLogKeep":
                run.keep = not run.keep
            case "submitDescription":
                run.description = call.value("description")
            case "doDelete":
                call.need_post()
                call.need(Permission.DELETE)
                path = self._delete(run)
            case _:
                raise call.missing()
        return call.redirect(path)

    def _delete(self, run: Run) -> str:
        if run.keep:
            name = f"{run.job.display_name} #{run.number}"
            raise Refusal(bad_request(f"Unable to delete {name}: This record is explicitly marked to be kept."))
        if run.building:
            self.world.stop(run, "SYSTEM")
        run.job.runs.pop(run.number)
        return quoted(run.job.path)


def _log(run: Run) -> bytes:
    return "".join(f"{line}\n" for line in run.log).encode()


def _progressive(call: Call, run: Run, *, as_html: bool) -> Response:
    """X-Text-Size counts the bytes of the log, the text has CRLF; a start beyond the end gives the whole again."""
    given = call.value("start") or "0"
    if not given.isdigit():
        raise Refusal(oops())
    log = _log(run)
    start = int(given) if int(given) <= len(log) else 0
    text = log[start:].decode(errors="replace").replace("\n", "\r\n")
    headers = {"Content-Type": HTML if as_html else PLAIN, "X-Text-Size": str(len(log))}
    if run.building:
        headers["X-More-Data"] = "true"
    return Response(200, (escape(text) if as_html else text).encode(), headers)
