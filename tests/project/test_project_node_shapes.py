"""Node, Bun and Deno projects of the shapes found in the example folders of public build tools."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tools.devops.types import Project

Scan = Callable[[Mapping[str, Any]], Project]


@dataclass(frozen=True)
class Shape:
    files: Mapping[str, Any]
    manager: str
    start: str | None
    frameworks: tuple[str, ...] = ()
    kind: str = "backend"
    more: Mapping[str, Any] = field(default_factory=dict)
    language: str = "node"


def package(deps: str = "", dev: str = "", **more: Any) -> dict[str, Any]:
    """A package.json with these dependencies and scripts."""
    scripts = more.pop("scripts", {})
    return {
        "name": "app",
        "private": True,
        "scripts": scripts,
        "dependencies": dict.fromkeys(deps.split(), "*"),
        "devDependencies": dict.fromkeys(dev.split(), "*"),
        **more,
    }


SHAPES: dict[str, Shape] = {
    "start script": Shape(
        {
            "package.json": package(scripts={"start": "node index.js"}),
            "index.js": "console.log(1)",
            "package-lock.json": "{}",
        },
        "npm",
        "npm run start",
        (),
        "worker",
        {"install": "npm ci", "entry": "index.js"},
    ),
    "no scripts": Shape({"package.json": {"name": "x"}, "index.js": ""}, "npm", "node index.js", (), "worker"),
    "main file": Shape(
        {"package.json": {"main": "src/run.js"}, "src/run.js": ""}, "npm", "node src/run.js", (), "worker"
    ),
    "no manifest": Shape({"server.js": "require('http').createServer()"}, "npm", "node server.js"),
    "express yarn": Shape(
        {
            "package.json": package("express", scripts={"start": "node app.js"}),
            "app.js": "",
            "yarn.lock": "# yarn lockfile v1",
        },
        "yarn",
        "yarn run start",
        ("express",),
        more={"install": "yarn install --frozen-lockfile"},
    ),
    "fastify yarn berry": Shape(
        {
            "package.json": package("fastify", scripts={"start": "node ."}, packageManager="yarn@4.5.3"),
            "yarn.lock": "__metadata:",
        },
        "yarn",
        "yarn run start",
        ("fastify",),
        more={"install": "yarn install --immutable"},
    ),
    "koa pnpm": Shape(
        {"package.json": package("koa", scripts={"start": "node server"}), "pnpm-lock.yaml": ""},
        "pnpm",
        "pnpm run start",
        ("koa",),
        more={"install": "pnpm install --frozen-lockfile"},
    ),
    "nodemon is not production": Shape(
        {"package.json": package("express", "nodemon", scripts={"start": "nodemon index.js"}), "index.js": ""},
        "npm",
        "node index.js",
        ("express",),
    ),
    "typescript express": Shape(
        {
            "package.json": package("express", "typescript", scripts={"build": "tsc", "dev": "tsx watch src/index.ts"}),
            "tsconfig.json": '{\n // output\n "compilerOptions": {"outDir": "./dist",},\n}',
            "src/index.ts": "",
        },
        "npm",
        "node dist/index.js",
        ("express",),
        more={"build": "npm run build", "typecheck": "npx tsc --noEmit"},
    ),
    "nest": Shape(
        {
            "package.json": package(
                "@nestjs/core @nestjs/platform-express",
                "@nestjs/cli",
                scripts={"start": "nest start", "build": "nest build", "start:prod": "node dist/main"},
            )
        },
        "npm",
        "npm run start:prod",
        ("nestjs",),
    ),
    "nest without prod script": Shape(
        {"package.json": package("@nestjs/core", scripts={"start": "nest start", "build": "nest build"})},
        "npm",
        "node dist/main.js",
        ("nestjs",),
    ),
    "hono bun": Shape(
        {
            "package.json": package("hono", scripts={"start": "bun run src/index.ts"}),
            "bun.lock": "{}",
            "src/index.ts": "",
        },
        "bun",
        "bun run start",
        ("hono",),
        more={"install": "bun install --frozen-lockfile"},
    ),
    "bun file": Shape(
        {"package.json": package(), "index.ts": "Bun.serve({})", "bun.lockb": ""}, "bun", "bun run index.ts"
    ),
    "next": Shape(
        {
            "package.json": package(
                "next react react-dom", scripts={"dev": "next dev", "build": "next build", "start": "next start"}
            )
        },
        "npm",
        "npm run start",
        ("next", "react"),
        "fullstack",
        {"port": 3000, "build": "npm run build"},
    ),
    "next without start": Shape(
        {"package.json": package("next react", scripts={"build": "next build"}), "pnpm-lock.yaml": ""},
        "pnpm",
        "pnpm exec next start -H 0.0.0.0 -p $PORT",
        ("next",),
        "fullstack",
    ),
    "next export": Shape(
        {
            "package.json": package("next react", scripts={"start": "next start", "build": "next build"}),
            "next.config.mjs": "export default { output: 'export' }",
        },
        "npm",
        None,
        ("next",),
        "frontend",
        {"output_dir": "out"},
    ),
    "nuxt": Shape(
        {"package.json": package("nuxt vue", scripts={"build": "nuxt build"})},
        "npm",
        "node .output/server/index.mjs",
        ("nuxt",),
        "fullstack",
    ),
    "nuxt generate": Shape(
        {"package.json": package("nuxt", scripts={"build": "nuxt generate"})},
        "npm",
        None,
        ("nuxt",),
        "frontend",
        {"output_dir": ".output/public"},
    ),
    "remix": Shape(
        {
            "package.json": package(
                "@remix-run/node @remix-run/react @remix-run/serve", "vite", scripts={"build": "remix vite:build"}
            )
        },
        "npm",
        "npx remix-serve ./build/server/index.js",
        ("remix",),
        "fullstack",
    ),
    "react router ssr": Shape(
        {
            "package.json": package(
                "@react-router/node @react-router/serve react",
                "@react-router/dev vite",
                scripts={"start": "react-router-serve ./build/server/index.js", "build": "react-router build"},
            )
        },
        "npm",
        "npm run start",
        ("react-router",),
        "fullstack",
    ),
    "react router spa": Shape(
        {
            "package.json": package("react", "@react-router/dev vite", scripts={"build": "react-router build"}),
            "react-router.config.ts": "export default { ssr: false }",
        },
        "npm",
        None,
        ("react-router",),
        "frontend",
        {"output_dir": "build/client"},
    ),
    "sveltekit": Shape(
        {
            "package.json": package("", "@sveltejs/kit @sveltejs/adapter-node vite", scripts={"build": "vite build"}),
            "svelte.config.js": "import adapter from '@sveltejs/adapter-node'",
        },
        "npm",
        "node build",
        ("sveltekit",),
        "fullstack",
    ),
    "sveltekit static": Shape(
        {
            "package.json": package("", "@sveltejs/kit @sveltejs/adapter-static vite", scripts={"build": "vite build"}),
            "svelte.config.js": "import adapter from '@sveltejs/adapter-static'",
        },
        "npm",
        None,
        ("sveltekit",),
        "frontend",
        {"output_dir": "build"},
    ),
    "astro": Shape(
        {"package.json": package("astro", scripts={"start": "astro dev", "build": "astro build"})},
        "npm",
        None,
        ("astro",),
        "frontend",
        {"output_dir": "dist"},
    ),
    "astro server": Shape(
        {
            "package.json": package("astro @astrojs/node", scripts={"build": "astro build"}),
            "astro.config.mjs": "export default { output: 'server' }",
        },
        "npm",
        "node ./dist/server/entry.mjs",
        ("astro",),
        "fullstack",
    ),
    "vite react": Shape(
        {
            "package.json": package(
                "react react-dom", "vite @vitejs/plugin-react", scripts={"dev": "vite", "build": "vite build"}
            ),
            "index.html": "<div></div>",
        },
        "npm",
        None,
        ("vite", "react"),
        "frontend",
        {"output_dir": "dist", "build": "npm run build"},
    ),
    "vite other folder": Shape(
        {
            "package.json": package("", "vite", scripts={"build": "vite build"}),
            "index.html": "",
            "vite.config.ts": "export default { build: { outDir: './site' } }",
        },
        "npm",
        None,
        ("vite",),
        "frontend",
        {"output_dir": "site"},
    ),
    "create react app": Shape(
        {
            "package.json": package(
                "react react-scripts", scripts={"start": "react-scripts start", "build": "react-scripts build"}
            )
        },
        "npm",
        None,
        ("create-react-app",),
        "frontend",
        {"output_dir": "build"},
    ),
    "angular": Shape(
        {
            "package.json": package(
                "@angular/core", "@angular/cli", scripts={"start": "ng serve", "build": "ng build"}
            ),
            "angular.json": {
                "projects": {"web": {"architect": {"build": {"builder": "@angular/build:application", "options": {}}}}}
            },
        },
        "npm",
        None,
        ("angular",),
        "frontend",
        {"output_dir": "dist/web/browser"},
    ),
    "vue cli": Shape(
        {
            "package.json": package(
                "vue", "@vue/cli-service", scripts={"serve": "vue-cli-service serve", "build": "vue-cli-service build"}
            )
        },
        "npm",
        None,
        ("vue-cli",),
        "frontend",
        {"output_dir": "dist"},
    ),
    "gatsby": Shape(
        {"package.json": package("gatsby react", scripts={"start": "gatsby develop", "build": "gatsby build"})},
        "npm",
        None,
        ("gatsby",),
        "frontend",
        {"output_dir": "public"},
    ),
    "eleventy": Shape(
        {"package.json": package("", "@11ty/eleventy", scripts={"build": "eleventy"})},
        "npm",
        None,
        ("eleventy",),
        "static",
        {"output_dir": "_site"},
    ),
    "docusaurus": Shape(
        {
            "package.json": package(
                "@docusaurus/core react", scripts={"start": "docusaurus start", "build": "docusaurus build"}
            )
        },
        "npm",
        None,
        ("docusaurus",),
        "static",
        {"output_dir": "build"},
    ),
    "prisma": Shape(
        {
            "package.json": package("express @prisma/client", "prisma", scripts={"start": "node index.js"}),
            "index.js": "",
            "prisma/schema.prisma": 'datasource db {\n provider = "postgresql"\n url = env("DATABASE_URL")\n}\n',
        },
        "npm",
        "npm run start",
        ("express",),
        more={
            "migrate": "npx prisma migrate deploy",
            "services": ("postgres",),
            "env": ("DATABASE_URL",),
            "system_packages": ("openssl",),
        },
    ),
    "worker scripts": Shape(
        {
            "package.json": package("express bullmq", scripts={"start": "node web.js", "worker": "node worker.js"}),
            "web.js": "",
        },
        "npm",
        "npm run start",
        ("express",),
        more={"workers": ({"name": "worker", "command": "npm run worker"},), "services": ("redis",)},
    ),
    "firebase functions": Shape(
        {
            "package.json": package(
                "firebase-functions firebase-admin", scripts={"start": "npm run shell"}, main="lib/index.js"
            )
        },
        "npm",
        None,
        (),
        "function",
    ),
    "deno": Shape(
        {
            "deno.json": {"tasks": {"start": "deno run -A main.ts"}},
            "main.ts": "Deno.serve(() => new Response())",
            "deno.lock": "{}",
        },
        "deno",
        "deno task start",
        (),
        "backend",
        {"install": "deno install --frozen"},
        "deno",
    ),
    "deno fresh": Shape(
        {
            "deno.jsonc": '{ // c\n "tasks": {"start": "deno run -A --watch dev.ts"},'
            ' "imports": {"$fresh/": "https://deno.land/x/fresh@1.6/"} }',
            "main.ts": "",
        },
        "deno",
        "deno run -A main.ts",
        ("fresh",),
        "fullstack",
        {},
        "deno",
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


@pytest.mark.parametrize(
    ("files", "version"),
    [
        ({".nvmrc": "v22.3.0\n"}, "22.3.0"),
        ({".nvmrc": "lts/jod\n"}, "22"),
        ({".nvmrc": "lts/*\n"}, None),
        ({".node-version": "24"}, "24"),
        ({".tool-versions": "python 3.12\nnodejs 22.1.0\n"}, "22.1.0"),
        ({"mise.toml": '[tools]\nnode = "24"\n'}, "24"),
        ({"package.json": package(engines={"node": "22.x"})}, "22"),
        ({"package.json": package(engines={"node": ">=14"})}, None),
        ({"package.json": package(engines={"node": "^22.1"})}, "22"),
        ({"package.json": package(volta={"node": "22.5.1"})}, "22.5.1"),
    ],
)
def test_version(scan: Scan, files: Mapping[str, Any], version: str | None) -> None:
    assert scan({"package.json": package(), "index.js": "", **files}).units[0].version == version


@pytest.mark.parametrize(
    ("files", "manager"),
    [
        ({"package-lock.json": "{}", "package.json": package(packageManager="pnpm@9.1.0")}, "pnpm"),
        ({"package-lock.json": "{}", "yarn.lock": ""}, "yarn"),
        ({".yarnrc.yml": "nodeLinker: pnp"}, "yarn"),
        ({"package.json": package(engines={"pnpm": ">=9"})}, "pnpm"),
        ({"bun.lock": ""}, "bun"),
        ({}, "npm"),
    ],
)
def test_manager(scan: Scan, files: Mapping[str, Any], manager: str) -> None:
    assert scan({"package.json": package(), "index.js": "", **files}).units[0].package_manager == manager
