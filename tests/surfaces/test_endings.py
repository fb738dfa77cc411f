"""How a run ended and how to go on, in the language of its report."""

from __future__ import annotations

import pytest

from agent.result import Completed, Failed, NeedsInput, OutOfBudget, Refused, Result
from agent.surfaces.run import summary
from tools.ports import DelegationRequest, Option, Question

KOREAN = {"language": "ko"}
QUESTION = Question("어디에 배포할까요?", "플랫폼", (Option("Railway", ""), Option("Vercel", "")), key="platform")
ASKED = DelegationRequest("expert-backend", "배포 준비", "...")


@pytest.mark.parametrize(
    ("result", "english", "korean"),
    [
        (
            Completed(session_id="s1", delegations=(ASKED,)),
            "Asked of others, not done yet:\n- expert-backend: 배포 준비\nContinue with: expert-devops run",
            "다른 에이전트에 요청했으며 아직 완료되지 않은 작업:\n- expert-backend: 배포 준비\n이어서 실행",
        ),
        (
            NeedsInput(session_id="s1", questions=(QUESTION,)),
            "Answers are needed:\n- 어디에 배포할까요?\n  answer as `platform`: Railway, Vercel\nContinue with: ",
            "답변이 필요합니다:\n- 어디에 배포할까요?\n  `platform`(으)로 답하기: Railway, Vercel\n이어서 실행: ",
        ),
        (Failed(session_id="s1", kind="gate", reason="R"), "Failed (gate): R\nContinue with", "실패 (gate): R\n이어서"),
        (Refused(session_id="s1", by="hook", reason="R"), "Refused by hook: R", "hook에서 거부됨: R"),
        (OutOfBudget(session_id="s1", limit="turns", reason="R"), "R\nContinue with: ", "R\n이어서 실행: "),
        (
            Failed(session_id="s1", kind="rate_limit", reason="R"),
            "Failed (rate_limit): R\n",
            "실패 (rate_limit): R\n이 계정",
        ),
        (Completed(session_id="s1"), "", ""),
    ],
    ids=lambda value: getattr(value, "status", ""),
)
def test_it_is_told_in_the_language_of_the_report(result: Result, english: str, korean: str) -> None:
    from dataclasses import replace

    assert summary(result).startswith(english)
    assert summary(replace(result, report=KOREAN)).startswith(korean)
    assert bool(summary(result)) is bool(english)
