import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SPEC = importlib.util.spec_from_file_location("mutations", ROOT / "tools" / "mutations.py")
mutations = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(mutations)


@pytest.mark.parametrize(("name", "entry"), mutations.mutations().items())
def test_a_mutation_still_finds_what_it_changes_and_who_notices(name, entry):
    text = (ROOT / "gated_pixelcnn" / entry["file"]).read_text()
    assert entry["old"] in text and text.replace(entry["old"], entry["new"]) != text
    assert entry["caught_by"]
    for test in entry["caught_by"]:
        path, _, function = test.partition("::")
        assert f"def {function.split('[')[0]}(" in (ROOT / path).read_text()


def test_a_mutation_is_tried_on_all_of_the_package(tmp_path):
    mutations.copy_project(tmp_path)
    for folder in ("gated_pixelcnn", "tests", "benchmarks", "tools"):
        wanted = {path.relative_to(ROOT) for path in (ROOT / folder).rglob("*.py")}
        assert wanted == {path.relative_to(tmp_path) for path in (tmp_path / folder).rglob("*.py")}
