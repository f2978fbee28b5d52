"""Answers kept in memory, the least recently used ones dropped."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable


class ByteCache:
    """Byte strings by key, up to a total size.

    Args:
        capacity: bytes in all.
    """

    def __init__(self, capacity: int):
        self.capacity = capacity
        self.size = 0
        self._items: OrderedDict[Hashable, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> bytes | None:
        """The bytes of a key; None where there are none."""
        with self._lock:
            if key not in self._items:
                return None
            self._items.move_to_end(key)
            return self._items[key]

    def put(self, key: Hashable, data: bytes) -> None:
        """Keep bytes; larger ones than the whole capacity are not kept."""
        with self._lock:
            self.size += len(data) - len(self._items.pop(key, b""))
            self._items[key] = data
            while self.size > self.capacity:
                self.size -= len(self._items.popitem(last=False)[1])
