"""What goes into the identities of flows beside the traffic: where it was seen, and a secret. One for all sources."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SettingError
from ..flows.ids import NO_KEY, flow_id_key
from .packets.settings import MeterSettings


@dataclass(frozen=True, slots=True)
class Identity:
    """How `flow_id` and `community_id` are made."""

    observation_point: int = 0
    key: tuple[int, int] = NO_KEY
    community_id: bool = True


EVERYBODYS = Identity()


def identity_of(settings: Any) -> Identity:
    """As the settings of the meter, or those of all sources, say; where there are none, that of everybody."""
    meter = settings if isinstance(settings, MeterSettings) else getattr(settings, "meter", None)
    if meter is None:
        return EVERYBODYS
    return Identity(meter.observation_point, _key_of(meter.flow_id_key_file), meter.community_id)


def _key_of(path: str) -> tuple[int, int]:
    """The hash key made from the secret in a file; that of everybody where no file is named."""
    if not path:
        return NO_KEY
    try:
        secret = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(
            f"meter: the secret in `{path}` cannot be read: {error}",
            hint="`meter.flow_id_key_file` names a text file: `openssl rand -hex 16 > FILE` makes one",
        ) from None
    if not secret:
        raise SettingError(
            f"meter: the secret in `{path}` is empty", hint="write any long text into it: `openssl rand -hex 16`"
        )
    return flow_id_key(secret)
