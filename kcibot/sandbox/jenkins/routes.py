"""Which address is what: the root, the queue and the nodes. Jobs and builds are in `job_routes`."""

from collections.abc import Callable

from kcibot.sandbox.http import Response
from kcibot.sandbox.jenkins import job_routes
from kcibot.sandbox.jenkins.auth import CRUMB_FIELD, Permission
from kcibot.sandbox.jenkins.beans import plain
from kcibot.sandbox.jenkins.call import Call, api
from kcibot.sandbox.jenkins.machine_beans import MachineExporter, overall_load
from kcibot.sandbox.jenkins.model import Executor, ItemState, Node
from kcibot.sandbox.jenkins.pages import Refusal, bad_request, oops, page
from kcibot.sandbox.jenkins.tree import Bean
from kcibot.sandbox.jenkins.world import World

OPEN_TO_ALL = {"login", "whoAmI"}
LIFE_ACTIONS = {"quietDown", "cancelQuietDown", "safeRestart"}


class Routes:
    """Answers requests of callers who were identified already."""

    def __init__(self, world: World, exporter: MachineExporter, crumb: str) -> None:
        self.world = world
        self.show = exporter
        self._crumb = crumb
        self._objects: dict[str, Callable[[Call], Bean]] = {
            "": lambda _call: exporter.root(),
            "whoAmI": _who,
            "me": _user,
            "overallLoad": lambda _call: overall_load(),
            "queue": lambda _call: exporter.queue(),
            "computer": lambda _call: exporter.computers(),
        }

    def answer(self, call: Call) -> Response:
        head, *rest = call.segments or [""]
        if head not in OPEN_TO_ALL:
            call.need(Permission.READ)
        if call.segments[-2:-1] == ["api"] and "/".join(call.segments[:-2]) in self._objects:
            return api(call, call.segments[-1], self._objects["/".join(call.segments[:-2])](call))
        match [head, *rest]:
            case ["login"]:
                return page(200, "Sign in [Jenkins]", "Welcome to Jenkins! Keep me signed in")
            case ["crumbIssuer", "api", flavour]:
                return self._issue(call, flavour)
            case ["queue", *rest]:
                return self._queue(call, rest)
            case ["computer", *rest]:
                return self._computer(call, rest)
            case [action] if action in LIFE_ACTIONS:
                return self._life(call, action)
            case [""]:
                return page(200, "Dashboard [Jenkins]", "Dashboard")
        return job_routes.JobRoutes(self.world, self.show).answer(call, None, call.segments)

    def _issue(self, call: Call, flavour: str) -> Response:
        fields = (plain("crumb", self._crumb), plain("crumbRequestField", CRUMB_FIELD))
        answer = api(call, flavour, Bean("hudson.security.csrf.DefaultCrumbIssuer", fields))
        return Response(answer.status, answer.body, {**answer.headers, "Set-Cookie": ""})

    def _life(self, call: Call, action: str) -> Response:
        if action == "safeRestart" and not call.is_post:
            return page(200, "Restart [Jenkins]", "Are you sure you want to restart Jenkins?")
        call.need_post()
        call.need(Permission.ADMINISTER)
        self.world.queue.quieting_down = action != "cancelQuietDown"
        self.world.restart_wanted = action == "safeRestart"
        self.world.maintain()
        return call.redirect("")

    # ---- queue -------------------------------------------------------------------------------------------------

    def _queue(self, call: Call, rest: list[str]) -> Response:
        match rest:
            case ["item", number, "api", flavour] if number.isdigit():
                item = self.world.queue.find(int(number), self.world.loop.now())
                if item:
                    return api(call, flavour, self.show.item(item))
            case ["cancelItem"]:
                call.need_post()
                return self._cancel_item(call)
        raise call.missing()

    def _cancel_item(self, call: Call) -> Response:
        number = call.value("id") or ""
        item = self.world.queue.find(int(number), self.world.loop.now()) if number.isdigit() else None
        if item is None:
            return oops(404)
        if not call.caller.may(Permission.CANCEL):
            return oops(422)
        if item.state is ItemState.LEFT:
            return oops()
        self.world.cancel(item)
        return Response(204)

    # ---- nodes -------------------------------------------------------------------------------------------------

    def _computer(self, call: Call, rest: list[str]) -> Response:
        match rest:
            case ["doCreateItem"]:
                return self._create_node(call)
            case [name, *action]:
                wanted = "master" if name == "(master)" else "" if name == "master" else name
                node = next((one for one in self.world.nodes if one.name == wanted), None)
                if node:
                    return self._node(call, node, name, action)
        raise call.missing()

    def _node(self, call: Call, node: Node, name: str, action: list[str]) -> Response:
        match action:
            case ["api", flavour]:
                return api(call, flavour, self.show.computer(node))
            case ["toggleOffline"]:
                call.need_post()
                call.need(Permission.ADMINISTER)
                node.offline_reason = None if node.offline_reason is not None else call.value("offlineMessage") or ""
                self.world.maintain()
                return call.redirect(f"computer/{name}/")
            case ["doDisconnect"] if not node.is_master:
                call.need_post()
                call.need(Permission.ADMINISTER)
                self.world.lose(node)
                return call.redirect(f"computer/{name}/")
            case ["doDelete"] if not node.is_master:
                call.need_post()
                call.need(Permission.ADMINISTER)
                self.world.nodes.remove(node)
                return call.redirect("computer/")
        raise call.missing()

    def _create_node(self, call: Call) -> Response:
        """A new agent, which never connects."""
        call.need_post()
        call.need(Permission.ADMINISTER)
        name = call.value("name") or ""
        if any(node.name == name for node in self.world.nodes):
            raise Refusal(bad_request(f"Agent called ‘{name}’ already exists"))  # noqa: RUF001 (Jenkins' own)
        form = job_routes.form_json(call)
        count = int(str(form.get("numExecutors", "1")))
        labels = tuple(str(form.get("labelString", "")).split())
        text = str(form.get("nodeDescription", ""))
        executors = [Executor(number) for number in range(count)]
        self.world.nodes.append(Node(name, executors, labels, text, connected=False))
        return call.redirect("computer/")


def _who(call: Call) -> Bean:
    anonymous = call.caller.anonymous
    return Bean(
        "hudson.security.WhoAmI",
        (
            plain("anonymous", anonymous),
            plain("authenticated", value=True),
            plain("authorities", [""] if anonymous else ["authenticated"]),
            plain("name", call.caller.user.name),
        ),
    )


def _user(call: Call) -> Bean:
    name = call.caller.user.name
    search = Bean("hudson.search.UserSearchProperty", (plain("insensitiveSearch", value=True, visibility=3),))
    kinds = (
        "jenkins.security.ApiTokenProperty",
        "hudson.model.MyViewsProperty",
        "hudson.model.PaneStatusProperties",
        "jenkins.security.seed.UserSeedProperty",
    )
    details = (Bean("hudson.model.TimeZoneProperty"), Bean("hudson.security.HudsonPrivateSecurityRealm$Details"))
    return Bean(
        "hudson.model.User",
        (
            plain("absoluteUrl", f"{call.base}user/{name}"),
            plain("description", None),
            plain("fullName", name),
            plain("id", name),
            plain("property", [*(Bean(kind) for kind in kinds), search, *details]),
        ),
    )
