"""Model tests that went wrong by themselves are told to those who committed them, and to the owner."""

import subprocess
from email import message_from_bytes, policy

import pytest

import notify
from contracts.verdict import Fault
from settings.schema import Mail
from testkit.registries import open_registry, promotable

FILE = "models/m/tests/test_own.py"
FAULT = Fault(file=FILE, name="test_it", error="KeyError: 'x' (test_own.py, line 2)")


def git(folder, *arguments, author="Ada", address="ada@example.com", committer=None):
    identity = ["-c", f"user.name={author}", "-c", f"user.email={committer or address}", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """With a test file that two people committed, one of them by a service that merges, and a file of somebody else."""
    folder = tmp_path / "checkout"
    (folder / FILE).parent.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    monkeypatch.chdir(folder)
    for text, author, address, committer in (
        ("1", "Ada", "ada@example.com", "noreply@example.com"),
        ("2", "Bob", "bob@example.com", "Owner@example.com"),
    ):
        (folder / FILE).write_text(text)
        git(folder, "add", ".")
        author_of = f"--author={author} <{address}>"
        git(folder, "commit", "-q", "-m", f"Test {text}", author_of, author=author, committer=committer)
    (folder / "other").write_text("x")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "Other", author="Eve", address="eve@example.com")
    return folder


def told(tmp_path, kind="tests_broken", **about):
    """The mail about version 1, which is a candidate."""
    registry = open_registry(tmp_path)
    promotable(registry, tmp_path)
    mail = Mail(owner="owner@example.com", outbox=str(tmp_path / "outbox"))
    run = notify.Run(**({"test_files": [FILE], "faults": [FAULT]} | about))
    place = notify.tell(mail, str(tmp_path / "registry"), registry.model, kind, 1, "", pytest.fail, run)
    with open(place, "rb") as file:
        return message_from_bytes(file.read(), policy=policy.default)


def test_mail_goes_to_who_wrote_and_committed_the_test_and_to_the_owner(tmp_path, checkout):
    mail = told(tmp_path, why="models/m/tests/test_own.py changed")
    assert mail["To"] == "owner@example.com"
    assert mail["Cc"] == "bob@example.com, ada@example.com"
    text = mail.get_body(("plain",)).get_content()
    assert mail["Subject"] == "chest-xray 1: broken model tests"
    assert "stays what it was: tested, and not promoted yet" in " ".join(text.split())
    assert f"{FILE}::test_it: KeyError: 'x'" in text
    assert "Why      models/m/tests/test_own.py changed" in text
    commits = [line for line in text.splitlines() if "Test " in line and line.startswith("  ")]
    assert [line.split(" ", 3)[3] for line in commits] == ["Test 2 (Bob)", "Test 1 (Ada)"]
    assert "Accuracy" not in text
    assert "Test 2" in mail.get_body(("html",)).get_content()


def revision(*arguments):
    return subprocess.run(["git", *arguments], capture_output=True, text=True).stdout.strip()


def test_only_commits_since_the_last_run_are_listed_with_a_verdict(tmp_path, checkout):
    first = revision("rev-list", "--max-parents=0", "HEAD")
    text = told(tmp_path, kind="candidate_passed", since=first).get_body(("plain",)).get_content()
    assert "Test 2" in text and "Test 1" not in text


def test_who_broke_a_test_long_ago_is_told_all_the_same(tmp_path, checkout):
    assert told(tmp_path, since=revision("rev-parse", "HEAD"))["Cc"] == "bob@example.com, ada@example.com"


@pytest.mark.parametrize("where", ["no repository", "no git", "never committed"])
def test_without_git_the_owner_alone_is_told(tmp_path, checkout, monkeypatch, where):
    if where == "no repository":
        monkeypatch.chdir(tmp_path)
    elif where == "no git":
        monkeypatch.setenv("PATH", str(tmp_path))
    files = ["models/m/tests/test_new.py"] if where == "never committed" else [FILE]
    mail = told(tmp_path, test_files=files)
    assert (mail["To"], mail["Cc"]) == ("owner@example.com", None)


def test_mail_about_a_verdict_goes_to_the_owner_and_lists_the_commits_of_the_tests(tmp_path, checkout):
    mail = told(tmp_path, kind="candidate_passed", why="the tests changed")
    text = mail.get_body(("plain",)).get_content()
    assert mail["Cc"] is None
    assert "Why      the tests changed" in text
    assert "Commits of the model tests:" in text and "Test 2 (Bob)" in text


@pytest.mark.parametrize("address", ["x@y, z@w", "x y@z", "x@", "x\u00fc@example.com", "a@b\nTo: c@d"])
def test_address_that_nothing_can_be_sent_to_is_left_out(tmp_path, checkout, address):
    (checkout / FILE).write_text("3")
    git(checkout, "add", ".")
    try:
        git(checkout, "commit", "-q", "-m", "Test 3", f"--author=Eve <{address}>", committer="ada@example.com")
    except subprocess.CalledProcessError:
        pytest.skip("Git does not take it")
    assert told(tmp_path)["Cc"] == "ada@example.com, bob@example.com"
