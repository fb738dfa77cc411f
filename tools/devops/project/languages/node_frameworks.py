"""Node frameworks as data: how each is recognised, built, served. To add one, add a row.

Sources of the rules: each framework's deployment guide, as of 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from tools.devops.project.languages.node_packages import manifest
from tools.devops.project.tree import Folder, dig, mapping, text, words
from tools.devops.types import UnitKind


@dataclass(frozen=True, slots=True)
class Framework:
    """`packages`: any of them marks it. `start` is used without a production start script; `output` is what a static
    build leaves. `kind` "frontend" and "static" mean files only; "fullstack" and "backend" a process on `port`."""

    name: str
    packages: tuple[str, ...]
    kind: UnitKind
    output: str | None = None
    start: str | None = None
    port: int | None = 3000
    build: str | None = None


# Order: what supersedes comes first. A project's first match decides how it is served.
FRAMEWORKS = (
    Framework("nestjs", ("@nestjs/core",), "backend", "dist", "node dist/main.js", 3000, "nest build"),
    Framework("adonis", ("@adonisjs/core",), "backend", "build", "node build/bin/server.js", 3333, "node ace build"),
    Framework("strapi", ("@strapi/strapi",), "backend", None, "strapi start", 1337, "strapi build"),
    Framework("keystone", ("@keystone-6/core",), "fullstack", None, "keystone start", 3000, "keystone build"),
    Framework("medusa", ("@medusajs/medusa",), "backend", None, "medusa start", 9000, "medusa build"),
    Framework("next", ("next",), "fullstack", ".next", "next start -H 0.0.0.0 -p $PORT", 3000, "next build"),
    Framework("nuxt", ("nuxt", "nuxt3"), "fullstack", ".output", "node .output/server/index.mjs", 3000, "nuxt build"),
    Framework(
        "tanstack-start",
        ("@tanstack/react-start", "@tanstack/solid-start", "@tanstack/start"),
        "fullstack",
        ".output",
        "node .output/server/index.mjs",
        3000,
        "vite build",
    ),
    Framework(
        "solid-start", ("@solidjs/start",), "fullstack", ".output", "node .output/server/index.mjs", 3000, "vinxi build"
    ),
    Framework(
        "remix",
        ("@remix-run/react", "@remix-run/node", "@remix-run/serve", "@remix-run/dev"),
        "fullstack",
        "build",
        "remix-serve ./build/server/index.js",
        3000,
        "remix vite:build",
    ),
    Framework(
        "react-router",
        ("@react-router/dev", "@react-router/serve"),
        "fullstack",
        "build",
        "react-router-serve ./build/server/index.js",
        3000,
        "react-router build",
    ),
    Framework("sveltekit", ("@sveltejs/kit",), "fullstack", "build", "node build", 3000, "vite build"),
    Framework("astro", ("astro",), "frontend", "dist", "node ./dist/server/entry.mjs", 4321, "astro build"),
    Framework("qwik", ("@builder.io/qwik-city", "@qwik.dev/router"), "fullstack", "dist", None, 3000, "qwik build"),
    Framework("redwood", ("@redwoodjs/core",), "fullstack", None, "yarn rw serve", 8910, "yarn rw build"),
    Framework(
        "nitro", ("nitropack", "nitro"), "backend", ".output", "node .output/server/index.mjs", 3000, "nitro build"
    ),
    Framework("gatsby", ("gatsby",), "frontend", "public", None, None, "gatsby build"),
    Framework("docusaurus", ("@docusaurus/core",), "static", "build", None, None, "docusaurus build"),
    Framework("vitepress", ("vitepress",), "static", ".vitepress/dist", None, None, "vitepress build"),
    Framework("vuepress", ("vuepress",), "static", ".vuepress/dist", None, None, "vuepress build"),
    Framework("eleventy", ("@11ty/eleventy",), "static", "_site", None, None, "eleventy"),
    Framework("hexo", ("hexo",), "static", "public", None, None, "hexo generate"),
    Framework("angular", ("@angular/core",), "frontend", "dist", None, None, "ng build"),
    Framework("create-react-app", ("react-scripts",), "frontend", "build", None, None, "react-scripts build"),
    Framework("vue-cli", ("@vue/cli-service",), "frontend", "dist", None, None, "vue-cli-service build"),
    Framework("brunch", ("brunch",), "frontend", "public", None, None, "brunch build --production"),
    Framework("stencil", ("@stencil/core",), "frontend", "www", None, None, "stencil build"),
    Framework("umi", ("umi", "@umijs/max"), "frontend", "dist", None, None, "umi build"),
    Framework("polymer", ("polymer-cli",), "frontend", "build/default", None, None, "polymer build"),
    Framework("sanity", ("sanity", "@sanity/core"), "frontend", "dist", None, None, "sanity build"),
    Framework("docusaurus-1", ("docusaurus",), "static", "build", None, None, "docusaurus-build"),
    Framework("ember", ("ember-cli",), "frontend", "dist", None, None, "ember build"),
    Framework("preact-cli", ("preact-cli",), "frontend", "build", None, None, "preact build"),
    Framework("express", ("express",), "backend"),
    Framework("fastify", ("fastify",), "backend"),
    Framework("koa", ("koa",), "backend"),
    Framework("hono", ("hono",), "backend"),
    Framework("elysia", ("elysia",), "backend"),
    Framework("hapi", ("@hapi/hapi",), "backend"),
    Framework("apollo-server", ("@apollo/server", "apollo-server"), "backend", None, None, 4000),
    Framework("feathers", ("@feathersjs/feathers",), "backend", None, None, 3030),
    Framework("restify", ("restify",), "backend"),
    Framework("polka", ("polka",), "backend"),
    Framework("h3", ("h3",), "backend"),
    Framework("socket.io", ("socket.io",), "backend"),
    Framework("graphql-yoga", ("graphql-yoga",), "backend", None, None, 4000),
    Framework("expo", ("expo",), "frontend", "dist", None, None, "expo export --platform web"),
    Framework("vite", ("vite",), "frontend", "dist", None, None, "vite build"),
    Framework("parcel", ("parcel", "parcel-bundler"), "frontend", "dist", None, None, "parcel build"),
)

SERVERS = frozenset(words("express fastify koa hono elysia hapi restify polka h3 socket.io apollo-server graphql-yoga"))

# A framework found with one of these is only its part.
SUPERSEDED = {
    "vite": frozenset(f.name for f in FRAMEWORKS if f.kind in ("fullstack", "static")) | {"astro", "angular"},
    "react-router": frozenset({"remix"}),
    "express": frozenset({"nestjs", "adonis", "strapi", "keystone", "remix", "react-router", "angular"}),
    "fastify": frozenset({"nestjs"}),
    "h3": frozenset({"nuxt", "nitro", "tanstack-start", "solid-start"}),
    "nitro": frozenset({"nuxt", "tanstack-start", "solid-start"}),
}

UI_LIBRARIES = ("react", "vue", "svelte", "solid-js", "preact", "lit", "qwik", "tailwindcss")


def frameworks_of(needed: set[str], tools: set[str]) -> list[Framework]:
    """The frameworks a package uses, the deciding one first."""
    found = [
        f
        for f in FRAMEWORKS
        if any(package in needed or (f.name not in SERVERS and package in tools) for package in f.packages)
    ]
    names = {f.name for f in found}
    return [f for f in found if not (SUPERSEDED.get(f.name, frozenset()) & names)]


# --- the same framework, served otherwise ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Served:
    """How this project's framework is served: `static` files in `output`, or `start`ed."""

    static: bool
    output: str | None
    start: str | None


