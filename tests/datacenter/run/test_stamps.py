from __future__ import annotations

from pathlib import Path

from datacenter.run.stamps import Stamp, digest_of


def test_a_changed_file_changes_the_digest(tmp_path: Path):
    pins = tmp_path / "requirements.txt"
    pins.write_text("django==5.2\n")
    before = digest_of(["1", pins])

    pins.write_text("django==5.3\n")

    assert digest_of(["1", pins]) != before


def test_a_renamed_file_in_a_folder_changes_the_digest(tmp_path: Path):
    (tmp_path / "a.css").write_text("x")
    before = digest_of([tmp_path])

    (tmp_path / "a.css").rename(tmp_path / "b.css")

    assert digest_of([tmp_path]) != before


def test_a_step_that_was_interrupted_is_not_done(tmp_path: Path):
    stamp = Stamp(tmp_path / "setup", "environment")
    stamp.set("abc")

    stamp.clear()  # the step began again, and was killed

    assert not stamp.is_set("abc")


def test_a_step_is_done_for_exactly_its_inputs(tmp_path: Path):
    stamp = Stamp(tmp_path / "setup", "environment")

    stamp.set("abc")

    assert stamp.is_set("abc")
    assert not stamp.is_set("abd")
