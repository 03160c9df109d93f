"""Makes pages of the site of documents that lie at the root of the repository (see mkdocs.yml)."""

import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
PAGES = {
    "README.md": "index.md",
    "BUILD_NOTES.md": "BUILD_NOTES.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
}
COPIED = ["LICENSE", "gated_pixelcnn/data/embedded/NOTICE"]  # what they link to beside docs/


def on_files(files, config):
    """Adds the pages and files."""
    for name, page in PAGES.items():
        text = re.sub(r"\]\(docs/", "](", (ROOT / name).read_text())
        for source, target in PAGES.items():
            text = re.sub(rf"\]\({re.escape(source)}", f"]({target}", text)
        files.append(File.generated(config, page, content=text))
    for name in COPIED:
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown, page, **_):
    """Turns links from docs/ to a document at the root into links to its page."""
    for name, target in PAGES.items():
        markdown = markdown.replace(f"](../{name}", f"]({target}")
    return markdown
