"""What counts as a change, in real Git repositories."""

import os
import subprocess

import pytest

from cli import InfrastructureError, UsageError
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


@pytest.mark.parametrize("revision", ["no-such-branch", "HAED~1", "--output=x", "HEAD^{tree}", "null"])
def test_unknown_base_is_no_base(repository, revision):
    found = changes.since(repository, revision)
    assert (found.base, found.unknown) == (None, True)
    assert "unknown" in found.why


@pytest.mark.parametrize("environment", [{}, {"CI": "", "JENKINS_URL": ""}])
def test_unknown_base_is_a_mistake_of_whoever_typed_it(repository, environment):
    found = changes.since(repository, "HAED~1")
    with pytest.raises(UsageError, match=r"^Revision 'HAED~1' is unknown here; .*--or-everything"):
        changes.must_be_known(found, "HAED~1", False, environment)


@pytest.mark.parametrize(
    ("said", "environment"), [(True, {}), (False, {"CI": "true"}), (False, {"JENKINS_URL": "https://ci.example"})]
)
def test_unknown_base_stands_for_everything_where_nobody_can_correct_it(repository, said, environment):
    changes.must_be_known(changes.since(repository, "HAED~1"), "HAED~1", said, environment)


@pytest.mark.parametrize("revision", ["", "0" * 40, "0" * 64])
def test_first_build_has_no_base_and_is_no_mistake(repository, revision):
    found = changes.since(repository, revision)
    assert (found.base, found.unknown) == (None, False)
    assert "first build" in found.why
    changes.must_be_known(found, revision, False, {})


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


@pytest.fixture
def gone_on(repository):
    """A branch `topic` is checked out, and `main` has gone on since it was made."""
    git(repository, "checkout", "-qb", "topic")
    (repository / "README.md").write_text("Edited on the branch.\n")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "on the branch")
    git(repository, "checkout", "-q", "main")
    (repository / "kept.py").write_text("kept = 'on main'\n")
    git(repository, "commit", "-qam", "on main")
    git(repository, "checkout", "-q", "topic")
    return repository


@pytest.mark.parametrize("name", ["main", "origin/main", "refs/heads/main"])
def test_branch_stands_for_the_commit_at_which_head_left_it(gone_on, name):
    git(gone_on, "update-ref", "refs/remotes/origin/main", "main")
    found = changes.since(gone_on, name)
    assert (found.base, found.files) == (git(gone_on, "rev-parse", "topic~1"), ["README.md"])


def test_branch_of_another_history_is_compared_as_it_is(repository):
    git(repository, "checkout", "-q", "--orphan", "elsewhere")
    (repository / "kept.py").write_text("kept = 'elsewhere'\n")
    git(repository, "commit", "-qam", "of its own")
    found = changes.since(repository, "main")
    assert (found.base, found.files) == (git(repository, "rev-parse", "main"), ["kept.py"])


@pytest.mark.parametrize("way", ["hash", "tag"])
def test_commit_is_compared_tree_with_tree_though_head_does_not_descend_from_it(gone_on, way):
    revision = git(gone_on, "rev-parse", "main")
    if way == "tag":
        git(gone_on, "tag", "-a", "-m", "green", "green", "main")
        revision = "green"
    found = changes.since(gone_on, revision)
    assert (found.base, found.files) == (git(gone_on, "rev-parse", "main"), ["README.md", "kept.py"])


def test_earlier_local_merge_as_of_a_pull_request_is_compared_as_it_is(gone_on):
    """Jenkins merges a pull request anew for every build; the merge of the one before is no ancestor."""
    git(gone_on, "checkout", "-q", "--detach", "main")
    git(gone_on, "merge", "-q", "--no-ff", "-m", "build 1", "topic")
    before = git(gone_on, "rev-parse", "HEAD")
    git(gone_on, "checkout", "-q", "topic")
    (gone_on / "README.md").write_text("Edited again.\n")
    git(gone_on, "commit", "-qam", "more")
    git(gone_on, "checkout", "-q", "--detach", "main")
    git(gone_on, "merge", "-q", "--no-ff", "-m", "build 2", "topic")
    assert changes.since(gone_on, before).files == ["README.md"]


def test_commit_that_was_pushed_away_counts_what_was_taken_back(repository):
    (repository / "kept.py").write_text("kept = 'pushed away'\n")
    git(repository, "commit", "-qam", "pushed away")
    gone = git(repository, "rev-parse", "HEAD")
    git(repository, "reset", "-q", "--hard", "HEAD~1")
    assert changes.since(repository, gone).files == ["kept.py"]


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


def test_checkout_of_somebody_else_is_told_with_the_way_out(repository, monkeypatch):
    # What Git itself takes for "owned by another user" in its tests.
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    with pytest.raises(UsageError) as caught:
        changes.repository_root(repository)
    assert str(caught.value).endswith(f"`git config --global --add safe.directory {repository}`.")


def test_machine_without_git_is_told_in_one_sentence(repository, monkeypatch):
    monkeypatch.setenv("PATH", str(repository))
    with pytest.raises(InfrastructureError, match=r"^The command `git` is not installed; install it"):
        changes.repository_root(repository)


def test_file_name_that_is_no_utf8_counts(repository):
    (repository / os.fsdecode(b"caf\xe9.py")).write_text("")
    assert changes.since(repository, "HEAD").present == (os.fsdecode(b"caf\xe9.py"),)


def test_working_tree_is_clean_until_something_differs(repository):
    assert changes.is_clean(repository)
    (repository / "new.py").write_text("")
    assert not changes.is_clean(repository)


def test_content_of_a_commit_is_read_whatever_stands_in_the_working_tree(repository):
    (repository / "kept.py").write_text("kept = 2\n")
    found = changes.content(repository, "HEAD", ["kept.py", "missing"], lambda path: path.endswith("kept.py"))
    assert found == {"kept.py": "kept = 1\n" * 20}


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
