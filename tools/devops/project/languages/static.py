"""Sites that are files: plain HTML, and generators that are not Node packages."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tools.devops.project.languages.language import Found, Language, Sign, present
from tools.devops.project.tree import Folder
from tools.devops.types import DeployUnit


@dataclass(frozen=True, slots=True)
class Generator:
    """`marks`: any of these files, with text matching `says`, means the generator."""

    name: str
    marks: tuple[str, ...]
    says: str
    install: str | None
    build: str
    output: str
    manager: str | None = None


GENERATORS = (
    Generator(
        "hugo",
        ("hugo.toml", "hugo.yaml", "hugo.yml", "hugo.json", "config.toml", "config.yaml", "config/_default/hugo.toml"),
        r"(?i)baseurl",
        None,
        "hugo --gc --minify",
        "public",
    ),
    Generator("zola", ("config.toml", "zola.toml"), r"base_url", None, "zola build", "public"),
    Generator(
        "jekyll", ("_config.yml", "_config.yaml"), r"", "bundle install", "bundle exec jekyll build", "_site", "bundler"
    ),
    Generator("middleman", ("config.rb",), r"", "bundle install", "bundle exec middleman build", "build", "bundler"),
    Generator("mkdocs", ("mkdocs.yml", "mkdocs.yaml"), r"", "pip install mkdocs", "mkdocs build", "site", "pip"),
    Generator("pelican", ("pelicanconf.py",), r"", "pip install pelican", "pelican content", "output", "pip"),
    Generator("mdbook", ("book.toml",), r"\[book\]", None, "mdbook build", "book"),
)


def detect(folder: Folder) -> Found | None:
    for generator in GENERATORS:
        mark = next((name for name in generator.marks if _says(folder, name, generator.says)), None)
        if mark and (generator.name != "middleman" or "middleman" in folder.read("Gemfile")):
            return _generated(folder, generator, mark)
    staticfile = re.search(r"^root:\s*([\w./-]+)", folder.read("Staticfile"), re.MULTILINE)
    page = folder.first("index.html", "public/index.html", "htdocs/index.html", "www/index.html", "site/index.html")
    root = None if page is None else page.rsplit("/", 1)[0] if "/" in page else "."
    root = staticfile[1] if staticfile else root or (_only_page_folder(folder) if folder.first("Staticfile") else None)
    if root is None:
        return None
    unit = DeployUnit(
        folder.path, folder.name, "static", "static", output_dir=root, files=present(folder, "Staticfile")
    )
    return Found(unit, Sign.RUNS)


def _says(folder: Folder, name: str, pattern: str) -> bool:
    return folder.first(name) is not None and re.search(pattern, folder.read(name)) is not None


def _only_page_folder(folder: Folder) -> str:
    return "public" if folder.has_folder("public") else "."


def _generated(folder: Folder, generator: Generator, mark: str) -> Found:
    install, manager = generator.install, generator.manager
    if manager == "pip" and folder.first("requirements.txt"):
        install = "pip install -r requirements.txt"
    if manager == "bundler" and not folder.first("Gemfile"):
        install = f"gem install {generator.name}"
    unit = DeployUnit(
        path=folder.path,
        name=folder.name,
        kind="static",
        language={"bundler": "ruby", "pip": "python"}.get(manager or "", "static"),
        frameworks=(generator.name,),
        package_manager=manager,
        install=install,
        build=generator.build,
        output_dir=generator.output,
        files=present(folder, mark, "Gemfile", "Gemfile.lock", "requirements.txt"),
    )
    is_library = folder.first("pyproject.toml", "setup.py") is not None
    return Found(unit, Sign.TOOLING if is_library else Sign.APP)


STATIC = Language(
    "static",
    detect,
    ("hugo.toml", "hugo.yaml", "hugo.json", "_config.yml", "mkdocs.yml", "pelicanconf.py", "book.toml", "Staticfile"),
    hints=(
        "index.html",
        "public/index.html",
        "htdocs/index.html",
        "www/index.html",
        "site/index.html",
        "config.toml",
        "config.yaml",
        "config.rb",
    ),
)
