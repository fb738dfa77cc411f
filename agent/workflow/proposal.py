"""A verified run as a pull request: the files it wrote in one commit on a branch of its own, its report as the text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.workflow.checkout import committed
from agent.workflow.report import to_markdown
from tools.devops.spec import conversation_language
from tools.github import FileChange, PullRequest, open_pull_request
from tools.github.hub import hub_of
from tools.github.settings import GitHubSettings, checkout_root
from tools.text import cap
from tools.tool import ToolContext, ToolError

_MOST_BODY = 60_000  # GitHub takes 65,536 characters


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a project's proposals go. `folder` is the project inside the checkout `top`, empty at its root.

    `language` is that of the project's people.
    """

    ctx: ToolContext
    repository: str
    top: Path
    folder: str
    language: str

    def branch(self, spec: str | None) -> str:
        """The branch of a project's proposals: the same each time, so that a later run renews its own."""
        words = re.sub(r"[^a-z0-9]+", "-", " ".join(filter(None, (spec, self.folder))).lower()).strip("-")
        return f"expert-devops/{words or 'deployment'}"

    def place(self, path: str) -> str:
        """A path of the project as the repository has it."""
        return f"{self.folder}/{path}" if self.folder else path


def destination(root: Path, env: Mapping[str, str]) -> Destination:
    """Where proposals of the project at `root` go: its `origin`. Raises `ToolError` where that is not on GitHub."""
    ctx = ToolContext.at(root)
    ctx.state["github"] = settings = GitHubSettings.from_environment(env)
    repositories = hub_of(ctx).repositories
    top = checkout_root(ctx.root)
    if not repositories or top is None:
        raise ToolError(
            f"{root} has no remote `origin` on {settings.web_host}, so there is nowhere to propose changes to. Add one "
            "(git remote add origin URL), or set GITHUB_API_URL for a GitHub Enterprise Server."
        )
    folder = ctx.root.relative_to(top).as_posix()
    language = "ko" if conversation_language(ctx.root).casefold().startswith("ko") else "en"
    return Destination(ctx, next(iter(repositories)), top, "" if folder == "." else folder, language)


async def propose(
    to: Destination, paths: Sequence[str], spec: str | None, report: Mapping[str, object]
) -> PullRequest | None:
    """Open or renew the pull request with these files of the project. None: `main` holds them all already.

    Raises `ToolError`: no token, no permission, or a file that somebody else changed meanwhile.
    """
    if not paths:
        return None
    places = [to.place(path) for path in paths]
    files = [FileChange.read(to.top, place) for place in places]
    known = await committed(to.top, places)
    title = f"Make {spec or to.folder or to.repository.split('/')[1]} deployable"
    body = cap(as_body(to_markdown(report)), _MOST_BODY, note="the whole report is in the run's output")
    return await open_pull_request(to.ctx, to.repository, to.branch(spec), files, title, body, known=known)


def as_body(markdown: str) -> str:
    """Text that notifies nobody and closes nothing: names and numbers in it come from files, not from the user."""
    return re.sub(r"`[^`]*`|([@#])(?=\w)", lambda found: f"{found[0]}\u2060" if found[1] else found[0], markdown)
