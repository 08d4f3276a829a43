"""The tables that a server answers from: loaded and checked, watched, and swapped whole."""

import asyncio
import logging
import time
from pathlib import Path

from kde.errors import TrimError
from planner.policies.catalogue import Catalogue
from planner.policies.offer import ACTIVE_FILE, KINDS, Offer, artefact_places

log = logging.getLogger(__name__)

Signature = tuple[tuple[str, int, int, int], ...]
"""Path, modification time, size and inode of every file that makes up the offer."""


class TableStore:
    """The current offer of a directory.

    A call reads `offer` (or `catalogue`) once and answers from what it got: swapping changes one reference, so no decision mixes two
    versions. A new offer is loaded and checked in full before the swap; one that fails is reported and the old one serves on.

    Attributes:
        offer: what is served now.
        loaded_at: when it was loaded, Unix seconds.
        reloads, refused_reloads: how often a new offer was taken or refused.

    Raises:
        TrimError: the tables cannot be trusted.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._signature = self._seen = self._look()
        self.offer = Offer.load(directory)
        self.loaded_at = time.time()
        self.reloads = self.refused_reloads = 0
        self._changed: asyncio.Event | None = None
        self._reloading = asyncio.Lock()

    @property
    def catalogue(self) -> Catalogue:
        """The policies on offer."""
        return self.offer.catalogue

    @property
    def directory(self) -> Path:
        """Where the tables are."""
        return self._directory

    async def reload(self) -> bool:
        """Load, check and swap; whether the new offer serves. The event loop goes on meanwhile."""
        async with self._reloading:
            signature = self._look()
            loaded = await asyncio.to_thread(self._load)
            return self._take(signature, loaded)

    def reload_here(self) -> bool:
        """As `reload`, where no event loop runs."""
        return self._take(self._look(), self._load())

    def _load(self) -> Offer | Exception:
        try:
            return Offer.load(self._directory)
        except (TrimError, OSError) as error:
            return error

    def _take(self, signature: Signature, loaded: Offer | Exception) -> bool:
        self._signature = signature
        if isinstance(loaded, Exception):
            self.refused_reloads += 1
            log.error("tables refused, the old ones serve on", extra={"error": str(loaded), **_told(self.offer)})
            return False
        self.offer, self.loaded_at = loaded, time.time()
        self.reloads += 1
        log.info("tables loaded", extra=_told(loaded))
        if self._changed is not None:
            self._changed.set()
            self._changed = None
        return True

    async def watch(self, every: float) -> None:
        """Reload whenever the directory has changed and then kept still for one interval, until cancelled."""
        while True:
            await asyncio.sleep(every)
            if self.settled():
                await self.reload()

    def settled(self) -> bool:
        """Whether the directory is not what was loaded last, and looks as it did at the last call: a copy under way is left alone."""
        before, self._seen = self._seen, self._look()
        return self._seen == before != self._signature

    @property
    def stale(self) -> bool:
        """Whether the directory is not what was loaded, or refused, last."""
        return self._look() != self._signature

    async def changed(self) -> None:
        """Return after the next swap."""
        if self._changed is None:
            self._changed = asyncio.Event()
        await self._changed.wait()

    def _look(self) -> Signature:
        found = []
        try:
            places = artefact_places(self._directory)
            files = [file for kind in KINDS for place in places[kind] for file in sorted(place.glob(f"{kind.name}.*"))]
        except (TrimError, OSError):  # nothing is there, or it goes away at this very moment
            files = []
        for path in (self._directory / ACTIVE_FILE, *files):
            try:
                stat = path.stat()
            except OSError:
                continue
            found.append((str(path), stat.st_mtime_ns, stat.st_size, stat.st_ino))
        return tuple(found)


def _told(offer: Offer) -> dict[str, object]:
    return {"tables": {f"{lam!r}": table.content_hash for lam, table in offer.catalogue.tables.items()}}
