"""Locks that are free in the child of a fork."""

from __future__ import annotations

import os
import threading
import weakref


class Lock:
    """A lock for short sections in which no other of these locks is taken.

    A fork waits until nobody is in such a section: the child finds what the lock guards whole, and the lock free,
    although no other thread of the parent lives on in it.

    Examples
    --------
    >>> lock = Lock()
    >>> with lock:
    ...     pass
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()  # the thread that forks may be in a section itself: a signal handler forks
        _locks.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


_locks: weakref.WeakSet[Lock] = weakref.WeakSet()
_held = threading.local()


def _before_fork() -> None:
    _held.locks = list(_locks)
    for lock in _held.locks:
        lock._lock.acquire()


def _after_fork() -> None:
    for lock in _held.__dict__.pop("locks", ()):
        lock._lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
