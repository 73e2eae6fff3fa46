"""One class has one name, in whatever form of Unicode that was written."""

import unicodedata

from contracts.classes import alike, name_among, named_as, same_classes

COMPOSED, APART = (unicodedata.normalize(form, "Écho") for form in ("NFC", "NFD"))


def test_both_forms_are_the_same_class_in_any_order():
    assert COMPOSED != APART
    assert same_classes([COMPOSED, "Zebra"], ["Zebra", APART])
    assert not same_classes([COMPOSED, "Zebra"], [APART])
    assert not same_classes(["Echo"], [APART])


def test_values_are_called_as_the_labels_call_their_class():
    assert named_as({COMPOSED: 1, "Zebra": 2, "other": 3}, ["Zebra", APART]) == {APART: 1, "Zebra": 2, "other": 3}
    assert name_among(APART, [COMPOSED]) == COMPOSED
    assert name_among("other", [COMPOSED]) == "other"


def test_alike_are_names_that_differ_in_capitals_spaces_and_dashes_alone():
    assert alike(["Cat", "cat", "dog"]) == [["Cat", "cat"]]
    assert alike(["Viral Pneumonia", "viral_pneumonia", "Viral  pneumonia "]) == [
        ["Viral  pneumonia ", "Viral Pneumonia", "viral_pneumonia"]
    ]
    # Which may be meant so.
    assert alike(["1", "-1", "1.5", "15", "C", "C++", "Normal", "Abnormal"]) == []
