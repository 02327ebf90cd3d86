"""One request on its way through the stand-in, and how the API answers it."""

import json
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote
from xml.sax.saxutils import escape

from kcibot.sandbox.http import Request, Response
from kcibot.sandbox.jenkins.auth import Caller, Permission
from kcibot.sandbox.jenkins.pages import MARKS, Refusal, denied, not_found, oops, post_required, web_server_error
from kcibot.sandbox.jenkins.tree import Bean, ByDepth, JsonValue, Selection, TreeError, parse_tree, select


@dataclass(frozen=True, slots=True)
class Call:
    """A request and its caller; `asked` is the address as asked for, with a slash, `base` that of `url` fields."""

    request: Request
    caller: Caller
    asked: str
    base: str

    @property
    def segments(self) -> list[str]:
        """The path's parts, decoded; double slashes do not count."""
        return [unquote(part) for part in self.request.path.split("/") if part]

    @property
    def is_post(self) -> bool:
        return self.request.method == "POST"

    def header(self, name: str) -> str:
        return next((value for key, value in self.request.headers.items() if key.lower() == name.lower()), "")

    def pairs(self) -> list[tuple[str, str]]:
        """Parameters of the query and of the form, in order."""
        query = parse_qsl(self.request.query, keep_blank_values=True)
        if not self.header("Content-Type").startswith("application/x-www-form-urlencoded"):
            return query
        return query + parse_qsl(self.request.body.decode(errors="replace"), keep_blank_values=True)

    def value(self, name: str) -> str | None:
        return next((value for key, value in self.pairs() if key == name), None)

    def need(self, permission: Permission) -> None:
        if not self.caller.may(permission):
            raise Refusal(denied(self.caller, permission, self.request.path))

    def need_post(self) -> None:
        if not self.is_post:
            raise Refusal(post_required())

    def missing(self) -> Refusal:
        return Refusal(not_found(self.request.path))

    def redirect(self, path: str) -> Response:
        return Response(302, headers={"Location": self.asked + path})


def api(call: Call, flavour: str, bean: Bean) -> Response:
    """Answer `.../api/json` and its kin under `tree=` or `depth=`."""
    if call.value("jsonp") is not None:
        message = "jsonp forbidden; implement jenkins.security.SecureRequester"
        raise Refusal(web_server_error(403, message, call.request.path))
    shown = select(bean, _selection(call))
    match flavour:
        case "json":
            return _answer(json.dumps(shown), "application/json;charset=utf-8")
        case "python":
            return _answer(repr(shown), "text/x-python;charset=UTF-8")
        case "xml":
            return _answer(_xml(_root_name(bean.kind), shown), "application/xml;charset=UTF-8")
    raise call.missing()


def _selection(call: Call) -> Selection:
    tree, depth = call.value("tree"), call.value("depth")
    try:
        return ByDepth(1 - int(depth or 0)) if tree is None else parse_tree(tree)
    except (TreeError, ValueError) as error:
        raise Refusal(oops()) from error


def _answer(text: str, content_type: str) -> Response:
    return Response(200, text.encode(), {**MARKS, "Content-Type": content_type})


def _root_name(kind: str) -> str:
    name = re.split(r"[.$]", kind)[-1]
    return name[:1].lower() + name[1:]


def _xml(name: str, value: JsonValue) -> str:
    """Lists repeat the singular name, nulls are left out, as Jenkins does."""
    if value is None:
        return ""
    if isinstance(value, list):
        return "".join(_xml(name.removesuffix("s"), item) for item in value)
    if isinstance(value, dict):
        kind = f" _class='{value['_class']}'" if "_class" in value else ""
        inner = "".join(_xml(key, item) for key, item in value.items() if key != "_class")
        return f"<{name}{kind}>{inner}</{name}>"
    text = str(value).lower() if isinstance(value, bool) else escape(str(value))
    return f"<{name}>{text}</{name}>"
