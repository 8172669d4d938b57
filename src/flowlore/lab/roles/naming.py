"""Names: dnsmasq as the resolver, dnsdist for DNS over TLS and HTTPS, an authority that answers at length."""

import socket
import ssl
import struct
from collections.abc import Iterator, Sequence
from random import Random

from ..activity import Place, Program, Scene
from .budget import Budget, number, pause_s
from .materials import authority, certificate, written
from .programs import Habit, PeerService, ProgramService, bound_socket, converse, run_program, shown
from .targets import address_of, dns_query, name_of, place_of
from .web import CURL, OPENSSL, curl

DNSMASQ = Program(name="dnsmasq", package="dnsmasq-base")
DIG = Program(name="dig", package="bind9-dnsutils")
DNSDIST = Program(name="dnsdist", package="dnsdist")
WIDE_ZONE = "wide.example"  # whose authority answers any question at length
_TYPES = {"A": 1, "AAAA": 28, "MX": 15, "TXT": 16}


def _serve_resolver(scene: Scene, port: int) -> Sequence[str]:
    """Every name of every place; nothing else exists. The wide zone is asked of its authority."""
    words = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--group=root"]
    words.append("--log-facility=-")  # and not --no-daemon, in which one open TCP connection stops all others
    words += [f"--pid-file={scene.folder}/dnsmasq.pid", f"--port={port}", "--bind-interfaces", "--no-resolv"]
    words += ["--no-hosts", "--local=/example/", "--local=/lab/", "--cache-size=2000"]
    words += [f"--listen-address={address}" for address in scene.addresses]
    for place in scene.places:
        words += [f"--host-record={name},{','.join(place.addresses[:2])}" for name in place.names]
        if place.service == "dns-wide":
            words.append(f"--server=/{WIDE_ZONE}/{place.addresses[0]}#{place.port}")
    return words


def _dnsdist(scene: Scene, port: int, service: str, listen: str) -> Sequence[str]:
    chain, key = certificate(scene, service)
    lines = [listen.format(address=shown(address), port=port, chain=chain, key=key) for address in scene.addresses]
    lines += ["setACL({'0.0.0.0/0', '::/0'})", "setSecurityPollSuffix('')"]
    if scene.resolver is None:
        lines.append("addAction(AllRule(), SpoofAction({'192.0.2.1', '2001:db8::1'}))")
    else:
        lines.append(f"newServer({{address='{shown(scene.resolver)}:53', checkInterval=30}})")
    path = written(scene.folder, "dnsdist.conf", "\n".join(lines) + "\n")
    return ["dnsdist", "--supervised", "--disable-syslog", "-C", path]


def _serve_dot(scene: Scene, port: int) -> Sequence[str]:
    return _dnsdist(scene, port, "dns-tls", "addTLSLocal('{address}:{port}', '{chain}', '{key}')")


def _serve_doh(scene: Scene, port: int) -> Sequence[str]:
    return _dnsdist(scene, port, "dns-https", "addDOHLocal('{address}:{port}', '{chain}', '{key}', '/dns-query')")


def _serve_wide(scene: Scene, port: int) -> None:
    """Any question gets one TXT record of up to 1,100 random bytes."""
    rng = Random(scene.seed)
    waiting = bound_socket(scene.addresses[0], port, socket.SOCK_DGRAM)
    while True:
        query, asker = waiting.recvfrom(2048)
        answer = wide_answer(query, rng, rng.randint(40, 1_100))
        if answer:
            waiting.sendto(answer, asker)


def wide_answer(query: bytes, rng: Random, size_bytes: int) -> bytes:
    """The answer to a question, with `size_bytes` of random text in it; nothing for what is no question."""
    end = query.find(b"\0", 12) + 5
    if len(query) < 17 or end < 17 or len(query) < end:
        return b""
    head = query[:2] + struct.pack(">HHHHH", 0x8580, 1, 1, 0, 0)
    strings = b"".join(_string(rng, min(255, size_bytes - start)) for start in range(0, size_bytes, 255))
    return head + query[12:end] + struct.pack(">HHHIH", 0xC00C, 16, 1, 30, len(strings)) + strings


def _string(rng: Random, size: int) -> bytes:
    return bytes([size]) + bytes(rng.choices(b"abcdefghijklmnopqrstuvwxyz234567", k=size))


