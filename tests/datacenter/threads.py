"""Several workers at one database at once, for tests of what conditional updates are for.

The tests' database is one of SQLite's in memory, whose threads refuse each other at once. These get a copy in a file
(the fixture `database_for_threads`), with the settings that Stowage runs with.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from django.db import connection


class Threads:
    """Runs things in threads that share the file."""

    def run(self, *acts: Callable[[], Any]) -> list[Any]:
        """What each gave, all at once; raises what any raised."""
        start = threading.Barrier(len(acts))
        results: list[Any] = [None] * len(acts)
        failures: list[BaseException] = []

        def work(number: int) -> None:
            try:
                start.wait(20)
                results[number] = acts[number]()
            except BaseException as error:  # noqa: BLE001  raised below
                failures.append(error)
            finally:
                connection.close()

        threads = [threading.Thread(target=work, args=(number,)) for number in range(len(acts))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        return results
