"""A folder of records that a kill at any moment leaves intact.

Every process appends to a file of its own, one line a batch, and has it
written to the disk before the next. What a kill or a power cut leaves of the
line being written is cut off by the next start.
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Record = dict[str, Any]
_PREFIX = re.compile(rb'\{"batch":([0-9]+),')
_PATTERN = 'part-*.jsonl'


class Journal:
    """The records of a folder.

    Args:
        folder: The folder; need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # From the number of a batch to the file and the byte it starts at.
        self._places: dict[int, tuple[Path, int]] = {}

    def open(self) -> None:
        """Looks for complete records, and cuts off incomplete ones.

        No process may be writing.
        """
        self._places.clear()
        for path in sorted(self.folder.glob(_PATTERN)):
            places, end = _complete_records(path)
            if end < path.stat().st_size:
                os.truncate(path, end)
            for batch, start in places:
                self._places.setdefault(batch, (path, start))

    @property
    def batches(self) -> list[int]:
        """Numbers of the batches on record, ascending."""
        return sorted(self._places)

    def __iter__(self) -> Iterator[Record]:
        """Reads the records in the order of their batches, one at a time."""
        files = {
            path: path.open('rb')
            for path in sorted({path for path, _ in self._places.values()})
        }
        try:
            for batch in self.batches:
                path, start = self._places[batch]
                files[path].seek(start)
                record: Record = json.loads(files[path].readline())
                yield record
        finally:
            for file in files.values():
                file.close()


class JournalWriter:
    """Appends to one file of a journal.

    Args:
        folder: The journal's folder, which exists.
        rank: Number of the process, which names the file.
    """

    def __init__(self, folder: Path, rank: int) -> None:
        path = folder / f'part-{rank:05d}.jsonl'
        self._file = path.open('ab', buffering=0)

    def append(self, batch: int, content: Record) -> None:
        """Writes a record; it is on the disk when this returns.

        Args:
            batch: Number of the batch.
            content: What else belongs to the record.
        """
        record = dict(batch=batch, **content)
        line = json.dumps(record, separators=(',', ':')).encode() + b'\n'
        written = 0
        while written < len(line):
            written += self._file.write(line[written:])
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def _complete_records(path: Path) -> tuple[list[tuple[int, int]], int]:
    """Finds the records of a file up to the first one that is damaged.

    Returns:
        - Number of the batch and first byte of each.
        - Where the last of them ends.
    """
    places: list[tuple[int, int]] = []
    end = 0
    line = b''
    with path.open('rb') as file:
        for line in file:
            found = _PREFIX.match(line)
            if found is None or not line.endswith(b'\n'):
                return places, end
            places.append((int(found[1]), end))
            end += len(line)
    # After a power cut a line may have its length and not its content.
    if places and not _is_json(line):
        _, end = places.pop()
    return places, end


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True
