"""File types for Grep's `type`: names of the kind ripgrep uses, as globs over file names."""

from __future__ import annotations

from tools.tool import ToolError

_TYPES = """
c: *.c *.h
cmake: *.cmake CMakeLists.txt
config: *.cfg *.conf *.config *.ini
cpp: *.cc *.cpp *.cxx *.c++ *.h *.hh *.hpp *.hxx *.inl
cs: *.cs
csharp: *.cs
css: *.css *.scss
csv: *.csv
dart: *.dart
docker: *Dockerfile* Containerfile
dockercompose: docker-compose*.yml docker-compose*.yaml compose*.yml compose*.yaml
elixir: *.ex *.exs *.eex *.heex
erlang: *.erl *.hrl
go: *.go
gradle: *.gradle *.gradle.kts
graphql: *.graphql *.gql
groovy: *.groovy *.gradle
haskell: *.hs *.lhs
hcl: *.hcl *.tf *.tfvars
html: *.html *.htm
java: *.java *.jsp
jinja: *.j2 *.jinja *.jinja2
js: *.js *.jsx *.mjs *.cjs *.vue
json: *.json *.jsonc
jupyter: *.ipynb
kotlin: *.kt *.kts
less: *.less
license: LICENSE* COPYING* NOTICE*
lock: *.lock package-lock.json pnpm-lock.yaml go.sum
log: *.log
lua: *.lua
make: Makefile makefile GNUmakefile *.mk *.mak
markdown: *.md *.markdown *.mdx
md: *.md *.markdown *.mdx
nix: *.nix
perl: *.pl *.pm *.t
php: *.php *.phtml
prisma: *.prisma
protobuf: *.proto
ps: *.ps1 *.psm1 *.psd1
py: *.py *.pyi
python: *.py *.pyi
r: *.R *.r *.Rmd
readme: README* *README
ruby: *.rb *.rake *.gemspec Gemfile Rakefile config.ru
rust: *.rs
sass: *.sass *.scss
scala: *.scala *.sbt
sh: *.sh *.bash *.zsh *.ksh .bashrc .bash_profile .profile .zshrc
sql: *.sql
svelte: *.svelte
swift: *.swift
systemd: *.service *.socket *.timer *.target *.mount *.path
terraform: *.tf *.tfvars *.tf.json *.hcl
tf: *.tf *.tfvars *.tf.json *.hcl
toml: *.toml Cargo.lock
ts: *.ts *.tsx *.cts *.mts
txt: *.txt
typescript: *.ts *.tsx *.cts *.mts
vue: *.vue
xml: *.xml *.xsd *.xsl *.xslt *.svg
yaml: *.yaml *.yml
zig: *.zig
"""


def globs_of(name: str) -> list[str]:
    """The globs of a type. Raises `ToolError` naming the known ones."""
    known = {line.split(":")[0]: line.split(":")[1].split() for line in _TYPES.strip().splitlines()}
    if name not in known:
        raise ToolError(f"There is no file type {name!r}. Use `glob`, or one of: {', '.join(known)}.")
    return known[name]
