"""What came between two versions, in real Git repositories."""

import subprocess

import pytest

from comparison import history
from comparison.history import MOST_COMMITS
from contracts.record import Record


def git(folder, *arguments):
    identity = ["-c", "user.name=Ada Ä", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false"]
    result = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return result.stdout.strip()


@pytest.fixture
def repository(tmp_path):
    """With the commits "0" to "14", oldest first; their hashes are in the second value."""
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    hashes = []
    for n in range(15):
        git(root, "commit", "-q", "--allow-empty", "-m", f"{n}")
        hashes.append(git(root, "rev-parse", "HEAD"))
    return root, hashes


def record(version, commit=None, dataset=None):
    code = {"commit": commit}
    fields = {"model": "m", "state": "tested", "kind": "train", "created": "now", "code": code, "dataset": dataset}
    return Record.model_validate({"version": version} | fields)


def dataset(fingerprint, **classes):
    return {"uri": "x", "fingerprint": fingerprint, "images": sum(classes.values()), "classes": classes}


def test_commits_are_the_newest_first_with_hash_author_and_subject(repository):
    root, hashes = repository
    commits, more = history.between(root, hashes[2], hashes[4])
    assert [commit.subject for commit in commits] == ["4", "3"]
    assert hashes[4].startswith(commits[0].hash) and len(commits[0].hash) < 12
    assert commits[0].author == "Ada Ä"
    assert more == 0


def test_commits_beyond_the_most_are_counted(repository):
    root, hashes = repository
    commits, more = history.between(root, hashes[0], hashes[14])
    assert [commit.subject for commit in commits] == [str(n) for n in range(14, 14 - MOST_COMMITS, -1)]
    assert more == 14 - MOST_COMMITS


def test_version_without_commit_was_made_from_what_is_checked_out(repository):
    root, hashes = repository
    assert [commit.subject for commit in history.between(root, hashes[13], None)[0]] == ["14"]


def test_commit_with_changes_not_committed_counts_as_that_commit(repository):
    root, hashes = repository
    commits, _ = history.between(root, hashes[3] + "-dirty", hashes[4] + "-dirty")
    assert [commit.subject for commit in commits] == ["4"]


@pytest.mark.parametrize("subject", ["a\rb", "-- --output=x", "ü\u2028z", "\x1b[31mred"])
def test_subject_is_told_as_git_has_it(repository, subject):
    root, hashes = repository
    git(root, "commit", "-q", "--allow-empty", "--cleanup=verbatim", "-m", subject)
    assert history.between(root, hashes[14], None)[0][0].subject == subject


def test_subject_that_is_no_text_is_told_nonetheless(repository):
    root, hashes = repository
    tree = git(root, "rev-parse", "HEAD^{tree}")
    who = b"Eve \xff <eve@example.com> 0 +0000"
    raw = b"tree %s\nparent %s\nauthor %s\ncommitter %s\n\nbad \xff\n" % (
        tree.encode(), hashes[14].encode(), who, who,
    )  # fmt: skip
    write = ["git", "hash-object", "-t", "commit", "-w", "--stdin", "--literally"]
    made = subprocess.run(write, input=raw, cwd=root, capture_output=True, check=True).stdout.decode().strip()
    ((commit,), _) = history.between(root, hashes[14], made)
    assert commit.subject.startswith("bad ") and commit.author.startswith("Eve")


@pytest.mark.parametrize(
    "revision", ["main", "HEAD~1", "--output=stolen", "-n1", "0" * 40, "abc", "", None, "a" * 65, "0badcafe\n"]
)
def test_what_is_no_known_commit_gives_nothing_and_does_nothing(repository, revision):
    root, hashes = repository
    assert history.between(root, revision, hashes[14]) == ((), 0)
    if revision:
        assert history.between(root, hashes[0], revision) == ((), 0)
    assert not (root / "stolen").exists()


def test_revision_reaches_git_only_as_hex_and_after_the_end_of_options(repository, monkeypatch):
    root, _ = repository
    asked = []
    monkeypatch.setattr(history, "_git", lambda folder, *arguments: asked.append(arguments))
    history.between(root, "--output=stolen", "--output=stolen")
    assert asked == []
    history.between(root, "a" * 40, "b" * 40)
    assert all("--end-of-options" in arguments for arguments in asked) and asked


def test_place_without_git_gives_nothing(repository, tmp_path, monkeypatch):
    root, hashes = repository
    assert history.between(tmp_path, hashes[0], hashes[1]) == ((), 0)
    assert history.between(tmp_path / "missing", hashes[0], hashes[1]) == ((), 0)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert history.between(root, hashes[0], hashes[1]) == ((), 0)


def test_same_code_has_no_commits(repository):
    root, hashes = repository
    assert history.between(root, hashes[1], hashes[1]) == ((), 0)


def test_images_are_compared_by_fingerprint_and_class(repository):
    root, hashes = repository
    before = record(1, hashes[0], dataset("f", COVID=5, Normal=5))
    same = history.changed(record(2, hashes[0], dataset("f", COVID=5, Normal=5)), before, root)
    assert (same.images, same.commits) == ("same images", ())
    grown = history.changed(record(2, hashes[1], dataset("g", COVID=7, Normal=5)), before, root)
    assert grown.images == "COVID +2 (now 7)"
    assert [commit.subject for commit in grown.commits] == ["1"]


def test_nothing_is_compared_without_production_or_dataset(repository):
    root, hashes = repository
    assert history.changed(record(2, hashes[0], dataset("f", COVID=5)), None, root) is None
    found = history.changed(record(2), record(1, dataset=dataset("f", COVID=5)), root)
    assert not found
