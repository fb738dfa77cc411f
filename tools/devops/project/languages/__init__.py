"""The languages, in the order they are believed when a folder speaks for several with equal strength.

The order is Railpack's (its snapshot of August 2026): a server language before the front-end tools beside it.
"""

from __future__ import annotations

from tools.devops.project.languages.container import CONTAINER
from tools.devops.project.languages.deno import DENO
from tools.devops.project.languages.dotnet import DOTNET
from tools.devops.project.languages.elixir import ELIXIR
from tools.devops.project.languages.go import GO
from tools.devops.project.languages.jvm import JVM
from tools.devops.project.languages.language import Found, Language, Sign
from tools.devops.project.languages.node import NODE
from tools.devops.project.languages.others import OTHERS
from tools.devops.project.languages.php import PHP
from tools.devops.project.languages.python import PYTHON
from tools.devops.project.languages.ruby import RUBY
from tools.devops.project.languages.rust import RUST
from tools.devops.project.languages.static import STATIC

LANGUAGES: tuple[Language, ...] = (
    PHP,
    GO,
    JVM,
    RUST,
    RUBY,
    ELIXIR,
    PYTHON,
    DENO,
    DOTNET,
    NODE,
    OTHERS,
    STATIC,
    CONTAINER,
)

__all__ = ["LANGUAGES", "Found", "Language", "Sign"]
