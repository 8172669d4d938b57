"""Settings of NetFlow, IPFIX and sFlow: how exports are decoded, scaled, paired and collected."""

from dataclasses import dataclass
from typing import Literal

from ....settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class NetflowSettings(Settings):
    """How datagrams of exporters become flows."""

    from_captures: Literal["auto", "never"] = setting(
        "auto", "read captures whose first UDP payloads are mostly exports as exports; never: as packets like any other"
    )
    sampling_rate: int = setting(
        0, "1 in N, where neither record nor options say; 0 is unknown", minimum=0, maximum=4_294_967_295
    )
    apply_sampling: bool = setting(True, "multiply packets and bytes by the sampling rate")
    held_bytes: int = setting(
        1_048_576,
        "bytes of data kept for each domain until its template comes; the oldest go first",
        minimum=0,
        maximum=1_073_741_824,
    )
    held_age_s: float = setting(
        1800.0, "data waits for its template this long, in s of the exporter's clock", minimum=0.0, maximum=604_800
    )
    max_domains: int = setting(
        4096, "observation domains known at once; datagrams of further ones are counted", minimum=1, maximum=1_000_000
    )
    max_templates: int = setting(
        4096, "templates known for each domain; further ones are counted", minimum=1, maximum=65_280
    )
    clock_tolerance_s: float = setting(
        86_400.0, "a flow that starts later than its export by more has an impossible time, in s", minimum=0.0
    )
    longest_flow_s: float = setting(
        31_622_400.0, "a flow that started earlier than its export by more has an impossible time, in s", minimum=1.0
    )
    pairing: bool = setting(True, "join the records of both directions to one flow")
    pairing_window_s: float = setting(
        5.0, "records of opposite directions belong together when they overlap or lie this near, in s", minimum=0.0
    )
    pairing_wait_s: float = setting(
        60.0, "a record waits this long for that of the other direction, in s of the exporter's clock", minimum=0.0
    )
    pairing_records: int = setting(
        262_144, "records that wait at once; beyond it the oldest go alone", minimum=16, maximum=100_000_000
    )
    slice_gap_s: float = setting(
        15.0, "a record that starts within this after the one before continues its flow, in s", minimum=0.0
    )
    receive_buffer_bytes: int = setting(
        33_554_432, "socket buffer asked of the system", minimum=4096, maximum=2_147_483_647
    )
    batch_datagrams: int = setting(2_048, "datagrams decoded together", minimum=1, maximum=1_048_576)
    batch_wait_s: float = setting(1.0, "a live batch is decoded after this, even if small, in s", minimum=0.01)
