"""Everything the core knows, rebuilt by replay."""

from humd.core.arrivals import ClientId
from humd.core.asks import Asks
from humd.core.basis import CLASSIFIERS, Basis
from humd.core.budgets import Rule, rules_of
from humd.core.calls import Calls
from humd.core.catalogue import Catalogue, Offer
from humd.core.clients import Client, Clients
from humd.core.drone import flags_nothing
from humd.core.sessions import Session, Sessions
from humd.core.spending import Spending
from humd.core.watch import Watch
from thrum.errors import MalformedId
from thrum.ids import parse_hid


class State:
    """The tables, and the questions that need more than one of them."""

    def __init__(self, basis: Basis | None = None) -> None:
        self.clients = Clients()
        self.watch = Watch()
        self.sessions = Sessions(self.watch)
        self.calls = Calls()
        self.asks = Asks()
        self.spending = Spending()
        self.rules: tuple[Rule, ...] = ()
        self.erased_seq = 0
        """The newest event that says what the log has erased."""
        self.stand_on(basis or Basis())
        self._catalogue: Catalogue | None = None
        self._offers = -1
        self._workers: tuple[Client, ...] = ()
        self._generation = -1

    def stand_on(self, basis: Basis) -> None:
        """Decide by this from now on."""
        self.basis = basis
        self.watch.nest = basis.default_hive
        self.rules = rules_of(basis.budgets)
        self.spending.stand_on(basis.prices)
        self.watch.classify = CLASSIFIERS.get(basis.classifier, flags_nothing)

    def reindex(self) -> None:
        """Make anew what is derived of the rest, which was put here from a snapshot."""
        self.stand_on(self.basis)
        for table in (self.clients, self.sessions, self.calls, self.asks, self.spending):
            table.reindex()

    @property
    def humd(self) -> str:
        """Our own hid."""
        return self.basis.humd

    @property
    def permission_dusk_ms(self) -> int:
        return self.basis.permission_dusk_ms

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

    def offer_of(self, session: Session | None, caller: ClientId, tool: str) -> Offer | None:
        """The forager's tool that a caller means; one that is adrift when no other has it.

        None when it is the asker's own: within a sid its names come first.
        """
        if session is not None and session.worker == caller and tool in session.asker_tools:
            return None
        offer = self.catalogue.offer(tool)
        if offer is not None:
            return offer
        for bee in self.clients.bees():
            if not bee.is_connected and any(tool == own["name"] for own in bee.tools):
                return Offer(bee, tool)
        return None

    def callee_of(self, session: Session | None, caller: ClientId, tool: str) -> ClientId | None:
        """Who is to answer a call: a forager, or the asker when its worker calls the asker's."""
        offer = self.offer_of(session, caller, tool)
        if offer is not None:
            return offer.forager.id
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
            key=lambda bee: (not bee.is_connected, bee.name != self.basis.default_hive, bee.rank),
            default=None,
        )
        return first.models[0] if first is not None else None

    def worker_for(self, session: Session, model: str | None) -> tuple[Client | None, str]:
        """The worker the sid had, else the least busy with room that is not silent, and why.

        One that is adrift is asked when no other serves the model: it gets the prompt when it is
        back, and the asker an error when it stays away. Ties are broken by hid, then id.
        """
        silent = self.watch.silent
        before = self.clients.get(session.worker) if session.worker else None
        is_able = before is not None and before.serves(model) and before.has_room
        if before is not None and is_able and before.id not in silent:
            return before, "it served this sid before"
        able = [bee for bee in self.workers if model in bee.models]
        if not able:
            return None, "no worker has it" if model else "no worker is connected"
        free = [bee for bee in able if bee.has_room]
        if not free:
            return None, f"all {len(able)} workers that have it are full"
        best = min(
            free,
            key=lambda bee: (not bee.is_connected, bee.id in silent, bee.turns_open, *bee.rank),
        )
        if not best.is_connected:
            return best, "it is on its way back, and no other is here"
        if len(able) == 1:
            return best, "no other has the model"
        return best, f"least busy of {len(able)}, with {best.turns_open} turns"

    def destination(self, to: str | None) -> str | None:
        """The hid of the other humd that a tone is for; None when it is for this one.

        What is no hid of a humd, a bee's name for example, means nothing.
        """
        if not to:
            return None
        try:
            hid = parse_hid(to)
        except MalformedId:
            return None
        if hid.prefix != "humd" or str(hid) == self.humd or hid.short == to == self._short:
            return None
        return str(hid)

    @property
    def _short(self) -> str:
        return parse_hid(self.humd).short if self.humd else ""

    def knows(self, client: ClientId) -> bool:
        """Whether a client is here or on its way back."""
        return client in self.clients.by_id
