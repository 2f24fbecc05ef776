"""Everything the core knows, rebuilt by replay."""

from humd.core.arrivals import ClientId
from humd.core.catalogue import Catalogue
from humd.core.clients import Client, Clients
from humd.core.sessions import Calls, Session, Sessions


class State:
    """The tables, and the questions that need more than one of them."""

    def __init__(self) -> None:
        self.clients = Clients()
        self.sessions = Sessions()
        self.calls = Calls()
        self.default_hive = ""
        """Whose first model a prompt without one gets. Every boot of humd puts it into the log."""
        self._catalogue: Catalogue | None = None
        self._offers = -1
        self._workers: tuple[Client, ...] = ()
        self._generation = -1

    @property
    def catalogue(self) -> Catalogue:
        """The tools of connected foragers now."""
        if self._catalogue is None or self._offers != self.clients.offers:
            foragers = [
                bee
                for bee in self.clients.bees()
                if bee.is_connected and (bee.tools or bee.provides)
            ]
            self._catalogue = Catalogue(foragers)
            self._offers = self.clients.offers
        return self._catalogue

    def forager_of(self, tool: str) -> Client | None:
        """The forager that runs `tool`; one that is adrift when no other has it."""
        owner = self.catalogue.owners.get(tool)
        if owner is not None:
            return owner
        adrift = (bee for bee in self.clients.bees() if not bee.is_connected)
        return next((bee for bee in adrift if any(t["name"] == tool for t in bee.tools)), None)

    def callee_of(self, session: Session | None, caller: ClientId, tool: str) -> ClientId | None:
        """Who is to answer a call: a forager, or the asker when its worker calls the asker's."""
        forager = self.forager_of(tool)
        if forager is not None:
            return forager.id
        is_askers = session is not None and session.worker == caller and tool in session.asker_tools
        return session.owner if session is not None and is_askers else None

    @property
    def workers(self) -> tuple[Client, ...]:
        """Every worker with a model, those on their way back included, in a fixed order."""
        if self._generation != self.clients.generation:
            bees = self.clients.bees()
            self._workers = tuple(bee for bee in bees if bee.is_worker and bee.models)
            self._generation = self.clients.generation
        return self._workers

    def default_model(self) -> str | None:
        """For a prompt that names none: the default hive's first, else the first worker's."""
        first = min(
            self.workers,
            key=lambda bee: (not bee.is_connected, bee.name != self.default_hive, bee.rank),
            default=None,
        )
        return first.models[0] if first is not None else None

    def worker_for(self, session: Session, model: str | None) -> Client | None:
        """The worker the sid had, else the least busy; ties by hid, then id.

        One that is adrift is asked when no other serves the model: it gets the prompt when it is
        back, and the asker an error when it stays away.
        """
        before = self.clients.get(session.worker) if session.worker else None
        if before is not None and before.serves(model):
            return before
        able = [bee for bee in self.workers if model in bee.models]
        return min(
            able,
            key=lambda bee: (not bee.is_connected, bee.turns_open, *bee.rank),
            default=None,
        )

    def knows(self, client: ClientId) -> bool:
        """Whether a client is here or on its way back."""
        return client in self.clients.by_id
