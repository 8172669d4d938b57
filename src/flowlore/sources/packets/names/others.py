"""Protocols that are only recognised, where their content leaves no doubt."""

import numpy as np

from ....flows.compiled import kernel
from ..layout import Bytes
from .bytes import number8, number16, number24, number32
from .http import begins_with
from .tags import APP_PROTOCOLS

APP_STUN = APP_PROTOCOLS.index("stun")
APP_NTP = APP_PROTOCOLS.index("ntp")
APP_SMTP = APP_PROTOCOLS.index("smtp")
APP_FTP = APP_PROTOCOLS.index("ftp")
APP_IMAP = APP_PROTOCOLS.index("imap")
APP_POP3 = APP_PROTOCOLS.index("pop3")
APP_BITTORRENT = APP_PROTOCOLS.index("bittorrent")
APP_SMB = APP_PROTOCOLS.index("smb")
APP_MQTT = APP_PROTOCOLS.index("mqtt")
APP_RDP = APP_PROTOCOLS.index("rdp")
APP_SNMP = APP_PROTOCOLS.index("snmp")

STUN_COOKIE = 0x2112A442
STUN_HEADER = 20
BITTORRENT_MARK = np.frombuffer(b"\x13BitTorrent protocol", dtype=np.uint8).copy()
SMB1_MARK = np.frombuffer(b"\xffSMB", dtype=np.uint8).copy()
SMB2_MARK = np.frombuffer(b"\xfeSMB", dtype=np.uint8).copy()
SMB3_MARK = np.frombuffer(b"\xfdSMB", dtype=np.uint8).copy()
MQTT_MARK = np.frombuffer(b"\x00\x04MQTT", dtype=np.uint8).copy()
OLD_MQTT_MARK = np.frombuffer(b"\x00\x06MQIsdp", dtype=np.uint8).copy()
IMAP_MARK = np.frombuffer(b"* OK", dtype=np.uint8).copy()
POP3_MARK = np.frombuffer(b"+OK", dtype=np.uint8).copy()
POP_MARK = np.frombuffer(b"POP", dtype=np.uint8).copy()
FTP_MARK = np.frombuffer(b"FTP", dtype=np.uint8).copy()
SMTP_MARK = np.frombuffer(b"SMTP", dtype=np.uint8).copy()
HELO_MARK = np.frombuffer(b"HELO ", dtype=np.uint8).copy()
EHLO_MARK = np.frombuffer(b"EHLO ", dtype=np.uint8).copy()
LONGEST_BANNER = 512


@kernel
def stream_app(data: Bytes, start: int, stop: int) -> int:
    """Which protocol over TCP begins with these bytes, on whatever port; 0 for none."""
    size = stop - start
    first = data[start]
    if first == 19:
        return APP_BITTORRENT if begins_with(data, start, stop, BITTORRENT_MARK) else 0
    if first == 0:
        if size < 8 or number24(data, start + 1) < 4:
            return 0
        is_smb = (
            begins_with(data, start + 4, stop, SMB1_MARK)
            or begins_with(data, start + 4, stop, SMB2_MARK)
            or begins_with(data, start + 4, stop, SMB3_MARK)
        )
        return APP_SMB if is_smb else 0
    if first == 0x10:
        at = start + 1
        while at < stop and at < start + 4 and data[at] & 0x80 != 0:
            at += 1
        is_mqtt = begins_with(data, at + 1, stop, MQTT_MARK) or begins_with(data, at + 1, stop, OLD_MQTT_MARK)
        return APP_MQTT if is_mqtt else 0
    if first == 3:
        return APP_RDP if _is_rdp(data, start, stop) else 0
    return 0


