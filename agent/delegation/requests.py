"""Delegation as typed requests: what leaves a run for an orchestrator to carry out, and how its answers come back."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from agent.knowledge.names import resolve_agent_name
from agent.session.journal import JOURNAL, read_lines
from tools.frontmatter import FrontmatterError, load_yaml
from tools.ports import DelegationRequest, DelegationResult
from tools.text import as_data


class DelegationError(Exception):
    """An answer that fits no request. The message names it and the requests that are open."""


class Requests:
    """Collects requests. Nothing is started here; the result of the run carries them to whoever can start siblings.

    requests = Requests.recorded(session_directory)   # on resume: what is still open
    prompt = requests.answer(results)                 # each answer once; goes to the model as the next message
    """

    def __init__(self, requests: Iterable[DelegationRequest] = ()) -> None:
        self.requests: list[DelegationRequest] = list(requests)
        self.answered: list[DelegationRequest] = []

    @classmethod
    def recorded(cls, directory: Path) -> Requests:
        """The open requests of a session, as its journal tells them. Raises `SessionError`."""
        found: dict[str, DelegationRequest] = {}
        begun: dict[str, dict[str, Any]] = {}
        for line in read_lines(directory / JOURNAL):
            if line.get("agent_id") is not None:
                continue
            match line.get("type"):
                case "tool_started" if line.get("tool") == "Delegate":
                    begun[str(line.get("call_id"))] = line.get("input") or {}
                case "tool_finished" if (line.get("data") or {}).get("status") == "requested":
                    request = _request(begun.get(str(line.get("call_id")), {}))
                    found[repr(request)] = request
                case "delegations_answered":
                    for request in map(_request, line.get("requests") or ()):
                        found.pop(repr(request), None)
                case "run_finished":
                    listed = map(_request, (line.get("result") or {}).get("delegations") or ())
                    found = {repr(request): request for request in listed}
                case _:
                    pass
        return cls(found.values())

    async def delegate(self, request: DelegationRequest) -> DelegationResult:
        if any((old.to, old.subject) == (request.to, request.subject) for old in self.answered):
            text = "This request was answered already. Its result is in the message that continued this run."
            return DelegationResult("refused", request.to, text)
        if request not in self.requests:
            self.requests.append(request)
        text = (
            f"Recorded as a typed request to {request.to}; the orchestrator carries it out. Nothing has been done yet."
        )
        return DelegationResult("requested", request.to, text)

    def answer(self, results: Iterable[DelegationResult]) -> str:
        """Take an orchestrator's answers, each once; returns the message that gives them to the model.

        A result belongs to the open request to its `agent`; `data["subject"]` tells several of them apart. Raises
        `DelegationError`, and takes none of them, when one fits no request or more than one.
        """
        open_requests, answered, parts = list(self.requests), [], []
        for result in results:
            request = _asked(result, open_requests, self.requests)
            open_requests.remove(request)
            answered.append(request)
            source = f"agent:{result.agent}"
            parts.append(f"{request.to}, {request.subject}: {result.status}\n{as_data(result.text, source)}")
        if not parts:
            raise DelegationError("There is no answer to take.")
        self.requests[:] = open_requests
        self.answered += answered
        return "\n\n".join(["Results of what you delegated:", *parts])


def read_results(path: Path) -> list[DelegationResult]:
    """What others did, from a YAML or JSON file: a list of `{agent, text, subject?, status?}`.

    `agent` is whom the request went to, `subject` tells several requests to one agent apart, `status` is `completed`
    (the default), `failed` or `refused`. Raises `DelegationError`.
    """
    try:
        data = load_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DelegationError(f"The results file {path} cannot be read: {error.strerror}.") from error
    except (FrontmatterError, UnicodeDecodeError) as error:
        raise DelegationError(f"The results file {path} is neither YAML nor JSON: {error}") from error
    if not isinstance(data, list) or not data:
        raise DelegationError(f"The results file {path} must hold a list of results, each with `agent` and `text`.")
    try:
        return [result_of(item) for item in data]
    except DelegationError as error:
        raise DelegationError(f"{path}: {error}") from error


def result_of(item: Any) -> DelegationResult:
    """One result as data: `agent`, `text`, perhaps `subject` and `status`. Raises `DelegationError`."""
    given = item if isinstance(item, dict) else {}
    status = given.get("status", "completed")
    texts = (given.get("agent"), given.get("text"), given.get("subject", ""))
    if status not in ("completed", "failed", "refused") or not all(isinstance(text, str) for text in texts):
        shown = str(item)[:200]
        raise DelegationError(
            f"{shown!r} is no result. It needs `agent` and `text`; `subject` is a text, `status` completed, failed or "
            "refused."
        )
    subject = {"subject": given["subject"]} if given.get("subject") else {}
    return DelegationResult(status, resolve_agent_name(given["agent"]), given["text"], subject)


def _asked(
    result: DelegationResult, requests: Iterable[DelegationRequest], known: Iterable[DelegationRequest]
) -> DelegationRequest:
    subject = result.data.get("subject")
    fitting = [r for r in requests if r.to == result.agent and subject in (None, r.subject)]
    if len(fitting) == 1:
        return fitting[0]
    what = f"{result.agent}: {subject}" if subject else result.agent
    listed = "; ".join(f"{r.to}: {r.subject}" for r in known) or "none"
    how_many = "fits no open request" if not fitting else "fits several requests; give its `subject`"
    raise DelegationError(f"The answer of {what} {how_many}. Open requests: {listed}.")


def _request(data: dict[str, Any]) -> DelegationRequest:
    context = data.get("context")
    return DelegationRequest(
        to=str(data.get("to") or ""),
        subject=str(data.get("subject") or ""),
        task=str(data.get("task") or ""),
        context=context if isinstance(context, dict) else {},
        blocking=bool(data.get("blocking", True)),
        message=str(data.get("message") or ""),
    )
