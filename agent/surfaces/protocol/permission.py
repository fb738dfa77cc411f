"""Permissions and questions answered by the host: `can_use_tool`, or an MCP tool that plays its part."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.knowledge.names import split_rule
from agent.surfaces.grants import GrantError, Grants
from agent.surfaces.protocol.host import HostError, HostGoneError
from agent.surfaces.protocol.wire import Json, LineTooLongError
from tools.ports import Answers, NeedsInput, PermissionAnswer, PermissionRequest, Question
from tools.text import clean
from tools.tool import Tool, ToolContext, ToolError

AskPermission = Callable[[Json], Awaitable[Json]]
"""Sends the fields of a `can_use_tool` request; gives its payload. Raises `HostError` or `LineTooLongError`."""


@dataclass(slots=True)
class HostAsker:
    """The `Asker` of a host. `current_call` gives the id of the call that is running, `interrupt` stops the turn."""

    ask: AskPermission
    grants: Grants
    current_call: Callable[[], str]
    interrupt: Callable[[], None]

    async def permission(self, request: PermissionRequest) -> PermissionAnswer:
        fields: Json = {
            "tool_name": request.tool,
            "input": dict(request.input),
            "tool_use_id": request.call_id,
            "permission_suggestions": _suggestions(request.suggestion),
            "decision_reason": request.reason,
            "agent_id": request.agent_id,
        }
        try:
            answer = await self.ask(fields)
        except (HostError, LineTooLongError, ToolError) as error:
            return PermissionAnswer("deny", f"Nobody could approve it: {clean(str(error))}")
        if answer.get("behavior") != "allow":
            return self._denied(answer)
        changed = answer.get("updatedInput")
        if changed is not None and not isinstance(changed, Mapping):
            return PermissionAnswer("deny", "The host allowed it with an input that is no object.")
        rules: tuple[str, ...] = ()
        if isinstance(updates := answer.get("updatedPermissions"), list):
            try:
                rules = self.grants.apply(updates)
            except GrantError:
                rules = ()  # the call itself is allowed; as in the reference, none of the updates counts
        same = changed is None or dict(changed) == dict(request.input)
        return PermissionAnswer("allow", updated_input=None if same else dict(changed or {}), rules=rules)

    def _denied(self, answer: Json) -> PermissionAnswer:
        interrupt = bool(answer.get("interrupt"))
        if interrupt:
            self.interrupt()
        return PermissionAnswer("deny", clean(str(answer.get("message") or "The user said no.")), interrupt=interrupt)

    async def questions(self, questions: Sequence[Question]) -> Answers:
        """Asked as permission for an `AskUserQuestion` call, whose input comes back with `answers`."""
        await asyncio.sleep(0)  # the start of the call is known before it is named
        shown = {"questions": [_question(question) for question in questions]}
        fields = {"tool_name": "AskUserQuestion", "input": shown, "tool_use_id": self.current_call()}
        try:
            answer = await self.ask(fields)
        except HostGoneError as error:
            raise NeedsInput(questions) from error
        except (HostError, LineTooLongError) as error:
            raise ToolError(f"The questions could not be asked: {clean(str(error))}") from error
        if answer.get("behavior") != "allow":
            raise ToolError(self._denied(answer).message)
        given = (answer.get("updatedInput") or {}).get("answers")
        answers = {text: _answer(value) for text, value in given.items()} if isinstance(given, Mapping) else {}
        open_ones = [question for question in questions if not answers.get(question.question)]
        if open_ones:
            raise NeedsInput(open_ones)
        return Answers({question.question: answers[question.question] for question in questions})


def ask_by_tool(tool: Tool, context: Callable[[], ToolContext]) -> AskPermission:
    """`--permission-prompt-tool mcp__server__tool`: the tool's one text block holds the payload as JSON."""

    async def ask(fields: Json) -> Json:
        wanted = {key: fields[key] for key in ("tool_name", "input", "tool_use_id")}
        result = await tool.invoke(context(), wanted)
        said = result.data.get("content", result.content)  # as the server sent it, not as it is shown to a model
        text = said if isinstance(said, str) else "".join(str(block.get("text") or "") for block in said)
        try:
            payload = json.loads(text)
        except ValueError:
            payload = None
        if result.is_error or not isinstance(payload, dict):
            raise HostError(f"{tool.name} gave no permission answer: {text[:200]}")
        return payload

    return ask


def _suggestions(rule: str | None) -> list[Json] | None:
    if rule is None:
        return None
    tool, content = split_rule(rule)
    named = {"toolName": tool} | ({"ruleContent": content} if content else {})
    return [{"type": "addRules", "rules": [named], "behavior": "allow", "destination": "session"}]


def _question(question: Question) -> Json:
    return {
        "question": question.question,
        "header": question.header,
        "options": [{"label": option.label, "description": option.description} for option in question.options],
        "multiSelect": question.multi_select,
    }


def _answer(value: Any) -> str:
    return ", ".join(str(item) for item in value) if isinstance(value, list) else str(value or "")
