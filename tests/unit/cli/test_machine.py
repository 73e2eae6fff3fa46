import os
from pathlib import Path

import pytest

from cli.machine import memory, processors, room


def group(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(content + "\n")
    return folder


@pytest.fixture(autouse=True)
def _many_processors(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)


def test_processors_follow_the_quota_of_a_container_on_a_large_host(tmp_path):
    nothing = tmp_path / "none"
    assert processors(nothing, nothing) == 64
    assert processors(group(tmp_path / "two", cpu__max="200000 100000"), nothing) == 2
    assert processors(group(tmp_path / "part", cpu__max="150000 100000"), nothing) == 2
    assert processors(group(tmp_path / "little", cpu__max="10000 100000"), nothing) == 1
    assert processors(group(tmp_path / "free", cpu__max="max 100000"), nothing) == 64


def test_processors_follow_quotas_of_version_1(tmp_path):
    cpu = group(tmp_path / "cpu", cpu__cfs_quota_us="300000", cpu__cfs_period_us="100000")
    assert processors(cpu.parent, tmp_path / "none") == 3
    group(cpu, cpu__cfs_quota_us="-1")
    assert processors(cpu.parent, tmp_path / "none") == 64


def test_narrowest_group_around_the_process_counts(tmp_path):
    own = tmp_path / "own"
    own.write_text("0::/outer/inner\n")
    group(tmp_path / "groups" / "outer", cpu__max="400000 100000", memory__max="3000000")
    group(tmp_path / "groups" / "outer" / "inner", cpu__max="max 100000", memory__max="5000000")
    assert processors(tmp_path / "groups", own) == 4
    assert memory(tmp_path / "groups", own) == 3000000


def test_memory_is_the_machines_where_no_container_limits_it(tmp_path):
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert memory(tmp_path, tmp_path / "none") == physical
    assert memory(group(tmp_path / "v2", memory__max="max"), tmp_path / "none") == physical
    limited = group(tmp_path / "v1" / "memory", memory__limit_in_bytes="4294967296")
    assert memory(limited.parent, tmp_path / "none") == min(4 << 30, physical)
    group(limited, memory__limit_in_bytes="9223372036854771712")
    assert memory(limited.parent, tmp_path / "none") == physical


def test_what_takes_more_than_there_is_room_for_fails_with_an_error_and_only_within(tmp_path):
    with room(64 << 20), pytest.raises(MemoryError):
        bytearray(1 << 30)
    assert len(bytearray(1 << 30)) == 1 << 30
    with room(0, status=tmp_path / "no such file"):  # nobody tells how much is held
        assert len(bytearray(64 << 20)) == 64 << 20
