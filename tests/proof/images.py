"""Building generated Dockerfiles for real, without a container engine: buildah on a base made by debootstrap.

The base stands in for the images a Dockerfile names (`python:3.12-slim-trixie`, `node:24-trixie-slim`): it carries
their name, but holds Debian trixie with Debian's own interpreter (Python 3.13, Node 20). What is proven is the
Dockerfile, not the version of the interpreter. The base also trusts this machine's certificates, so that a package
index behind a proxy works.
Everything lies in `.cache/proof` and is made once. Needs root.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from tests.proof.services import wait_until

Json = dict[str, Any]

_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
_TRUST = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
_INSTALL = "apt-get update -q && apt-get install -qy --no-install-recommends"
_SETUP: Mapping[str, str] = {
    # A distribution's own Python packages cannot be replaced by pip; `packaging` is the one that tools replace.
    "python": f"{_INSTALL} python3 python3-pip python3-venv python-is-python3 && pip install -I packaging",
    "node": f"{_INSTALL} nodejs npm node-corepack",
}
"""Repository of a base image -> what makes Debian stand in for it."""


class BuildError(AssertionError):
    """A step of the build failed; the message ends with what buildah printed."""


class ImageStore:
    """Images in a private storage below `directory`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self._configuration = directory / "storage.conf"
        self._env = {
            **os.environ,
            "CONTAINERS_STORAGE_CONF": str(self._configuration),
            "BUILDAH_ISOLATION": "chroot",
            "HOME": str(directory),
        }
        self._choose_driver()

    def _choose_driver(self) -> None:
        """`overlay` where the kernel lets it, else `vfs`, which is slower and larger."""
        for driver in ("overlay", "vfs"):
            place = self.directory / driver
            lines = [f'driver = "{driver}"', f'runroot = "{place}/run"', f'graphroot = "{place}/graph"']
            self._configuration.write_text("[storage]\n" + "\n".join(lines) + "\n")
            try:
                container = self.buildah("from", "scratch").strip()
                self.buildah("mount", container)
            except BuildError:
                continue
            self.buildah("rm", container)
            return
        raise BuildError("neither overlay nor vfs storage works here")

    def buildah(self, *arguments: str, cwd: Path | None = None, timeout: float = 600) -> str:
        """Standard output of a buildah command. Raises `BuildError`."""
        command = ["buildah", *arguments]
        done = subprocess.run(
            command, env=self._env, cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False
        )
        if done.returncode != 0:
            raise BuildError(f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
        return done.stdout

    def start(self, *arguments: str, log: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["buildah", *arguments],
            env=self._env,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    # --- bases ---

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Parallel test processes make a base one after the other."""
        with (self.directory / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def provide(self, reference: str) -> None:
        """Have a base under the name a Dockerfile asks for. Raises `BuildError` for one nothing stands in for."""
        full = f"docker.io/library/{reference}"
        kind = reference.partition(":")[0]
        if kind not in _SETUP:
            raise BuildError(f"nothing stands in for the base image {reference}")
        stand_in = f"localhost/stand-in-{kind}:{hashlib.sha256(_SETUP[kind].encode()).hexdigest()[:12]}"
        with self._alone():
            if not self._has(stand_in):
                self._make(stand_in, _SETUP[kind])
            self.buildah("tag", stand_in, full)

    def _has(self, reference: str) -> bool:
        return bool(self.buildah("images", "--quiet", "--filter", f"reference={reference}").strip())

    def _make(self, reference: str, setup: str) -> None:
        container = self.buildah("from", "scratch").strip()
        self.buildah("add", "--quiet", container, str(self._root_file_system()), "/")
        settings = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "PIP_BREAK_SYSTEM_PACKAGES": "1",  # official images have no packages of a distribution to protect
            **dict.fromkeys(_TRUST, _CERTIFICATES),
        }
        self.buildah("config", *(f"--env={name}={value}" for name, value in settings.items()), container)
        self.buildah("run", _trust(), container, "--", "sh", "-c", f"{setup} && rm -rf /var/lib/apt/lists/*")
        self.buildah("commit", "--quiet", container, reference)
        self.buildah("rm", container)

    def _root_file_system(self) -> Path:
        """Debian trixie, minimal, from the mirror debootstrap uses."""
        folder, complete = self.directory / "trixie", self.directory / "trixie.complete"
        if not complete.exists():
            shutil.rmtree(folder, ignore_errors=True)
            command = ["debootstrap", "--variant=minbase", "--include=ca-certificates", "trixie", str(folder)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise BuildError(f"debootstrap failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
            complete.touch()
        return folder

    # --- containers ---

    @contextmanager
    def container(self, reference: str) -> Iterator[str]:
        """The name of a container of an image, removed at the end."""
        name = self.buildah("from", "--pull-never", reference).strip()
        try:
            yield name
        finally:
            self.buildah("rm", name)

    @contextmanager
    def workshop(self, reference: str, source: Path) -> Iterator[Container]:
        """A container of a base image with a copy of `source` as its working directory `/src`, as root."""
        self.provide(reference)
        with self.container(f"docker.io/library/{reference}") as name:
            self.buildah("copy", "--quiet", name, str(source), "/src")
            self.buildah("config", "--workingdir", "/src", name)
            yield Container(self, name, options=(_trust(),))

    # --- builds ---

    def build(self, context: Path, tag: str, dockerfile: str = "Dockerfile", **build_args: str) -> Image:
        """Build a Dockerfile as it is. `--format docker` keeps HEALTHCHECK. Raises `BuildError`."""
        stages = re.findall(r"^FROM (?:--\S+ )?(\S+)", (context / dockerfile).read_text(), flags=re.MULTILINE)
        for reference in {stage for stage in stages if ":" in stage}:
            self.provide(reference)
        given = [f"--build-arg={name}={value}" for name, value in build_args.items()]
        options = ["--pull-never", "--isolation", "chroot", "--format", "docker", _trust(), *given]
        self.buildah("build", *options, "-f", dockerfile, "-t", tag, ".", cwd=context)
        return Image(self, tag)


@dataclass(frozen=True)
class Image:
    """A built image."""

    store: ImageStore
    tag: str

    @cached_property
    def config(self) -> Json:
        """`User`, `Cmd`, `Healthcheck`, `ExposedPorts`, ... as Docker reads them."""
        inspected = json.loads(self.store.buildah("inspect", "--type", "image", self.tag))
        return dict(inspected["Docker"]["config"])

    @contextmanager
    def container(self) -> Iterator[Container]:
        """A container of it, removed at the end."""
        with self.store.container(self.tag) as name:
            yield Container(self.store, name, self.config)

    def remove(self) -> None:
        self.store.buildah("rmi", "--force", self.tag)


@dataclass(frozen=True)
class Container:
    """Commands in a container run as the image's user, on the host's network. `config` is the image's."""

    store: ImageStore
    name: str
    config: Json = field(default_factory=dict)
    options: Sequence[str] = ()

    def run(self, *command: str, **env: str) -> str:
        """Standard output of a command. Raises `BuildError` when it fails."""
        return self.store.buildah("run", *self.options, *_env(env), self.name, "--", *command)

    def health(self, **env: str) -> bool:
        """Run the image's own health check, as an engine would."""
        test = self.config["Healthcheck"]["Test"]
        assert test[0] == "CMD", test
        try:
            self.run(*test[1:], **env)
        except BuildError:
            return False
        return True

    @contextmanager
    def serve(self, log: Path, **env: str) -> Iterator[Server]:
        """Start the image's command; whatever is left of it is ended afterwards."""
        with log.open("ab") as out:
            command = ["run", *_env(env), self.name, "--", *self.config["Cmd"]]
            process = self.store.start(*command, log=out)
        server = Server(process, log)
        try:
            yield server
        finally:
            server.end()


@dataclass(frozen=True)
class Server:
    """The image's command, running. `log` is the file with its output."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def own(self) -> list[int]:
        """Processes of the container, the first one first: descendants past buildah's own."""
        return [pid for pid in _descendants(self.process.pid) if not _command_of(pid).startswith("buildah")]

    @property
    def users(self) -> set[int]:
        """The user ids its processes run as."""
        return {Path(f"/proc/{pid}").stat().st_uid for pid in self.own}

    def terminate(self) -> None:
        """SIGTERM to the first process of the container, as an engine sends it."""
        wait_until(lambda: bool(self.own), "the server process")
        os.kill(self.own[0], signal.SIGTERM)

    def end(self) -> None:
        for pid in reversed(_descendants(self.process.pid)):
            with suppress(ProcessLookupError):  # a parent ends by itself once its child is gone
                os.kill(pid, signal.SIGKILL)
        self.process.wait(20)


def _trust() -> str:
    """The option that lends a container the certificates this machine trusts; they do not stay in the image."""
    here = Path(ssl.get_default_verify_paths().cafile or _CERTIFICATES).resolve()
    return f"--volume={here}:{_CERTIFICATES}:ro"


def _env(values: Mapping[str, str]) -> list[str]:
    return [f"--env={name}={value}" for name, value in values.items()]


def _descendants(pid: int) -> list[int]:
    """Children, their children and so on, parents first; `pid` itself is left out."""
    parents: dict[int, int] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = [pid]
    for parent in found:
        found += sorted(child for child, its in parents.items() if its == parent)
    return found[1:]


def _command_of(pid: int) -> str:
    """The first word of a process; buildah's when it has ended meanwhile."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().partition("\0")[0] or "buildah"
    except OSError:
        return "buildah"