@dataclass(frozen=True, slots=True)
class _Case:
    folder: Folder
    needed: set[str]


def _config(folder: Folder, stem: str) -> str:
    names = (f"{stem}.{end}" for end in ("js", "mjs", "ts", "mts", "cjs"))
    name = folder.first(*names)
    return folder.source(name) if name else ""


def _next(case: _Case) -> Served | None:
    config = _config(case.folder, "next.config")
    if re.search(r"\boutput\s*[:=]\s*[\"']export[\"']", config):
        found = re.search(r"distDir\s*:\s*[\"']([\w./-]+)[\"']", config)
        return Served(True, found[1] if found else "out", None)
    return None


def _nuxt(case: _Case) -> Served | None:
    config, build = _config(case.folder, "nuxt.config"), text(dig(manifest(case.folder), "scripts", "build"))
    if "generate" in build or re.search(r"\bpreset\s*:\s*[\"'](?:static|github-pages)", config):
        return Served(True, ".output/public", None)
    return None


def _astro(case: _Case) -> Served | None:
    config = _config(case.folder, "astro.config")
    if "@astrojs/node" in case.needed or re.search(r"output\s*:\s*[\"'](?:server|hybrid)[\"']", config):
        return None
    found = re.search(r"outDir\s*:\s*[\"'](?:\./)?([\w./-]+)[\"']", config)
    return Served(True, found[1] if found else "dist", None)


def _sveltekit(case: _Case) -> Served | None:
    config = _config(case.folder, "svelte.config")
    return Served(True, "build", None) if "adapter-static" in config else None


def _react_router(case: _Case) -> Served | None:
    config = _config(case.folder, "react-router.config") + _config(case.folder, "vite.config")
    return Served(True, "build/client", None) if re.search(r"\bssr\s*:\s*false", config) else None


def _angular(case: _Case) -> Served | None:
    projects = mapping(case.folder.json("angular.json").get("projects"))
    name = text(case.folder.json("angular.json").get("defaultProject")) or next(iter(projects), case.folder.name)
    build = mapping(dig(projects, name, "architect", "build") or dig(projects, name, "targets", "build"))
    output = text(dig(build, "options", "outputPath")) or text(dig(build, "options", "outputPath", "base"))
    output = output or f"dist/{name}"
    if "@angular/ssr" in case.needed and (
        dig(build, "options", "ssr") or case.folder.first("server.ts", "src/server.ts")
    ):
        return Served(False, output, f"node {output}/server/server.mjs")
    is_application_builder = text(build.get("builder")).endswith(":application")
    return Served(True, f"{output}/browser" if is_application_builder else output, None)


def _vite(case: _Case) -> Served | None:
    found = re.search(r"outDir\s*:\s*[\"'](?:\./)?([\w./-]+)[\"']", _config(case.folder, "vite.config"))
    return Served(True, found[1] if found else "dist", None)


_VARIANTS: dict[str, Callable[[_Case], Served | None]] = {
    "next": _next,
    "nuxt": _nuxt,
    "astro": _astro,
    "sveltekit": _sveltekit,
    "react-router": _react_router,
    "remix": _react_router,
    "angular": _angular,
    "vite": _vite,
}


def served(framework: Framework, folder: Folder, needed: set[str]) -> Served:
    """How this project serves the framework, after its own configuration."""
    base = Served(framework.kind in ("frontend", "static"), framework.output, framework.start)
    if framework.name == "astro":
        base = Served(False, "dist", framework.start)
    variant = _VARIANTS.get(framework.name)
    return (variant(_Case(folder, needed)) if variant else None) or base
