import pytest

from runback.tracking.write.outbox import Outbox, say_what_waits, waiting


@pytest.fixture
def outbox(tmp_path):
    outbox = Outbox(tmp_path / "run")
    outbox.open()
    return outbox


def _put_file(outbox, text):
    with outbox.putting("artifact") as folder:
        (folder / "record").mkdir()
        (folder / "record" / "note.txt").write_text(text)


def test_things_wait_in_their_order_whoever_puts_them_in(outbox):
    outbox.put("tags", {"a": "1"})
    _put_file(Outbox(outbox.folder), "b")
    Outbox(outbox.folder).put("tags", {"a": "2"})
    first, second, third = outbox.entries()
    assert (first.kind, first.content) == ("tags", {"a": "1"})
    assert (second.kind, [file.read_text() for file in second.files]) == ("artifact", ["b"])
    assert third.content == {"a": "2"}


def test_what_was_not_written_to_its_end_does_not_wait(outbox):
    def fail():
        with outbox.putting("artifact") as folder:
            (folder / "half").write_text("h")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        fail()
    with pytest.raises(TypeError):
        outbox.put("tags", {"a": object()})
    (outbox.path / ".00000000000000000001-artifact").mkdir()  # as SIGKILL leaves it
    assert outbox.entries() == []
    assert outbox.close()
    assert not outbox.path.exists()


def test_an_outbox_that_holds_something_stays(outbox, caplog):
    _put_file(outbox, "b")
    assert not outbox.close()
    assert waiting([outbox.folder, outbox.folder.parent]) == [outbox.folder]
    say_what_waits([outbox.folder])
    outbox.entries()[0].remove()
    assert outbox.close()
    say_what_waits([outbox.folder])
    assert caplog.messages == ["1 run waits to be stored whole: `runback sync` delivers it"]


def test_removing_twice_does_nothing(outbox):
    _put_file(outbox, "b")
    outbox.put("tags", {})
    for entry in outbox.entries() * 2:
        entry.remove()
    assert outbox.entries() == []


def test_a_folder_says_whose_it_is_and_one_that_is_damaged_does_not(outbox):
    assert outbox.run_id is None
    outbox.belongs_to("0123", "http://***@host")
    assert (Outbox(outbox.folder).run_id, outbox.store) == ("0123", "http://***@host")
    (outbox.folder / "run.json").write_text("[")
    assert outbox.run_id is None