@kernel
def banner_app(data: Bytes, start: int, stop: int, from_port: int, to_port: int) -> int:
    """Which mail or file protocol says hello here; 0 for none."""
    first = data[start]
    if first == 42:
        return APP_IMAP if begins_with(data, start, stop, IMAP_MARK) else 0
    if first == 43:
        is_pop3 = begins_with(data, start, stop, POP3_MARK) and (
            from_port == 110 or _holds(data, start, stop, POP_MARK)
        )
        return APP_POP3 if is_pop3 else 0
    if first == 50:
        # 220 is said by SMTP and by FTP: the text or the port decides.
        if stop - start < 4 or data[start + 1] != 50 or data[start + 2] != 48:
            return 0
        if data[start + 3] != 32 and data[start + 3] != 45:
            return 0
        if _holds(data, start, stop, SMTP_MARK) or from_port == 25 or from_port == 587:
            return APP_SMTP
        return APP_FTP if from_port == 21 or _holds(data, start, stop, FTP_MARK) else 0
    if first == 69 or first == 72:
        is_smtp = begins_with(data, start, stop, EHLO_MARK) or begins_with(data, start, stop, HELO_MARK)
        return APP_SMTP if is_smtp and (to_port == 25 or to_port == 587) else 0
    return 0


@kernel
def datagram_app(data: Bytes, start: int, stop: int, from_port: int, to_port: int) -> int:
    """Which protocol over UDP this datagram is of; 0 for none."""
    if is_stun(data, start, stop):
        return APP_STUN
    if from_port == 123 or to_port == 123:
        return APP_NTP if _is_ntp(data, start, stop) else 0
    if 161 <= from_port <= 162 or 161 <= to_port <= 162:
        return APP_SNMP if _is_snmp(data, start, stop) else 0
    return 0


@kernel
def is_stun(data: Bytes, start: int, stop: int) -> bool:
    size = stop - start
    if size < STUN_HEADER or data[start] & 0xC0 != 0:
        return False
    message = number16(data, start + 2)
    return number32(data, start + 4) == STUN_COOKIE and message & 3 == 0 and message <= size - STUN_HEADER


@kernel
def _is_ntp(data: Bytes, start: int, stop: int) -> bool:
    """Modes 1 to 5 have 48 bytes or more; control (6) has 12 or more, private (7) 8 or more."""
    size = stop - start
    version = (number8(data, start) >> 3) & 7
    mode = number8(data, start) & 7
    if version < 1 or version > 4:
        return False
    if mode == 6:
        return size >= 12
    return size >= 8 if mode == 7 else mode >= 1 and size >= 48


@kernel
def _is_snmp(data: Bytes, start: int, stop: int) -> bool:
    """A BER sequence that begins with the number of a version."""
    if stop - start < 8 or data[start] != 0x30:
        return False
    at = start + 2
    if data[start + 1] & 0x80:
        wide = number8(data, start + 1) & 0x7F
        if wide < 1 or wide > 4:
            return False
        at += wide
    return at + 3 <= stop and data[at] == 2 and data[at + 1] == 1 and data[at + 2] <= 3


@kernel
def _is_rdp(data: Bytes, start: int, stop: int) -> bool:
    """TPKT with an X.224 connection request or confirm, and what RDP adds to it: a cookie or a negotiation."""
    size = stop - start
    if size < 11 or data[start + 1] != 0 or number16(data, start + 2) != size:
        return False
    kind = data[start + 5]
    if (kind != 0xE0 and kind != 0xD0) or number8(data, start + 4) != size - 5:
        return False
    if size == 11:
        return False
    rest = data[start + 11]
    if rest == 67:
        return size > 19 and data[start + 12] == 111 and data[start + 13] == 111 and data[start + 14] == 107
    return size == 19 and 1 <= rest <= 3 and data[start + 13] == 8 and data[start + 14] == 0


@kernel
def _holds(data: Bytes, start: int, stop: int, mark: Bytes) -> bool:
    """Whether a banner names its protocol, in upper case."""
    end = min(stop, start + LONGEST_BANNER)
    at = start
    while at < end and not begins_with(data, at, end, mark):
        at += 1
    return at < end
