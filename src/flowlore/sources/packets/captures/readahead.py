"""A background thread that produces the next items while the present one is processed."""

import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Iterator[T], depth: int) -> Iterator[T]:
    """`items`, produced by a thread that is at most `depth` finished items ahead. Its errors are raised here."""
    waiting: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(maxsize=depth)
    stopped = threading.Event()

    def produce() -> None:
        failure: BaseException | None = None
        try:
            for item in items:
                waiting.put((item, None))
                if stopped.is_set():
                    return
        except BaseException as error:  # handed to the consumer, whatever it is
            failure = error
        waiting.put((None, failure))

    thread = threading.Thread(target=produce, name="flowlore-read-ahead", daemon=True)
    thread.start()
    try:
        while True:
            item, failure = waiting.get()
            if failure is not None:
                raise failure
            if item is None:
                return
            yield item
    finally:
        stopped.set()
        while thread.is_alive():
            try:
                waiting.get(timeout=0.01)
            except queue.Empty:
                thread.join(timeout=0.01)
