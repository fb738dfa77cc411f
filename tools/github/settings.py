"""Which GitHub, with which token, for which repositories: decided before a model says anything."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from tools.text import clean
from tools.tool import ToolError, child_environment

_PUBLIC_API = "https://api.github.com"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_GH_SECONDS = 10
_MAX_CONFIG = 1_000_000
_SECTION = re.compile(r"\s*\[\s*(?P<name>[\w.-]+)(?:\s+\"(?P<sub>(?:\\.|[^\"\\])*)\")?\s*\]")
_URL_LINE = re.compile(r"(?i)\s*url\s*=\s*(?P<value>.*)")
_SCP_LIKE = re.compile(r"(?:[\w.-]+@)?(?P<host>[\w.-]+):(?!//)/?(?P<path>.+)")
_REPOSITORY = re.compile(r"(?P<owner>[A-Za-z0-9][A-Za-z0-9_-]{0,99})/(?P<name>(?!\.{1,2}$)[\w.-]{1,100})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class GitHubSettings:
    """What a run may do on GitHub. Kept in `ctx.state["github"]`.

    `repositories` (`owner/name`) are those the user named: only they are written to, and private ones read. None
    stands for the project's `origin`. `token` None asks the `gh` program. `longest_wait` is how many seconds one call
    may wait for a rate limit. `pauses` are the seconds between two requests and between two writes, as GitHub's
    guide to its secondary limits asks.
    """

    repositories: frozenset[str] | None = None
    api_url: str = _PUBLIC_API
    token: str | None = field(default=None, repr=False)
    timeout: int = 30
    longest_wait: float = 60.0
    pauses: tuple[float, float] = (0.25, 1.0)

    @classmethod
    def from_environment(cls, env: Mapping[str, str] = os.environ) -> GitHubSettings:
        """`GITHUB_API_URL` names a GitHub Enterprise Server; `GH_TOKEN`, then `GITHUB_TOKEN`, the token, as in `gh`."""
        return cls(
            api_url=env.get("GITHUB_API_URL") or _PUBLIC_API,
            token=env.get("GH_TOKEN") or env.get("GITHUB_TOKEN") or None,
        )

    @property
    def web_host(self) -> str:
        """The host of the pages and remotes that belong to the API. Raises `ToolError` for an unusable URL."""
        url = urlsplit(self.api_url)
        host = (url.hostname or "").lower()
        if not host or url.username or url.scheme not in ("https", "http"):
            raise ToolError("GITHUB_API_URL is not the address of an API, such as https://github.example.com/api/v3.")
        if url.scheme == "http" and host not in _LOOPBACK:
            raise ToolError(f"GITHUB_API_URL must begin with https: a token would go to {clean(host)} unprotected.")
        return host.removeprefix("api.") if host == "api.github.com" or host.endswith(".ghe.com") else host

    async def find_token(self) -> str:
        """The token. Raises `ToolError` when there is none."""
        token = (self.token or await _token_of_gh(self.web_host)).strip()
        if token:
            return token
        raise ToolError(
            "No GitHub token is set. The user sets GITHUB_TOKEN (best a fine-grained one for this repository only), or "
            "logs in with `gh auth login`. Do not ask for the token itself."
        )


async def _token_of_gh(host: str) -> str:
    """What `gh auth token` prints; empty where the program is absent or not logged in."""
    try:
        process = await asyncio.create_subprocess_exec(
            *("gh", "auth", "token", "--hostname", host),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=child_environment(),
        )
    except OSError:
        return ""
    try:
        output, _ = await asyncio.wait_for(process.communicate(), _GH_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
        return ""
    return output.decode("ascii", "replace") if process.returncode == 0 else ""


def split_repository(text: str) -> tuple[str, str]:
    """`owner/name` in two. Raises `ToolError`."""
    found = _REPOSITORY.fullmatch(text)
    if not found:
        raise ToolError(f"{clean(text)[:100]!r} is not a repository; write owner/name.")
    return found["owner"], found["name"]


def origin_repository(root: Path, web_host: str) -> str | None:
    """`owner/name` of the remote `origin` of the repository around `root`; None where it is not on `web_host`.

    Git's configuration is read as a file: no program runs, and includes and URL rewriting are not followed.
    """
    config = _config_file(root)
    url = remote_url(config) if config is not None else None
    return repository_of(url, web_host) if url else None


def repository_of(url: str, web_host: str) -> str | None:
    """`owner/name` of a remote URL (https, ssh, or `git@host:owner/name`), if its host is `web_host`."""
    if "://" in url:
        try:
            parts = urlsplit(url)
            host, path = parts.hostname or "", parts.path
        except ValueError:
            return None
        if parts.scheme not in ("https", "http", "ssh", "git", "git+ssh"):
            return None
    else:
        found = _SCP_LIKE.fullmatch(url)
        host, path = (found["host"], found["path"]) if found else ("", "")
    name = path.strip("/").removesuffix(".git")
    same = host.lower() in (web_host, f"ssh.{web_host}")
    return name if same and _REPOSITORY.fullmatch(name) else None


def remote_url(config: Path) -> str | None:
    """The first `url` of the remote `origin` in a git configuration file; None where there is none."""
    try:
        with config.open("rb") as file:
            text = file.read(_MAX_CONFIG).decode("utf-8", "replace")
    except OSError:
        return None
    inside = False
    for line in text.splitlines():
        section = _SECTION.match(line)
        if section:
            inside = section["name"].lower() == "remote" and section["sub"] == "origin"
            line = line[section.end() :]  # noqa: PLW2901 - a value may follow on the header's own line
        found = _URL_LINE.fullmatch(line) if inside else None
        if found and (value := _value(found["value"])):
            return value
    return None


def _value(text: str) -> str:
    """A value without its comment and quotes. Remote URLs need no escapes; one that has them is not understood."""
    value = text.strip()
    if value.startswith('"'):
        value, closed, _ = value[1:].partition('"')
        return value if closed and "\\" not in value else ""
    value = re.split(r"[#;]", value, maxsplit=1)[0].strip()
    return value if "\\" not in value and '"' not in value else ""


def checkout_root(root: Path) -> Path | None:
    """The top of the repository around `root`; None where there is none."""
    return next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), None)


def _config_file(root: Path) -> Path | None:
    """The configuration of the repository around `root`; a worktree's `.git` is a file that names its directory."""
    folder = checkout_root(root)
    if folder is None:
        return None
    git = folder / ".git"
    if git.is_dir():
        return git / "config"
    directory = folder / _line(git).removeprefix("gitdir:").strip()
    return directory / (_line(directory / "commondir") or ".") / "config"


def _line(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(4096).decode("utf-8", "replace").strip()
    except OSError:
        return ""
