import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SPEC = importlib.util.spec_from_file_location("mutations", ROOT / "tools" / "mutations.py")
mutations = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(mutations)


@pytest.mark.parametrize("name", mutations.MUTATIONS)
def test_a_mutation_still_finds_the_place_that_it_changes(name):
    file, before, after = mutations.MUTATIONS[name]
    text = (ROOT / "gated_pixelcnn" / file).read_text()
    assert before in text and text.replace(before, after, 1) != text
