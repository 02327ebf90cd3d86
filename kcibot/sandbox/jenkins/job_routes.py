"""Jobs, folders and builds over HTTP: creating, configuring, building, stopping, reading logs."""

import json
import re
from collections.abc import Callable

from kcibot.sandbox.http import Response
from kcibot.sandbox.jenkins.auth import Permission
from kcibot.sandbox.jenkins.beans import quoted
from kcibot.sandbox.jenkins.build_routes import BuildRoutes
from kcibot.sandbox.jenkins.call import Call, api
from kcibot.sandbox.jenkins.config import BadConfig, parse_config
from kcibot.sandbox.jenkins.machine_beans import MachineExporter
from kcibot.sandbox.jenkins.model import Job
from kcibot.sandbox.jenkins.pages import Refusal, bad_request, oops, page, post_required_to_build, web_server_error
from kcibot.sandbox.jenkins.world import World, by_user

XML_TYPES = ("text/xml", "application/xml")
UNSAFE = "?*/\\%!@#$^&|<>[]:;"
LONGEST_NAME = 255
CONFLICT = 409
Handler = Callable[[Call, Job], Response]


def form_json(call: Call) -> dict[str, object]:
    """The `json` field that Jenkins' own forms send; anything else is a 500."""
    try:
        form = json.loads(call.value("json") or "{}")
    except ValueError as error:
        raise Refusal(oops()) from error
    return form if isinstance(form, dict) else {}


