"""The documents tell the truth: links lead somewhere, files and options that they name exist."""

import ast
import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gated_pixelcnn.models import registry

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "BUILD_NOTES.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
FOLDERS = (ROOT, ROOT / "gated_pixelcnn")  # that names of files are relative to
of_pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@functools.cache
def text_of(page):
    return page.read_text(encoding="utf-8")


def prose(page):
    """A page without its blocks of code, in which nothing is a link or a heading."""
    text = re.sub(r"^```.*?^```", "", text_of(page), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"^    .*", "", text, flags=re.MULTILINE)


@functools.cache
def anchors(page):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)", prose(page), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


def links(page):
    """The relative links of a page: (path, anchor)."""
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if not re.match(r"[a-z]+:", target):
            path, _, anchor = target.partition("#")
            yield path, anchor


def test_every_family_has_its_place_in_the_pages_of_the_api():
    page = text_of(ROOT / "docs" / "api" / "families.md")
    for kind in registry.FAMILIES.values():
        assert f"::: {kind.__module__}.{kind.__name__}\n" in page


@of_pages
def test_every_link_and_anchor_leads_somewhere(page):
    for path, anchor in links(page):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name} links to {path}, which does not exist"
        if anchor:
            assert anchor in anchors(target), f"{page.name}: {path} has no heading #{anchor}"


def test_a_link_that_leads_nowhere_is_noticed(tmp_path):
    page = tmp_path / "page.md"
    for broken in ("[a](nowhere.md)", "[a](#no-heading)", "![a](picture.png)"):
        page.write_text(f"# A heading\n\n[fine](#a-heading) {broken}\n")
        text_of.cache_clear()
        anchors.cache_clear()
        with pytest.raises(AssertionError):
            test_every_link_and_anchor_leads_somewhere(page)


@of_pages
def test_every_module_and_test_that_is_named_exists(page):
    for name in re.findall(r"`([\w/]+/[\w/.]+\.(?:py|toml))`", prose(page)):
        assert any((folder / name).exists() for folder in FOLDERS), f"{page.name} names {name}"


def test_the_site_has_every_page():
    listed = re.findall(r"- (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    pages = [
        page.relative_to(ROOT / "docs") for page in PAGES if page.is_relative_to(ROOT / "docs")
    ]
    wanted = ["index.md", "BUILD_NOTES.md", "CONTRIBUTING.md", *map(str, pages)]
    assert sorted(listed) == sorted(wanted)


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "api").glob("*.md")), ids=lambda p: p.name)
def test_every_name_of_the_api_pages_exists(page):
    for name in re.findall(r"^::: (\S+)$", text_of(page), re.MULTILINE):
        path, names = ROOT, name.split(".")
        while names and (path / names[0]).is_dir():
            path /= names.pop(0)
        file = path / f"{names[0]}.py" if names else path
        path, names = (file, names[1:]) if file.is_file() else (path / "__init__.py", names)
        if names:
            tree = ast.parse(path.read_text())
            defined = {getattr(node, "name", None) for node in tree.body}
            imported = {a.name for node in tree.body for a in getattr(node, "names", [])}
            assert names[0] in defined | imported, f"{page.name} names {name}"
        assert path.is_file(), f"{page.name} names {name}"


# Commands

SCRIPTS = ("train.py", "evaluate.py", "sample.py", "export.py")
OF_OTHERS = {
    *("find", "jobs", "naive", "utilisation", "families", "only"),  # of tools and benchmarks
    "samples_per_plugin",  # of TensorBoard
}


@functools.cache
def options(script):
    """The options of a script, with "no" before those that can be unset."""
    command = [sys.executable, ROOT / script, "--helpfull"]
    told = subprocess.run(command, capture_output=True, text=True, cwd=ROOT).stdout
    found = re.findall(r"--(\[no\])?(\w+)", told)
    return {form + name for no, name in found for form in (("", "no") if no else ("",))}


@of_pages
def test_every_option_of_a_command_exists(page):
    text = re.sub(r"\\\n\s*", "", text_of(page))
    calls = re.findall(r"(?<![\w/])(\w+\.py)((?: +-[^`#|\n]*)+)", text)
    for script, arguments in calls:
        for name in re.findall(r"(?<!\S)--(\w+)", arguments if script in SCRIPTS else ""):
            assert name in options(script), f"{page.name}: {script} has no --{name}"


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name != "serving.md"], ids=lambda page: page.name
)
def test_every_option_that_is_named_alone_exists(page):
    """Not in serving.md, which names options of TensorFlow Serving, too."""
    known = OF_OTHERS.union(*map(options, SCRIPTS))
    for name in re.findall(r"`--(\w+)", prose(page)):
        assert name in known, f"{page.name} names --{name}"
