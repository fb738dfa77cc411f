"""Ruby: Rails, Sinatra and other Rack applications, Sidekiq, plain scripts."""

from __future__ import annotations

import re

from tools.devops.project.languages.language import Found, Language, Sign, number, present, version_file
from tools.devops.project.tree import Folder
from tools.devops.types import DeployUnit

_FRAMEWORKS = ("rails", "sinatra", "hanami", "grape", "roda", "padrino", "rack")
_SERVERS = (
    ("puma", "puma -b tcp://0.0.0.0:$PORT"),
    ("falcon", "falcon serve --bind http://0.0.0.0:$PORT"),
    ("unicorn", "unicorn -o 0.0.0.0 -p $PORT"),
    ("thin", "thin start -a 0.0.0.0 -p $PORT"),
    ("passenger", "passenger start --address 0.0.0.0 --port $PORT"),
)
_DEBIAN = {
    "pg": ("libpq-dev", "libpq5"),
    "mysql2": ("default-libmysqlclient-dev", "libmariadb3"),
    "ruby-vips": ("libvips42",),
    "image_processing": ("libvips42",),
    "rmagick": ("libmagickwand-dev", "imagemagick"),
    "mini_magick": ("imagemagick",),
    "charlock_holmes": ("libicu-dev",),
    "sqlite3": ("libsqlite3-dev", "libsqlite3-0"),
}


def detect(folder: Folder) -> Found | None:
    gemfile = folder.read("Gemfile")
    gems = set(re.findall(r"^[ \t]*gem\s*\(?\s*[\"']([\w.-]+)[\"']", gemfile, re.MULTILINE))
    is_site = gems & {"jekyll", "github-pages", "middleman", "bridgetown"} and not gems & {"rails", "sinatra"}
    if (not folder.first("Gemfile") and not folder.first("config.ru")) or is_site:
        return None
    names = tuple(name for name in _FRAMEWORKS if name in gems)
    is_rails = "rails" in gems or folder.first("config/application.rb", "bin/rails") is not None
    if is_rails:
        names = tuple(dict.fromkeys(("rails", *names)))
    names = tuple(name for name in names if name != "rack" or len(names) == 1)
    start, sign = _start(folder, gems, is_rails)
    version, where = _version(folder, gemfile)
    workers = []
    if "sidekiq" in gems:
        workers.append({"name": "worker", "command": "bundle exec sidekiq"})
    elif "solid_queue" in gems and folder.first("bin/jobs"):
        workers.append({"name": "worker", "command": "bin/jobs"})
    elif "resque" in gems:
        workers.append({"name": "worker", "command": "bundle exec rake resque:work"})
    elif "good_job" in gems:
        workers.append({"name": "worker", "command": "bundle exec good_job start"})
    serves = sign is Sign.APP
    unit = DeployUnit(
        path=folder.path,
        name=folder.name,
        kind="library" if start is None else "backend" if serves else "worker",
        language="ruby",
        version=version,
        frameworks=names,
        package_manager="bundler" if folder.first("Gemfile") else None,
        install="bundle install" if folder.first("Gemfile") else None,
        build=_assets(folder, gems) if is_rails else None,
        start=start,
        migrate=_migrate(folder, gems, is_rails),
        test=_test(folder, gems, is_rails),
        lint="bundle exec rubocop" if re.search(r"rubocop|standard", gemfile) else None,
        port=(3000 if is_rails else 9292 if folder.first("config.ru") else 4567) if serves else None,
        files=present(folder, "Gemfile", "Gemfile.lock", ".ruby-version", "package.json"),
        system_packages=tuple(sorted({p for gem in gems for p in _DEBIAN.get(gem, ())})),
        workers=tuple(workers),
    )
    notes = (f"{folder.path}: Ruby {version}, {where}",) if version else ()
    return Found(unit, sign, frozenset(gems), notes)


def _start(folder: Folder, gems: set[str], is_rails: bool) -> tuple[str | None, Sign]:
    if is_rails:
        if "puma" in gems and folder.first("config/puma.rb"):
            return "bundle exec puma -C config/puma.rb", Sign.APP
        return "bundle exec rails server -b 0.0.0.0 -p $PORT", Sign.APP
    if folder.first("config.ru"):
        server = next((command for gem, command in _SERVERS if gem in gems), "rackup config.ru -o 0.0.0.0 -p $PORT")
        return f"bundle exec {server}", Sign.APP
    file = folder.first("app.rb", "main.rb", "server.rb", "web.rb", "index.rb", "bot.rb")
    if file and "sinatra" in gems:
        return f"bundle exec ruby {file} -o 0.0.0.0 -p $PORT", Sign.APP
    only = folder.matching("*.rb")
    classic = next((name for name in only if re.search(r"require [\"']sinatra[\"']", folder.source(name))), None)
    if classic:
        return f"bundle exec ruby {classic} -o 0.0.0.0 -p $PORT", Sign.APP
    file = file or (only[0] if len(only) == 1 else None)
    if file:
        return f"bundle exec ruby {file}", Sign.RUNS
    has_default_task = re.search(r"^[ \t]*task\s*\(?:?default\b", folder.read("Rakefile"), re.MULTILINE)
    is_gem = folder.matching("*.gemspec")
    return ("bundle exec rake", Sign.RUNS) if has_default_task and not is_gem else (None, Sign.TOOLING)


def _assets(folder: Folder, gems: set[str]) -> str | None:
    has_assets = gems & {"sprockets-rails", "propshaft", "sassc-rails", "webpacker", "shakapacker", "vite_rails"}
    if has_assets or folder.has_folder("app/assets"):
        return "SECRET_KEY_BASE_DUMMY=1 bundle exec rails assets:precompile"
    return None


def _migrate(folder: Folder, gems: set[str], is_rails: bool) -> str | None:
    if is_rails:
        stored = folder.first("config/database.yml") or folder.has_folder("db")
        return "bundle exec rails db:migrate" if stored else None
    return "bundle exec rake db:migrate" if "sinatra-activerecord" in gems else None


def _test(folder: Folder, gems: set[str], is_rails: bool) -> str | None:
    if gems & {"rspec", "rspec-rails"} or folder.first(".rspec"):
        return "bundle exec rspec"
    if is_rails and folder.has_folder("test"):
        return "bundle exec rails test"
    return "bundle exec rake test" if folder.has_folder("test") and folder.first("Rakefile") else None


def _version(folder: Folder, gemfile: str) -> tuple[str | None, str]:
    if pinned := version_file(folder, (".ruby-version",), ("ruby",)):
        return number(pinned[0]), pinned[1]
    if found := re.search(r"^[ \t]*ruby\s+[\"'](?:~>\s*)?([\d.]+)", gemfile, re.MULTILINE):
        return found[1], f"{folder.prefix}Gemfile"
    locked = re.search(r"^RUBY VERSION\s+ruby ([\d.]+)", folder.read("Gemfile.lock"), re.MULTILINE)
    return (locked[1], f"{folder.prefix}Gemfile.lock") if locked else (None, "")


RUBY = Language("ruby", detect, ("Gemfile",), hints=("config.ru",))
