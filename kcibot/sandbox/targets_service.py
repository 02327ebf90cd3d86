"""A deployed service of the sandbox: a program of its own, started by `targets_control`.

It reads the deployed code once, when it starts, as the real services do: only a restart shows a new version. A lock on
its file says that it runs, whatever became of its process id. When its folder is removed, it ends by itself.
"""

import fcntl
import json
import os
import re
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

EXIT_RUNS_ALREADY = 3
FOLDER_CHECK_SECONDS = 1.0
QUEUE_CHECK_SECONDS = 0.05
FRONTEND_LINK = "https://github.com/kernelci/kernelci-frontend/tree/"
TYPES = {".js": "application/javascript", ".css": "text/css", ".html": "text/html"}


def main(folder: Path, name: str) -> int:
    service = json.loads((folder / "services.json").read_text())[name]
    lock = (folder / "run" / f"{name}.lock").open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return EXIT_RUNS_ALREADY
    code = Path(service["code"])
    facts = {"version": _version(code / service["version_file"]), "commit": _commit(code)}
    threading.Thread(target=_end_without, args=(Path(lock.name),), daemon=True).start()
    if service["port"] == 0:
        _announce(folder, name, facts)
        _consume(folder / "queue", folder / "done")
    server = ThreadingHTTPServer(("127.0.0.1", service["port"]), _handler(facts["version"], Path(service["static"])))
    _announce(folder, name, facts)
    server.serve_forever()
    return 0


def _announce(folder: Path, name: str, facts: dict[str, str]) -> None:
    """Write down who runs, since when and what, and how often it was started so far."""
    path = folder / "run" / f"{name}.json"
    before = json.loads(path.read_text())["starts"] if path.exists() else 0
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps({"pid": os.getpid(), "starts": before + 1, "started": time.time(), **facts}))
    fresh.replace(path)


def _version(path: Path) -> str:
    found = re.search(r'^__version__ = "([^"]+)"', path.read_text(), re.MULTILINE)
    return found[1] if found else ""


def _commit(code: Path) -> str:
    asked = ("git", "rev-parse", "HEAD")
    return subprocess.run(asked, cwd=code, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603 (our own words)


def _end_without(lock: Path) -> None:
    """A sandbox that was deleted without being stopped leaves nothing running."""
    while lock.exists():
        time.sleep(FOLDER_CHECK_SECONDS)
    os._exit(0)


def _consume(queue: Path, done: Path) -> None:
    """The worker: every task in the queue is moved to where the finished ones are."""
    while True:
        for task in sorted(queue.glob("*.task")):
            task.replace(done / task.name)
        time.sleep(QUEUE_CHECK_SECONDS)


def _handler(version: str, static: Path) -> type[BaseHTTPRequestHandler]:
    shown = json.dumps({"code": 200, "result": [{"version": version, "full_version": version}]}).encode()
    page = f'<html><body><footer>Version:&nbsp;<a href="{FRONTEND_LINK}{version}">{version}</a></footer></body></html>'

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            if path == "/version":
                self._answer(200, shown, "application/json")
            elif path == "/":
                self._answer(200, page.encode(), "text/html; charset=utf-8")
            elif path.startswith("/static/"):
                self._file(static, path.removeprefix("/static/"))
            else:
                self._answer(404, b'{"code": 404}', "application/json")

        def _file(self, root: Path, name: str) -> None:
            path = (root / name).resolve()
            if not path.is_relative_to(root.resolve()) or not path.is_file():
                self._answer(404, b"not found", "text/plain")
                return
            # As in production: browsers keep scripts for ever, but for these few.
            short = name.endswith("common.js") or "kci-" in path.name
            keep = "max-age=1200" if short or path.suffix != ".js" else "max-age=315360000"
            self._answer(200, path.read_bytes(), TYPES.get(path.suffix, "application/octet-stream"), keep)

        def _answer(self, status: int, body: bytes, kind: str, keep: str = "no-store") -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", keep)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 (the name that the server looks for)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name)
            """Say nothing."""

    return Handler


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
