"""Who answers when a run asks: answers given beforehand, documented defaults, or the record of this session."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from agent.events import Event, QuestionsAnswered
from tools.frontmatter import FrontmatterError, load_yaml
from tools.ports import Answers, Asker, NeedsInput, PermissionAnswer, PermissionRequest, Question


class AnswersError(Exception):
    """An answers file that cannot be used; names the file and what is wrong."""


class Headless:
    """No person is present. Questions are answered from `answers` (by key, header or question text), then, with
    `take_defaults`, by their documented default; the rest ends the run with *needs input*. Permissions are denied.
    """

    def __init__(self, answers: Mapping[str, str] | None = None, *, take_defaults: bool = False) -> None:
        self._answers = {str(key).casefold(): value for key, value in (answers or {}).items()}
        self._take_defaults = take_defaults

    async def questions(self, questions: Sequence[Question]) -> Answers:
        values: dict[str, str] = {}
        assumed = set()
        for question in questions:
            given = self._given(question)
            if given is not None:
                values[question.question] = given
            elif self._take_defaults and (default := question.default or question.options[0].label):
                values[question.question] = default
                assumed.add(question.question)
        unanswered = [question for question in questions if question.question not in values]
        if unanswered:
            raise NeedsInput(unanswered)
        return Answers(values, assumed)

    def _given(self, question: Question) -> str | None:
        for name in (question.key, question.key.split(":")[0], question.question, question.header):
            if name and name.casefold() in self._answers:
                return self._answers[name.casefold()]
        return None

    async def permission(self, request: PermissionRequest) -> PermissionAnswer:
        rule = f" A rule that would allow it: {request.suggestion}." if request.suggestion else ""
        return PermissionAnswer("deny", f"{request.reason} Nobody is here to approve it.{rule}", by="nobody")


class Recorded:
    """Wraps an asker: what was answered is journaled and, after a resume, not asked again. One question at a time."""

    def __init__(self, inner: Asker, emit: Callable[[Event], None], answered: dict[str, str]) -> None:
        self._inner = inner
        self._emit = emit
        self.answered = answered
        self._door = asyncio.Lock()

    async def questions(self, questions: Sequence[Question]) -> Answers:
        async with self._door:
            fresh = [question for question in questions if question.question not in self.answered]
            known = {q.question: self.answered[q.question] for q in questions if q.question in self.answered}
            if not fresh:
                return Answers(known)
            answers = await self._inner.questions(fresh)
            real = {text: value for text, value in answers.items() if text not in answers.assumed}
            self.answered.update(real)
            if real:
                self._emit(QuestionsAnswered(answers=real))
            return Answers(known | answers, answers.assumed)

    async def permission(self, request: PermissionRequest) -> PermissionAnswer:
        async with self._door:
            return await self._inner.permission(request)


def read_answers(path: Path) -> dict[str, str]:
    """An answers file, YAML or JSON: a mapping of question key, header or text to the answer."""
    try:
        data = load_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise AnswersError(f"The answers file {path} cannot be read: {error.strerror}.") from error
    except (FrontmatterError, UnicodeDecodeError) as error:
        raise AnswersError(f"The answers file {path} is neither YAML nor JSON: {error}") from error
    if not isinstance(data, dict) or not all(isinstance(v, str | int | float | bool) for v in data.values()):
        raise AnswersError(
            f"The answers file {path} must map question keys to answers, for example `platform: railway`."
        )
    return {str(key): str(value) for key, value in data.items()}
