"""Which program a command really starts: wrappers looked through, code in arguments found, dangerous options named.

Knowledge is in programs.yaml. For deny and ask rules everything that may run is listed, too much rather than too
little; for allow rules only wrappers that change nothing are looked through, and only with options known exactly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, cast

from agent.permissions.decision import load_data
from agent.permissions.words import Word

Words = tuple[Word, ...]


@cache
def data() -> Mapping[str, Any]:
    """programs.yaml."""
    return cast("Mapping[str, Any]", load_data("programs.yaml"))


@cache
def _set(name: str) -> frozenset[str]:
    return frozenset(data()[name])


def program(word: Word) -> str:
    """The program a word names: its last path component, case folded (`/bin/RM` is `rm`)."""
    return _program(word.text)


@lru_cache(maxsize=4096)
def _program(text: str) -> str:
    return text.rsplit("/", 1)[-1].casefold()


def is_listed(name: str, group: str) -> bool:
    return name in _set(group)


def unwrap(words: Words) -> tuple[Words, bool] | None:
    """The inner command of a wrapper and whether all options were known; None if `words` starts no wrapper."""
    if not words:
        return None
    spec = data()["wrappers"].get(program(words[0]))
    if spec is None or "inner" in spec:
        return None
    exact = "unsure" not in spec
    index = 1
    while index < len(words):
        text = words[index].text
        if text == "--":
            index += 1
            break
        if spec.get("assignments") and re.match(r"[A-Za-z_]\w*=", text):
            index += 1
        elif not (text.startswith("-") and len(text) > 1) and text not in spec["flags"]:
            break
        elif text in spec["values"]:
            index += 2
        elif text in spec["flags"] or _attached(text, spec):
            index += 1
        else:
            exact = False
            break
    index += spec["skip"] if exact else 0
    exact = exact and all(word.literal for word in words[:index])
    return words[index:], exact


def _attached(text: str, spec: Mapping[str, Any]) -> bool:
    if spec.get("numbers") and re.fullmatch(r"-\d+", text):
        return True
    name, equals, _ = text.partition("=")
    if equals and name in spec["values"]:
        return True
    return not text.startswith("--") and text[:2] in spec["values"]


def without_wrappers(words: Words) -> Words:
    """`words` with wrappers that change nothing taken away, for allow rules."""
    while words:
        spec = data()["wrappers"].get(words[0].text, {})
        transparent = spec.get("transparent")
        found = unwrap(words)
        if not transparent or not found or not found[1] or not found[0]:
            return words
        if transparent == "bare" and len(found[0]) != len(words) - 1:
            return words
        words = found[0]
    return words


def everything_run(words: Words) -> Iterator[Words]:
    """`words` and every command that wrappers in it may start, for deny and ask rules."""
    pending = [words]
    seen = 0
    while pending and seen < 50:
        current = pending.pop()
        seen += 1
        yield current
        if not current:
            continue
        name = program(current[0])
        inner = unwrap(current)
        if inner is not None:
            pending.append(inner[0])
            if not inner[1]:
                pending += [current[start:] for start in range(1, min(len(current), 12))]
        elif name in ("find", "fd", "fdfind"):
            pending += list(
                _after(current, ("-exec", "-execdir", "-ok", "-okdir", "-x", "-X", "--exec", "--exec-batch"))
            )
        elif (spec := data()["wrappers"].get(name)) is not None:
            pending += list(_remote(current, spec))
        elif (short := without_globals(current)) != current:
            pending.append(short)


def _after(words: Words, markers: Sequence[str]) -> Iterator[Words]:
    for index, word in enumerate(words):
        if word.text in markers:
            yield words[index + 1 :]


def _remote(words: Words, spec: Mapping[str, Any]) -> Iterator[Words]:
    """Commands given to another container or host: every tail after the subcommand may be one."""
    short = without_globals(words)
    if short != words:
        yield short
    if not spec["inner"] or (len(short) > 1 and short[1].text in spec["inner"]):
        start = 2
        yield from (
            short[index:] for index in range(start, min(len(short), 16)) if not short[index].text.startswith("-")
        )


def without_globals(words: Words) -> Words:
    """`git -C dir push` as `git push`: options before the subcommand taken away."""
    spec = data()["global_options"].get(program(words[0])) if words else None
    if spec is None:
        return words
    index = 1
    while index < len(words) and words[index].text.startswith("-"):
        index += 2 if words[index].text in spec["values"] else 1
    return words if index == 1 else (words[0], *words[index:])


def code_texts(words: Words, stdin: str | None) -> tuple[list[str], bool]:
    """Shell code that `words` carries as text, and whether there is code that cannot be seen."""
    name = program(words[0]) if words else ""
    arguments = words[1:]
    if name in _set("code_arguments"):
        if name in (".", "source"):
            return [], True
        texts = [word.text.partition("=")[2] if name == "alias" else word.text for word in arguments]
        return [" ".join(texts), *texts], not _all_literal(arguments)
    if name in ("su", "runuser", "script", "flock", "watch", "parallel", "ssh", "env", "busybox"):
        texts = [word.text for word in arguments if re.search(r"\s", word.text)]
        return texts, not _all_literal(arguments)
    if name not in _set("shells"):
        return [], False
    for index, word in enumerate(arguments):
        if re.fullmatch(r"-[a-zA-Z]*c[a-zA-Z]*", word.text):
            return [rest.text for rest in arguments[index + 1 :]], not _all_literal(arguments)
    script = [word for word in arguments if not word.text.startswith("-")]
    if stdin is not None and not script:
        return [stdin], bool(re.search(r"[$`]", stdin))
    return [], True


def _all_literal(words: Words) -> bool:
    return all(word.literal for word in words)


def inline_code(words: Words, stdin: str | None) -> str:
    """Code given to another interpreter in place (`python -c`, `node -e`, a heredoc)."""
    if not words or (
        data()["named"].get(program(words[0]), 0) < 1 and not re.fullmatch("[gmn]?awk", program(words[0]))
    ):
        return ""
    return " ".join([*(word.text for word in words[1:]), stdin or ""])


# Ways to start a program, or to put a name together that does, in the languages of `named`.
_STARTS = re.compile(
    r"(?i)system|subprocess|popen|exec|eval|spawn|fork\b|child_process|passthru|getattr|globals|__\w+__|importlib"
    r"|runpy|\bpty\b|ctypes|posix|\bcompile\b|call_user_func|process\.(?:binding|mainmodule)|`|%x|\bqx\b|\|\s*[\"']|getline"
    r"|\bimport\s*\(|\brequire\s*\((?!\s*(?:'[^'\"+]*'|\"[^'\"+]*\")\s*\))"
)


def starts_programs(code: str) -> bool:
    """Whether code in another language may start programs, whose names need not stand in it."""
    return bool(_STARTS.search(code))


@lru_cache(maxsize=1024)
def takes_text(words: Words) -> bool:
    """Whether the program runs none of its arguments and evaluates none: to it, a program's name is only a text."""
    inner = unwrap(words)
    if inner is not None and inner[1]:
        return not inner[0] or takes_text(inner[0])
    names = {program(words[0]), " ".join([program(words[0]), *(word.text for word in words[1:2])])} if words else set()
    if not names & _set("plain") or dangerous_option(words) or unsafe_script(words):
        return False
    return program(words[0]) not in ("test", "[", "printf") or not any(re.search(r"\w\[", w.text) for w in words)


