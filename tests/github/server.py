"""A GitHub for tests: the emulator behind a proxy of ours that adds what it lacks and judges every write.

The proxy knows tokens, holds secrets, variables, environments and scripted workflow runs, refuses a second pull request
for the same branches, and checks the body of every write against the schemas that GitHub publishes. `fail` scripts
what goes wrong: an answer, a lost answer, or silence.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import re
import socket
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

import jsonschema
import nacl.public

from tests.github.npm_packages import body_schemas, emulator_command

TOKEN = "ghp_" + "t0k3nForTests" * 3
READ_ONLY = "ghp_" + "0nlyReadsStuff" * 3
_SEED = f"""
tokens:
  {TOKEN}: {{login: octocat, scopes: [repo, user, workflow]}}
github:
  users: [{{login: octocat}}, {{login: stranger}}]
  repos:
    - {{owner: octocat, name: empty}}
    - {{owner: stranger, name: public, auto_init: true}}
    - {{owner: stranger, name: hidden, private: true, auto_init: true}}
"""


@dataclass(slots=True)
class Fault:
    """What the next matching request meets. `lost`: it is carried out, but no answer comes back."""

    method: str
    path: re.Pattern[str]
    times: int
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    how: Literal["answer", "lost", "silence"] = "answer"


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    body: Any
    headers: Mapping[str, str]


class GitHubServer:
    """Start it with `start`, end it with `stop`; `reset` between tests."""

    def __init__(self, folder: Path) -> None:
        self._schemas = body_schemas()
        self._templates = [
            (key, re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(key)).replace("/contents/[^/]+", "/contents/.+")
                             .replace("/git/refs/[^/]+", "/git/refs/.+") + "$"))
            for key in self._schemas
        ]  # fmt: skip
        self.key = nacl.public.PrivateKey.generate()
        self.silence = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self.url = f"http://localhost:{self.port}"
        self._backend = _free_port()
        seed = folder / "seed.yaml"
        seed.write_text(_SEED)
        self._command = [
            *emulator_command(),
            *("start", "--service", "github", "--port", str(self._backend), "--seed", str(seed)),
            *("--base-url", self.url),
        ]
        self._log = folder / "emulator.log"
        self.reset()

    def start(self) -> None:
        with self._log.open("w") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("localhost", self._backend), 1):
                return
            time.sleep(0.05)
        raise RuntimeError(f"the emulator did not start: {self._log.read_text()}")

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)
        self._server.shutdown()
        self._server.server_close()

    def reset(self) -> None:
        """Forget what was seen and scripted. Repositories stay; each test makes one of its own."""
        self.silence.set()
        self.silence = threading.Event()
        self.seen: list[Seen] = []
        self.problems: list[str] = []
        self.faults: list[Fault] = []
        self.secrets: dict[str, str] = {}
        self.variables: dict[str, dict[str, str]] = {}
        self.environments: dict[str, Any] = {}
        self.runs: dict[int, dict[str, Any]] = {}
        self.jobs: dict[int, list[dict[str, Any]]] = {}
        self.logs: dict[int, str] = {}
        self.log_host = self.url
        self.between: list[Any] = []
        self.at_once = self.most_at_once = 0

    # --- for tests ---------------------------------------------------------------------------------------------

    def fail(self, method: str, path: str, **what: Any) -> None:
        """The next request (or `times`) whose path matches the pattern fails; see `Fault`."""
        self.faults.append(Fault(method, re.compile(path), what.pop("times", 1), **what))

    def before(self, method: str, path: str, do: Any) -> None:
        """Call `do()` once, just before the matching request is carried out: what another person does meanwhile."""
        self.between.append((method, re.compile(path), do))

    def writes(self) -> list[str]:
        """`METHOD /path` of every write that arrived."""
        return [f"{seen.method} {seen.path}" for seen in self.seen if seen.method != "GET"]

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the emulator itself, past the proxy's record, faults and checks."""
        return json.loads(self.forward(method, path, body and json.dumps(body).encode())[2] or b"null")

    def forward(self, method: str, target: str, body: bytes | None, accept: str = "*/*") -> tuple[int, Any, bytes]:
        backend = http.client.HTTPConnection("localhost", self._backend, timeout=20)
        try:
            headers = {"Authorization": f"Bearer {TOKEN}", "Accept": accept, "Content-Type": "application/json"}
            backend.request(method, target, body, headers)
            answer = backend.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            backend.close()

    # --- judging -----------------------------------------------------------------------------------------------

    def judge(self, method: str, path: str, body: Any) -> None:
        """Record what is wrong with a write, as GitHub's own description has it."""
        if not path.startswith("/repos/") or method == "GET":
            return
        key = next((key for key, pattern in self._templates if pattern.match(f"{method} {path}")), None)
        if key is None:
            self.problems.append(f"{method} {path}: there is no such request")
        elif self._schemas[key] is None:
            if body not in (None, {}):
                self.problems.append(f"{key}: takes no body, got {body}")
        else:
            validator = jsonschema.Draft202012Validator(self._schemas[key])
            self.problems += [f"{key}: {error.json_path}: {error.message}" for error in validator.iter_errors(body)]

    # --- what the emulator lacks -------------------------------------------------------------------------------

    def own(self, method: str, path: str, query: Mapping[str, list[str]], body: Any) -> tuple[int, Any] | None:
        """The answer to a request the emulator does not know or is too lax about; None for all others."""
        found = re.fullmatch(r"/repos/[^/]+/[^/]+/(?:actions|environments/(?P<env>[^/]+))/(?P<kind>secrets|variables)(?:/(?P<name>[^/]+))?", path)  # fmt: skip  # noqa: E501
        if found:
            scope = unquote(found["env"] or "")
            settings = self._secrets if found["kind"] == "secrets" else self._variables
            return settings(method, scope, unquote(found["name"] or ""), body)
        found = re.fullmatch(r"/repos/[^/]+/[^/]+/environments(?:/(?P<name>[^/]+))?", path)
        if found:
            return self._environments(method, unquote(found["name"] or ""), body)
        found = re.fullmatch(r"/repos/[^/]+/[^/]+/actions/(?P<rest>.+)", path)
        if found:
            return self._actions(method, found["rest"], query)
        if method == "POST" and re.fullmatch(r"/repos/[^/]+/[^/]+/pulls", path):
            return self._pull_refused(path, body)
        return None

    def _secrets(self, method: str, scope: str, name: str, body: Any) -> tuple[int, Any]:
        if name == "public-key":
            return 200, {"key_id": "key-1", "key": base64.b64encode(bytes(self.key.public_key)).decode()}
        if method == "PUT":
            if body["key_id"] != "key-1":
                return 422, {"message": "wrong key"}
            new = f"{scope}/{name}" not in self.secrets
            opened = nacl.public.SealedBox(self.key).decrypt(base64.b64decode(body["encrypted_value"]))
            self.secrets[f"{scope}/{name}"] = opened.decode()
            return (201 if new else 204), {}
        names = [key.split("/")[1] for key in self.secrets if key.startswith(f"{scope}/")]
        return 200, {"total_count": len(names), "secrets": [{"name": name} for name in names]}

    def _variables(self, method: str, scope: str, name: str, body: Any) -> tuple[int, Any]:
        here = self.variables.setdefault(scope, {})
        if method == "POST":
            if body["name"] in here:
                return 409, {"message": "Already exists - Variable already exists"}
            here[body["name"]] = body["value"]
            return 201, {}
        if method == "PATCH":
            here[name] = body["value"]
            return 204, {}
        if name:
            return (200, {"name": name, "value": here[name]}) if name in here else (404, {"message": "Not Found"})
        return 200, {"total_count": len(here), "variables": [{"name": k, "value": v} for k, v in here.items()]}

    def _environments(self, method: str, name: str, body: Any) -> tuple[int, Any]:
        if method == "PUT":
            self.environments[name] = body
            return 200, {"name": name}
        if name:
            return (200, {"name": name}) if name in self.environments else (404, {"message": "Not Found"})
        listed = [{"name": each} for each in self.environments]
        return 200, {"total_count": len(listed), "environments": listed}

    def _actions(self, method: str, rest: str, query: Mapping[str, list[str]]) -> tuple[int, Any] | None:
        found = re.fullmatch(r"runs/(\d+)(/.*)?", rest)
        if found:
            run, end = int(found[1]), found[2] or ""
            if run not in self.runs:
                return 404, {"message": "Not Found"}
            if end == "/jobs":
                first = (int(query.get("page", ["1"])[0]) - 1) * 100
                return 200, {"jobs": self.jobs[run][first : first + 100], "total_count": len(self.jobs[run])}
            return (200, self.runs[run]) if method == "GET" else (202 if end == "/cancel" else 201, {})
        if rest.endswith("/dispatches"):
            return 204, {}
        if re.fullmatch(r"runs|workflows/[^/]+/runs", rest):
            wanted = {name: query.get(name, [""])[0] for name in ("status", "branch", "head_sha")}
            runs = [
                run
                for run in reversed(self.runs.values())
                if wanted["status"] in ("", run["status"], run["conclusion"])
                and wanted["branch"] in ("", run["head_branch"])
                and wanted["head_sha"] in ("", run.get("head_sha"))
            ]
            return 200, {"workflow_runs": runs, "total_count": len(runs)}
        found = re.fullmatch(r"jobs/(\d+)(/logs)?", rest)
        if found and found[2]:
            number = int(found[1])
            return (302, f"{self.log_host}/log-store/{number}?sig=s3cret") if number in self.logs else (404, {})
        if found:
            jobs = [job for each in self.jobs.values() for job in each if job["id"] == int(found[1])]
            return (200, jobs[0]) if jobs else (404, {"message": "Not Found"})
        return None

    def _pull_refused(self, path: str, body: Any) -> tuple[int, Any] | None:
        """What GitHub refuses to open: from a head that is not there, or twice for the same branches."""
        owner = path.split("/")[2]
        label = body["head"] if ":" in body["head"] else f"{owner}:{body['head']}"
        branch = label.partition(":")[2]
        wrong: dict[str, str] | None = None
        if self.forward("GET", f"{path.removesuffix('/pulls')}/git/ref/heads/{branch}", None)[0] == 404:
            wrong = {"resource": "PullRequest", "field": "head", "code": "invalid"}
        for pull in self.api("GET", f"{path}?state=open"):
            if pull["head"]["label"] == label and pull["base"]["ref"] == body["base"]:
                text = f"A pull request already exists for {label}."
                wrong = {"resource": "PullRequest", "code": "custom", "message": text}
        return None if wrong is None else (422, {"message": "Validation Failed", "errors": [wrong]})


