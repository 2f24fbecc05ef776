"""What humd says itself, and how a header leaves it."""

from humd.core.arrivals import Arrival, ClientId, Deliver, Emit
from humd.core.calls import Call
from humd.core.clients import peer_of
from humd.core.state import State
from thrum.chi import Chi
from thrum.errors import Qualifier
from thrum.frames import Header

_new = tuple.__new__


def beside(arrival: Arrival, wane: int | None, *, fan: int = 0) -> Header:
    """The header as it leaves humd: log seq and number within the sid beside the tone.

    A tone of another humd is from that humd, whatever it says.
    """
    chi, rid, sid, sender, to, dusk, _, _, _, _ = arrival.header
    if arrival.client is not None and (peer := peer_of(arrival.client)) is not None:
        sender = peer
    return _new(Header, (chi, rid, sid, sender, to, dusk, wane, arrival.seq, None, fan))


def deliver(state: State, client: ClientId, header: Header, raw: bytes) -> Deliver:
    """Hand a parcel to a client; to another humd it goes from this one."""
    if (peer := peer_of(client)) is not None:
        header = header._replace(sender=state.humd, to=peer)
    return _new(Deliver, (client, header, raw))


def error(
    sid: str, qualifier: Qualifier, message: str, *, rid: str | None = None, code: str | None = None
) -> Emit:
    """An error on a sid: it ends the turn that runs there."""
    body = {"message": message, "qualifier": str(qualifier)}
    if code:
        body["code"] = code
    if rid:
        body["cause"] = rid
    return Emit(Chi.ERROR, body, sid)


def call_error(call: Call, qualifier: Qualifier, message: str) -> Emit:
    """The answer to a call that nobody else will answer."""
    body = {
        "callId": call.call_id,
        "callee": call.callee,
        "message": message,
        "qualifier": str(qualifier),
    }
    return Emit(Chi.ERROR, body, call.sid)


def call_cancel(call: Call, reason: str) -> Emit:
    """Who runs this call may stop; nobody waits for it any more."""
    body = {"callId": call.call_id, "callee": call.callee, "reason": reason}
    return Emit(Chi.CANCEL, body, call.sid)


def turn_cancel(sid: str, reason: str) -> Emit:
    """The worker of this sid is to end its turn."""
    return Emit(Chi.CANCEL, {"reason": reason}, sid)


def cancelled(sid: str, rid: str | None) -> Emit:
    """The end of a prompt that was cancelled before its turn."""
    return Emit(Chi.FINISH, {"finishReason": "cancelled"}, sid, rid)


def retract(client: ClientId, reason: str, *, scope: str = "client") -> Emit:
    """A client is gone, or adrift; with scope `door` those behind it are adrift."""
    return Emit(Chi.BEE_RETRACT, {"scope": scope, "reason": reason, "client": client})
