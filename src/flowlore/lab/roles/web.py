"""Web servers (nginx) and those who visit them: people, programs, players, updaters and uploaders."""

import http.client
import ssl
import time
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from urllib.parse import urlencode

from ..activity import Place, Program, Scene
from .budget import Budget, number, pause_s
from .materials import SEGMENTS, authority, certificate, files, prose, written
from .programs import Habit, ProgramService, run_program, shown
from .targets import address_of, look_up, name_of, place_of

NGINX_PROGRAM = Program(name="nginx", package="nginx")
CURL = Program(name="curl", package="curl")
OPENSSL = Program(name="openssl", package="openssl")
AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605",
)
SECURE, PLAIN = ("web-secure", "web-tls12"), ("web-plain",)
SEGMENT_BYTES = 1_400

_NGINX = """
user root;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 512; }}
http {{
  log_format visitors '$msec $remote_addr $remote_port $server_port $status $body_bytes_sent '
    '"$host" "$request_method $request_uri" "$http_user_agent" $connection';
  access_log {folder}/access.log visitors;
  default_type text/html;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  client_max_body_size 64m;
  keepalive_timeout 20s;
  {tls}
  server {{
    {listen}
    root {files};
    location /upload/ {{ dav_methods PUT; create_full_put_path on; root {folder}; }}
    location = /api {{ return 200 "{answer}"; }}
    location = /login {{ return 401; }}
  }}
}}
"""


def _nginx(scene: Scene, port: int, listen: str, tls: str) -> Sequence[str]:
    lines = "\n    ".join(f"listen {shown(address)}:{port}{listen};" for address in scene.addresses)
    answer = prose(Random(scene.seed), 100 + scene.seed % 900)
    text = _NGINX.format(folder=scene.folder, files=files(scene), listen=lines, tls=tls, answer=answer)
    return ["nginx", "-c", written(scene.folder, "nginx.conf", text), "-g", "daemon off;"]


def _tls(scene: Scene, service: str, protocols: str) -> str:
    chain, key = certificate(scene, service)
    return f"ssl_certificate {chain}; ssl_certificate_key {key}; ssl_protocols {protocols};"


def plain_site(scene: Scene, address: str, port: int) -> Sequence[str]:
    """An nginx in the clear at an address that this host has beside its own."""
    return _nginx(replace(scene, addresses=(address,)), port, "", "")


def _serve_plain(scene: Scene, port: int) -> Sequence[str]:
    return _nginx(scene, port, "", "")


def _serve_secure(scene: Scene, port: int) -> Sequence[str]:
    return _nginx(scene, port, " ssl http2", _tls(scene, "web-secure", "TLSv1.2 TLSv1.3"))


def _serve_tls12(scene: Scene, port: int) -> Sequence[str]:
    return _nginx(scene, port, " ssl", _tls(scene, "web-tls12", "TLSv1.2"))


def url_of(place: Place, name: str) -> str:
    """Scheme, name and (where it is not the usual one) port."""
    scheme, usual = ("http", 80) if place.service in PLAIN else ("https", 443)
    return f"{scheme}://{shown(name)}" + ("" if place.port == usual else f":{place.port}")


def curl(scene: Scene, place: Place, name: str, address: str, budget: Budget) -> list[str]:
    """The words of a curl that trusts the laboratory, knows the address already and keeps to the packet rate."""
    return [*_careful(scene, budget), "--resolve", f"{name}:{place.port}:{shown(address)}"]


def _careful(scene: Scene, budget: Budget) -> list[str]:
    words = ["curl", "-sS", "--noproxy", "*", "--cacert", str(authority(scene)), "--connect-timeout", "4"]
    words += ["--max-time", str(max(1, int(budget.seconds_left)))]
    return [*words, "--limit-rate", str(max(2_000, int(budget.packets_per_s * SEGMENT_BYTES)))]