def _handler(github: GitHubServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """Tests read `seen`, not a log."""

        def _serve(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.path = self.path.removeprefix("/api/v3")  # as a GitHub Enterprise Server has it
            url = urlsplit(self.path)
            if url.path.startswith("/log-store/"):
                self._log(int(url.path.rpartition("/")[2]))
                return
            body = json.loads(raw) if raw else None
            query = parse_qs(url.query)
            github.seen.append(Seen(self.command, unquote(url.path), query, body, dict(self.headers.items())))
            token = (self.headers.get("Authorization") or "").removeprefix("token ").removeprefix("Bearer ")
            if token not in (TOKEN, READ_ONLY):
                self._answer(401, {"message": "Bad credentials"})
            elif token == READ_ONLY and self.command != "GET":
                headers = {"X-OAuth-Scopes": "", "X-Accepted-OAuth-Scopes": "repo"}
                self._answer(403, {"message": "Resource not accessible by personal access token"}, headers)
            else:
                self._carry_out(url.path, query, body, raw)

        def _carry_out(self, path: str, query: Mapping[str, list[str]], body: Any, raw: bytes) -> None:
            github.judge(self.command, path, body)
            github.at_once += 1
            github.most_at_once = max(github.most_at_once, github.at_once)
            self._meanwhile(path)
            github.at_once -= 1
            fault = self._fault(path)
            if fault is not None and fault.how == "answer":
                self._answer(fault.status, fault.body, fault.headers)
                return
            if fault is not None and fault.how == "silence":
                github.silence.wait(30)
                self.close_connection = True
                return
            own = github.own(self.command, path, query, body)
            status, data, headers = (*own, self._link(query, own[1])) if own is not None else self._forwarded(raw)
            if fault is not None:  # carried out, but the answer is lost
                self.close_connection = True
                return
            if status == 302:
                self._answer(302, {}, {"Location": data})
            else:
                self._answer(status, data, headers)

        def _forwarded(self, raw: bytes) -> tuple[int, Any, dict[str, str]]:
            accept = self.headers.get("Accept") or "*/*"
            if self.path.endswith("/reviews"):  # the emulator knows a remark's old `position` only, not its `line`
                raw = re.sub(rb'"line": ', b'"position": ', raw)
            status, headers, data = github.forward(self.command, self.path, raw or None, accept)
            kept = {name: value for name, value in headers.items() if name.lower() in ("link", "content-type")}
            return status, data, kept

        def _link(self, query: Mapping[str, list[str]], data: Any) -> dict[str, str]:
            page = int(query.get("page", ["1"])[0])
            more = isinstance(data, dict) and data.get("total_count", 0) > page * 100
            return {"Link": f'<{github.url}{self.path}&page={page + 1}>; rel="next"'} if more else {}

        def _meanwhile(self, path: str) -> None:
            for entry in list(github.between):
                method, pattern, do = entry
                if method == self.command and pattern.search(path):
                    github.between.remove(entry)
                    do()
                    return

        def _fault(self, path: str) -> Fault | None:
            for fault in github.faults:
                if fault.times > 0 and fault.method == self.command and fault.path.search(path):
                    fault.times -= 1
                    return fault
            return None

        def _log(self, number: int) -> None:
            if "Authorization" in self.headers:
                github.problems.append("the token was sent to where logs are kept")
            self._answer(200, github.logs[number].encode(), {"Content-Type": "text/plain"})

        def _answer(self, status: int, data: Any, headers: Mapping[str, str] | None = None) -> None:
            content = data if isinstance(data, bytes) else json.dumps(data).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content) if status not in (204, 304) else 0))
            self.end_headers()
            if status not in (204, 304):
                self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - the base class's names

    return Handler


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
