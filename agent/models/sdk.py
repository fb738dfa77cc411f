"""Claude on other clouds, through the official SDK: Amazon Bedrock, Google Vertex AI, Microsoft Foundry.

These need request signing and framing of their own, which the SDK has. It takes a second to import, so that happens
with the first request. The SDK's own retries are off: `retry.py` is the one place that retries.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from agent.models.anthropic import IDLE_SECONDS, build_body
from agent.models.catalog import resolve_alias
from agent.models.errors import from_event, from_response, from_transport, transport_errors
from agent.models.port import Json, ModelError, Request
from tools.secrets import Redactor

if TYPE_CHECKING:
    from anthropic import APIStatusError, AsyncAnthropicBedrock, AsyncAnthropicFoundry, AsyncAnthropicVertex

    Client: TypeAlias = AsyncAnthropicBedrock | AsyncAnthropicFoundry | AsyncAnthropicVertex

Cloud = Literal["bedrock", "vertex", "foundry"]
_SWITCHES: Mapping[Cloud, str] = {
    "bedrock": "CLAUDE_CODE_USE_BEDROCK",
    "vertex": "CLAUDE_CODE_USE_VERTEX",
    "foundry": "CLAUDE_CODE_USE_FOUNDRY",
}
_KNOWN_NAME = re.compile(r"claude-[a-z]+-\d+(?:-\d{1,2})?(?!\d)")
_BEFORE_4_7 = re.compile(r"claude-[a-z]+-(?:3.*|4(?:-[0-6])?)$")
_OLD_BEDROCK_VERSION = "bedrock-2023-05-31"  # the newer one is for Claude 4.7 and later there
_BODY_ARGUMENTS = frozenset({"model", "max_tokens", "messages", "system", "tools", "stream"})


def cloud_of(name: str | None, env: Mapping[str, str]) -> Cloud | None:
    """The cloud a model name (`bedrock/...`) or else the environment (`CLAUDE_CODE_USE_BEDROCK=1`) asks for."""
    for cloud in _SWITCHES:
        if (name or "").startswith(f"{cloud}/"):
            return cloud
    return next((cloud for cloud, switch in _SWITCHES.items() if env.get(switch, "").lower() in {"1", "true"}), None)


def sdk_model(name: str, env: Mapping[str, str]) -> CloudModel:
    """The model for a name such as `vertex/sonnet`. Raises `ModelError` when it names no cloud."""
    cloud = cloud_of(name, env)
    if cloud is None:
        raise ModelError("not_found", f"{name!r} names no cloud: write bedrock/, vertex/ or foundry/ before the model.")
    model = resolve_alias(name.removeprefix(f"{cloud}/") or None, env, cloud=True)
    return CloudModel(f"anthropic.{model}" if cloud == "bedrock" and model.startswith("claude-") else model, cloud, env)


class CloudModel:
    """One cloud's endpoint behind the `Model` port. `env` holds its region, project, address and credentials."""

    def __init__(self, model_id: str, cloud: Cloud, env: Mapping[str, str]) -> None:
        self.id = f"{cloud}/{model_id}"
        self._model_id = model_id
        self._cloud: Cloud = cloud
        self._env = env
        self._redactor = Redactor.from_environment(env)
        self._client: Client | None = None

    async def stream(self, request: Request) -> AsyncIterator[Mapping[str, Any]]:
        from anthropic import APIConnectionError, APIStatusError, APITimeoutError

        begun = False
        try:
            events = await self._open(request)
            async with events:
                async for event in events:
                    row = event.to_dict(mode="json", warnings=False)
                    if row["type"] == "message_start":
                        begun = True
                        row["request_id"] = events.response.headers.get("request-id")
                    yield row
        except APIStatusError as error:
            raise self._refusal(error, begun) from None
        except APITimeoutError:
            raise ModelError("timeout", f"{self._cloud}: nothing came for too long", retryable=True) from None
        except APIConnectionError as error:
            cause = error.__cause__ if isinstance(error.__cause__, transport_errors()) else OSError(str(error))
            raise from_transport(cause, self._cloud, redactor=self._redactor, partial=begun) from None
        except transport_errors() as error:
            raise from_transport(error, self._cloud, redactor=self._redactor, partial=begun) from None

    async def aclose(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _open(self, request: Request) -> Any:
        known = _known_name(self._model_id)
        body = build_body(known, request, "full") | {"model": self._model_id}
        if self._cloud == "bedrock" and _BEFORE_4_7.fullmatch(known):
            body["anthropic_version"] = _OLD_BEDROCK_VERSION
        betas = ",".join(request.options.get("betas", ()))
        arguments = {name: value for name, value in body.items() if name in _BODY_ARGUMENTS}
        try:
            client = self._client = self._client or self._connect()
            return await client.messages.create(
                **arguments,
                extra_body={name: value for name, value in body.items() if name not in _BODY_ARGUMENTS},
                extra_headers={"anthropic-beta": betas} if betas else {},
            )
        except ImportError as error:  # the SDK's extras are optional
            hint = f"Install it with: pip install 'anthropic[{self._cloud}]'"
            raise ModelError(
                "invalid_request", f"{self._cloud} needs a library that is absent: {error}. {hint}"
            ) from error
        except _sdk_errors():
            raise
        except Exception as error:  # noqa: BLE001 - credential libraries raise kinds of their own
            raise ModelError("authentication", f"{self._cloud}: {self._redactor.text(str(error))}") from None

    def _connect(self) -> Client:
        import anthropic

        env = self._env
        common: Json = {"max_retries": 0, "timeout": IDLE_SECONDS}
        match self._cloud:
            case "bedrock":
                return anthropic.AsyncAnthropicBedrock(
                    aws_region=env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION"),
                    api_key=env.get("AWS_BEARER_TOKEN_BEDROCK"),
                    base_url=env.get("ANTHROPIC_BEDROCK_BASE_URL"),
                    **common,
                )
            case "vertex":
                return anthropic.AsyncAnthropicVertex(
                    region=env.get("CLOUD_ML_REGION", ""),
                    project_id=env.get("ANTHROPIC_VERTEX_PROJECT_ID", ""),
                    base_url=env.get("ANTHROPIC_VERTEX_BASE_URL"),
                    **common,
                )
            case "foundry":
                base_url = env.get("ANTHROPIC_FOUNDRY_BASE_URL")
                address = {"base_url": base_url} if base_url else {"resource": env.get("ANTHROPIC_FOUNDRY_RESOURCE")}
                return anthropic.AsyncAnthropicFoundry(
                    api_key=env.get("ANTHROPIC_FOUNDRY_API_KEY"), **address, **common
                )

    def _refusal(self, error: APIStatusError, partial: bool) -> ModelError:
        request_id = error.response.headers.get("request-id")
        if error.status_code == 200 and isinstance(error.body, Mapping):
            return from_event(error.body, request_id, redactor=self._redactor, partial=partial)
        body = json.dumps(error.body) if isinstance(error.body, Mapping) else str(error.body or error.message)
        headers = error.response.headers
        return from_response(error.status_code, headers, body.encode(), redactor=self._redactor, strict_429=False)


def _known_name(model_id: str) -> str:
    """The first-party name inside a cloud's model id, as in `eu.anthropic.claude-opus-5-5-v1:0`."""
    found = _KNOWN_NAME.search(model_id)
    return found[0] if found else model_id


def _sdk_errors() -> tuple[type[Exception], ...]:
    from anthropic import APIError

    return APIError, *transport_errors()
