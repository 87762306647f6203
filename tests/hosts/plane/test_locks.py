from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from hosts.plane.locks import Locks

ROOT = Path(__file__).resolve().parents[3]
HOLDER = (
    "import sys, time; from hosts.plane.locks import Locks\n"
    "with Locks(sys.argv[1]).attempt('vm-1') as held:\n"
    "    print(held, flush=True); time.sleep(60)\n"
)


def test_a_lock_excludes_another_thread_of_the_same_process(tmp_path: Path) -> None:
    locks = Locks(tmp_path)
    seen = []

    def attempt() -> None:
        with locks.attempt("vm-1") as held:
            seen.append(held)

    with locks.attempt("vm-1") as held:
        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()
    attempt()

    assert (held, seen) == (True, [False, True])


def test_a_lock_of_another_process_is_free_once_that_is_killed(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, cwd=ROOT)
    assert holder.stdout is not None and holder.stdout.readline() == b"True\n"
    locks = Locks(tmp_path)

    with locks.attempt("vm-1") as while_it_lives:
        pass
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    with locks.attempt("vm-1") as afterwards:
        pass

    assert (while_it_lives, afterwards) == (False, True)


def test_many_threads_through_one_lock_never_hold_it_together(tmp_path: Path) -> None:
    locks = Locks(tmp_path)
    inside, most = 0, 0

    def pass_through() -> None:
        nonlocal inside, most
        for _ in range(20):
            with locks.wait("vm-1", lambda: True) as held:
                assert held
                inside += 1
                most = max(most, inside)
                inside -= 1

    threads = [threading.Thread(target=pass_through) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert most == 1


def test_nothing_is_left_of_released_locks(tmp_path: Path) -> None:
    with Locks(tmp_path).attempt("vm-1"):
        pass

    assert list(tmp_path.iterdir()) == []
