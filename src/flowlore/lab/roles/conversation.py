"""People in real time, by small peers of our own: calls by SIP and RTP, chats over TCP, games over UDP."""

import select
import socket
import struct
from contextlib import suppress
from random import Random

from ..activity import Scene
from .budget import Budget, number, pause_s
from .materials import prose
from .programs import Habit, PeerService, bound_socket
from .targets import look_up, place_of

_RTP_OFFSET = 1_000  # the media port lies so far above the signalling port
_FRAME_BYTES, _FRAME_S = 160, 0.02  # G.711: 20 ms of speech


def _serve_calls(scene: Scene, port: int) -> None:
    """Answers every call at once, and speaks back one frame of noise for each that it hears."""
    rng = Random(scene.seed)
    signal = bound_socket(scene.addresses[0], port, socket.SOCK_DGRAM)
    media = bound_socket(scene.addresses[0], port + _RTP_OFFSET, socket.SOCK_DGRAM)
    while True:
        for ready in select.select([signal, media], [], [])[0]:
            content, sender = ready.recvfrom(2_048)
            if ready is media:
                if len(content) >= 12:
                    media.sendto(content[:8] + b"\x0b\x0b\x0b\x0b" + rng.randbytes(len(content) - 12), sender)
            else:
                for answer in _sip_answers(content.decode("utf-8", "replace"), scene.addresses[0], port + _RTP_OFFSET):
                    signal.sendto(answer.encode(), sender)


def _sip_answers(text: str, address: str, media_port: int) -> list[str]:
    """What a telephone says to INVITE and BYE; ACK and nonsense get no answer."""
    method = text.partition(" ")[0]
    if method not in ("INVITE", "BYE", "REGISTER", "OPTIONS"):
        return []
    kept = [line for line in text.split("\r\n") if line.startswith(("Via:", "From:", "To:", "Call-ID:", "CSeq:"))]
    body = _description(address, media_port) if method == "INVITE" else ""
    final = _message("SIP/2.0 200 OK", kept, body)
    if method != "INVITE":
        return [final]
    return [_message("SIP/2.0 100 Trying", kept, ""), _message("SIP/2.0 180 Ringing", kept, ""), final]


def _message(first: str, lines: list[str], body: str) -> str:
    kind = ["Content-Type: application/sdp"] if body else []
    return "\r\n".join([first, *lines, *kind, f"Content-Length: {len(body)}", "", body])


def _description(address: str, port: int) -> str:
    family = "IP6" if ":" in address else "IP4"
    lines = ["v=0", f"o=lab 1 1 IN {family} {address}", "s=call", f"c=IN {family} {address}", "t=0 0"]
    return "\r\n".join([*lines, f"m=audio {port} RTP/AVP 0", "a=rtpmap:0 PCMU/8000", ""])


def _call(scene: Scene, rng: Random, budget: Budget) -> None:
    """A call of some seconds, with pauses in which nobody speaks."""
    place = place_of(scene, rng, "sip")
    _, address = look_up(scene, rng, place)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as signal, socket.socket(family, socket.SOCK_DGRAM) as media:
        signal.settimeout(1.0)
        signal.connect((address, place.port))
        media.connect((address, place.port + _RTP_OFFSET))
        own = signal.getsockname()
        lines = [f"Via: SIP/2.0/UDP {own[0]}:{own[1]};branch=z9hG4bK{rng.randrange(1 << 40):x}", "Max-Forwards: 70"]
        lines += [f"From: <sip:{scene.host}@lab>;tag={rng.randrange(1 << 30):x}", f"To: <sip:{place.host}@lab>"]
        lines += [f"Call-ID: {rng.randrange(1 << 60):x}@{own[0]}", f"Contact: <sip:{scene.host}@{own[0]}:{own[1]}>"]
        uri = f"sip:{place.host}@lab"
        if not budget.spend(8):
            return
        invitation = _description(own[0], media.getsockname()[1])
        signal.send(_message(f"INVITE {uri} SIP/2.0", [*lines, "CSeq: 1 INVITE"], invitation).encode())
        for _ in range(3):
            signal.recv(2_048)
        signal.send(_message(f"ACK {uri} SIP/2.0", [*lines, "CSeq: 1 ACK"], "").encode())
        for _ in budget.actions_up_to(1):
            _speak(media, rng, budget, number(scene, rng, "frames", 50, 500))
        signal.send(_message(f"BYE {uri} SIP/2.0", [*lines, "CSeq: 2 BYE"], "").encode())
        signal.recv(2_048)