class JobRoutes:
    """`answer` walks the address down from the root, folder by folder."""

    def __init__(self, world: World, exporter: MachineExporter) -> None:
        self.world = world
        self.show = exporter
        self._actions: dict[str, Handler] = {
            "disable": self._disable,
            "enable": self._enable,
            "doDelete": self._delete,
            "confirmRename": self._rename,
            "doRename": self._rename,
            "reload": self._reload,
            "configSubmit": self._submit,
            "cancelQueue": self._cancel_queue,
        }

    def answer(self, call: Call, parent: Job | None, segments: list[str]) -> Response:
        match segments:
            case ["createItem"] if parent is None or parent.is_folder:
                return self._create(call, parent)
            case ["job", name, *rest]:
                job = self.world.jobs.child(parent, name)
                if job and call.caller.may(Permission.JOB_READ):
                    return self._job(call, job, rest)
        raise call.missing()

    def _job(self, call: Call, job: Job, rest: list[str]) -> Response:
        match rest:
            case []:
                return self._page(call, job)
            case ["api"]:
                return page(200, "Remote API [Jenkins]", "REST API")
            case ["api", flavour]:
                return api(call, flavour, self.show.job(job))
            case ["config.xml"]:
                return self._config(call, job)
            case ["build" | "buildWithParameters" as action] if not job.is_folder:
                return self._build(call, job, action)
            case [action] if action in self._actions:
                call.need_post()
                return self._actions[action](call, job)
            case ["job" | "createItem", *_] if job.is_folder:
                return self.answer(call, job, rest)
            case [number, *action]:
                run = job.runs.get(int(number)) if number.isdigit() else job.permalink(number)
                if run:
                    return BuildRoutes(self.world, self.show).answer(call, run, action)
        raise call.missing()

    def _page(self, call: Call, job: Job) -> Response:
        if call.request.method == "DELETE":
            self._delete(call, job)
            return Response(204)
        if not call.request.path.endswith("/"):
            return call.redirect(quoted(job.path))
        return page(200, f"{job.name} [Jenkins]", f"Project {job.name}")

    # ---- creating ----------------------------------------------------------------------------------------------

    def _create(self, call: Call, parent: Job | None) -> Response:
        call.need_post()
        call.need(Permission.CREATE)
        name = self._new_name(call.value("name"), parent)
        if call.value("mode") == "copy":
            return self._copy(call, parent, name)
        content_type = call.header("Content-Type")
        if not content_type:
            raise Refusal(bad_request("No Content-Type header set"))
        if not content_type.startswith(XML_TYPES):
            raise Refusal(bad_request("No mode given"))
        if len(name) > LONGEST_NAME:
            raise Refusal(oops())
        try:
            self.world.create(parent, name, _body_text(call))
        except BadConfig as error:
            raise Refusal(oops()) from error
        return Response(200)

    def _copy(self, call: Call, parent: Job | None, name: str) -> Response:
        source = self.world.jobs.find(call.value("from") or "")
        if source is None:
            raise Refusal(bad_request(f"No such job: {call.value('from')}"))
        job = self.world.create(parent, name, source.xml, held=True)
        return call.redirect(f"{quoted(job.path)}configure")

    def _new_name(self, name: str | None, parent: Job | None) -> str:
        if name is None:
            raise Refusal(bad_request("Query parameter 'name' is required"))
        if problem := _name_problem(name):
            raise Refusal(bad_request(problem))
        if self.world.jobs.child(parent, name):
            raise Refusal(bad_request(f"A job already exists with the name ‘{name}’"))  # noqa: RUF001 (Jenkins' own)
        return name

    # ---- configuring -------------------------------------------------------------------------------------------

    def _config(self, call: Call, job: Job) -> Response:
        call.need(Permission.CONFIGURE)
        if call.is_post:
            return self._reconfigure(call, job)
        if call.request.method != "GET":
            return Response(400)
        return Response(200, job.xml.encode(), {"Content-Type": "application/xml"})

    def _reconfigure(self, call: Call, job: Job) -> Response:
        try:
            same_kind = parse_config(_body_text(call)).kind is job.config.kind
        except BadConfig as error:
            raise Refusal(oops()) from error
        if not same_kind:
            raise Refusal(oops())
        self.world.reconfigure(job, _body_text(call))
        return Response(200)

    def _disable(self, call: Call, job: Job) -> Response:
        call.need(Permission.CONFIGURE)
        self.world.set_disabled(job, disabled=True)
        return call.redirect(quoted(job.path))

    def _enable(self, call: Call, job: Job) -> Response:
        call.need(Permission.CONFIGURE)
        self.world.set_disabled(job, disabled=False)
        return call.redirect(quoted(job.path))

    def _delete(self, call: Call, job: Job) -> Response:
        call.need(Permission.DELETE)
        self.world.delete(job)
        return call.redirect(quoted(job.parent.path) if job.parent else "")

    def _rename(self, call: Call, job: Job) -> Response:
        call.need(Permission.CONFIGURE)
        self.world.rename(job, self._new_name(call.value("newName"), job.parent))
        return call.redirect(quoted(job.path).rstrip("/"))

    def _reload(self, call: Call, job: Job) -> Response:
        call.need(Permission.CONFIGURE)
        return Response(200)

    def _submit(self, call: Call, job: Job) -> Response:
        """The browser's form; here it only releases a held copy."""
        call.need(Permission.CONFIGURE)
        job.held = False
        return call.redirect(quoted(job.path))

    def _cancel_queue(self, call: Call, job: Job) -> Response:
        """The older way to cancel: the job's oldest item."""
        call.need(Permission.CANCEL)
        for item in self.world.queue.of_job(job)[:1]:
            self.world.cancel(item)
        return call.redirect(quoted(job.path))

    # ---- building ----------------------------------------------------------------------------------------------

    def _build(self, call: Call, job: Job, action: str) -> Response:
        call.need(Permission.BUILD)
        if not call.is_post:
            raise Refusal(post_required_to_build())
        if not job.buildable:
            raise Refusal(oops(CONFLICT))
        by_form = action == "build" and call.value("json") is not None
        values = self._form_values(call, job) if by_form else self._values(call, job, action)
        item = self.world.schedule(job, values, by_user(call.caller.user.name), _delay(call))
        if item is None:
            raise Refusal(oops(CONFLICT))
        where = quoted(job.path) if by_form else f"queue/item/{item.item_id}/"
        return Response(201, headers={"Location": call.asked + where})

    def _values(self, call: Call, job: Job, action: str) -> dict[str, str]:
        """A parameter given twice, a value that is no choice, and parameters of a job without any are a 500."""
        if action == "build":
            if job.config.parameters:
                raise Refusal(web_server_error(400, "Nothing is submitted", call.request.path))
            return {}
        if not job.config.parameters:
            raise Refusal(oops())
        values: dict[str, str] = {}
        for name, value in call.pairs():
            definition = job.definition(name)
            if definition is None:
                continue
            if name in values or (definition.choices and value not in definition.choices):
                raise Refusal(oops())
            values[name] = value
        return values

    def _form_values(self, call: Call, job: Job) -> dict[str, str]:
        given = form_json(call).get("parameter")
        if not isinstance(given, list):
            raise Refusal(oops())
        values = {str(one.get("name")): str(one.get("value")) for one in given if isinstance(one, dict)}
        if any(job.definition(name) is None for name in values):
            raise Refusal(oops())
        return values


def _delay(call: Call) -> float | None:
    """Seconds; a number without a unit is milliseconds, other units are a 500."""
    given = call.value("delay")
    if given is None:
        return None
    match = re.fullmatch(r"(\d+)(secs?)?", given)
    if not match:
        raise Refusal(oops())
    return float(match[1]) if match[2] else float(match[1]) / 1000


def _body_text(call: Call) -> str:
    try:
        return call.request.body.decode()
    except UnicodeDecodeError as error:
        raise BadConfig("not UTF-8") from error


def _name_problem(name: str) -> str:
    """Jenkins' own words about a name, empty for a good one."""
    if not name.strip():
        return "No name is specified"
    if name in {".", ".."}:
        return f"“{name}” is not an allowed name"
    for char in name:
        if ord(char) < ord(" "):
            shown = name.replace(char, f"\\u{ord(char)};")
            return f"No control code is allowed: {shown}"
        if char in UNSAFE:
            return f"‘{char}’ is an unsafe character"  # noqa: RUF001 (Jenkins' own)
    return ""
