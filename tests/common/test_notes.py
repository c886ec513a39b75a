"""Notes on many items become one line a kind."""

from ecg_generator_with_train_src.common.notes import note_lines, shorten


def test_each_kind_of_note_is_one_line_with_the_names_it_is_about():
    notes = [("b", "cut"), ("a", "turned"), ("a", "cut"), ("b", "cut")]
    assert list(note_lines(notes, "pages")) == ["2 pages: cut: a; b", "1 pages: turned: a"]
    assert list(note_lines([], "pages")) == []


def test_many_names_are_shortened():
    assert shorten([*"abcdefghij"]) == "a; b; c; d; e; f; g; h; i; j"
    assert shorten([*"abcdefghijkl"]) == "a; b; c; d; e; f; g; h; i; j and 2 more"