def packets_of(size_bytes: int) -> int:
    """A high estimate of the packets, in both directions, of a transfer of this size."""
    return 30 + 2 * size_bytes // SEGMENT_BYTES


def _browse_curl(scene: Scene, rng: Random, budget: Budget) -> None:
    """Visits to sites: a page, then all that it names, from this site and from others, at the same time."""
    agent = rng.choice(AGENTS)
    for _ in budget.actions_up_to(number(scene, rng, "visits", 1, 4)):
        words = [*_careful(scene, budget), "--parallel", "--parallel-max", str(rng.choice((6, 10)))]
        words += ["-A", agent, *_family(scene, rng, "--ipv4"), *(["--http1.1"] if rng.random() < 0.3 else [])]
        asked = []
        for place, name, path in _page(scene, rng):
            if budget.spend(60):
                asked += ["-o", "/dev/null", f"{url_of(place, name)}/{path}"]
                words += _known(scene, rng, place, name)
        if not asked:
            return
        run_program(scene, budget, [*words, *asked])
        budget.pause(pause_s(scene, rng, 1.5))


def _page(scene: Scene, rng: Random) -> list[tuple[Place, str, str]]:
    """Where a page and its parts are: few sites keep all at one place, most have it from several."""
    place = place_of(scene, rng, *SECURE, *PLAIN)
    name = name_of(rng, place)
    parts = [(place, name, f"page-{rng.randrange(10)}")]
    parts += [(place, name, f"image-{image}") for image in rng.sample(range(12), rng.randint(0, 5))]
    for _ in range(number(scene, rng, "others", 0, 9)):
        other = place_of(scene, rng, *SECURE, *PLAIN)
        its_name = name_of(rng, other)
        parts += [(other, its_name, f"image-{rng.randrange(6)}") for _ in range(rng.choice((1, 1, 2)))]
    return parts


def _family(scene: Scene, rng: Random, only_ipv4: str) -> list[str]:
    """Programs take IPv6 where both ends have it, unless they are told otherwise."""
    return [] if rng.random() < float(scene.options.get("ipv6_share", 0.3)) else [only_ipv4]


def _known(scene: Scene, rng: Random, place: Place, name: str) -> list[str]:
    """curl asks the run's resolver by itself; where there is none it is told the address."""
    if scene.resolver is not None and place.names:
        return []
    return ["--resolve", f"{name}:{place.port}:{shown(address_of(scene, rng, place))}"]


def _browse_wget(scene: Scene, rng: Random, budget: Budget) -> None:
    """A page and what hangs on it, one after the other, by wget over HTTP/1.1."""
    for _ in budget.actions_up_to(number(scene, rng, "visits", 1, 3)):
        page = _page(scene, rng)
        if not budget.spend(60 * len(page)):
            return
        words = ["wget", "-q", "--no-proxy", "-T", "5", "-t", "1", "-O", "/dev/null", *_family(scene, rng, "-4")]
        words += [f"--ca-certificate={authority(scene)}"]
        if scene.resolver is None:  # all of one site, by its address
            place, name, _ = page[0]
            address = address_of(scene, rng, place)
            words.append(f"--header=Host: {name}")
            page = [(place, address, path) for other, _, path in page if other is place]
        run_program(scene, budget, [*words, *(f"{url_of(place, name)}/{path}" for place, name, path in page)])
        budget.pause(pause_s(scene, rng, 1.0))


class _NamedConnection(http.client.HTTPSConnection):
    """To an address that is known already, by the name that the certificate has."""

    def __init__(self, address: str, port: int, name: str, timeout: float, context: ssl.SSLContext) -> None:
        super().__init__(address, port, timeout=timeout, context=context)
        self._name = name
        self._trust = context

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        self.sock = self._trust.wrap_socket(self.sock, server_hostname=self._name)