def _speak(media: socket.socket, rng: Random, budget: Budget, frames: int) -> None:
    source, silent = rng.randrange(1 << 32), False
    for frame in range(frames):
        silent = rng.random() < (0.97 if silent else 0.01)
        if not silent:
            if not budget.spend(2):
                return
            head = struct.pack(">BBHII", 0x80, 0, frame & 0xFFFF, frame * _FRAME_BYTES, source)
            with suppress(OSError):
                media.send(head + rng.randbytes(_FRAME_BYTES))
            while select.select([media], [], [], 0)[0]:
                media.recv(2_048)
        if budget.seconds_left < 0.5:
            return
        budget.pause(_FRAME_S)


def _serve_game(scene: Scene, port: int) -> None:
    """Answers each move with the state of the world, which is larger."""
    rng = Random(scene.seed)
    waiting = bound_socket(scene.addresses[0], port, socket.SOCK_DGRAM)
    while True:
        move, player = waiting.recvfrom(2_048)
        waiting.sendto(move[:8] + rng.randbytes(rng.randint(60, 420)), player)


def _play(scene: Scene, rng: Random, budget: Budget) -> None:
    """Moves at the pace of a game, 20 to 60 in a second."""
    place = place_of(scene, rng, "game")
    _, address = look_up(scene, rng, place)
    pace_s = 1 / rng.uniform(20, 60)
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as player:
        player.connect((address, place.port))
        for _ in budget.actions_up_to(1):
            for move in range(number(scene, rng, "moves", 60, 800)):
                if not budget.spend(2):
                    return
                player.send(struct.pack(">II", move, 7) + rng.randbytes(rng.randint(12, 60)))
                while select.select([player], [], [], 0)[0]:
                    player.recv(2_048)
                if budget.seconds_left <= pace_s:
                    return
                budget.pause(pace_s * rng.uniform(0.8, 1.2))


def _serve_chat(scene: Scene, port: int) -> None:
    """Says back what it hears to everybody who is in the room."""
    waiting = bound_socket(scene.addresses[0], port, socket.SOCK_STREAM)
    waiting.listen(64)
    room: list[socket.socket] = []
    while True:
        for ready in select.select([waiting, *room], [], [])[0]:
            if ready is waiting:
                room.append(waiting.accept()[0])
                room[-1].settimeout(0.5)
                continue
            try:
                said = ready.recv(4_096)
            except OSError:
                said = b""
            if not said:
                room.remove(ready)
                ready.close()
            for listener in room if said else []:
                with suppress(OSError):
                    listener.sendall(said)


def _chat(scene: Scene, rng: Random, budget: Budget) -> None:
    place = place_of(scene, rng, "chat")
    _, address = look_up(scene, rng, place)
    if not budget.spend(8):
        return
    with socket.create_connection((address, place.port), timeout=3.0) as opened:
        for _ in budget.actions_up_to(number(scene, rng, "lines", 2, 20)):
            if not budget.spend(4):
                return
            opened.sendall(f"{scene.host}: {prose(rng, rng.randint(3, 300))}\n".encode())
            opened.recv(4_096)
            budget.pause(pause_s(scene, rng, 0.8))


SIP = PeerService(name="sip", port=5060, serve=_serve_calls, transport="udp")
GAME = PeerService(name="game", port=27015, serve=_serve_game, transport="udp")
CHAT = PeerService(name="chat", port=5222, serve=_serve_chat)

CALL = Habit(name="call-somebody", application="voice", steps=_call, uses=("sip",), options=("frames", "ipv6_share"))
PLAY = Habit(name="play-game", application="game", steps=_play, uses=("game",), options=("ipv6_share", "moves"))
TALK = Habit(
    name="chat-with-others",
    application="chat",
    steps=_chat,
    uses=("chat",),
    options=("ipv6_share", "lines", "pause_factor"),
)
