"""A bare repository, and the work tree of a developer who fills it."""

import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kcibot.services.git.adapter import GitRepositories

AT = datetime(2021, 5, 24, 9, 0, tzinfo=UTC)
MAIN, PRODUCTION = "refs/heads/main", "refs/heads/kernelci.org"


class BareServer:
    """Its bare repository is `folder`/core.git; every commit is made a minute after the one before."""

    def __init__(self, folder: Path) -> None:
        self.bare, self.work = folder / "core.git", folder / "work"
        self.git("init", "--bare", "--initial-branch=main", "--quiet", str(self.bare), at=folder)
        self.git("init", "--initial-branch=main", "--quiet", str(self.work), at=folder)
        self.git("remote", "add", "origin", str(self.bare))
        self.minutes = 0

    def git(self, *arguments: str, at: Path | None = None) -> str:
        who = {"NAME": "A Developer", "EMAIL": "developer@example.org"}
        env = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}
        date = (AT + timedelta(minutes=getattr(self, "minutes", 0))).isoformat()
        env |= {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date, "GIT_CONFIG_GLOBAL": os.devnull}
        done = subprocess.run(
            ["git", *arguments],
            cwd=at or self.work,
            env={**os.environ, **env},
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def commit(self, subject: str, **files: str) -> str:
        self.minutes += 1
        for name, text in files.items():
            (self.work / name.replace("__", "/")).parent.mkdir(parents=True, exist_ok=True)
            (self.work / name.replace("__", "/")).write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", subject)
        return self.git("rev-parse", "HEAD")

    def publish(self, *refs: str) -> None:
        self.git("push", "--quiet", "--force", "origin", *(refs or ("main",)))

    def hook(self, name: str, script: str) -> None:
        path = self.bare / "hooks" / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def at(self, ref: str) -> str:
        return self.git("rev-parse", ref, at=self.bare)


def filled(folder: Path) -> BareServer:
    """One with two commits, on which both branches are."""
    server = BareServer(folder)
    server.commit("config: start", one="1\n")
    server.commit("config: go on", two="2\n", folder__three="3\n")
    server.publish("main", "main:kernelci.org")
    return server


def repositories(folder: Path, url: str, **options: object) -> GitRepositories:
    """The adapter, with its mirrors below `folder`."""
    return GitRepositories({"core": url}, folder / "mirrors", "kcibot", "bot@example.org", **options)  # type: ignore[arg-type]
