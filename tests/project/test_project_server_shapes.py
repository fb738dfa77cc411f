"""Go, Rust, JVM, Ruby, PHP, .NET, Elixir, static and other projects of the shapes of public examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tools.devops.types import Project

Scan = Callable[[Mapping[str, Any]], Project]
MAIN_GO = "package main\nfunc main() {}\n"
SERVER_GO = 'package main\nimport "net/http"\nfunc main() { http.ListenAndServe(":8080", nil) }\n'
JAR = "$(ls -1 build/libs/*.jar | grep -v -e plain -e sources -e javadoc | head -n 1)"


@dataclass(frozen=True)
class Shape:
    language: str
    files: Mapping[str, Any]
    manager: str | None
    start: str | None
    frameworks: tuple[str, ...] = ()
    kind: str = "backend"
    more: Mapping[str, Any] = field(default_factory=dict)


SHAPES: dict[str, Shape] = {
    "go module": Shape(
        "go",
        {"go.mod": "module example.com/shop\n\ngo 1.24.1\n", "main.go": MAIN_GO},
        "go",
        "./out",
        (),
        "worker",
        {"version": "1.24.1", "build": 'go build -ldflags="-s -w" -o out .', "name": "shop"},
    ),
    "go without module": Shape("go", {"main.go": SERVER_GO}, "go", "./out"),
    "go gin": Shape(
        "go",
        {"go.mod": "module x\n\nrequire github.com/gin-gonic/gin v1.10.0\n", "main.go": MAIN_GO},
        "go",
        "./out",
        ("gin",),
        more={"port": 8080},
    ),
    "go several commands": Shape(
        "go",
        {
            "go.mod": "module x\n\nrequire (\n\tgithub.com/jackc/pgx/v5 v5.6.0\n)\n",
            "cmd/cli/main.go": MAIN_GO,
            "cmd/server/main.go": SERVER_GO,
            "cmd/worker/main.go": MAIN_GO,
            "internal/db/db.go": "package db\n",
        },
        "go",
        "./out",
        more={
            "entry": "./cmd/server",
            "workers": ({"name": "worker", "command": "go run ./cmd/worker"},),
            "services": ("postgres",),
        },
    ),
    "rust": Shape(
        "rust",
        {"Cargo.toml": '[package]\nname="hello"\n', "Cargo.lock": "", "src/main.rs": "fn main() {}"},
        "cargo",
        "./target/release/hello",
        (),
        "worker",
        {"build": "cargo build --release --locked"},
    ),
    "rust rocket": Shape(
        "rust",
        {"Cargo.toml": '[package]\nname="web"\n[dependencies]\nrocket="0.5"\n', "src/main.rs": "fn main() {}"},
        "cargo",
        "./target/release/web",
        ("rocket",),
        more={"port": 8000},
    ),
    "rust several binaries": Shape(
        "rust",
        {
            "Cargo.toml": '[package]\nname="multi"\ndefault-run="two"\n',
            "src/bin/one.rs": "",
            "src/bin/two.rs": "",
            "rust-toolchain.toml": '[toolchain]\nchannel="1.85.0"\n',
        },
        "cargo",
        "./target/release/two",
        (),
        "worker",
        {"version": "1.85.0"},
    ),
    "rust sqlx openssl": Shape(
        "rust",
        {
            "Cargo.toml": '[package]\nname="api"\n[dependencies]\naxum="0.8"\n'
            'openssl="0.10"\nsqlx={version="0.8",features=["postgres"]}\n',
            "src/main.rs": 'fn main() { std::env::var("DATABASE_URL"); }',
            "migrations/1.sql": "",
        },
        "cargo",
        "./target/release/api",
        ("axum",),
        more={
            "migrate": "sqlx migrate run",
            "services": ("postgres",),
            "env": ("DATABASE_URL",),
            "system_packages": ("libssl-dev", "libssl3", "pkg-config"),
        },
    ),
    "spring maven": Shape(
        "java",
        {
            "pom.xml": "<project><parent><groupId>org.springframework.boot</groupId>"
            "<artifactId>parent</artifactId></parent>"
            "<artifactId>demo</artifactId><properties><java.version>21</java.version></properties></project>",
            "mvnw": "",
            "src/main/java/A.java": "",
        },
        "maven",
        "java -Dserver.port=$PORT -jar target/*.jar",
        ("spring-boot",),
        more={"version": "21", "build": "./mvnw -B -DskipTests package", "name": "demo", "port": 8080},
    ),
    "spring gradle kotlin": Shape(
        "kotlin",
        {
            "build.gradle.kts": 'plugins { id("org.springframework.boot") '
            'version "3.4.0" }\nkotlin { jvmToolchain(21) }\n',
            "settings.gradle.kts": 'rootProject.name = "shop"\n',
            "gradlew": "",
            "src/main/kotlin/A.kt": "fun main() {}",
        },
        "gradle",
        f"java -Dserver.port=$PORT -jar {JAR}",
        ("spring-boot",),
        more={"version": "21", "build": "./gradlew build -x test"},
    ),
    "quarkus": Shape(
        "java",
        {
            "pom.xml": "<project><artifactId>q</artifactId><groupId>io.quarkus</groupId></project>",
            "src/main/java/A.java": "",
        },
        "maven",
        "java -Dquarkus.http.port=$PORT -Dquarkus.http.host=0.0.0.0 -jar target/quarkus-app/quarkus-run.jar",
        ("quarkus",),
    ),
    "plain gradle": Shape(
        "java",
        {"build.gradle": "plugins { id 'application' }\nsourceCompatibility = '17'\n", "src/main/java/A.java": ""},
        "gradle",
        f"java -jar {JAR}",
        (),
        "worker",
        {"version": "17"},
    ),
    "ruby script": Shape(
        "ruby",
        {"Gemfile": 'source "https://rubygems.org"\nruby "3.4.1"\ngem "cowsay"\n', "app.rb": "puts 1"},
        "bundler",
        "bundle exec ruby app.rb",
        (),
        "worker",
        {"version": "3.4.1"},
    ),
    "sinatra": Shape(
        "ruby",
        {"Gemfile": 'gem "sinatra"\ngem "puma"\n', "config.ru": "run App", ".ruby-version": "ruby-3.3.6"},
        "bundler",
        "bundle exec puma -b tcp://0.0.0.0:$PORT",
        ("sinatra",),
        more={"version": "3.3.6"},
    ),
    "rails with node assets": Shape(
        "ruby",
        {
            "Gemfile": 'gem "rails"\ngem "pg"\ngem "puma"\ngem "sidekiq"\ngem "jsbundling-rails"\ngem "propshaft"\n',
            "config/puma.rb": "",
            "config/routes.rb": 'get "up" => "rails/health#show"',
            "config/database.yml": "url: <%= ENV['DATABASE_URL'] %>",
            "bin/rails": "",
            "package.json": {
                "name": "app",
                "private": True,
                "scripts": {"build": "esbuild app.js"},
                "devDependencies": {"esbuild": "1"},
            },
            "yarn.lock": "",
        },
        "bundler",
        "bundle exec puma -C config/puma.rb",
        ("rails",),
        more={
            "migrate": "bundle exec rails db:migrate",
            "health_path": "/up",
            "services": ("postgres", "redis"),
            "env": ("DATABASE_URL",),
            "install": "bundle install && yarn install --frozen-lockfile",
            "build": "yarn run build && SECRET_KEY_BASE_DUMMY=1 bundle exec rails assets:precompile",
            "workers": ({"name": "worker", "command": "bundle exec sidekiq"},),
        },
    ),
    "php pages": Shape("php", {"index.php": "<?php echo 1;"}, None, "php -S 0.0.0.0:$PORT -t ."),
    "php front controller": Shape(
        "php",
        {"composer.json": {"require": {"slim/slim": "^4", "php": ">=8.3"}}, "public/index.php": ""},
        "composer",
        "php -S 0.0.0.0:$PORT -t public",
        ("slim",),
        more={"version": "8.3"},
    ),
    "laravel vite": Shape(
        "php",
        {
            "composer.json": {"require": {"laravel/framework": "^12", "php": "^8.4"}},
            "artisan": "",
            "public/index.php": "",
            ".env.example": "APP_KEY=\nDB_CONNECTION=pgsql\n",
            "bootstrap/app.php": "health: '/up',",
            "package.json": {
                "private": True,
                "scripts": {"build": "vite build"},
                "devDependencies": {"vite": "*", "laravel-vite-plugin": "*"},
            },
            "package-lock.json": "{}",
        },
        "composer",
        "php artisan serve --host=0.0.0.0 --port=$PORT",
        ("laravel",),
        more={
            "migrate": "php artisan migrate --force",
            "services": ("postgres",),
            "health_path": "/up",
            "version": "8.4",
            "build": "npm run build && php artisan optimize",
        },
    ),
    "symfony": Shape(
        "php",
        {
            "composer.json": {"require": {"symfony/framework-bundle": "7.*", "symfony/orm-pack": "*"}},
            "bin/console": "",
            "public/index.php": "",
        },
        "composer",
        "php -S 0.0.0.0:$PORT -t public",
        ("symfony",),
        more={"migrate": "php bin/console doctrine:migrations:migrate --no-interaction --allow-no-migration"},
    ),
    "aspnet": Shape(
        "dotnet",
        {
            "Api.csproj": '<Project Sdk="Microsoft.NET.Sdk.Web"><PropertyGroup>'
            "<TargetFramework>net9.0</TargetFramework></PropertyGroup>"
            '<PackageReference Include="Npgsql.EntityFrameworkCore.PostgreSQL" /></Project>',
            "Program.cs": 'app.MapHealthChecks("/healthz"); builder.Configuration.GetConnectionString("Main");',
        },
        "nuget",
        "dotnet out/Api.dll --urls http://0.0.0.0:$PORT",
        ("aspnet",),
        more={
            "version": "9.0",
            "health_path": "/healthz",
            "services": ("postgres",),
            "env": ("ConnectionStrings__Main",),
        },
    ),
    "dotnet console": Shape(
        "dotnet",
        {
            "Cli.csproj": '<Project Sdk="Microsoft.NET.Sdk"><PropertyGroup>'
            "<OutputType>Exe</OutputType></PropertyGroup></Project>"
        },
        "nuget",
        "dotnet out/Cli.dll",
        (),
        "worker",
    ),
    "phoenix": Shape(
        "elixir",
        {
            "mix.exs": 'def project, do: [app: :hello, elixir: "~> 1.17"]\n{:phoenix,'
            ' "~> 1.7"}, {:ecto_sql, "~> 3"}, {:postgrex, ">= 0"}\n',
            "lib/hello/release.ex": "",
            "config/runtime.exs": 'System.get_env("SECRET_KEY_BASE")',
        },
        "mix",
        "PHX_SERVER=true _build/prod/rel/hello/bin/hello start",
        ("phoenix",),
        more={
            "migrate": '_build/prod/rel/hello/bin/hello eval "Hello.Release.migrate"',
            "services": ("postgres",),
            "port": 4000,
            "env": ("SECRET_KEY_BASE",),
        },
    ),
    "html": Shape("static", {"index.html": "<p>"}, None, None, (), "static", {"output_dir": "."}),
    "html in public": Shape(
        "static", {"public/index.html": "<p>", "README.md": ""}, None, None, (), "static", {"output_dir": "public"}
    ),
    "hugo": Shape(
        "static",
        {"hugo.toml": 'baseURL = "https://x"\n', "content/a.md": ""},
        None,
        None,
        ("hugo",),
        "static",
        {"output_dir": "public", "build": "hugo --gc --minify"},
    ),
    "jekyll": Shape(
        "ruby",
        {"Gemfile": 'gem "jekyll"\n', "_config.yml": "title: x\n", "index.md": ""},
        "bundler",
        None,
        ("jekyll",),
        "static",
        {"output_dir": "_site", "build": "bundle exec jekyll build"},
    ),
    "mkdocs": Shape(
        "python",
        {"mkdocs.yml": "site_name: x\n", "docs/index.md": ""},
        "pip",
        None,
        ("mkdocs",),
        "static",
        {"output_dir": "site"},
    ),
    "crystal": Shape("crystal", {"shard.yml": "name: hi\n"}, "shards", "./bin/hi", (), "worker"),
    "gleam": Shape(
        "gleam", {"gleam.toml": 'name = "hi"\n'}, "gleam", "./build/erlang-shipment/entrypoint.sh run", (), "worker"
    ),
    "cmake": Shape("cpp", {"CMakeLists.txt": "add_executable(hi main.cpp)\n"}, "cmake", "./build/hi", (), "worker"),
    "shell": Shape("shell", {"start.sh": "#!/usr/bin/env bash\necho\n"}, None, "bash start.sh", (), "worker"),
    "dockerfile only": Shape(
        "container",
        {"Dockerfile": 'FROM busybox\nEXPOSE 9000\nCMD ["sh", "-c", "exec httpd -p $PORT"]\n'},
        None,
        "httpd -p $PORT",
        more={"port": 9000},
    ),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_shape(scan: Scan, shape: Shape) -> None:
    project = scan(shape.files)
    assert [unit.path for unit in project.units] == ["."]
    unit = project.units[0]
    assert (unit.language, unit.package_manager, unit.start) == (shape.language, shape.manager, shape.start)
    assert set(shape.frameworks) <= set(unit.frameworks)
    assert unit.kind == shape.kind
    assert {key: getattr(unit, key) for key in shape.more} == shape.more
