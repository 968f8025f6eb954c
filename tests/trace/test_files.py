"""What the trace makes on the disk is its owner's alone, whoever's shell it was made from."""

import os
import stat

import pytest

from delivcheck.trace import files, tokens
from delivcheck.trace.store import Store

NOBODY = 65_534


def owned(path):
    found = path.lstat()
    return stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid


def test_new_files_are_for_their_owner_only_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        store = Store(f"sqlite:///{tmp_path / 'trace.sqlite'}")
        store.migrate()
        tokens.load(tmp_path / "tokens.key", make=True)
        assert {one.name for one in tmp_path.iterdir()} >= {"trace.sqlite", "trace.sqlite-wal", "tokens.key"}
        assert {stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()} == {0o600}
        store.close()
    finally:
        os.umask(before)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make what belongs to somebody else")
def test_what_root_makes_before_the_gates_first_start_belongs_to_the_gate(tmp_path):
    os.chown(tmp_path, NOBODY, NOBODY)
    store = Store(f"sqlite:///{tmp_path / 'trace.sqlite'}")
    store.migrate()
    tokens.load(tmp_path / "tokens.key", make=True)
    assert {owned(one) for one in tmp_path.iterdir()} == {(0o600, NOBODY, NOBODY)}
    store.close()


@pytest.mark.parametrize("target", ["there", "dangling"])
def test_a_link_that_somebody_put_there_is_not_followed(tmp_path, target):
    (tmp_path / "there").write_text("mine")
    (tmp_path / "new").symlink_to(tmp_path / target)
    with pytest.raises(FileExistsError):
        files.made(tmp_path / "new")
    assert (tmp_path / "there").read_text() == "mine"
    assert not (tmp_path / "dangling").exists()