def connection_to(scene: Scene, place: Place, name: str, address: str, seconds: float) -> http.client.HTTPConnection:
    """HTTP/1.1 from Python, in the clear or by TLS."""
    if place.service in PLAIN:
        return http.client.HTTPConnection(address, place.port, timeout=max(0.1, seconds))
    trust = ssl.create_default_context(cafile=str(authority(scene)))
    return _NamedConnection(address, place.port, name, max(0.1, seconds), trust)


def ask(
    connection: http.client.HTTPConnection, path: str, head: dict[str, str], body: str | bytes | None = None
) -> None:
    """One question and its answer; after a failure the next begins with a new connection."""
    try:
        connection.request("GET" if body is None else "POST", path, body=body, headers=head)
        connection.getresponse().read()
    except (OSError, ValueError, http.client.HTTPException):
        connection.close()


def _call_api(scene: Scene, rng: Random, budget: Budget) -> None:
    """A program that asks the same small question again and again, over one connection or a new one now and then."""
    place = place_of(scene, rng, *SECURE, *PLAIN)
    name, address = look_up(scene, rng, place)
    connection = connection_to(scene, place, name, address, min(5.0, budget.seconds_left))
    calls_of_one = rng.choice((1, 3, 100))
    try:
        for turn in budget.actions_up_to(number(scene, rng, "calls", 3, 40)):
            is_new = turn % calls_of_one == 0
            if is_new:
                connection.close()
            if not budget.spend(30 if is_new else 6):
                return
            query = urlencode({"since": int(time.time()), "page": rng.randrange(50)})
            ask(connection, f"/api?{query}", {"Host": name, "Accept": "application/json"})
            budget.pause(pause_s(scene, rng, 0.4))
    finally:
        connection.close()


def _browse_chromium(scene: Scene, rng: Random, budget: Budget) -> None:
    """One page in a headless Chromium, which opens the connections it likes."""
    for _ in budget.actions_up_to(number(scene, rng, "visits", 1, 2)):
        place = place_of(scene, rng, *SECURE)
        name, address = look_up(scene, rng, place)
        if not budget.spend(300):
            return
        words = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--incognito"]
        words += ["--disable-background-networking", "--disable-component-update", "--no-first-run", "--no-pings"]
        words += [
            "--disable-features=OptimizationHints,MediaRouter",
            "--no-proxy-server",
            "--ignore-certificate-errors",
        ]
        words += [f"--user-data-dir={scene.folder / 'chromium'}", "--virtual-time-budget=3000", "--dump-dom"]
        words += [f"--host-resolver-rules=MAP {name} {shown(address)}"]
        run_program(scene, budget, [*words, f"{url_of(place, name)}/page-{rng.randrange(10)}"], seconds=20)
        budget.pause(pause_s(scene, rng, 2.0))


def _watch_video(scene: Scene, rng: Random, budget: Budget) -> None:
    """A player: the list, then segment by segment, some ahead at first, then one for each that was seen."""
    place = place_of(scene, rng, *SECURE, *PLAIN)
    name, address = look_up(scene, rng, place)
    base = f"{url_of(place, name)}/video/{rng.choice(('low', 'middle', 'high'))}"
    ahead = rng.randint(1, 4)
    segment_s = float(scene.options.get("segment_s", rng.uniform(0.5, 2.0)))
    words = [*curl(scene, place, name, address, budget), "-o", "/dev/null"]
    run_program(scene, budget, [*words, f"{base}/list.m3u8"])
    for segment in budget.actions_up_to(number(scene, rng, "segments", 2, 10)):
        if not budget.spend(packets_of(200_000)):
            return
        run_program(scene, budget, [*words, f"{base}/{segment % SEGMENTS}.ts"])
        if segment >= ahead:
            budget.pause(segment_s * rng.uniform(0.8, 1.2))


