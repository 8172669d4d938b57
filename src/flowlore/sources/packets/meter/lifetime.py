"""When a slice of a flow is over, and why. Only the clock of the capture is read, never that of the machine."""

from ....flows.compiled import inlined
from ..layout import Number, Record
from .layout import STATE_ESTABLISHED, STATE_FIN_FORWARD, STATE_FIN_REVERSE, STATE_RESET, UNSEEN, Limits

# Why a slice ended: places in flows.schema.END_REASONS.
IDLE, ACTIVE, TCP_END, REUSE, WINDOW, END_OF_INPUT, EVICTED = range(7)
GOES_ON = -1
LATENESS_NS = 1_000_000_000  # packets this late still find their flow: sweeps are behind the clock by so much
LAST_NS = (1 << 63) - 1
NOT_STARTED = -1  # `start_ns` of a flow whose slice was cut off and which has not been heard of since

FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = (1 << bit for bit in range(8))
TCP = 6
_BOTH_FINS = STATE_FIN_FORWARD | STATE_FIN_REVERSE


@inlined
def has_ended(flow: Record) -> bool:
    """Whether TCP said good-bye: a RST, or a FIN from both sides."""
    return bool(flow.state & STATE_RESET != 0 or flow.state & _BOTH_FINS == _BOTH_FINS)


@inlined
def is_over(flow: Record, now: Number, limits: Limits) -> bool:
    """Whether the silence since the last packet ends the flow, so that a packet at `now` would begin a new one."""
    return bool(now - flow.last_ns > (limits.linger_ns if has_ended(flow) else limits.idle_ns))


@inlined
def slice_reason(flow: Record, now: Number, limits: Limits) -> Number:
    """Why the slice is over at `now`, or GOES_ON. It depends on the flow's packets alone, not on who asks."""
    ended = has_ended(flow)
    patience = limits.linger_ns if ended else limits.idle_ns
    if limits.window_ns > 0:
        boundary = (flow.last_ns // limits.window_ns + 1) * limits.window_ns
        if boundary <= now and boundary <= flow.last_ns + patience:
            return WINDOW
    if now - flow.last_ns > patience:
        return TCP_END if ended else IDLE
    return GOES_ON


@inlined
def next_sweep(clock_ns: Number, limits: Limits) -> Number:
    """The time from which on the next sweep is due when the clock stands at `clock_ns`."""
    if clock_ns > LAST_NS - limits.sweep_ns:
        return LAST_NS
    return ((clock_ns - LATENESS_NS) // limits.sweep_ns + 1) * limits.sweep_ns + LATENESS_NS


@inlined
def begins_again(flow: Record, packet: Record, forward: bool) -> bool:
    """Whether the packet is a SYN that opens a new connection between the same ports."""
    if packet.protocol != TCP or packet.tcp_flags & (SYN | ACK) != SYN:
        return False
    if forward and flow.syn_ns != UNSEEN and packet.sequence == flow.initial_sequence:
        return False
    return bool(has_ended(flow) or flow.state & STATE_ESTABLISHED != 0)
