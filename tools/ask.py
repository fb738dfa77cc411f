"""AskUserQuestion: a decision that is the user's, asked through whoever can reach them."""

from __future__ import annotations

import json
import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from tools.ports import Option, Question
from tools.text import clean
from tools.tool import ToolContext, ToolError, ToolResult, tool

_EMOJI = re.compile("[\u2600-\u27bf\u2b50-\u2b55\ufe0f\U0001f000-\U0001faff]")


class OptionInput(BaseModel):
    """One answer to choose."""

    model_config = ConfigDict(extra="forbid")

    label: Annotated[str, Field(min_length=1, max_length=60, description="1 to 5 words.")]
    description: Annotated[str, Field(description="What choosing it means, in a line.")] = ""
    preview: Annotated[str | None, Field(description="Markdown to show beside it, such as a file or a diagram.")] = None


class QuestionInput(BaseModel):
    """One question."""

    model_config = ConfigDict(extra="forbid")

    question: Annotated[str, Field(min_length=1, description="The whole question, ending in a question mark.")]
    header: Annotated[
        str, Field(min_length=1, max_length=12, description='A label of at most 12 characters: "Region".')
    ]
    options: Annotated[list[OptionInput], Field(min_length=2, max_length=4)]
    multiSelect: Annotated[bool, Field(description="Whether several options may be chosen.")] = False  # noqa: N815 - the published name
    key: Annotated[str, Field(description='A stable name for answer files: "platform", "region".')] = ""
    default: Annotated[str | None, Field(description="The label taken when the user accepts defaults.")] = None
    why: Annotated[str, Field(description="Why it must be asked: what the specification leaves open.")] = ""


@tool("AskUserQuestion", effects={"asks"})
async def ask_user_question(
    ctx: ToolContext,
    questions: Annotated[list[QuestionInput], Field(min_length=1, max_length=4)],
    answers: Annotated[
        dict[str, str] | None, Field(description="Answers by question, filled in by the host. Leave it out.")
    ] = None,
) -> ToolResult:
    """Ask the user 1 to 4 questions with 2 to 4 options each, when a decision is theirs and nothing given settles it.

    - Ask only what changes the result and cannot be found in the specification, the project or earlier answers. Ask
      everything that is open in one call.
    - The user can always answer in their own words; do not offer an "Other" option. Put the option you recommend first
      and end its label with "(Recommended)".
    - Write in the user's language, plainly, without emoji. Not for "may I go on?", and not for secrets.
    - If nobody can answer, the run ends with these questions as its result.
    """
    _check(questions)
    assumed: list[str] = []
    if answers is None:
        given = await ctx.asker.questions([_question(q) for q in questions])
        answers, assumed = dict(given), sorted(given.assumed)
    open_ones = [q.question for q in questions if not answers.get(q.question)]
    notes = {"assumed": assumed, "unanswered": open_ones}  # assumed: nobody answered, the default was taken
    content = json.dumps({"answers": answers} | {k: v for k, v in notes.items() if v}, ensure_ascii=False)
    return ToolResult(clean(content), data={"questions": [q.model_dump() for q in questions], "answers": answers})


def _question(given: QuestionInput) -> Question:
    options = tuple(Option(clean(option.label), clean(option.description)) for option in given.options)
    return Question(
        question=given.question,
        header=clean(given.header),
        options=options,
        multi_select=given.multiSelect,
        key=given.key,
        default=given.default,
        why=clean(given.why),
    )


def _check(questions: list[QuestionInput]) -> None:
    """Rules that a schema cannot say."""
    texts = [q.question for q in questions]
    if len(set(texts)) < len(texts):
        raise ToolError("Two questions are the same. Ask each once.")
    for q in questions:
        labels = [option.label for option in q.options]
        if len(set(labels)) < len(labels):
            raise ToolError(f'The options of "{clean(q.header)}" have the same label twice. Make them differ.')
        if q.default is not None and q.default not in labels:
            raise ToolError(f'The default of "{clean(q.header)}" is none of its labels.')
        shown = [q.question, q.header, *labels, *(option.description for option in q.options)]
        if any(_EMOJI.search(text) for text in shown):
            raise ToolError(f'The question "{clean(q.header)}" contains emoji. Write it in words.')
        if any(clean(text) != text for text in shown):
            raise ToolError(f'The question "{clean(q.header)}" contains invisible characters. Leave them out.')
