"""The pages that Jenkins and its HTTP server answer with when they do not answer what was asked."""

from html import escape
from urllib.parse import quote

from kcibot.sandbox.http import Response
from kcibot.sandbox.jenkins.auth import Caller, Permission

VERSION = "2.263.4"
HUDSON_VERSION = "1.395"
HTML = "text/html;charset=utf-8"
NO_CACHE = "no-cache,no-store,must-revalidate"
SESSION_HEADER = "X-Jenkins-Session"
"""Filled in by the server, which alone knows it; so is the value of Set-Cookie."""
GROUPS_HINT = (
    "JENKINS-39402: use -Dhudson.security.AccessDeniedException2.REPORT_GROUP_HEADERS=true or use /whoAmI to diagnose"
)
MARKS = {"X-Jenkins": VERSION, SESSION_HEADER: ""}


class Refusal(Exception):
    """The answer to a request that is not carried out."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


def web_server_error(status: int, message: str, path: str, extra: dict[str, str] | None = None) -> Response:
    """An error page of Jetty: without any X-Jenkins header."""
    title = f"{status} {escape(message, quote=False)}"
    rows = (("URI", path), ("STATUS", str(status)), ("MESSAGE", message), ("SERVLET", "Stapler"))
    table = "".join(f"<tr><th>{name}:</th><td>{escape(value, quote=False)}</td></tr>\n" for name, value in rows)
    body = (
        f'<html>\n<head>\n<meta http-equiv="Content-Type" content="text/html;charset=utf-8"/>\n'
        f"<title>Error {title}</title>\n</head>\n<body><h2>HTTP ERROR {title}</h2>\n<table>\n{table}</table>\n"
        f'<hr><a href="https://eclipse.org/jetty">Powered by Jetty:// 9.4.33.v20201020</a><hr/>\n\n</body>\n</html>\n'
    )
    headers = {"Content-Type": "text/html;charset=iso-8859-1", "Cache-Control": "must-revalidate,no-cache,no-store"}
    return Response(status, body.encode("latin-1", "replace"), {**headers, **(extra or {})})


def page(status: int, title: str, text: str, extra: dict[str, str] | None = None) -> Response:
    """A page of Jenkins itself."""
    head = f"<head>\n    <title>{escape(title)}</title></head>"
    body = f'\n  \n  <!DOCTYPE html><html class="">{head}<body>{text}</body></html>'
    headers = {**MARKS, "X-Hudson": HUDSON_VERSION, "Content-Type": HTML, "Set-Cookie": "", "Cache-Control": NO_CACHE}
    return Response(status, body.encode(), {**headers, **(extra or {})})


def oops(status: int = 500) -> Response:
    number = "00000000-0000-0000-0000-000000000000"
    text = f"<h1>Oops!</h1><p>A problem occurred while processing the request.</p>Logging ID={number}"
    return page(status, "Jenkins [Jenkins]", text)


def bad_request(message: str) -> Response:
    """The message is also in X-Error, without what is not ASCII."""
    ascii_only = message.translate(str.maketrans("‘’“”", "    ")).lstrip()  # noqa: RUF001 (Jenkins' quotation marks)
    return page(400, "Jenkins [Jenkins]", f"<h1>Error</h1><p>{escape(message)}</p>", {"X-Error": ascii_only})


def not_found(path: str) -> Response:
    return web_server_error(404, "Not Found", path)


def wrong_password(user: str, path: str) -> Response:
    extra = {"WWW-Authenticate": 'Basic realm="Jenkins"'}
    return web_server_error(401, f"Invalid password/token for user: {user}", path, extra)


def no_crumb(path: str, *, new_session: bool = False) -> Response:
    extra = {"Set-Cookie": ""} if new_session else {}
    return web_server_error(403, "No valid crumb was included in the request", path, extra)


def denied(caller: Caller, permission: Permission, path: str) -> Response:
    """Anonymous callers are sent to the login, others are told what is missing; both are 403."""
    extra = {
        "X-You-Are-Authenticated-As": caller.user.name,
        "X-You-Are-In-Group-Disabled": GROUPS_HINT,
        "X-Required-Permission": permission.value,
    }
    if permission.implied_by:
        extra["X-Permission-Implied-By"] = permission.implied_by
    if not caller.anonymous:
        text = f"<h1>Access Denied</h1>{caller.user.name} is missing the {permission.shown} permission"
        return page(403, "Jenkins", text, extra)
    login = f"/login?from={quote(path, safe='')}"
    shown = page(403, "", "", extra)
    body = (
        f"<html><head><meta http-equiv='refresh' content='1;url={login}'/><script>window.location.replace('{login}');"
        "</script></head><body style='background-color:white; color:white;'>\n\n\n"
        "Authentication required\n</body></html>"
    )
    headers = {name: value for name, value in shown.headers.items() if name != "Cache-Control"}
    return Response(403, body.encode(), headers)


def post_required() -> Response:
    return page(405, "Method Not Allowed [Jenkins]", "This URL requires POST")


def post_required_to_build() -> Response:
    text = "You must use POST method to trigger builds."
    return page(405, "Form post required [Jenkins]", text, {"Allow": "POST"})


def please_wait(doing: str) -> Response:
    """While starting or restarting: 503 without X-Jenkins and without Retry-After."""
    text = f"Please wait while Jenkins is {doing} . . .\nYour browser will reload automatically when Jenkins is ready."
    body = f"\n    <!DOCTYPE html><html><head><title>Jenkins</title></head><body>{text}</body></html>"
    return Response(503, body.encode(), {"Content-Type": HTML, "Cache-Control": NO_CACHE})


def uri_too_long() -> Response:
    body = b"<h1>Bad Message 414</h1><pre>reason: URI Too Long</pre>"
    return Response(414, body, {"Content-Type": "text/html;charset=iso-8859-1", "Connection": "close"})