def _ask_dig(scene: Scene, rng: Random, budget: Budget) -> None:
    """Questions of several types, some for names that do not exist, a few over TCP; all by one dig."""
    place = place_of(scene, rng, "dns")
    words = ["dig", f"@{address_of(scene, rng, place)}", "-p", str(place.port), "+tries=1", "+time=2", "-f", "-"]
    converse(scene, budget, words, _questions(scene, rng, budget))


def _questions(scene: Scene, rng: Random, budget: Budget) -> Iterator[str]:
    for turn in budget.actions_up_to(number(scene, rng, "questions", 1, 8)):
        budget.pause(pause_s(scene, rng, 0.5) if turn else 0.0)
        tcp = rng.random() < 0.1
        if not budget.spend(12 if tcp else 2):
            return
        yield f"{asked_name(scene, rng)} {rng.choice(list(_TYPES))} {'+tcp' if tcp else '+notcp'}"


def asked_name(scene: Scene, rng: Random) -> str:
    named = [place for place in scene.places if place.names]
    if not named or rng.random() < 0.15:
        return f"{rng.choice(('printer', 'wpad', 'intranet', 'old-server'))}{rng.randrange(20)}.example"
    return name_of(rng, rng.choice(named))


def _ask_tls(scene: Scene, rng: Random, budget: Budget) -> None:
    """Questions over one TLS connection, each behind its length, filled up to 128 bytes as RFC 8467 wants."""
    place = place_of(scene, rng, "dns-tls")
    address = address_of(scene, rng, place)
    trust = ssl.create_default_context(cafile=str(authority(scene)))
    if not budget.spend(20):
        return
    with (
        socket.create_connection((address, place.port), timeout=min(4.0, budget.seconds_left)) as plain,
        trust.wrap_socket(plain, server_hostname=name_of(rng, place)) as secure,
    ):
        for _ in budget.actions_up_to(number(scene, rng, "questions", 2, 20)):
            if not budget.spend(5):
                return
            query = dns_query(asked_name(scene, rng), rng.choice((1, 28)), rng)
            secure.sendall(struct.pack(">H", len(query)) + query)
            secure.recv(4096)
            budget.pause(pause_s(scene, rng, 0.3))


def _ask_https(scene: Scene, rng: Random, budget: Budget) -> None:
    """Questions by POST, several in one HTTP/2 connection of curl."""
    for _ in budget.actions_up_to(number(scene, rng, "rounds", 1, 4)):
        place: Place = place_of(scene, rng, "dns-https")
        name, address = name_of(rng, place), address_of(scene, rng, place)
        words = curl(scene, place, name, address, budget)
        port = "" if place.port == 443 else f":{place.port}"
        for turn in range(rng.randint(1, 8)):
            if not budget.spend(12):
                break
            path = scene.folder / f"query-{turn}"
            path.write_bytes(dns_query(asked_name(scene, rng), rng.choice((1, 28)), rng))
            words += ["--next"] if turn else []
            words += ["-sS", "--http2", "-o", "/dev/null", "-H", "content-type: application/dns-message"]
            words += ["--cacert", str(authority(scene)), "--data-binary", f"@{path}"]
            words += [f"https://{shown(name)}{port}/dns-query"]
        run_program(scene, budget, words)
        budget.pause(pause_s(scene, rng, 0.8))


DNS = ProgramService(name="dns", port=53, command=_serve_resolver, transport="udp", also=("tcp",), needs=(DNSMASQ,))
DNS_TLS = ProgramService(name="dns-tls", port=853, command=_serve_dot, needs=(DNSDIST, OPENSSL))
DNS_HTTPS = ProgramService(name="dns-https", port=443, command=_serve_doh, needs=(DNSDIST, OPENSSL))
DNS_WIDE = PeerService(name="dns-wide", port=53, serve=_serve_wide, transport="udp")

ASK_DNS = Habit(
    name="ask-dns",
    application="dns",
    steps=_ask_dig,
    uses=("dns",),
    needs=(DIG,),
    options=("ipv6_share", "pause_factor", "questions"),
)
ASK_DNS_TLS = Habit(
    name="ask-dns-tls",
    application="dns-tls",
    steps=_ask_tls,
    uses=("dns-tls",),
    needs=(OPENSSL,),
    options=("ipv6_share", "pause_factor", "questions"),
)
ASK_DNS_HTTPS = Habit(
    name="ask-dns-https",
    application="dns-https",
    steps=_ask_https,
    uses=("dns-https",),
    needs=(CURL, OPENSSL),
    options=("ipv6_share", "pause_factor", "rounds"),
)