def dangerous_option(words: Words) -> str | None:
    """The first option that makes this program write files or run programs."""
    name = program(words[0])
    spec: Mapping[str, Any] = data()["options"].get(name, {})
    for index, word in enumerate(words[1:], start=1):
        text = word.text if name != "tar" or index > 1 or word.text.startswith("-") else f"-{word.text}"
        if text == "--" and name != "find":
            break
        if not word.literal and spec and not re.match(r"[^-$`*?{\[\"']", word.source):
            return word.source  # may turn into an option
        if text in spec.get("words", ()) or text.partition("=")[0] in spec.get("words", ()):
            return text
        if text.startswith("--"):
            option = text.partition("=")[0]
            if any(long.startswith(option) and len(option) > 3 for long in spec.get("long", ())):
                return text
        elif text.startswith("-") and any(letter in text[1:] for letter in spec.get("short", "")):
            return text
        if _before_command(words, index) and text.partition("=")[0] in spec.get("before_command", ()):
            return text
        if any(piece in text.casefold() for piece in spec.get("contains", ())):
            return text
        if "matching" in spec and re.fullmatch(spec["matching"], text):
            return text
    return _launcher(words)


def _before_command(words: Words, index: int) -> bool:
    return all(word.text.startswith("-") for word in words[1:index])


def _with_option(texts: Sequence[str], wanted: Sequence[str]) -> bool:
    """`rebase -x` in a git command: the option anywhere after the subcommand, its value attached or not."""
    return len(wanted) == 2 and texts[:1] == wanted[:1] and any(text.startswith(wanted[1]) for text in texts[1:])


def _launcher(words: Words) -> str | None:
    """A subcommand that runs programs its arguments name, or changes what this program runs."""
    launchers = data()["launchers"].get(program(words[0]))
    if launchers is None:
        return None
    texts = [word.text for word in without_globals(words)[1:]]
    if remote := next((text for text in texts if re.match(r"(?:ext|fd)::", text)), None):
        return remote  # a transport of git that is a command
    for launcher in launchers:
        wanted = launcher.split()
        if texts[: len(wanted)] == wanted or _with_option(texts, wanted):
            return str(launcher)
    return None


