"""How flows become a graph: the windows, how far back they look, and what is left out of a crowd."""

from dataclasses import dataclass

from ...settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class GraphSettings(Settings):
    """Tumbling windows of flow and host nodes, and the edges between them."""

    window_s: float = setting(
        5.0, "length of a window, in s; windows begin at multiples of it since 1970", minimum=0.001, maximum=86_400
    )
    memory_windows: int = setting(
        5, "windows that edges through time reach over, the present one included", minimum=1, maximum=1000
    )
    earlier_flows: int = setting(
        20,
        "flows of the same source, and as many of the same target, that a flow looks back on",
        minimum=1,
        maximum=1000,
    )
    most_flows: int = setting(
        20_000,
        "flows in a window; of more, pairs of hosts keep their earliest in turn, and the rest is counted",
        minimum=1,
        maximum=10_000_000,
    )
    most_copies: int = setting(
        5, "slices of one flow within the memory; the rest is counted", minimum=1, maximum=10_000
    )
    services: bool = setting(
        False, "a node for each protocol and destination port of a window; the number itself is no feature"
    )
    wait_s: float = setting(
        65.0,
        "a window stays open until a flow has begun so many s after its end, as the meter reports silent ones late; "
        "what comes later counts in the window that is open",
        minimum=0.0,
        maximum=86_400,
    )
    most_waiting: int = setting(
        2_000_000, "flows that wait for windows to close; beyond it the oldest window closes early", minimum=1
    )

    @property
    def window_ns(self) -> int:
        return max(1, round(self.window_s * 1e9))

    @property
    def wait_ns(self) -> int:
        return round(self.wait_s * 1e9)
