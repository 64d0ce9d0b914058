"""Child processes that answer, print, die and hang; and the processors that a container leaves."""

import json
import os
import queue
import signal
import subprocess
import sys

import pytest

from striate.core import processes
from striate.core.processes import Child, cpu_count


@pytest.fixture
def start():
    """A child of tests/core/children.py, and the queue of its messages."""
    children = []

    def make(kind):
        inbox = queue.SimpleQueue()
        children.append(Child("tests.core.children", kind, hear=inbox.put))
        return children[-1], inbox

    yield make
    for child in children:
        child.kill()


def test_each_message_is_answered_whatever_is_printed(start):
    child, inbox = start("echo")
    for n in range(3):
        child.send({"n": n})
    assert [inbox.get(timeout=60) for _ in range(3)] == [{"n": 0}, {"n": 1}, {"n": 2}]
    child.send({"n": "last"})
    child.end(60)  # after what was sent
    assert [inbox.get(timeout=1), inbox.get(timeout=1)] == [{"n": "last"}, None]
    assert (child.exit_code(), child.has_ended()) == (0, True)


@pytest.mark.parametrize("kind", ["torn", "rubbish"])
def test_what_is_no_whole_message_is_the_end(start, kind):
    child, inbox = start(kind)
    assert inbox.get(timeout=60) is None
    child.end(0)
    assert child.has_ended()


def test_a_child_that_fails_leaves_its_last_words(start):
    child, inbox = start("fails")
    assert [inbox.get(timeout=60), inbox.get(timeout=60)] == [{"is": "first"}, None]
    assert child.how_it_ended() == "ended with code 1 (no torch here)"
    child.send({"to": "nobody"})
    child.end(0)


def test_a_killed_child_says_by_what(start):
    child, inbox = start("mute")
    child.kill()
    assert inbox.get(timeout=60) is None
    assert child.how_it_ended() == "ended by SIGKILL"
    child.kill()  # harmless
    child.end(0)


def test_a_child_that_reads_nothing_blocks_nobody(start):
    """More is sent than a pipe holds."""
    child, _ = start("mute")
    for _ in range(100):
        child.send({"long": "x" * 10_000})
    child.end(0)
    assert child.has_ended()


def test_a_descendant_that_keeps_the_pipes_blocks_nobody(start, monkeypatch):
    monkeypatch.setattr(processes, "KILLED_SECONDS", 0.2)
    child, inbox = start("parent of a daemon")
    daemon = inbox.get(timeout=60)["daemon"]
    try:
        for _ in range(100):
            child.send({"long": "x" * 10_000})
        child.end(0)
        assert child.has_ended()
    finally:
        os.kill(daemon, signal.SIGKILL)


def test_a_child_whose_parent_is_gone_ends_quietly():
    """Its pipes break in both directions; it must neither raise nor complain at exit."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.core.children", "counts what it could send"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert json.loads(child.stdout.readline()) == {"n": 0}
    child.stdout.close()
    child.stdin.write(b'{"torn by the death of the par')
    child.stdin.close()
    assert child.stderr.read() == b"sent True\n"
    child.stderr.close()
    assert child.wait() == 0


V2 = {"proc/self/cgroup": "0::/user/app\n"}
V1 = {"proc/self/cgroup": "5:cpuset:/\n4:cpu,cpuacct:/docker/abc\n0::/\n"}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 8),
        ({**V2, "sys/fs/cgroup/user/app/cpu.max": "max 100000"}, 8),
        ({**V2, "sys/fs/cgroup/user/app/cpu.max": "200000 100000"}, 2),
        ({**V2, "sys/fs/cgroup/user/app/cpu.max": "150000 100000"}, 2),
        ({**V2, "sys/fs/cgroup/user/app/cpu.max": "5000 100000"}, 1),
        ({**V2, "sys/fs/cgroup/user/app/cpu.max": "1600000 100000"}, 8),
        ({**V2, "sys/fs/cgroup/user/app/cpu.max": "max 1", "sys/fs/cgroup/user/cpu.max": "300000 100000"}, 3),
        ({**V2, "sys/fs/cgroup/cpu.max": "400000 100000"}, 4),
        ({**V2, "sys/fs/cgroup/unified/cpu.max": "400000 100000"}, 4),
        ({**V2, "sys/fs/cgroup/cpu.max": "rubbish"}, 8),
        (
            {
                **V1,
                "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "200000\n",
                "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us": "100000\n",
            },
            2,
        ),
        (
            {**V1, "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "300000", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"},
            3,
        ),
        ({**V1, "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"}, 8),
    ],
)
def test_a_quota_limits_the_processors(tmp_path, monkeypatch, files, expected):
    monkeypatch.setattr(processes.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert cpu_count(tmp_path) == expected


def test_the_affinity_counts_where_the_system_has_one(tmp_path, monkeypatch):
    monkeypatch.setattr(processes.os, "sched_getaffinity", lambda _: {3}, raising=False)
    assert cpu_count(tmp_path) == 1
    monkeypatch.delattr(processes.os, "sched_getaffinity")
    monkeypatch.setattr(processes.os, "cpu_count", lambda: 6)
    assert cpu_count(tmp_path) == 6
