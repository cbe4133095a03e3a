"""The verbs that take something out of a store, each on record: remove and clear."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mashbill.workspace.questions import Questions

if TYPE_CHECKING:
    from mashbill.core.removals import Removal
    from mashbill.run.clearing import Item
    from mashbill.run.removing import Going


class Clearing(Questions):
    """Verbs that take something out of a store. They are signed by one's own key."""

    def removing(self, name: str) -> Going:
        """Return what removing an artifact would take, and what rests on it; nothing is changed.

        Args:
            name: NAME, its last version, or NAME@VERSION.

        Raises:
            StoreError: if there is none of that name, or something of it is a link or no file.
        """
        from mashbill.run.removing import look

        return look(self.store(), name, self.cache)

    def remove(self, what: Going | str, reason: str = "") -> Removal:
        """Remove an artifact's rows or weights by an entry; its manifest and nodes stay.

        Args:
            what: an artifact, or what :meth:`removing` gave of it.
            reason: why, for whoever audits the store.

        Raises:
            StoreError: if a run goes on in the store, or it was changed since it was looked at.
            AuditError: if its ledger does not hold, or one's key is none of its signers.
            InputError: if the reason is too long.
        """
        from mashbill.core import checkpoint
        from mashbill.core.ledger import Signer
        from mashbill.run.removing import remove

        signer = Signer.default()
        going = self.removing(what) if isinstance(what, str) else what
        removal = remove(self.root, signer, going, self.cache, reason)
        checkpoint.keep(self.root, signer)
        return removal

    def clearable(self, **wanted: Any) -> list[Item]:
        """Return what can be cleared away, with sizes; nothing is changed.

        Args:
            wanted: keys of :class:`mashbill.run.clearing.Wanted`: older_than (days), superseded,
                keep, caches.
        """
        from mashbill.run.clearing import Wanted, find

        return find(self.store(), self.cache, Wanted(**wanted), datetime.now(UTC))

    def clear(self, **wanted: Any) -> list[Item]:
        """Clear the store of what nothing needs, on record; return what went.

        Args:
            wanted: as of :meth:`clearable`.

        Raises:
            StoreError: if a run goes on in the store.
            AuditError: if its ledger does not hold, or one's key is none of its signers.
        """
        from mashbill.core import checkpoint
        from mashbill.core.ledger import Signer
        from mashbill.run.clearing import Wanted, clear

        self.store()  # nothing is made where there is none
        signer = Signer.default()
        went = clear(self.root, signer, self.cache, Wanted(**wanted), datetime.now(UTC))
        checkpoint.keep(self.root, signer)
        return went
