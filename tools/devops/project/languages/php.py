"""PHP: Laravel, Symfony and other front-controller applications, plain PHP pages."""

from __future__ import annotations

import re

from tools.devops.project.languages.language import Found, Language, Sign, from_range, present
from tools.devops.project.tree import Folder, mapping, text
from tools.devops.types import DeployUnit

_OLDEST_SUPPORTED = (8, 3)  # as of 2026-11: 8.2 ends in December 2026
_FRAMEWORKS = (
    ("laravel/framework", "laravel"),
    ("laravel/lumen-framework", "lumen"),
    ("symfony/framework-bundle", "symfony"),
    ("slim/slim", "slim"),
    ("cakephp/cakephp", "cakephp"),
    ("codeigniter4/framework", "codeigniter"),
    ("yiisoft/yii2", "yii"),
    ("laminas/laminas-mvc", "laminas"),
)


_WEB_ROOTS = ("public", "web", "htdocs", "webroot", "www")


def detect(folder: Folder) -> Found | None:
    composer = folder.json("composer.json")
    page = folder.first(*(f"{place}/index.php" for place in _WEB_ROOTS), "index.php")
    root = page.rsplit("/", 1)[0] if page and "/" in page else "."
    has_composer = folder.first("composer.json") is not None
    if not has_composer and not page:
        return None
    needed = set(mapping(composer.get("require")))
    tools = set(mapping(composer.get("require-dev")))
    names = tuple(name for package, name in _FRAMEWORKS if package in needed)
    is_wordpress = folder.first("wp-config-sample.php", "wp-login.php") is not None
    if is_wordpress:
        names = (*names, "wordpress")
    artisan, console = folder.first("artisan"), folder.first("bin/console")
    claim = text(mapping(composer.get("require")).get("php"))
    version = from_range(claim.replace("^", ">="), _OLDEST_SUPPORTED, 2) if claim else None
    serves = page is not None or artisan is not None
    start = f"php -S 0.0.0.0:$PORT -t {root}" if serves else None
    if artisan:
        start = "php artisan serve --host=0.0.0.0 --port=$PORT"
    if "laravel/octane" in needed:
        start = "php artisan octane:start --host=0.0.0.0 --port=$PORT"
    workers = []
    if artisan and (folder.has_folder("app/Jobs") or "laravel/horizon" in needed):
        horizon = "laravel/horizon" in needed
        workers.append({"name": "worker", "command": f"php artisan {'horizon' if horizon else 'queue:work'}"})
    if console and "symfony/messenger" in needed:
        workers.append({"name": "worker", "command": "php bin/console messenger:consume async"})
    cron = (
        ({"name": "scheduler", "schedule": "* * * * *", "command": "php artisan schedule:run"},)
        if (artisan and _schedules(folder))
        else ()
    )
    unit = DeployUnit(
        path=folder.path,
        name=text(composer.get("name")).rsplit("/", 1)[-1] or folder.name,
        kind="library" if start is None else "backend",
        language="php",
        version=version,
        frameworks=names,
        package_manager="composer" if has_composer else None,
        install="composer install --no-dev --optimize-autoloader --no-interaction" if has_composer else None,
        build="php artisan optimize" if artisan else None,
        start=start,
        migrate=_migrate(artisan, console, needed),
        test=_test(artisan, needed | tools),
        lint="vendor/bin/pint --test" if "laravel/pint" in tools else None,
        typecheck="vendor/bin/phpstan analyse" if tools & {"phpstan/phpstan", "larastan/larastan"} else None,
        port=8000 if start else None,
        entry=page,
        output_dir=root if start else None,
        files=present(folder, "composer.json", "composer.lock"),
        workers=tuple(workers),
        cron=cron,
    )
    notes: tuple[str, ...] = (
        (f"{folder.path}: PHP {version or 'has no exact pin'}, composer.json ({claim[:40]})",) if claim else ()
    )
    if start and "octane" not in start:
        notes += (
            f"{folder.path}: PHP's own server is for one process; production wants php-fpm or FrankenPHP on {root}/",
        )
    extensions = sorted(name.removeprefix("ext-") for name in needed if re.fullmatch(r"ext-[\w-]+", name))
    if extensions:
        notes += (f"{folder.path}: PHP extensions needed: {', '.join(extensions)}",)
    return Found(unit, Sign.APP if names else Sign.RUNS if start else Sign.TOOLING, frozenset(needed), notes)


def _schedules(folder: Folder) -> bool:
    sources = (folder.source(name) for name in ("routes/console.php", "app/Console/Kernel.php", "bootstrap/app.php"))
    return any(re.search(r"Schedule::|\$schedule->|withSchedule\(", source) for source in sources)


def _migrate(artisan: str | None, console: str | None, needed: set[str]) -> str | None:
    if artisan:
        return "php artisan migrate --force"
    if console and needed & {"doctrine/doctrine-migrations-bundle", "symfony/orm-pack"}:
        return "php bin/console doctrine:migrations:migrate --no-interaction --allow-no-migration"
    return None


def _test(artisan: str | None, packages: set[str]) -> str | None:
    if artisan:
        return "php artisan test"
    if "pestphp/pest" in packages:
        return "vendor/bin/pest"
    return "vendor/bin/phpunit" if packages & {"phpunit/phpunit", "symfony/test-pack"} else None


PHP = Language("php", detect, ("composer.json",), hints=("index.php", *(f"{place}/index.php" for place in _WEB_ROOTS)))
