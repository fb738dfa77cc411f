"""C#, F# and VB projects of the .NET SDK."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tools.devops.project.languages.language import Found, Language, Sign, number, present
from tools.devops.project.tree import Folder, dig, text
from tools.devops.types import DeployUnit

_TARGET = re.compile(r"<TargetFrameworks?>\s*net(?:coreapp)?(\d+\.\d+)")

_ASPIRE_HOST = re.compile(r"Aspire\.AppHost\.Sdk|Aspire\.Hosting\.AppHost|<IsAspireHost>\s*true", re.IGNORECASE)


def detect(folder: Folder) -> Found | None:
    files = [name for name in folder.names if name.endswith((".csproj", ".fsproj", ".vbproj"))]
    if not files:
        return None
    project = files[0]
    content = folder.read(project)
    name = project.rsplit(".", 1)[0]
    assembly = re.search(r"<AssemblyName>\s*([\w.-]+)\s*<", content)
    output = assembly[1] if assembly else name
    packages = set(re.findall(r"<PackageReference\s+Include=\"([\w.-]+)\"", content))
    sdk = re.search(r"<Project\s+Sdk=\"([\w.]+)", content)
    is_web = sdk is not None and sdk[1] in ("Microsoft.NET.Sdk.Web", "Microsoft.NET.Sdk.Razor")
    is_worker = sdk is not None and sdk[1] == "Microsoft.NET.Sdk.Worker"
    is_browser = sdk is not None and "BlazorWebAssembly" in sdk[1]
    is_test = "Microsoft.NET.Test.Sdk" in packages
    runs = is_web or is_worker or re.search(r"<OutputType>\s*(?:Exe|WinExe)", content) is not None
    if _ASPIRE_HOST.search(content):  # starts the other projects on a developer's machine; it is not deployed itself
        runs = False
    target = next((found for told in _settings(folder, content) if (found := _TARGET.search(told))), None)
    pinned = number(text(dig(folder.json("global.json"), "sdk", "version")), 2)
    version = target[1] if target else pinned
    start = None
    if runs and not is_test:
        start = f"dotnet out/{output}.dll" + (" --urls http://0.0.0.0:$PORT" if is_web else "")
    frameworks = tuple(
        label for label, used in (("aspnet", is_web), ("blazor", is_browser), ("worker-service", is_worker)) if used
    )
    unit = DeployUnit(
        path=folder.path,
        name=name,
        kind="frontend" if is_browser else "backend" if is_web and start else "worker" if start else "library",
        language="dotnet",
        version=version,
        frameworks=frameworks,
        package_manager="nuget",
        install="dotnet restore",
        build=f"dotnet publish {project} --configuration Release --output out",
        start=start,
        migrate="dotnet ef database update" if _uses_migrations(folder, packages) else None,
        test="dotnet test" if is_test or folder.matching("*.sln") else None,
        lint="dotnet format --verify-no-changes" if folder.first(".editorconfig") else None,
        port=8080 if is_web and start else None,
        entry=f"{output}.dll" if start else None,
        output_dir="out/wwwroot" if is_browser else "out",
        files=present(folder, *files, "packages.lock.json", "global.json", "Directory.Build.props"),
    )
    notes = (f"{folder.path}: .NET {version}, {folder.prefix}{project}",) if version else ()
    sign = Sign.APP if is_web or is_browser else Sign.RUNS if start else Sign.TOOLING
    return Found(unit, sign, frozenset(packages), notes)


def _settings(folder: Folder, content: str) -> Iterator[str]:
    """The project file, then the property files above it that MSBuild imports."""
    yield content
    for place in folder.above():
        for name in ("Directory.Build.props", "Directory.Packages.props"):
            yield place.read(name) if place.first(name) else ""


def _uses_migrations(folder: Folder, packages: set[str]) -> bool:
    return folder.has_folder("Migrations") and any(
        name.startswith("Microsoft.EntityFrameworkCore") for name in packages
    )


DOTNET = Language("dotnet", detect, ("*.csproj", "*.fsproj", "*.vbproj"))