def _sed_command(delimiter: str) -> re.Pattern[str]:
    """One harmless sed command: print, delete, quit, or a substitution without the flags `e` and `w`.

    A bracket expression must not hold the delimiter or nest: where it ends would be a matter of opinion.
    """
    d = re.escape(delimiter)
    text = rf"(?:\[\^?+\]?+(?:\[:\w+:\]|[^\[\]{d}\n\\])*+\]|[^\[{d}\\\n]|\\[^\n])*+"
    address = r"(?:\d+|\$|/(?:[^\[/\\\n]|\\[^\n])*+/)"
    return re.compile(
        rf"\s*(?:{address}(?:\s*,\s*\+?{address})?\s*!?\s*)?(?:[pdqQ=]|s{d}{text}{d}(?:[^{d}\\\n]|\\[^\n])*+{d}[gpI0-9]*)\s*"
    )


_SED_COMMANDS = tuple(_sed_command(delimiter) for delimiter in "/|#")
_AWK_UNSAFE = re.compile(r"system|getline|`|@|close\s*\(|ENVIRON|PROCINFO|ARGV|\bprintf?\b[^;}]*>|>>|(?<!\|)\|(?!\|)")


def unsafe_script(words: Words) -> bool:
    """Whether the script given to sed, awk or jq may write files or run programs."""
    name = program(words[0])
    if name == "sed":
        return not all(_sed_script_safe(text) for text in _sed_scripts(words))
    if name in ("awk", "gawk", "mawk", "nawk"):
        return any(_AWK_UNSAFE.search(word.text) or not word.literal for word in words[1:])
    if name == "jq":
        return any(re.search(r"\benv\b|\$ENV|input_filename|\$__prog|import|include", word.text) for word in words[1:])
    return False


def _sed_script_safe(script: str) -> bool:
    position = 0
    while position < len(script):
        found = next((m for command in _SED_COMMANDS if (m := command.match(script, position))), None)
        if found is None or script[found.end() : found.end() + 1] not in ("", ";"):
            return False
        position = found.end() + 1
    return bool(script)


def _sed_scripts(words: Words) -> Iterator[str]:
    operands: list[str] = []
    given = False
    index = 1
    while index < len(words):
        text = words[index].text
        if text in ("-e", "--expression") and index + 1 < len(words):
            yield words[index + 1].text
            given, index = True, index + 1
        elif text.startswith("--expression="):
            yield text.partition("=")[2]
            given = True
        elif text.startswith("-") and len(text) > 1:
            if not re.fullmatch(
                r"-[nErszu]+|--(?:quiet|silent|regexp-extended|null-data|posix|debug|sandbox)|-i(?:\.\w+)?", text
            ):
                yield f"e {text}"  # an option this reader does not know
        else:
            operands.append(text)
        index += 1
    if not given:
        yield operands[0] if operands else "e"


def writes(words: Words) -> bool:
    """Whether the program changes the files it is given."""
    name = program(words[0])
    if name in _set("writers"):
        return True
    if name in _set("second_written") and sum(not word.text.startswith("-") for word in words[1:]) > 1:
        return True
    wanted: Sequence[str] = data()["in_place"].get(name, ())
    for word in words[1:]:
        option = word.text.partition("=")[0]
        for one in wanted:
            if option == one or (len(one) > 2 and len(option) > 3 and one.startswith(option)):
                return True
            if len(one) == 2 and not word.text.startswith("--") and re.fullmatch(rf"-\w*{one[1]}.*", word.text):
                return True
    return False


def searches(words: Words) -> bool:
    """Whether the program reads whole directory trees."""
    options: Sequence[str] | None = data()["recursive"].get(program(words[0]))
    if options is None:
        return False
    letters = "".join(option[1] for option in options if len(option) == 2)
    given = [word.text for word in words[1:] if word.text.startswith("-")]
    return not options or any(
        text in options or (letters and re.fullmatch(rf"-\w*[{letters}]\w*", text)) for text in given
    )


def reads_hidden(words: Words) -> bool:
    """Whether a search also reads hidden files; ripgrep leaves them out unless told."""
    if program(words[0]) != "rg":
        return True
    return any(re.match(r"--hid|--unr|-[a-zA-Z]*[.u]", word.text) for word in words[1:])


def pattern_operand(words: Words) -> int:
    """The index of the operand that is a pattern or script and no file; -1 where there is none."""
    given: Sequence[str] | None = data()["patterns"].get(program(words[0]))
    if given is None or any(word.text.partition("=")[0] in given or word.text[:2] in given for word in words[1:]):
        return -1
    return next((index for index, word in enumerate(words) if index and not word.text.startswith("-")), -1)
