"""`Playbook`: the `Model` port over scripts. Stateless in effect: everything follows from the messages it is sent."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

from agent.models.playbook.intents import script_for
from agent.models.playbook.script import Script, Turn, certain, replies_of
from agent.models.port import Message, Request

Json = dict[str, Any]


class Playbook:
    """Answers by rules. See the package docstring."""

    id = "playbook"

    def __init__(self) -> None:
        self._first: Message | None = None
        self._read = 0
        self._script: Script | None = None
        self._answer: Turn | str = ""

    async def stream(self, request: Request) -> AsyncIterator[Mapping[str, Any]]:
        """The next answer of the script that the conversation is in."""
        answer = self._follow(request.messages)
        turn = sum(message["role"] == "assistant" for message in request.messages)
        for event in _events(answer, turn):
            yield event

    async def aclose(self) -> None:
        """Nothing to free."""

    def _follow(self, messages: Sequence[Message]) -> Turn | str:
        """Play the messages that are new since the last request; all of them in a conversation not seen before."""
        if messages[0] is not self._first or len(messages) < self._read:
            self._first, self._read, self._script = messages[0], 0, None
        for index in range(self._read, len(messages)):
            message = messages[index]
            if message["role"] == "user":
                self._take(message["content"], messages[: index + 1])
        self._read = len(messages)
        return self._answer

    def _take(self, content: str | list[Json], history: Sequence[Message]) -> None:
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        replies = replies_of(blocks)
        try:
            if replies and self._script is not None and isinstance(self._answer, Turn):
                self._answer = self._script.send(replies)
            else:
                said = "\n".join(str(block["text"]) for block in blocks if block.get("type") == "text")
                self._script = certain(script_for(said, history))
                self._answer = next(self._script)
        except StopIteration as end:
            self._script, self._answer = None, str(end.value)


def _events(answer: Turn | str, turn: int) -> Iterator[Json]:
    """An answer as the Messages API streams it. Ids follow from the turn, so a replay gives the same ones."""
    text = answer if isinstance(answer, str) else answer.text
    calls = () if isinstance(answer, str) else answer.calls
    usage = {"input_tokens": 0, "output_tokens": 0}
    message = {"id": f"msg_playbook_{turn}", "type": "message", "role": "assistant", "model": Playbook.id}
    yield {"type": "message_start", "message": message | {"content": [], "stop_reason": None, "usage": usage}}
    index = 0
    if text:
        yield {"type": "content_block_start", "index": index, "content_block": {"type": "text", "text": ""}}
        yield {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": text}}
        yield {"type": "content_block_stop", "index": index}
        index += 1
    for number, (name, data) in enumerate(calls):
        block = {"type": "tool_use", "id": f"toolu_playbook_{turn}_{number}", "name": name, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(data, ensure_ascii=False)}
        yield {"type": "content_block_start", "index": index, "content_block": block}
        yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
        index += 1
    stop = "tool_use" if calls else "end_turn"
    yield {"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": None}, "usage": usage}
    yield {"type": "message_stop"}
