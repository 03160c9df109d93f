"""Classes as a user writes them."""

import pytest

from gated_pixelcnn.cli.labels import parse_labels
from gated_pixelcnn.errors import UserError


def test_labels_are_numbers_or_names():
    names = ["Shirt", "Ankle boot", "Bag"]
    assert parse_labels("2", 3, names) == [2]
    assert parse_labels("bag, 0,Ankle boot", 3, names) == [2, 0, 1]
    assert parse_labels("all", 3) == [0, 1, 2]
    with pytest.raises(UserError, match="--label: Bax is .*did you mean 'Bag'"):
        parse_labels("Bax", 3, names)


def test_numbers_that_name_other_classes_are_no_labels():
    assert parse_labels("1,10", 3, ["1", "2", "10"]) == [0, 2]
    for text in ("0", "01"):
        with pytest.raises(UserError, match="named by numbers that are not their labels: give nam"):
            parse_labels(text, 3, ["1", "2", "10"])
    assert parse_labels("2,01", 3, ["0", "1", "2"]) == [2, 1]
    for text in ("+1", "1_0", "\u0663"):
        with pytest.raises(UserError, match="is neither a number 0…2 nor the name of a class"):
            parse_labels(text, 3, ["a", "b", "c"])


@pytest.mark.parametrize("text", [None, "", ",", " , "])
def test_a_label_that_is_missing_is_one_clear_sentence(text):
    with pytest.raises(UserError, match="conditioned on the class: give --label=0…2"):
        parse_labels(text, 3)
