"""Git over HTTP as a forge has it: nginx with logins, Git's own HTTP backend, and a proxy that can lose answers."""

import http.client
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from kcibot.sandbox.http import Request, Response, StandIn
from tests.servers.floor import folder_for, free_port, listens, needed, running, until

PACKAGES = "nginx-light fcgiwrap spawn-fcgi apache2-utils git"
BACKEND = "/usr/lib/git-core/git-http-backend"
USER, TOKEN = "kcibot", "the-token-of-kcibot"
READER, READERS_TOKEN = "reader", "the-token-of-reader"
"""Someone who may log in, and whom the hook of `protect` lets push nothing."""

NGINX = """user {user}; worker_processes 1; daemon off; pid {dir}/nginx.pid; error_log {dir}/error.log; events {{}}
http {{ access_log {dir}/access.log; client_max_body_size 0;
  client_body_temp_path {dir}/b; fastcgi_temp_path {dir}/f; proxy_temp_path {dir}/p; uwsgi_temp_path {dir}/u;
  scgi_temp_path {dir}/s; auth_basic git; auth_basic_user_file {dir}/htpasswd;
  include /etc/nginx/fastcgi_params; fastcgi_param SCRIPT_FILENAME {backend};
  fastcgi_param GIT_HTTP_EXPORT_ALL ""; fastcgi_param GIT_PROJECT_ROOT {dir}/srv;
  fastcgi_param PATH_INFO $1; fastcgi_param REMOTE_USER $remote_user;
  server {{ listen 127.0.0.1:{port};
    location ~ ^/git(/.*) {{ fastcgi_pass unix:{dir}/fcgi.sock; }}
    location ~ ^/small(/.*) {{ client_max_body_size 100; fastcgi_pass unix:{dir}/fcgi.sock; }}
    location /moved/ {{ return 302 /git/core.git$is_args$args; }} }} }}
"""
PROTECTED = f"""ref=$1 old=$2 new=$3; zero=0000000000000000000000000000000000000000
case $ref in
refs/heads/kernelci.org)
  [ "$new" = $zero ] && {{ echo "protected branch: $ref cannot be deleted"; exit 1; }}
  [ "$old" != $zero ] && [ "$(git merge-base "$old" "$new")" != "$old" ] &&
    {{ echo "protected branch: non-fast-forward push to $ref refused"; exit 1; }};;
refs/tags/*) [ "$old" != $zero ] && {{ echo "tag $ref already exists"; exit 1; }};;
esac
[ "$REMOTE_USER" = {READER} ] && {{ echo "{READER} has no write access"; exit 1; }}
exit 0
"""


@dataclass(frozen=True)
class GitHttp:
    """A running server. Its logs are in `folder`: access.log and error.log."""

    port: int
    folder: Path

    def serve(self, name: str, bare: Path) -> str:
        """Show that repository, take pushes to it, and protect its production branch; its URL."""
        (self.folder / "srv" / f"{name}.git").unlink(missing_ok=True)
        (self.folder / "srv" / f"{name}.git").symlink_to(bare)
        subprocess.run(["git", "--git-dir", str(bare), "config", "http.receivepack", "true"], check=True)
        hook = bare / "hooks" / "update"
        hook.write_text(f"#!/bin/sh\n{PROTECTED}")
        hook.chmod(0o755)
        return self.url(name)

    def url(self, name: str, under: str = "git") -> str:
        return f"http://127.0.0.1:{self.port}/{under}/{name}.git"

    def seen(self) -> str:
        """Everything that the server wrote down."""
        return "".join((self.folder / name).read_text() for name in ("access.log", "error.log", "log"))


@contextmanager
def git_http() -> Iterator[GitHttp]:
    """It runs as the user of the tests, so that the repositories may be theirs."""
    needed(["nginx", "fcgiwrap", "spawn-fcgi", "htpasswd", "git"], PACKAGES)
    with folder_for("git") as folder, ExitStack() as stack:
        server = GitHttp(free_port(), folder)
        _prepare(server)
        log = folder / "log"
        fcgi = ["spawn-fcgi", "-n", "-s", str(folder / "fcgi.sock"), "-F", "2", "--", "/usr/sbin/fcgiwrap", "-f"]
        stack.enter_context(running(fcgi, log))
        until((folder / "fcgi.sock").exists, log)
        stack.enter_context(running(["nginx", "-c", str(folder / "nginx.conf")], log))
        until(listens(server.port), log)
        yield server


def _prepare(server: GitHttp) -> None:
    folder = server.folder
    (folder / "srv").mkdir()
    config = NGINX.format(user=_me(), dir=folder, port=server.port, backend=BACKEND)
    (folder / "nginx.conf").write_text(config)
    for user, token in ((USER, TOKEN), ("x-access-token", TOKEN), (READER, READERS_TOKEN)):
        new = [] if (folder / "htpasswd").exists() else ["-c"]
        words = ["htpasswd", "-b", *new, str(folder / "htpasswd"), user, token]
        subprocess.run(words, check=True, capture_output=True)


def _me() -> str:
    return subprocess.run(["id", "-un"], check=True, capture_output=True, text=True).stdout.strip()


class Proxy(StandIn):
    """What stands before a forge: passes everything on, unless one of its `faults` says otherwise."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._host = urlsplit(url).netloc

    def respond(self, request: Request) -> Response:
        upstream = http.client.HTTPConnection(self._host, timeout=20)
        try:
            target = f"{request.path}?{request.query}" if request.query else request.path
            headers = {name: text for name, text in request.headers.items() if name != "Transfer-Encoding"}
            upstream.request(request.method, target, request.body, headers)
            answer = upstream.getresponse()
            kept = {name: value for name, value in answer.getheaders() if name in {"Content-Type", "WWW-Authenticate"}}
            return Response(answer.status, answer.read(), kept)
        finally:
            upstream.close()
