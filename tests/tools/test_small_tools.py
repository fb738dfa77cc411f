"""TodoWrite, AskUserQuestion, Delegate, CompleteStep, and the package's exports."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import tools
from tools.ask import ask_user_question
from tools.delegate import delegate
from tools.ports import (
    Answers,
    DelegationRequest,
    DelegationResult,
    NeedsInput,
    PermissionAnswer,
    PermissionRequest,
    Question,
    StepClaim,
    StepVerdict,
)
from tools.steps import complete_step
from tools.todo import todo_write
from tools.tool import FunctionTool, ToolContext, ToolError


@pytest.fixture
def ctx(tmp_path: Path) -> ToolContext:
    return ToolContext(root=tmp_path, cwd=tmp_path, scratch=tmp_path / "scratch")


def todo(content: str, status: str = "pending") -> dict[str, str]:
    return {"content": content, "status": status, "activeForm": f"Doing {content}"}


async def test_todos_are_kept_and_compared(ctx: ToolContext) -> None:
    shown: list[str] = []
    ctx.progress = shown.append
    first = [todo("a", "in_progress"), todo("b")]
    await todo_write.invoke(ctx, {"todos": first})
    result = await todo_write.invoke(ctx, {"todos": [todo("a", "completed"), todo("b", "in_progress")]})
    assert result.data["oldTodos"] == first
    assert [t["status"] for t in result.data["newTodos"]] == ["completed", "in_progress"]
    assert "1 of 2 done; now: Doing b" in str(result.content)
    assert shown == ["Doing a", "Doing b"]


@pytest.mark.parametrize(
    "todos",
    [
        [todo("a", "in_progress"), todo("b", "in_progress")],
        [todo("a", "done")],
        [{"content": "x", "status": "pending"}],
        [todo("")],
    ],
)
async def test_wrong_todos_are_refused_and_change_nothing(ctx: ToolContext, todos: list[dict[str, str]]) -> None:
    with pytest.raises(ToolError):
        await todo_write.invoke(ctx, {"todos": todos})
    assert (await todo_write.invoke(ctx, {"todos": []})).data["oldTodos"] == []


class Answering:
    """An asker with prepared answers, which remembers what it was asked."""

    def __init__(self, answers: Mapping[str, str], assumed: Sequence[str] = ()) -> None:
        self.answers = Answers(answers, assumed)
        self.asked: list[Question] = []

    async def questions(self, questions: Sequence[Question]) -> Answers:
        self.asked += questions
        return self.answers

    async def permission(self, request: PermissionRequest) -> PermissionAnswer:
        return PermissionAnswer("deny")


def question(**changes: Any) -> dict[str, Any]:
    return {
        "question": "어느 리전에 배포할까요?",
        "header": "리전",
        "options": [{"label": "seoul", "description": "서울"}, {"label": "tokyo", "description": "도쿄"}],
        "multiSelect": False,
        **changes,
    }


async def test_answers_come_back_as_json(ctx: ToolContext) -> None:
    asker = ctx.asker = Answering({"어느 리전에 배포할까요?": "seoul"})
    result = await ask_user_question.invoke(
        ctx, {"questions": [question(key="region", default="seoul", why="not stated")]}
    )
    assert json.loads(str(result.content)) == {"answers": {"어느 리전에 배포할까요?": "seoul"}}
    assert "서울" not in str(result.content)
    assert asker.asked[0].key == "region"
    assert asker.asked[0].options[1].label == "tokyo"
    assert (asker.asked[0].default, asker.asked[0].why, asker.asked[0].multi_select) == ("seoul", "not stated", False)


async def test_answers_of_the_host_are_taken_without_asking(ctx: ToolContext) -> None:
    answers = {"어느 리전에 배포할까요?": "busan, my own words"}
    result = await ask_user_question.invoke(ctx, {"questions": [question()], "answers": answers})
    assert result.data["answers"] == answers


async def test_an_assumed_answer_is_marked_as_one(ctx: ToolContext) -> None:
    text = "어느 리전에 배포할까요?"
    ctx.asker = Answering({text: "seoul"}, assumed=[text])
    result = await ask_user_question.invoke(ctx, {"questions": [question()]})
    assert json.loads(str(result.content)) == {"answers": {text: "seoul"}, "assumed": [text]}


async def test_what_nobody_answered_is_said(ctx: ToolContext) -> None:
    ctx.asker = Answering({})
    result = await ask_user_question.invoke(ctx, {"questions": [question()]})
    assert json.loads(str(result.content))["unanswered"] == ["어느 리전에 배포할까요?"]


async def test_nobody_to_ask_ends_in_needs_input(ctx: ToolContext) -> None:
    with pytest.raises(NeedsInput) as caught:
        await ask_user_question.invoke(ctx, {"questions": [question()]})
    assert caught.value.questions[0].header == "리전"


@pytest.mark.parametrize(
    "questions",
    [
        [],
        [question(question=f"{n}?") for n in range(5)],
        [question(header="thirteen char")],
        [question(header="")],
        [question(options=[{"label": "only"}])],
        [question(options=[{"label": str(n)} for n in range(5)])],
        [question(options=[{"label": "same"}, {"label": "same"}])],
        [question(question="Deploy now? 🚀")],
        [question(header="x\u200by")],
        [question(default="nowhere")],
        [question(), question()],
        [question(extra=1)],
    ],
)
async def test_questions_outside_the_limits_are_refused(ctx: ToolContext, questions: list[Any]) -> None:
    ctx.asker = Answering({})
    with pytest.raises(ToolError):
        await ask_user_question.invoke(ctx, {"questions": questions})


class Router:
    """A delegator that answers with a prepared result."""

    def __init__(self, result: DelegationResult) -> None:
        self.result = result
        self.requests: list[DelegationRequest] = []

    async def delegate(self, request: DelegationRequest) -> DelegationResult:
        self.requests.append(request)
        return self.result


CALL = {"to": "expert-backend", "subject": "Health endpoint", "task": "Add /health", "context": {"port": 8000}}


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        ("completed", False, "has finished"),
        ("failed", True, "failed"),
        ("requested", False, "nothing has been done yet"),
        ("refused", True, "refused"),
    ],
)
async def test_a_delegation_says_what_became_of_it(ctx: ToolContext, status: Any, error: bool, words: str) -> None:
    router = Router(DelegationResult(status, "expert-backend", "details\x1b[2J", {"files": 1}))
    ctx.delegator = router
    result = await delegate.invoke(ctx, CALL)
    assert result.is_error is error
    assert words in str(result.content)
    assert "details" in str(result.content)
    assert "untrusted-data" in str(result.content)  # a sibling's words are data
    assert result.data["files"] == 1
    assert router.requests == [
        DelegationRequest("expert-backend", "Health endpoint", "Add /health", {"port": 8000}, blocking=True)
    ]


async def test_without_siblings_delegation_is_an_error(ctx: ToolContext) -> None:
    with pytest.raises(ToolError, match="no siblings"):
        await delegate.invoke(ctx, CALL)


class Gate:
    """A step closer that accepts or refuses."""

    def __init__(self, accepted: bool) -> None:
        self.accepted = accepted
        self.claims: list[StepClaim] = []

    async def complete(self, claim: StepClaim) -> StepVerdict:
        self.claims.append(claim)
        return StepVerdict(self.accepted, "Dockerfile:3: runs as root", {"findings": 1})


@pytest.mark.parametrize("accepted", [True, False])
async def test_a_claim_is_verified(ctx: ToolContext, accepted: bool) -> None:
    gate = Gate(accepted)
    ctx.steps = gate
    decision = {"name": "region", "value": "seoul", "source": "user"}
    result = await complete_step.invoke(
        ctx, {"step": 4, "summary": "Wrote it.", "artifacts": ["Dockerfile"], "decisions": [decision]}
    )
    assert result.is_error is not accepted
    assert result.content == "Dockerfile:3: runs as root"
    assert (result.data["accepted"], result.data["findings"]) == (accepted, 1)
    assert gate.claims == [StepClaim(4, "Wrote it.", ("Dockerfile",), (decision,))]


@pytest.mark.parametrize("raw", [{"step": 0, "summary": "x"}, {"step": 9, "summary": "x"}, {"step": 1, "summary": ""}])
async def test_impossible_claims_are_refused(ctx: ToolContext, raw: dict[str, Any]) -> None:
    ctx.steps = Gate(accepted=True)
    with pytest.raises(ToolError, match="wrong input"):
        await complete_step.invoke(ctx, raw)


async def test_without_a_workflow_there_are_no_steps(ctx: ToolContext) -> None:
    with pytest.raises(ToolError, match="no workflow"):
        await complete_step.invoke(ctx, {"step": 1, "summary": "x"})


EXPECTED = {
    "Read": ["file_path", "offset", "limit", "pages", "allow_large"],
    "Write": ["file_path", "content"],
    "Edit": ["file_path", "old_string", "new_string", "replace_all"],
    "NotebookEdit": ["notebook_path", "new_source", "cell_id", "cell_type", "edit_mode"],
    "Grep": [
        *("pattern", "path", "glob", "type", "output_mode", "-A", "-B", "-C", "context", "-n", "-i", "-o"),
        *("head_limit", "offset", "multiline"),
    ],
    "Glob": ["pattern", "path"],
    "Bash": ["command", "timeout", "description", "run_in_background", "dangerouslyDisableSandbox"],
    "TaskStop": ["task_id", "shell_id"],
    "WebFetch": ["url", "prompt", "offset"],
    "TodoWrite": ["todos"],
    "AskUserQuestion": ["questions", "answers"],
    "Delegate": ["to", "subject", "task", "context", "blocking"],
    "CompleteStep": ["step", "summary", "artifacts", "decisions"],
}


def test_schemas_have_the_published_parameters() -> None:
    exported = [getattr(tools, name) for name in tools.__all__]
    found = {t.name: t for t in exported if isinstance(t, FunctionTool)}
    assert {name: list(t.input_schema["properties"]) for name, t in found.items()} == EXPECTED
    for name, one in found.items():
        assert len(one.description) > 60, name
        assert one.input_schema["additionalProperties"] is False
        json.dumps(one.input_schema)


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, tools; assert 'pydantic' not in sys.modules; import tools.delegate, tools.tool;"
        "from tools import *; heavy = {'httpx2', 're2', 'pathspec', 'pypdf'} & set(sys.modules);"
        "assert not heavy, heavy; assert delegate.name == 'Delegate' and callable(tool); assert read.name == 'Read'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = tools.nonsense
