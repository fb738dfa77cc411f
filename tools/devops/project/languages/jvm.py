"""Java, Kotlin and Scala with Maven, Gradle or sbt, single and multi-module."""

from __future__ import annotations

import re

from tools.devops.project.languages.language import Found, Language, Sign, number, present, version_file
from tools.devops.project.tree import Folder
from tools.devops.types import DeployUnit

# a text in the build file -> framework, port
_FRAMEWORKS = (
    ("org.springframework.boot", "spring-boot", 8080),
    ("io.quarkus", "quarkus", 8080),
    ("io.micronaut", "micronaut", 8080),
    ("io.ktor", "ktor", 8080),
    ("io.dropwizard", "dropwizard", 8080),
    ("io.javalin", "javalin", 7070),
    ("io.helidon", "helidon", 8080),
    ("io.vertx", "vertx", 8080),
    ("com.sparkjava", "spark", 4567),
    ("com.typesafe.play", "play", 9000),
    ("org.playframework", "play", 9000),
)
_BUILD_FILES = ("pom.xml", "build.gradle", "build.gradle.kts", "build.sbt")


def detect(folder: Folder) -> Found | None:
    file = folder.first(*_BUILD_FILES)
    if file is None:
        return None
    content = folder.read(file) + folder.read("gradle/libs.versions.toml")
    inherited = "".join(
        place.read(name) for place in folder.above() if place.path != folder.path for name in _BUILD_FILES
    )
    tool = {"pom.xml": "maven", "build.sbt": "sbt"}.get(file, "gradle")
    modules = _modules(folder, tool)
    found = [(name, port) for word, name, port in _FRAMEWORKS if word in content or _applies(word, content, inherited)]
    framework, port = found[0] if found else (None, None)
    runs = framework is not None or _has_main(folder, content)
    is_parent = bool(modules) and not folder.has_folder("src/main")
    run, up = _wrapper(folder, tool)
    module = folder.path.replace("/", ":")
    tasks = _tasks(tool, run, f":{module}:" if up and tool == "gradle" else "")
    version, where = _version(folder, content, inherited)
    start, output = _start(tool, framework)
    is_app = runs and not is_parent
    unit = DeployUnit(
        path=folder.path,
        name=_name(folder, content),
        kind="library" if not is_app else "backend" if framework or _serves(folder) else "worker",
        language=_language(folder),
        version=version,
        frameworks=tuple(dict.fromkeys(name for name, _ in found)),
        package_manager=tool,
        install=tasks[0],
        build=tasks[1],
        start=start if is_app else None,
        migrate=None,
        test=tasks[2],
        lint=f"{run} checkstyle:check" if tool == "maven" and "maven-checkstyle-plugin" in content else None,
        port=port if is_app else None,
        output_dir=output,
        files=present(folder, file, "settings.gradle", "settings.gradle.kts", "gradle.properties", "mvnw", "gradlew"),
    )
    notes = (f"{folder.path}: Java {version}, {where}",) if version else ()
    sign = Sign.TOOLING if not is_app else Sign.APP if framework else Sign.RUNS
    return Found(unit, sign, frozenset(_dependencies(content)), notes)


def _applies(word: str, content: str, inherited: str) -> bool:
    """A module whose plugin or parent stands in the build file above, and that uses it."""
    short = word.rsplit(".", 1)[-1]
    return (
        word in inherited
        and re.search(rf"spring-boot-starter|{short}-(?:web|server|core|arc|http)", content) is not None
        and ("spring" not in word or "spring-boot" in content)
    )


def _modules(folder: Folder, tool: str) -> list[str]:
    if tool == "maven":
        return re.findall(r"<module>\s*([\w./-]+)\s*</module>", folder.read("pom.xml"))
    settings = folder.read("settings.gradle") + folder.read("settings.gradle.kts")
    return re.findall(r"[\"']:?([\w:.-]+)[\"']", " ".join(re.findall(r"^[ \t]*include[^\n]*", settings, re.MULTILINE)))


def _wrapper(folder: Folder, tool: str) -> tuple[str, str]:
    """How the build tool is called, and the way up to the wrapper ("" when it is here)."""
    script = {"maven": "mvnw", "gradle": "gradlew"}.get(tool)
    if script is None:
        return tool, ""
    for depth, place in enumerate(folder.above()):
        settings = place.first("settings.gradle", "settings.gradle.kts")
        if place.first(script):
            return ("../" * depth or "./") + script, "../" * depth
        if tool == "gradle" and settings and depth:
            return f"gradle -p {'../' * depth}", "../" * depth
    return ("mvn" if tool == "maven" else "gradle"), ""


