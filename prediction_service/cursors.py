"""Where each sink stands among the events of an outbox, and the account of what became of them."""

from collections.abc import Generator
from contextlib import closing

from prediction_service.outbox_connection import OutboxConnection
from prediction_service.outbox_types import QueuedEvent, SinkCounts


class Cursors:
    """The cursors of one file; who changes them holds a transaction of the outbox."""

    def __init__(self, file: OutboxConnection) -> None:
        self._file = file

    def ahead(self, sink: str, limit: int) -> Generator[QueuedEvent, None, None]:
        """The events that a sink is to get next, in the order of their acceptance."""
        query = (
            "SELECT seq, at, kind, body FROM events "
            "WHERE seq > (SELECT position FROM cursors WHERE sink = ?) ORDER BY seq LIMIT ?"
        )
        with closing(
            self._file.connection.execute(query, (sink, limit))
        ) as rows:  # one left open would pin the log
            for row in rows:
                yield QueuedEvent(*row)

    def move(self, sink: str, position: int, *, delivered: int, dead_lettered: int) -> None:
        """Move a cursor, and forget the events that every sink has settled."""
        self._file.connection.execute(
            "UPDATE cursors SET position = ?, delivered = delivered + ?, dead_lettered = dead_lettered + ? "
            "WHERE sink = ?",
            (position, delivered, dead_lettered, sink),
        )
        self._forget_settled()

    def skip(self, sink: str, keep: int) -> int:
        """Leave a sink only its newest `keep` events; returns how many were skipped."""
        skipped = max(0, self.counts(sink).queued - keep)
        if skipped:
            self._file.connection.execute(
                "UPDATE cursors SET skipped = skipped + ?, position = "
                "(SELECT seq FROM events WHERE seq > position ORDER BY seq LIMIT 1 OFFSET ?) WHERE sink = ?",
                (skipped, skipped - 1, sink),
            )
            self._forget_settled()
        return skipped

    def lag(self, sink: str) -> int:
        """How many accepted events lie past a cursor; cheap at any backlog."""
        row = self._file.connection.execute(
            "SELECT (SELECT COALESCE(MAX(seq), 0) FROM events) - position FROM cursors WHERE sink = ?", (sink,)
        ).fetchone()
        return int(row[0])

    def counts(self, sink: str) -> SinkCounts:
        """The account of one sink."""
        row = self._file.connection.execute(
            "SELECT (SELECT COALESCE(MAX(seq), 0) FROM events), delivered, "
            "(SELECT COUNT(*) FROM events WHERE seq > position), dead_lettered, skipped, "
            "(SELECT at FROM events WHERE seq > position ORDER BY seq LIMIT 1) FROM cursors WHERE sink = ?",
            (sink,),
        ).fetchone()
        return SinkCounts(*row)

    def _forget_settled(self) -> None:
        self._file.connection.execute(
            "DELETE FROM events WHERE seq <= (SELECT MIN(position) FROM cursors) "
            "AND seq < (SELECT MAX(seq) FROM events)"
        )
