"""GitHub tools on secrets, variables and environments of a repository's workflows.

A secret's value never passes through the model: it comes from an environment variable of the same name, or is made
here, and leaves sealed with the repository's public key.
"""

from __future__ import annotations

import os
import re
import secrets
from typing import Annotated

from pydantic import Field

from tools.github.hub import Hub, hub_of, segment
from tools.github.inputs import Owner, Page, Repo
from tools.github.show import pick, shown_page
from tools.text import clean
from tools.tool import ToolContext, ToolError, ToolResult, tool

_OWN_KEYS = re.compile(r"(?:ANTHROPIC|CLAUDE|EXPERT_DEVOPS|GH|GITHUB)_", re.IGNORECASE)
_MOST_BYTES = 48_000

Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,199}$", description="Name, such as RAILWAY_TOKEN.")]
Environment = Annotated[
    str | None, Field(min_length=1, max_length=255, description="Deployment environment; the repository if absent.")
]


def _scope(root: str, environment: str | None, kind: str) -> str:
    """Where secrets or variables live: of the repository's Actions, or of one environment."""
    return f"{root}/environments/{segment(environment)}/{kind}" if environment else f"{root}/actions/{kind}"


def _where(environment: str | None) -> str:
    return f"environment {clean(environment)}" if environment else "repository"


@tool("mcp__github__list_secrets", effects={"network"})
async def list_secrets(
    ctx: ToolContext, owner: Owner, repo: Repo, environment: Environment = None, page: Page = 1
) -> ToolResult:
    """List the names of the secrets; values cannot be read. Token: Secrets, read (classic: repo)."""
    hub = hub_of(ctx)
    path = _scope(await hub.readable(owner, repo), environment, "secrets")
    answer = await hub.request("GET", path, query={"page": page, "per_page": 100})
    return shown_page(hub, f"{owner}/{repo}/secrets", answer, pick("name created_at updated_at"), page, "secrets")


@tool("mcp__github__set_secret", effects={"network", "writes"})
async def set_secret(
    ctx: ToolContext,
    owner: Owner,
    repo: Repo,
    secret_name: Name,
    environment: Environment = None,
    generate: Annotated[bool, Field(description="Make a new random value, for signing keys and the like.")] = False,
) -> ToolResult:
    """Set a secret. Its value is the environment variable of the same name, or with `generate` a random one.

    The value is never shown. Token: Secrets, write; for an environment: Environments, write (classic: repo).
    """
    hub = hub_of(ctx)
    root = await hub.writable(owner, repo)
    value = secrets.token_urlsafe(48) if generate else _from_environment(secret_name)
    await _seal(hub, _scope(root, environment, "secrets"), secret_name, value)
    source = "a random value" if generate else "the environment variable of this name"
    return ToolResult(f"The secret {secret_name} of the {_where(environment)} was set from {source}.")


def _from_environment(name: str) -> str:
    if _OWN_KEYS.match(name):
        raise ToolError(f"{name} is a key of this program itself and is not copied. The user sets it on GitHub.")
    value = os.environ.get(name, "")
    if not value:
        raise ToolError(
            f"There is no environment variable {name} to take the value from. The user sets it and starts again, or "
            "uses GitHub's settings. Do not ask for the value."
        )
    if len(value.encode()) > _MOST_BYTES:
        raise ToolError(f"{name} is longer than the {_MOST_BYTES} bytes that GitHub takes for a secret.")
    return value


async def _seal(hub: Hub, scope: str, name: str, value: str) -> None:
    from github.PublicKey import encrypt

    key = await hub.get(f"{scope}/public-key")
    body = {"key_id": str(key["key_id"]), "encrypted_value": encrypt(str(key["key"]), value)}
    await hub.send("PUT", f"{scope}/{segment(name)}", body)


@tool("mcp__github__list_variables", effects={"network"})
async def list_variables(
    ctx: ToolContext, owner: Owner, repo: Repo, environment: Environment = None, page: Page = 1
) -> ToolResult:
    """List the variables with their values. Token: Variables, read (classic: repo)."""
    hub = hub_of(ctx)
    path = _scope(await hub.readable(owner, repo), environment, "variables")
    answer = await hub.request("GET", path, query={"page": page, "per_page": 30})
    return shown_page(hub, f"{owner}/{repo}/variables", answer, pick("name value updated_at"), page, "variables")


@tool("mcp__github__set_variable", effects={"network", "writes"})
async def set_variable(
    ctx: ToolContext,
    owner: Owner,
    repo: Repo,
    name: Name,
    value: Annotated[str, Field(min_length=1, max_length=48_000)],
    environment: Environment = None,
) -> ToolResult:
    """Set a variable. Everybody who can read the repository's runs can read it: no secrets.

    Token: Variables, write (classic: repo).
    """
    hub = hub_of(ctx)
    scope = _scope(await hub.writable(owner, repo), environment, "variables")
    present = await hub.find(f"{scope}/{segment(name)}")
    if present is not None and present.get("value") == value:
        return ToolResult(f"The variable {name} of the {_where(environment)} already has this value.")
    if present is None:
        await hub.send("POST", scope, {"name": name, "value": value})
    else:
        await hub.send("PATCH", f"{scope}/{segment(name)}", {"name": name, "value": value})
    return ToolResult(f"The variable {name} of the {_where(environment)} was set.")


@tool("mcp__github__list_environments", effects={"network"})
async def list_environments(ctx: ToolContext, owner: Owner, repo: Repo, page: Page = 1) -> ToolResult:
    """List the deployment environments and their protection. Token: Actions, read."""
    hub = hub_of(ctx)
    root = await hub.readable(owner, repo)
    answer = await hub.request("GET", f"{root}/environments", query={"page": page, "per_page": 30})
    shape = pick("name html_url protection_rules deployment_branch_policy")
    return shown_page(hub, f"{owner}/{repo}/environments", answer, shape, page, "environments")


@tool("mcp__github__create_environment", effects={"network", "writes"})
async def create_environment(
    ctx: ToolContext,
    owner: Owner,
    repo: Repo,
    environment: Annotated[str, Field(min_length=1, max_length=255, description="Name, such as production.")],
    wait_timer: Annotated[int, Field(ge=0, le=43_200, description="Minutes before a job may go on.")] = 0,
    protected_branches_only: Annotated[bool, Field(description="Deploy from protected branches only.")] = False,
) -> ToolResult:
    """Create a deployment environment. One that is there keeps its protection rules and is left alone.

    Token: Administration, write (classic: repo).
    """
    hub = hub_of(ctx)
    path = f"{await hub.writable(owner, repo)}/environments/{segment(environment)}"
    if await hub.find(path) is not None:
        return ToolResult(f"The environment {clean(environment)} is already there and was left alone.")
    policy = {"protected_branches": True, "custom_branch_policies": False} if protected_branches_only else None
    await hub.send("PUT", path, {"wait_timer": wait_timer, "deployment_branch_policy": policy})
    return ToolResult(f"The environment {clean(environment)} was created.")