def _tasks(tool: str, run: str, project: str) -> tuple[str, str, str]:
    """Install, build and test commands."""
    if tool == "maven":
        return f"{run} -B dependency:go-offline", f"{run} -B -DskipTests package", f"{run} -B verify"
    if tool == "sbt":
        return "sbt update", "sbt stage", "sbt test"
    at = f" -p {run.removesuffix('gradlew')}" if project and run.endswith("gradlew") else ""
    return f"{run}{at} {project}dependencies", f"{run}{at} {project}build -x test", f"{run}{at} {project}test"


def _start(tool: str, framework: str | None) -> tuple[str, str]:
    """The start command and the folder the build leaves its result in."""
    port = {"spring-boot": "-Dserver.port=$PORT ", "quarkus": "-Dquarkus.http.port=$PORT "}.get(framework or "", "")
    if framework == "micronaut":
        port = "-Dmicronaut.server.port=$PORT "
    if tool == "sbt":
        return "./target/universal/stage/bin/*", "target/universal/stage"
    if framework == "quarkus":
        folder = "target" if tool == "maven" else "build"
        return f"java {port}-Dquarkus.http.host=0.0.0.0 -jar {folder}/quarkus-app/quarkus-run.jar", folder
    if tool == "maven":
        return f"java {port}-jar target/*.jar", "target"
    pick = "$(ls -1 build/libs/*.jar | grep -v -e plain -e sources -e javadoc | head -n 1)"
    return f"java {port}-jar {pick}", "build/libs"


def _has_main(folder: Folder, content: str) -> bool:
    if re.search(
        r"<mainClass>|mainClass|mainClassName|id\s*\(?[\"']application[\"']|^[ \t]*application\s*$", content, re.M
    ):
        return True
    main = re.compile(r"public static void main\(|^fun main\(|extends App\b|@main def|void main\(String", re.MULTILINE)
    return any(main.search(source) for _, source in folder.sources(".java", ".kt", ".scala"))


def _serves(folder: Folder) -> bool:
    return any("HttpServer.create(" in source for _, source in folder.sources(".java", ".kt"))


def _name(folder: Folder, content: str) -> str:
    before, _, after = content.partition("<parent>")
    own = before + after.partition("</parent>")[2] if "</parent>" in after else content
    for pattern, source in (
        (r"<artifactId>([\w.-]+)</artifactId>", own),
        (r"rootProject\.name\s*=\s*[\"']([\w.-]+)[\"']", folder.read("settings.gradle")),
        (r"rootProject\.name\s*=\s*[\"']([\w.-]+)[\"']", folder.read("settings.gradle.kts")),
    ):
        if found := re.search(pattern, source):
            return found[1]
    return folder.name


def _language(folder: Folder) -> str:
    if folder.has_folder("src/main/kotlin") and not folder.has_folder("src/main/java"):
        return "kotlin"
    return "scala" if folder.first("build.sbt") or folder.has_folder("src/main/scala") else "java"


def _version(folder: Folder, content: str, inherited: str) -> tuple[str | None, str]:
    patterns = (
        r"<java\.version>\s*([\d.]+)",
        r"<maven\.compiler\.(?:release|target|source)>\s*([\d.]+)",
        r"<release>\s*(\d+)",
        r"JavaLanguageVersion\.of\((\d+)\)",
        r"(?:source|target)Compatibility\s*=\s*(?:JavaVersion\.VERSION_)?[\"']?([\d._]+)",
        r"jvmToolchain\((\d+)\)",
    )
    for source, where in ((content, "build file"), (inherited, "build file above")):
        for pattern in patterns:
            if found := re.search(pattern, source):
                return found[1].replace("_", ".").removeprefix("1."), f"{folder.path} {where}"
    if found := re.search(r"java\.runtime\.version\s*=\s*([\d.]+)", folder.read("system.properties")):
        return found[1].removeprefix("1."), f"{folder.prefix}system.properties"
    if pinned := version_file(folder, (".java-version",), ("java",)):
        return number(pinned[0], 1), pinned[1]
    sdkman = re.search(r"^java=(\d+)", folder.read(".sdkmanrc"), re.MULTILINE)
    return (sdkman[1], f"{folder.prefix}.sdkmanrc") if sdkman else (None, "")


def _dependencies(content: str) -> set[str]:
    """Artifact names, from either build language."""
    names = set(re.findall(r"<artifactId>([\w.-]+)</artifactId>", content))
    names |= {found.split(":")[1] for found in re.findall(r"[\"']([\w.-]+:[\w.-]+)(?::[^\"'\n]*)?[\"']", content)}
    return names


JVM = Language("jvm", detect, _BUILD_FILES)
