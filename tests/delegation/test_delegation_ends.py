"""How children end, well or badly, and that each end is told truthfully, bounded and once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from agent.budget import Limits
from agent.delegation.child import TreeLimits
from agent.events import ModelAnswered, RunFinished, ToolFinished
from agent.models.port import Request
from agent.permissions import Rules
from agent.result import Completed, Interrupted, OutOfBudget
from agent.testing import Turn, call
from tests.delegation.scripts import boss_says, delegate, first_words
from tools.ports import Option, Question
from tools.tool import ToolContext, ToolResult, tool

Build = Callable[..., Any]
Member = Callable[..., Any]


async def test_a_crash_of_a_child_is_a_failure_and_not_the_end_of_the_run(family: Build, member: Member) -> None:
    def script(who: str, request: Request) -> Any:
        if who == "boss":
            return boss_says([delegate("broken"), delegate("fine")], "Done.")(request)
        if who == "broken":
            raise RuntimeError("boom")
        return "Report."

    kin = family(script, [member("broken"), member("fine")])
    assert isinstance(await kin.run(), Completed)
    broken, fine = kin.results()
    assert broken["is_error"]
    assert "It ended without a result (failed): RuntimeError: boom" in broken["content"]
    assert not fine.get("is_error")
    assert [e.status for e in kin.ended(RunFinished)] == ["failed", "completed"]


async def test_a_child_in_a_loop_is_stopped_and_its_work_is_said_to_be_partial(family: Build, member: Member) -> None:
    def script(who: str, request: Request) -> Any:
        if who == "boss":
            return boss_says([delegate("looping")], "Done.")(request)
        return ["Half of it.", call("Echo", word=str(len(request.messages)))]

    kin = family(script, [member("looping", max_turns=4)])
    await kin.run()
    (block,) = kin.results()
    assert block["is_error"]
    assert "It was stopped before it was done: The limit of 4 turns was reached." in block["content"]
    assert "Its last words, which are no result:\nHalf of it." in block["content"]
    data = next(e for e in kin.ended(ToolFinished) if e.tool == "Delegate").data
    assert (data["status"], data["outcome"], data["turns"]) == ("failed", "out_of_budget", 4)


async def test_a_flood_is_cut(family: Build, member: Member) -> None:
    boss = boss_says([delegate("loud")], "Done.")
    kin = family(
        lambda who, r: boss(r) if who == "boss" else "flood " * 10_000, [member("loud", context_retention="low")]
    )
    await kin.run()
    content = kin.results()[0]["content"]
    assert len(content) < 2_500
    assert "characters left out; the whole report is in the journal" in content


async def test_a_task_too_large_for_the_context_is_cut_and_says_so(family: Build, member: Member) -> None:
    seen: list[str] = []

    def script(who: str, request: Request) -> Any:
        if who == "boss":
            return boss_says([delegate("small", task="word " * 50_000)], "Done.")(request)
        seen.append(first_words(request))
        return "Report."

    await family(script, [member("small", token_budget="low")]).run()
    assert len(seen[0]) < 32_000
    assert "the context of small is limited" in seen[0]


async def test_spending_of_children_counts_and_a_part_is_kept_for_the_parent(family: Build, member: Member) -> None:
    def script(who: str, request: Request) -> Any:
        if who == "boss":
            return boss_says([delegate("spender"), delegate("saver")], "Done.")(request)
        usage = {"input_tokens": 1_000, "output_tokens": 0}
        if who == "spender":
            return Turn([call("Echo", word=str(len(request.messages)))], usage=usage)
        return Turn(["Report."], usage=usage)

    kin = family(script, [member("spender"), member("saver")], limits=Limits(tokens=20_000))
    result = await kin.run()
    assert isinstance(result, Completed)
    spent, saved = kin.results()
    assert "tokens were used; the limit is" in spent["content"]
    assert not saved.get("is_error")
    of_children = sum(sum(e.usage.values()) for e in kin.ended(ModelAnswered) if e.agent_id)
    assert of_children < 0.9 * 20_000
    assert result.usage.total_tokens > of_children


async def test_without_budget_no_child_is_started(family: Build, member: Member) -> None:
    boss = boss_says(Turn([delegate("worker")], usage={"input_tokens": 950}), "Done.")
    kin = family(lambda who, r: boss(r), [member("worker")], limits=Limits(tokens=1_000))
    result = await kin.run()
    assert "Too little of this run's budget is left" in kin.results()[0]["content"]
    assert isinstance(result, Completed | OutOfBudget)


async def test_a_child_that_hangs_is_stopped_after_its_time(family: Build, member: Member) -> None:
    @tool("Hang", effects={"reads"})
    async def hang(ctx: ToolContext) -> ToolResult:
        """Never returns."""
        await asyncio.Event().wait()
        return ToolResult("")

    boss = boss_says([delegate("stuck")], "Done.")
    kin = family(
        lambda who, r: boss(r) if who == "boss" else [call("Hang")],
        [member("stuck")],
        pool={"Hang": hang},
        rules=Rules.parse(allow=["Hang"]),
        tree=TreeLimits(seconds=0.2),
    )
    assert isinstance(await asyncio.wait_for(kin.run(), 10), Completed)
    data = next(e for e in kin.ended(ToolFinished) if e.tool == "Delegate").data
    assert data["outcome"] == "out_of_budget"


async def test_cancelling_stops_the_whole_tree(family: Build, member: Member) -> None:
    deep = asyncio.Event()
    stopped: list[str] = []

    @tool("Hang", effects={"reads"})
    async def hang(ctx: ToolContext) -> ToolResult:
        """Never returns by itself."""
        deep.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append("tool")
        return ToolResult("")

    def script(who: str, request: Request) -> Any:
        return {"boss": [delegate("one")], "one": [delegate("two")], "two": [call("Hang")]}[who]

    rules = Rules.parse(allow=["Hang"])
    kin = family(script, [member("one"), member("two")], pool={"Hang": hang}, rules=rules)
    task = asyncio.ensure_future(kin.run())
    await asyncio.wait_for(deep.wait(), 5)
    task.cancel()
    assert isinstance(await asyncio.wait_for(task, 5), Interrupted)
    assert stopped == ["tool"]
    assert [e.status for e in kin.ended(RunFinished)] == ["interrupted", "interrupted"]
    assert len(asyncio.all_tasks()) == 1


async def test_missing_parts_of_a_report_are_said(family: Build, member: Member) -> None:
    boss = boss_says([delegate("writer")], "Done.")
    writer = member("writer", output_format=("API contract", "DB schema", "test plan"))
    report = "The contract of the API is GET /health. DB 스키마는 그대로입니다."
    kin = family(lambda who, r: boss(r) if who == "boss" else report, [writer])
    await kin.run()
    data = next(e for e in kin.ended(ToolFinished) if e.tool == "Delegate").data
    assert data["missing_parts"] == ["test plan"]
    assert "Not found in the report: test plan." in kin.results()[0]["content"]


async def test_an_agent_that_cannot_be_resumed_says_so_and_another_goes_on(family: Build, member: Member) -> None:
    ids: dict[str, str] = {}

    def script(who: str, request: Request) -> Any:
        step = sum(m["role"] == "assistant" for m in request.messages)
        if who != "boss":
            return f"{who} answered {step + 1} times."
        if step == 0:
            return [call("Agent", description="a", prompt="p", subagent_type=name) for name in ("fresh", "lasting")]
        if step == 1:
            for block in request.messages[-1]["content"]:
                ids[block["content"].split(":")[0]] = block["content"].rpartition("agentId: ")[2]
            again = [("fresh", ids["fresh"]), ("lasting", ids["lasting"]), ("lasting", "lasting-unknown")]
            return [call("Agent", description="a", prompt="p", subagent_type=n, resume=i) for n, i in again]
        return "Done."

    kin = family(script, [member("fresh", can_resume=False), member("lasting")])
    await kin.run()
    fresh, lasting, unknown = kin.results()[2:]
    assert "cannot be resumed (can_resume: false)" in fresh["content"]
    assert "lasting answered 2 times." in lasting["content"]
    assert "with the id 'lasting-unknown'" in unknown["content"]


async def test_the_agent_tool_gives_the_published_result(family: Build, member: Member) -> None:
    boss = boss_says(
        [
            call("Agent", description="health", prompt="Add a health endpoint"),
            call("Agent", description="?", prompt="Think about life"),
        ],
        "Done.",
    )
    kin = family(lambda who, r: boss(r) if who == "boss" else "Report.", [member("expert-backend")])
    await kin.run()
    picked, unclear = kin.results()
    assert "Name one." in unclear["content"]
    assert "<untrusted-data" in picked["content"]
    data = next(e.data for e in kin.ended(ToolFinished) if e.tool == "Agent" and not e.block.get("is_error"))
    assert data["status"] == "completed"
    assert data["content"] == [{"type": "text", "text": "Report.\n\nNo file was written."}]
    assert {"agentId", "agentType", "prompt", "totalToolUseCount", "totalDurationMs", "totalTokens", "usage"} <= set(
        data
    )


async def test_only_listed_agents_are_spawned(family: Build, member: Member) -> None:
    boss = boss_says([delegate("b")], "Done.")
    listed = member("boss", tools=("Agent(a)", "Delegate", "Echo"))
    kin = family(lambda who, r: boss(r) if who == "boss" else "Report.", [member("a"), member("b")], boss=listed)
    await kin.run()
    assert "boss may start only: a." in kin.results()[0]["content"]


async def test_no_secret_of_a_child_reaches_the_journal(family: Build, member: Member) -> None:
    token = "ghp_" + "a1B2" * 9
    boss = boss_says([delegate("leaky")], "Done.")

    def script(who: str, request: Request) -> Any:
        if who == "boss":
            return boss(request)
        return [call("Echo", word=token)] if len(request.messages) == 1 else f"It is {token}"

    kin = family(script, [member("leaky")])
    await kin.run()
    assert token not in kin.journal.path.read_text()


async def test_a_child_that_needs_an_answer_gives_its_questions_back(family: Build, member: Member) -> None:
    asked = Question("Which region?", "Region", (Option("eu"), Option("us")))

    @tool("Choose", effects={"reads"})
    async def choose(ctx: ToolContext) -> ToolResult:
        """Asks whoever is there."""
        return ToolResult(str(await ctx.asker.questions([asked])))

    boss = boss_says([delegate("unsure")], "Done.")
    rules = Rules.parse(allow=["Choose"])
    kin = family(
        lambda who, r: boss(r) if who == "boss" else [call("Choose")],
        [member("unsure")],
        pool={"Choose": choose},
        rules=rules,
    )
    assert isinstance(await kin.run(), Completed)
    assert "It cannot go on without answers: Which region?" in kin.results()[0]["content"]
    data = next(e for e in kin.ended(ToolFinished) if e.tool == "Delegate").data
    assert data["questions"][0]["question"] == "Which region?"
