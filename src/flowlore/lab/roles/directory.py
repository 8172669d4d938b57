"""A directory of people: slapd, and those who look somebody up."""

from collections.abc import Sequence
from random import Random

from ..activity import Program, Scene
from .budget import Budget, number, pause_s
from .materials import written
from .programs import Habit, ProgramService, run_program, shown
from .targets import look_up, place_of

SLAPD = Program(name="slapd", package="slapd")
LDAPSEARCH = Program(name="ldapsearch", package="ldap-utils")
_BASE = "dc=office,dc=example"
_PEOPLE = 60

_CONFIGURATION = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb.la
pidfile {folder}/slapd.pid
database mdb
suffix "{base}"
rootdn "cn=admin,{base}"
rootpw lab
directory {folder}/people
maxsize 16777216
"""


def _serve(scene: Scene, port: int) -> Sequence[str]:
    (scene.folder / "people").mkdir(exist_ok=True)
    entries = [f"dn: {_BASE}\nobjectClass: dcObject\nobjectClass: organization\no: Office\ndc: office\n"]
    rng = Random(scene.seed)
    for person in range(_PEOPLE):
        lines = [f"dn: uid=person{person},{_BASE}", "objectClass: inetOrgPerson", f"uid: person{person}"]
        lines += [f"cn: Person {person}", f"sn: Number {person}", f"mail: person{person}@office.example"]
        lines += [f"telephoneNumber: +000 {rng.randrange(10**6)}", "userPassword: lab"]
        entries.append("\n".join([*lines, ""]))
    people = written(scene.folder, "people.ldif", "\n".join(entries))
    path = written(scene.folder, "slapd.conf", _CONFIGURATION.format(folder=scene.folder, base=_BASE))
    listen = " ".join(f"ldap://{shown(address)}:{port}" for address in scene.addresses)
    return ["sh", "-c", f"slapadd -f {path} -l {people} && exec slapd -f {path} -h '{listen}' -d 0"]


def _ask(scene: Scene, rng: Random, budget: Budget) -> None:
    """Log in as somebody, or as nobody, and look for one person or many."""
    place = place_of(scene, rng, "ldap")
    _, address = look_up(scene, rng, place)
    for _ in budget.actions_up_to(number(scene, rng, "questions", 1, 5)):
        if not budget.spend(40):
            return
        person = rng.randrange(_PEOPLE)
        words = ["ldapsearch", "-x", "-LLL", "-o", "nettimeout=4", "-H", f"ldap://{shown(address)}:{place.port}"]
        words += ["-b", _BASE, "-z", str(rng.choice((1, 10, 100)))]
        words += ["-D", f"uid=person{person},{_BASE}", "-w", "lab"] if rng.random() < 0.6 else []
        sought = rng.choice((f"(uid=person{person})", f"(cn=*{person % 10})", "(objectClass=inetOrgPerson)"))
        run_program(scene, budget, [*words, sought, *rng.choice(([], ["mail"], ["cn", "telephoneNumber"]))], seconds=5)
        budget.pause(pause_s(scene, rng, 0.5))


LDAP = ProgramService(name="ldap", port=389, command=_serve, needs=(SLAPD,))
ASK_DIRECTORY = Habit(
    name="ask-directory",
    application="ldap",
    steps=_ask,
    uses=("ldap",),
    needs=(LDAPSEARCH,),
    options=("ipv6_share", "pause_factor", "questions"),
)
