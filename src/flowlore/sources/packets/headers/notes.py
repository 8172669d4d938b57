"""What is worth knowing about packets that *are* in flows. Each note counts a packet at most once."""

NOTES = (
    "fragments",  # IP fragments, first and later
    "fragments-without-first",  # later fragments whose first was not seen before them: their ports are 0
    "fragments-evicted",  # first fragments that pushed out another one which had not expired
    "snapped-transport",  # the capture cuts the transport header after the ports
    "zero-total-length",  # IP length 0, as segmentation offload leaves it: taken from the length on the wire
    "ip-longer-than-wire",  # the IP header claims more bytes than the frame had
    "udp-length-mismatch",  # the UDP length differs from that of the IP payload
    "tunnel-without-ip",  # what is in a tunnel could not be read as IP: the outer addresses make the flow
)

# The bit of each note while a frame is walked through.
FRAGMENTS = 1 << 0
FRAGMENTS_WITHOUT_FIRST = 1 << 1
FRAGMENTS_EVICTED = 1 << 2
SNAPPED_TRANSPORT = 1 << 3
ZERO_TOTAL_LENGTH = 1 << 4
IP_LONGER_THAN_WIRE = 1 << 5
UDP_LENGTH_MISMATCH = 1 << 6
TUNNEL_WITHOUT_IP = 1 << 7
