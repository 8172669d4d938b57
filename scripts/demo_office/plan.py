"""Who is where: hosts, addresses and names of the office. All are reserved for documentation (RFC 5737, 3849, 2606)."""

from dataclasses import dataclass

PREFIX = "flowlore-office-"  # of every namespace, so that clean-up touches nothing else

STAFF, THINGS, OUTSIDE = 0, 20, 99  # VLANs of the switch; 0 is untagged, 99 is behind the router and not mirrored


@dataclass(frozen=True)
class Port:
    """One port of the switch and the interface at its other end."""

    host: str
    interface: str
    vlan: int
    mac: str
    addresses: tuple[str, ...]
    delay_s: tuple[float, float] = (0.0001, 0.0004)  # least and most time that a frame to this port takes
    loss: float = 0.0  # share of frames to this port that are lost, behind the mirror

    @property
    def name(self) -> str:
        return f"{self.host}-{self.interface}"


PORTS = (
    Port("router", "staff", STAFF, "02:00:5e:00:00:01", ("192.0.2.1/25", "2001:db8:10::1/64")),
    Port("router", "things", THINGS, "02:00:5e:00:00:02", ("192.0.2.129/25", "2001:db8:20::1/64")),
    Port("router", "outside", OUTSIDE, "02:00:5e:00:00:03", ("198.51.100.1/24", "2001:db8:80::1/64"), (0.006, 0.009)),
    Port("desk", "eth0", STAFF, "02:00:5e:00:01:0b", ("192.0.2.11/25", "2001:db8:10::11/64")),
    Port("laptop", "eth0", STAFF, "02:00:5e:00:01:0c", ("192.0.2.12/25", "2001:db8:10::12/64"), (0.001, 0.003), 0.03),
    Port("files", "eth0", STAFF, "02:00:5e:00:01:14", ("192.0.2.20/25", "2001:db8:10::20/64")),
    Port("visitor", "eth0", STAFF, "02:00:5e:00:01:42", ("192.0.2.66/25",)),
    Port("camera", "eth0", THINGS, "02:00:5e:00:02:8c", ("192.0.2.140/25",)),
    Port("sensor", "eth0", THINGS, "02:00:5e:00:02:8d", ("192.0.2.141/25", "2001:db8:20::141/64")),
    Port(
        "cloud",
        "eth0",
        OUTSIDE,
        "02:00:5e:00:03:0a",
        (
            "198.51.100.10/24",
            "198.51.100.20/24",
            "198.51.100.25/24",
            "198.51.100.30/24",
            "198.51.100.40/24",
            "198.51.100.123/24",
            "2001:db8:80::10/64",
            "2001:db8:80::20/64",
            "2001:db8:80::30/64",
        ),
        (0.006, 0.009),
        0.004,
    ),
)

NAMES = {
    "news.example": ("198.51.100.10", "2001:db8:80::10"),
    "www.shop.example": ("198.51.100.10", "2001:db8:80::10"),
    "images.shop.example": ("198.51.100.10", "2001:db8:80::10"),
    "wiki.office.example": ("198.51.100.10", "2001:db8:80::10"),
    "updates.vendor.example": ("198.51.100.10",),
    "bank.example": ("198.51.100.20", "2001:db8:80::20"),
    "mail.office.example": ("198.51.100.25",),
    "play.video.example": ("198.51.100.30", "2001:db8:80::30"),
    "broker.things.example": ("198.51.100.40",),
    "upload.camera.example": ("198.51.100.40",),
    "time.example": ("198.51.100.123",),
    "files.office.example": ("192.0.2.20", "2001:db8:10::20"),
}

RESOLVER = "192.0.2.1"
HOSTS = tuple(dict.fromkeys(port.host for port in PORTS))


def space(host: str) -> str:
    """The namespace of a host."""
    return PREFIX + host
