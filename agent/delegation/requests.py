"""Delegation as typed requests: what leaves a run for an orchestrator to carry out, and how its answers come back."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from agent.session.journal import JOURNAL, read_lines
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
        self._answered: list[DelegationRequest] = []

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
                case "run_finished":
                    listed = map(_request, (line.get("result") or {}).get("delegations") or ())
                    found = {repr(request): request for request in listed}
                case _:
                    pass
        return cls(found.values())

    async def delegate(self, request: DelegationRequest) -> DelegationResult:
        if any((old.to, old.subject) == (request.to, request.subject) for old in self._answered):
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
            request = _asked(result, open_requests)
            open_requests.remove(request)
            answered.append(request)
            source = f"agent:{result.agent}"
            parts.append(f"{request.to}, {request.subject}: {result.status}\n{as_data(result.text, source)}")
        if not parts:
            raise DelegationError("There is no answer to take.")
        self.requests[:] = open_requests
        self._answered += answered
        return "\n\n".join(["Results of what you delegated:", *parts])


def _asked(result: DelegationResult, requests: Iterable[DelegationRequest]) -> DelegationRequest:
    subject = result.data.get("subject")
    fitting = [r for r in requests if r.to == result.agent and subject in (None, r.subject)]
    if len(fitting) == 1:
        return fitting[0]
    what = f"{result.agent}: {subject}" if subject else result.agent
    known = "; ".join(f"{r.to}: {r.subject}" for r in requests) or "none"
    how_many = "fits no open request" if not fitting else "fits several requests; give its `subject`"
    raise DelegationError(f"The answer of {what} {how_many}. Open requests: {known}.")


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
