"""What counts as a change, in real Git repositories."""

import os
import subprocess

import pytest

from cli import UsageError
from pipeline import changes


def git(folder, *arguments):
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
    result = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return result.stdout.strip()


@pytest.fixture
def repository(tmp_path):
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    (root / "kept.py").write_text("kept = 1\n" * 20)
    (root / "old name.py").write_text("renamed = 1\n" * 20)
    git(root, "add", "-A")
    git(root, "commit", "-qm", "first")
    return root


def test_nothing_changed(repository):
    found = changes.since(repository, "HEAD")
    assert found.base == git(repository, "rev-parse", "HEAD")
    assert found.files == []


def test_rename_counts_under_both_names(repository):
    git(repository, "mv", "old name.py", "new.py")
    git(repository, "commit", "-qm", "renamed")
    found = changes.since(repository, "HEAD~1")
    assert found.present == ("new.py",)
    assert found.deleted == ("old name.py",)


def test_uncommitted_and_untracked_files_count(repository):
    (repository / "kept.py").write_text("kept = 2\n")
    (repository / "brand new.py").write_text("")
    (repository / "old name.py").unlink()
    found = changes.since(repository, "HEAD")
    assert found.present == ("brand new.py", "kept.py")
    assert found.deleted == ("old name.py",)


def test_change_of_mode_counts(repository):
    (repository / "kept.py").chmod(0o755)
    assert changes.since(repository, "HEAD").present == ("kept.py",)


def test_several_commits_add_up(repository):
    for name in ("a.py", "b.py"):
        (repository / name).write_text(name)
        git(repository, "add", "-A")
        git(repository, "commit", "-qm", name)
    assert changes.since(repository, "HEAD~2").present == ("a.py", "b.py")


@pytest.mark.parametrize("revision", ["no-such-branch", "0" * 40, "--output=x", "HEAD^{tree}", "null"])
def test_unknown_base_is_no_base(repository, revision):
    found = changes.since(repository, revision)
    assert found.base is None
    assert "unknown" in found.why


def test_first_build_has_no_base(repository):
    found = changes.since(repository, "")
    assert found.base is None
    assert "first build" in found.why


def test_base_whose_files_are_missing_is_no_base(repository):
    base = git(repository, "rev-parse", "HEAD")
    tree = git(repository, "rev-parse", "HEAD^{tree}")
    (repository / "kept.py").write_text("kept = 2\n")
    git(repository, "commit", "-qam", "second")
    # As in a clone that fetches trees on demand, from a remote that is out of reach.
    (repository / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
    found = changes.since(repository, base)
    assert found.base is None
    assert "can't be read" in found.why


def test_base_that_is_no_ancestor_is_no_base(repository):
    git(repository, "checkout", "-qb", "other")
    git(repository, "commit", "-qm", "elsewhere", "--allow-empty")
    git(repository, "checkout", "-q", "main")
    git(repository, "commit", "-qm", "here", "--allow-empty")
    found = changes.since(repository, "other")
    assert found.base is None
    assert "not an ancestor" in found.why


def test_base_beyond_the_edge_of_a_shallow_clone_is_no_base(repository, tmp_path):
    first = git(repository, "rev-parse", "HEAD")
    git(repository, "commit", "-qm", "second", "--allow-empty")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--depth", "1", repository.as_uri(), str(clone))
    found = changes.since(clone, first)
    assert found.base is None
    assert "shallow" in found.why


def test_folder_outside_a_repository_is_refused(tmp_path):
    with pytest.raises(UsageError, match="not in a Git checkout"):
        changes.repository_root(tmp_path)


def test_file_name_that_is_no_utf8_counts(repository):
    (repository / os.fsdecode(b"caf\xe9.py")).write_text("")
    assert changes.since(repository, "HEAD").present == (os.fsdecode(b"caf\xe9.py"),)


def test_state_follows_every_change_of_the_working_tree(repository):
    seen = {changes.state_of(repository)}
    (repository / "kept.py").write_text("kept = 3\n")
    seen.add(changes.state_of(repository))
    (repository / "new.py").write_text("1")
    seen.add(changes.state_of(repository))
    (repository / "new.py").write_text("2")
    seen.add(changes.state_of(repository))
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "all")
    seen.add(changes.state_of(repository))
    assert len(seen) == 5
    assert changes.state_of(repository) in seen
