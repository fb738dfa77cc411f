"""Small applications in every supported framework, each with `/slow`, a database and a cache, and no probes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class App:
    """Files by path; `start` and `build` with `{port}` filled in. `plain` matches log lines of servers themselves."""

    files: Mapping[str, str]
    start: str
    build: str = ""
    plain: str = r"\Z"
    route: str = "/slow"
    env: Mapping[str, str] = field(default_factory=dict)


_SLOW = "    await asyncio.sleep(1)\n    logger.info('slow')\n    return 'done'\n"

FASTAPI_ASYNC = App(
    {
        "requirements.txt": "fastapi\nuvicorn\nsqlalchemy[asyncio]\nasyncpg\nredis\n",
        "app/__init__.py": "",
        "app/main.py": (
            '"""A shop."""\n\nimport asyncio\nimport logging\n\nfrom fastapi import FastAPI\n\n'
            "logger = logging.getLogger(__name__)\napp = FastAPI()\n\n\n"
            "@app.get('/slow')\nasync def slow() -> str:\n" + _SLOW
        ),
        "app/db.py": (
            "import os\n\nfrom redis.asyncio import Redis\nfrom sqlalchemy.ext.asyncio import create_async_engine\n\n"
            "engine = create_async_engine(os.environ['DATABASE_URL'].replace('postgresql:', 'postgresql+asyncpg:'))\n"
            "redis_client = Redis.from_url(os.environ['REDIS_URL'])\n"
        ),
    },
    "uvicorn app.main:app --port {port}",
)
# A factory, relative imports, clients that block, Windows line endings.
FASTAPI_FACTORY = App(
    {
        "requirements.txt": "fastapi\nuvicorn\nsqlalchemy\npsycopg\nredis\n",
        "shop/__init__.py": "",
        "shop/main.py": (
            "import asyncio\nimport logging\n\nimport fastapi\n\nfrom .clients import engine\n\n"
            "logger = logging.getLogger(__name__)\n\n\n"
            "async def slow() -> str:\n" + _SLOW + "\n\n"
            "def create_app() -> fastapi.FastAPI:\n    app = fastapi.FastAPI(\n        title='Shop',\n    )\n"
            "    app.add_api_route('/slow', slow)\n    app.state.engine = engine\n    return app\n\n\n"
            "app = create_app()\n"
        ).replace("\n", "\r\n"),
        "shop/clients.py": (
            "import os\n\nimport redis\nimport sqlalchemy as sa\n\n"
            "engine = sa.create_engine(os.environ['DATABASE_URL'].replace('postgresql:', 'postgresql+psycopg:'))\n"
            "store = redis.from_url(os.environ['REDIS_URL'])\n"
        ),
    },
    "uvicorn shop.main:app --port {port}",
)
# The clients are made where they cannot be reached, so the check opens connections of its own.
FASTAPI_OWN = App(
    {
        "requirements.txt": "fastapi\nuvicorn\nasyncpg\nredis\n",
        "main.py": (
            "import asyncio\nimport logging\nimport os\nfrom contextlib import asynccontextmanager\n\nimport asyncpg\n"
            "from fastapi import FastAPI\nfrom redis.asyncio import Redis\n\nlogger = logging.getLogger(__name__)\n\n\n"
            "@asynccontextmanager\nasync def lifespan(app):\n"
            "    async with asyncpg.create_pool(os.environ['DATABASE_URL']) as pool:\n"
            "        app.state.pool = pool\n        app.state.cache = Redis.from_url(os.environ['REDIS_URL'])\n"
            "        yield\n\n\n"
            "app = FastAPI(lifespan=lifespan)\n\n\n@app.get('/slow')\nasync def slow() -> str:\n" + _SLOW
        ),
    },
    "uvicorn main:app --port {port}",
)
_GUNICORN = r"\[.*\] \[\d+\] \[INFO\] "
FLASK_FACTORY = App(
    {
        "requirements.txt": "flask\nflask-sqlalchemy\npsycopg\nredis\ngunicorn\n",
        "wsgi.py": "from shop import create_app\n\napp = create_app()\n",
        "shop/__init__.py": (
            "import os\nimport time\n\nfrom flask import Flask\n\nfrom .extensions import db\n\n\n"
            "def create_app():\n    app = Flask(__name__)\n"
            "    url = os.environ['DATABASE_URL'].replace('postgresql:', 'postgresql+psycopg:')\n"
            "    app.config['SQLALCHEMY_DATABASE_URI'] = url\n    db.init_app(app)\n\n"
            "    @app.route('/slow')\n    def slow():\n        time.sleep(1)\n        app.logger.info('slow')\n"
            "        return 'done'\n\n    return app\n"
        ),
        "shop/extensions.py": (
            "import os\n\nimport redis\nfrom flask_sqlalchemy import SQLAlchemy\n\ndb = SQLAlchemy()\n"
            "cache = redis.Redis.from_url(os.environ['REDIS_URL'])\n"
        ),
    },
    "gunicorn wsgi:app --bind 127.0.0.1:{port}",
    plain=_GUNICORN,
)
# The classic circle: the module with the engine imports the module with the application.
FLASK_CIRCLE = App(
    {
        "requirements.txt": "flask\nsqlalchemy\npsycopg\nredis\ngunicorn\n",
        "shop/__init__.py": (
            "from flask import Flask\nimport os\nfrom redis import Redis\n\napp = Flask(__name__)\n"
            "cache = Redis.from_url(os.environ['REDIS_URL'])\n\nfrom shop import views  # noqa\n"
        ),
        "shop/views.py": (
            "import time\n\nfrom shop import app\nfrom shop.models import engine\n\n\n"
            "@app.route('/slow')\ndef slow():\n"
            "    time.sleep(1)\n    app.logger.info('slow')\n    return 'done'\n"
        ),
        "shop/models.py": (
            "import os\n\nfrom sqlalchemy import create_engine\n\nfrom shop import app\n\n"
            "app.config['URL'] = os.environ['DATABASE_URL'].replace('postgresql:', 'postgresql+psycopg:')\n"
            "engine = create_engine(app.config['URL'])\n"
        ),
    },
    "gunicorn shop:app --bind 127.0.0.1:{port}",
    plain=_GUNICORN,
)
DJANGO = App(
    {
        "requirements.txt": "django\npsycopg\nredis\ngunicorn\n",
        "manage.py": (
            "import os\nimport sys\n\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'config.settings')\n\n"
            "if __name__ == '__main__':\n    from django.core.management import execute_from_command_line\n\n"
            "    execute_from_command_line(sys.argv)\n"
        ),
        "config/__init__.py": "",
        "config/settings.py": (
            "import os\nfrom urllib.parse import urlsplit\n\nSECRET_KEY = os.environ.get('SECRET_KEY', 'x')\n"
            "ALLOWED_HOSTS = ['*']\nINSTALLED_APPS = []\nMIDDLEWARE = [\n"
            "    'django.middleware.common.CommonMiddleware',\n]\nROOT_URLCONF = 'config.urls'\n"
            "WSGI_APPLICATION = 'config.wsgi.application'\nurl = urlsplit(os.environ['DATABASE_URL'])\n"
            "DATABASES = {'default': {'ENGINE': 'django.db.backends.postgresql', 'NAME': url.path[1:],\n"
            "                         'USER': url.username, 'HOST': url.hostname, 'PORT': url.port}}\n"
            "CACHES = {'default': {'BACKEND': 'django.core.cache.backends.redis.RedisCache',\n"
            "                      'LOCATION': os.environ['REDIS_URL']}}\n"
        ),
        "config/urls.py": (
            "from django.http import HttpResponse\nfrom django.urls import path\nimport logging\nimport time\n\n\n"
            "def slow(request):\n    time.sleep(1)\n    logging.getLogger(__name__).info('slow')\n"
            "    return HttpResponse('done')\n\n\nurlpatterns = [path('slow', slow)]\n"
        ),
        "config/wsgi.py": (
            "import os\n\nfrom django.core.wsgi import get_wsgi_application\n\n"
            "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'config.settings')\napplication = get_wsgi_application()\n"
        ),
    },
    "gunicorn config.wsgi:application --bind 127.0.0.1:{port}",
    plain=_GUNICORN,
    route="slow",
)
PYTHON = {
    "fastapi-async": FASTAPI_ASYNC,
    "fastapi-factory": FASTAPI_FACTORY,
    "fastapi-own-connections": FASTAPI_OWN,
    "flask-factory": FLASK_FACTORY,
    "flask-circle": FLASK_CIRCLE,
    "django": DJANGO,
}

# CommonJS without semicolons; the database in the entry, the cache a default export.
EXPRESS_COMMONJS = App(
    {
        "package.json": (
            '{"name": "shop", "scripts": {"start": "node src/server.js"}, '
            '"dependencies": {"express": "5", "pg": "8", "ioredis": "6"}}'
        ),
        "src/server.js": (
            "'use strict'\nconst express = require('express')\nconst { Pool } = require('pg')\n"
            "const redis = require('./cache')\n\nconst app = express()\n"
            "const pool = new Pool({ connectionString: process.env.DATABASE_URL })\npool.on('error', () => {})\n\n"
            "app.get('/slow', (request, response) => {\n  setTimeout(() => {\n    console.log('slow')\n"
            "    response.send('done')\n  }, 1000)\n})\n\napp.listen(process.env.PORT || 3000, () => {\n"
            "  console.log(`up`)\n})\n"
        ),
        "src/cache.js": (
            "const Redis = require('ioredis')\n\nconst redis = new Redis(process.env.REDIS_URL)\n"
            "redis.on('error', () => {})\nmodule.exports = redis\n"
        ),
    },
    "node src/server.js",
)
# TypeScript with .js in its imports, a factory in one file and the server in another, own connections.
EXPRESS_TYPESCRIPT = App(
    {
        "package.json": (
            '{"name": "shop", "type": "module", "scripts": {"build": "tsc", "start": "node dist/server.js"}, '
            '"dependencies": {"express": "5", "pg": "8", "redis": "6"}, "devDependencies": {"typescript": "5"}}'
        ),
        "tsconfig.json": (
            '{"compilerOptions": {"module": "nodenext", "target": "es2022", "outDir": "dist", "rootDir": "src", '
            '"strict": true, "noUncheckedIndexedAccess": true, "skipLibCheck": true, "types": ["node"]}, '
            '"include": ["src"]}'
        ),
        "src/app.ts": (
            'import express, { type Express } from "express";\n\nexport function createApp(): Express {\n'
            "    const app = express();\n"
            '    app.get("/slow", async (_request, response) => {\n'
            "        await new Promise((resolve) => setTimeout(resolve, 1000));\n"
            '        console.log("slow");\n        response.send("done");\n    });\n    return app;\n}\n'
        ),
        "src/server.ts": (
            'import { createServer } from "node:http";\nimport { createApp } from "./app.js";\n\n'
            "const server = createServer(createApp());\nserver.listen(Number(process.env.PORT));\n"
        ),
        "src/users.ts": "export const urls = [process.env.DATABASE_URL, process.env.REDIS_URL];\n",
    },
    "node dist/server.js",
    build="node node_modules/typescript/bin/tsc",
)
NEST = App(
    {
        "package.json": (
            '{"name": "shop", "scripts": {"build": "tsc", "start:prod": "node dist/main"}, "dependencies": '
            '{"@nestjs/core": "12", "@nestjs/common": "12", "@nestjs/platform-express": "12", "pg": "8", '
            '"ioredis": "6"}, "devDependencies": {"typescript": "5"}}'
        ),
        "tsconfig.json": (
            '{"compilerOptions": {"module": "commonjs", "target": "es2022", "outDir": "dist", "rootDir": "src", '
            '"experimentalDecorators": true, "emitDecoratorMetadata": true, "strict": true, "skipLibCheck": true, '
            '"esModuleInterop": true, "moduleResolution": "node10"}, "include": ["src"]}'
        ),
        "src/main.ts": (
            "import { NestFactory } from '@nestjs/core';\nimport { AppModule } from './app.module';\n\n"
            "async function bootstrap() {\n  const app = await NestFactory.create(AppModule);\n"
            "  await app.listen(process.env.PORT ?? 3000);\n}\nbootstrap();\n"
        ),
        "src/app.module.ts": (
            "import { Module } from '@nestjs/common';\nimport { AppController } from './app.controller';\n"
            "import { Database } from './database';\n\n"
            "@Module({\n  controllers: [\n    AppController,\n  ],\n  providers: [Database],\n})\n"
            "export class AppModule {}\n"
        ),
        "src/app.controller.ts": (
            "import { Controller, Get, Logger } from '@nestjs/common';\nimport { pool } from './database';\n\n"
            "@Controller()\nexport class AppController {\n"
            "  private readonly logger = new Logger(AppController.name);\n\n  @Get('slow')\n"
            "  async slow(): Promise<string> {\n    await new Promise((resolve) => setTimeout(resolve, 1000));\n"
            "    await pool.query('SELECT 1');\n    this.logger.log('slow');\n    return 'done';\n  }\n}\n"
        ),
        "src/database.ts": (
            "import { Injectable } from '@nestjs/common';\nimport { Pool } from 'pg';\nimport { Redis } from "
            "'ioredis';\n\nexport const pool = new Pool({ connectionString: process.env.DATABASE_URL });\n"
            "pool.on('error', () => {});\nexport const redis = new Redis(process.env.REDIS_URL as string);\n"
            "redis.on('error', () => {});\n\n@Injectable()\nexport class Database {}\n"
        ),
    },
    "node dist/main.js",
    build="node node_modules/typescript/bin/tsc",
)
NEXT = App(
    {
        "package.json": (
            '{"name": "shop", "scripts": {"build": "next build", "start": "next start"}, "dependencies": '
            '{"next": "16.4.6", "react": "19", "react-dom": "19", "pg": "8", "ioredis": "6"}}'
        ),
        "tsconfig.json": (
            '{"compilerOptions": {"target": "ES2022", "lib": ["dom", "esnext"], "strict": true, "noEmit": true, '
            '"module": "esnext", "moduleResolution": "bundler", "esModuleInterop": true, "skipLibCheck": true, '
            '"jsx": "react-jsx", "allowJs": true, "incremental": true, "isolatedModules": true, '
            '"resolveJsonModule": true}, "include": ["**/*.ts", "**/*.tsx"], "exclude": ["node_modules"]}'
        ),
        "src/app/layout.tsx": (
            'import type { ReactNode } from "react";\n\nexport default function Layout(p: { children: ReactNode }) {\n'
            '  return (\n    <html lang="en">\n      <body>{p.children}</body>\n    </html>\n  );\n}\n'
        ),
        "src/app/page.tsx": "export default function Page() {\n  return <p>It's a shop</p>;\n}\n",
        "src/app/slow/route.ts": (
            'export const dynamic = "force-dynamic";\n\nexport async function GET() {\n'
            "  await new Promise((resolve) => setTimeout(resolve, 1000));\n"
            '  console.log("slow");\n  return new Response("done");\n}\n'
        ),
        "src/lib/clients.ts": (
            'import { Redis } from "ioredis";\nimport { Pool } from "pg";\n\n'
            'const pool = new Pool({ connectionString: process.env.DATABASE_URL });\npool.on("error", () => {});\n'
            'const redis = new Redis(process.env.REDIS_URL ?? "", { lazyConnect: true });\n'
            'redis.on("error", () => {});\nexport { pool, redis };\n'
        ),
    },
    "node node_modules/next/dist/bin/next start -p {port}",
    build="node node_modules/next/dist/bin/next build",
    plain=r"(▲|-|✓| ✓|\s*$)",
    route="",
)
NODE = {"express-commonjs": EXPRESS_COMMONJS, "express-typescript": EXPRESS_TYPESCRIPT, "nest": NEST, "next": NEXT}
