"""What sniffers write: items of tag, length (two bytes, little-endian), bytes, one after the other."""

# Verdicts of a sniffer.
NOTHING = 0  # not a protocol that we read; do not ask again for this flow
DONE = 1  # all that is wanted from this flow was read
MORE = 2  # a beginning: ask again with the next payload of this flow

# Tags. Text is UTF-8 with bytes that cannot be printed replaced by "?".
APP_PROTOCOL = 1  # one byte: place in APP_PROTOCOLS
SERVER_NAME = 2
SERVER_NAME_FROM = 3  # one byte: place in NAME_ORIGINS
ALPN = 4
TLS_VERSION = 5  # two bytes, big-endian, as on the wire
JA4 = 6
USER_AGENT = 7
DNS_QUERY = 8
DNS_QUERY_TYPE = 9  # two bytes, big-endian
DNS_RESPONSE_CODE = 10
SSH_CLIENT = 11
SSH_SERVER = 12
DHCP_HOSTNAME = 13
DHCP_VENDOR = 14
DNS_ANSWER = 15  # 16 bytes of address (IPv4 mapped), 4 bytes of TTL in s (big-endian), then the name asked for
LOOKED_UP = 16  # the name under which the client had looked the server up; the meter writes it

APP_PROTOCOLS = (
    "",
    "tls",
    "quic",
    "http",
    "dns",
    "ssh",
    "dhcp",
    "mdns",
    "llmnr",
    "dtls",
    "stun",
    "ntp",
    "smtp",
    "ftp",
    "imap",
    "pop3",
    "rtsp",
    "sip",
    "bittorrent",
    "smb",
    "mqtt",
    "rdp",
    "snmp",
    "ssdp",
    "netbios-ns",
)
NAME_ORIGINS = ("", "tls", "quic", "http", "dns")