def _update_software(scene: Scene, rng: Random, budget: Budget) -> None:
    """As a package manager does it: small index files that rarely changed, then packages one after the other."""
    place = place_of(scene, rng, *PLAIN)
    name, address = look_up(scene, rng, place)
    words = [*curl(scene, place, name, address, budget), "-A", "Debian APT-HTTP/1.3 (2.6.1)", "--http1.1"]
    yesterday = ("-H", "If-Modified-Since: Wed, 01 Jan 2020 00:00:00 GMT")
    paths = [f"dists/stable/InRelease?{rng.randrange(9)}", *(f"page-{rng.randrange(10)}" for _ in range(3))]
    run_program(scene, budget, [*words, *yesterday, *_outputs(paths, url_of(place, name))])
    for _ in budget.actions_up_to(number(scene, rng, "packages", 1, 6)):
        if not budget.spend(packets_of(800_000)):
            return
        run_program(scene, budget, [*words, *_outputs([f"update-{rng.randrange(6)}"], url_of(place, name))])


def _outputs(paths: list[str], base: str) -> list[str]:
    return [word for path in paths for word in ("-o", "/dev/null", f"{base}/{path}")]


def _upload(scene: Scene, rng: Random, budget: Budget) -> None:
    """Photographs and documents sent to a site."""
    place = place_of(scene, rng, *SECURE, *PLAIN)
    name, address = look_up(scene, rng, place)
    for turn in budget.actions_up_to(number(scene, rng, "files", 1, 4)):
        size = int(8_000 * 60 ** rng.random())
        if not budget.spend(packets_of(size)):
            return
        words = [*curl(scene, place, name, address, budget), "-T", "-", "-A", rng.choice(AGENTS)]
        target = f"{url_of(place, name)}/upload/{scene.host}-{turn % 4}"
        run_program(scene, budget, [*words, target], feed=rng.randbytes(size))
        budget.pause(pause_s(scene, rng, 1.0))


WEB_PLAIN = ProgramService(name="web-plain", port=80, command=_serve_plain, needs=(NGINX_PROGRAM,))
WEB_SECURE = ProgramService(name="web-secure", port=443, command=_serve_secure, needs=(NGINX_PROGRAM, OPENSSL))
WEB_TLS12 = ProgramService(name="web-tls12", port=443, command=_serve_tls12, needs=(NGINX_PROGRAM, OPENSSL))

BROWSE_CURL = Habit(
    name="browse-curl",
    application="web",
    steps=_browse_curl,
    uses=("web-secure",),
    needs=(CURL, OPENSSL),
    options=("ipv6_share", "others", "pause_factor", "visits"),
)
BROWSE_WGET = Habit(
    name="browse-wget",
    application="web",
    steps=_browse_wget,
    uses=("web-plain",),
    needs=(Program(name="wget", package="wget"), OPENSSL),
    options=("ipv6_share", "others", "pause_factor", "visits"),
)
BROWSE_CHROMIUM = Habit(
    name="browse-chromium",
    application="web",
    steps=_browse_chromium,
    uses=("web-secure",),
    needs=(Program(name="chromium", package="chromium"),),
    options=("ipv6_share", "pause_factor", "visits"),
)
CALL_API = Habit(
    name="call-api",
    application="web-api",
    steps=_call_api,
    uses=("web-secure",),
    needs=(OPENSSL,),
    options=("calls", "ipv6_share", "pause_factor"),
)
WATCH_VIDEO = Habit(
    name="watch-video",
    application="video",
    steps=_watch_video,
    uses=("web-secure",),
    needs=(CURL, OPENSSL),
    options=("ipv6_share", "segment_s", "segments"),
)
UPDATE_SOFTWARE = Habit(
    name="update-software",
    application="software-update",
    steps=_update_software,
    uses=("web-plain",),
    needs=(CURL, OPENSSL),
    options=("ipv6_share", "packages"),
)
UPLOAD_FILES = Habit(
    name="upload-files",
    application="web-upload",
    steps=_upload,
    uses=("web-secure",),
    needs=(CURL, OPENSSL),
    options=("files", "ipv6_share", "pause_factor"),
)
