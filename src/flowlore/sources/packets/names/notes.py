"""What a flow's notes say: the places in `notes`, and the bits of its flags. Each protocol has places of its own."""

HANDLER = 0  # who reads this flow; one of the numbers below, 0 before the first payload
FLAGS = 1
SIDE = 2  # whose bytes are being collected: FORWARD or REVERSE, 0 for nobody
COLLECTED = 3  # bytes collected in `memory`
RECORD_LEFT = 4  # TLS: bytes of the current record still to come
HEADER_COUNT = 5  # TLS: bytes of the next record's header already seen
HEADER_VALUE = 6  # TLS: those bytes as a number
CLIENT_SIDE = 7  # TLS: who sent the ClientHello that was read; 0 before
REQUESTS = 4  # DNS: queries seen
RESPONSES = 5  # DNS: responses seen
FIRST_ID = 6  # DNS: identifier of the first query, plus one
OTHER_COLLECTED = 4  # SSH: bytes of the reverse side collected
QUIC_PACKETS = 4  # QUIC: Initial packets opened

PAYLOAD_CUT = 14  # written by the meter: 1 when bytes of this payload are missing at its end (snap length)
MEMORY_USED = 15  # bytes of `memory` in use after a call; at 0 the meter need not keep the memory between calls

FORWARD = 1
REVERSE = 2

# Flags.
APP_WRITTEN = 1
SNI_WRITTEN = 2
ALPN_WRITTEN = 4
CLIENT_READ = 8  # the ClientHello, or the HTTP request, was read to its end
INSIDE = 16  # the TLS is inside a protocol that was recognised before it (STARTTLS, HTTP CONNECT)
HOST_WRITTEN = 32
AGENT_WRITTEN = 64
QUERY_WRITTEN = 128
CODE_WRITTEN = 256

# Handlers.
TLS = 1
QUIC = 2
HTTP = 3
DNS_UDP = 4
DNS_TCP = 5
SSH = 6
DHCP = 7
DTLS = 8
BANNER = 9  # a text protocol that may turn to TLS
STUN = 10
DHCP6 = 11
