"""A site file with a fault is refused whole, and the complaint leads to the place and says what belongs there."""

from __future__ import annotations

import re
import tomllib
import typing
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.calendars import YEARS, National, national_days
from controller.config import SiteFileError, load_site, parse_site
from controller.site_file import CardsSection, SiteFile
from controller.site_wires import input_plans
from controller.toml_lines import line_of
from zones.moment import JST, Moment
from zones.places import AntiPassback, ExitHardware, LinkAssurance, Walk, Window, Zone, ZoneKind
from zones.schedule import is_within

PATH = Path("site.toml")

GOOD = """\
[controller]
node = "gate"
state_dir = "state"
socket = "controller.sock"

[mqtt]
host = "127.0.0.1"

[[device]]
id = "rd-in"
kind = "mqtt"

[[device]]
id = "dr"
kind = "mqtt"

[[device]]
id = "rd-line"
kind = "pn532"
port = "/dev/ttyUSB0"

[[device]]
id = "board"
kind = "lcus"
port = "/dev/ttyUSB1"
channels = 2

[[schedule]]
id = "hours"
windows = [
    "mon-fri 08:00-20:00",  # a week's work
    "sat 09:00-12:00",
]

[[zone]]
id = "outside"
name_ja = "屋外"
name_en = "Outside"
kind = "UNRESTRICTED"

[[zone]]
id = "office"
name_ja = "執務室"
name_en = "Office"
kind = "CONTROLLED"
parent = "outside"
schedule = "hours"

[[portal]]
id = "front"
name_ja = "正面"
name_en = "Front"
outer = "outside"
inner = "office"
exit_hardware = "HANDLE"
entry_reader = "rd-in"
strike = "dr"
contact = "dr"
rex = "dr"

[[portal]]
id = "side"
name_ja = "通用口"
name_en = "Side"
outer = "outside"
inner = "office"
exit_hardware = "HANDLE"
entry_reader = "rd-line"
grade = 1
strike = "board:1"
"""


def line_with(text: str, line: str, nth: int = 1) -> int:
    """The number of the `nth` line that reads `line`."""
    return [n for n, found in enumerate(text.splitlines(), 1) if found == line][nth - 1]


def complaint(text: str) -> str:
    with pytest.raises(SiteFileError) as refused:
        parse_site(text, PATH)
    return str(refused.value)


FAULTS = [
    ('port = "/dev/ttyUSB0"', 'port = "ttyUSB0"', 'port = "ttyUSB0"', "device[2].port", "an absolute path"),
    # what was there, what stands there instead, the line that is named, the key, words of the complaint
    ('node = "gate"', 'nod = "gate"', 'nod = "gate"', "controller.nod", "no such key here; there are node, state_dir"),
    ('node = "gate"\n', "", "[controller]", "controller", "`node` is missing"),
    ('node = "gate"', "node = 3", "node = 3", "controller.node", "Expected `str`, got `int`"),
    ('node = "gate"', 'node = "Gate A"', 'node = "Gate A"', "controller.node", "lower-case letters, digits and dashes"),
    ('node = "gate"', 'node = "a\\n"', 'node = "a\\n"', "controller.node", "lower-case letters, digits and dashes"),
    ('node = "gate"', 'node = "himitsu-1"', 'node = "himitsu-1"', "controller.node", "'himitsu' tells all"),
    ('node = "gate"', 'node = "gate"\ndomain = "a b"', 'domain = "a b"', "controller.domain", "a host name like"),
    ("[mqtt]\n", "[mqtt]\nport = 70000\n", "port = 70000", "mqtt.port", "<= 65535"),
    ('host = "127.0.0.1"', 'host = "10.0.0.7"', 'host = "10.0.0.7"', "mqtt.host", "needs `ca_file`"),
    ('host = "127.0.0.1"', 'host = "broker"', 'host = "broker"', "mqtt.host", "needs `ca_file`"),
    ("[mqtt]\n", '[mqtt]\nusername = "u"\n', 'username = "u"', "mqtt.username", "needs `password_file`"),
    ("[mqtt]\n", '[mqtt]\npassword_file = "p"\n', 'password_file = "p"', "mqtt.password_file", "needs `username`"),
    ("[mqtt]\n", '[mqtt]\npassword = "p"\n', 'password = "p"', "mqtt.password", "there are host, port, username"),
    ('[mqtt]\nhost = "127.0.0.1"\n', "", "[[device]]", "device[0]", "add a section [mqtt] with `host`"),
    ("[mqtt]\n", '[ledger]\nkey = "tpm"\n[mqtt]\n', 'key = "tpm"', "ledger.key", "'tpm' is not one of file, c"),
    ("[mqtt]\n", '[ledger]\nkey = "pkcs11"\n[mqtt]\n', "[ledger]", "ledger.module", "needed to open the token"),
    ("[mqtt]\n", '[ledger]\ntoken = "t"\n[mqtt]\n', 'token = "t"', "ledger.token", "belongs to"),
    ("[mqtt]\n", "[ledger]\nterms_days = { view = 0 }\n[mqtt]\n", "terms_days = { view = 0 }", "ledger.terms", ">= 1"),
    ('kind = "pn532"', 'kind = "pn533"', 'kind = "pn533"', "device[2].kind", "not one of pn532, pynfc, lcus, mqtt"),
    ('kind = "pn532"', 'kind = "pynfc"', ("[[device]]", 3), "device[2]", "needs `connection`, for example pn532_uart:"),
    ('port = "/dev/ttyUSB0"\n', "", ("[[device]]", 3), "device[2]", "needs `port`, for example /dev/serial/by-id"),
    ("channels = 2\n", "", ("[[device]]", 4), "device[3]", "needs `channels`, how many relays"),
    ("channels = 2", "channels = 0", "channels = 0", "device[3].channels", ">= 1"),
    ('id = "rd-in"', 'id = "rd-secret"', 'id = "rd-secret"', "device[0].id", "'secret' tells all who see the wires"),
    ('id = "rd-in"\n', 'id = "rd-in"\nchannels = 2\n', "channels = 2", "device[0].channels", "of kind mqtt has no `ch"),
    (
        '"/dev/ttyUSB0"',
        '"socket://127.0.0.1:7"',
        'port = "socket://127.0.0.1:7"',
        "device[2].port",
        "in a [simulation]",
    ),
    ('"/dev/ttyUSB0"', '"/dev/ttyUSB1"', ('port = "/dev/ttyUSB1"', 2), "device[3].port", "is the port of rd-line alre"),
    ('port = "/dev/ttyUSB0"', 'port = "x"\nbaud = 0', "baud = 0", "device[2].baud", ">= 1200"),
    ('port = "/dev/ttyUSB0"', 'port = "/dev/x"\nbaud = 9600', "baud = 9600", "device[2].baud", "or faster: 230400, 46"),
    ('id = "dr"', 'id = "rd-in"', ('id = "rd-in"', 2), "device[1].id", "'rd-in' is declared twice"),
    ('id = "side"', 'id = "front"', ('id = "front"', 2), "portal[1].id", "'front' is declared twice"),
    ('id = "office"', 'id = "outside"', ('id = "outside"', 2), "zone[1].id", "'outside' is declared twice"),
    ('"sat 09', '"sit 09', "windows = [", "schedule[0].windows", "'sit 09:00-12:00' is not like 'mon-fri 08:00-20:00'"),
    ('"sat 09:00', '"sat 13:00', "windows = [", "schedule[0].windows", "does not lie in order within one day"),
    ("-12:00", "-24:01", "windows = [", "schedule[0].windows", "does not lie in order within one day"),
    ("-12:00", "-12:70", "windows = [", "schedule[0].windows", "is not like"),
    ('"mon-fri', '"fri-mon', "windows = [", "schedule[0].windows", "a week runs from mon to sun"),
    ('kind = "CONTROLLED"', 'kind = "OPEN"', 'kind = "OPEN"', "zone[1].kind", "not one of UNRESTRICTED, CONTROLLED"),
    ('kind = "CONTROLLED"', 'kind = "EXCLUSION"', ("[[zone]]", 2), "zone[1].items", "names the information items"),
    ('parent = "outside"', 'parent = "garden"', 'parent = "garden"', "zone[1].parent", "there is no zone 'garden'"),
    ('parent = "outside"', 'parent = "office"', 'parent = "office"', "zone[1].parent", "makes a circle"),
    ('schedule = "hours"', 'schedule = "night"', 'schedule = "night"', "zone[1].schedule", "there is no schedule 'ni"),
    ('schedule = "hours"', "min_factors = 0", "min_factors = 0", "zone[1].min_factors", "must be 1"),
    ('schedule = "hours"', 'items = "x"', 'items = "x"', "zone[1].items", "Expected `array`, got `str`"),
    ('schedule = "hours"', 'accepted_bases = ["X"]', 'accepted_bases = ["X"]', "accepted_bases[0]", "of KEIZAI_ANPO,"),
    ('name_ja = "執務室"', 'name_ja = ""', 'name_ja = ""', "zone[1].name_ja", "must be 1 to 80 printable characters"),
    ('outer = "outside"', 'outer = "yard"', 'outer = "yard"', "portal[0].outer", "there is no zone 'yard'"),
    ('outer = "outside"', 'outer = "office"', 'inner = "office"', "portal[0].inner", "is the same zone as outer"),
    ('rex = "dr"', "is_escape = true", "[[portal]]", "portal[0].rex", "an escape portal opens from inside without"),
    ('strike = "dr"', 'strike = "rd-line"', 'strike = "rd-line"', "portal[0].strike", "neither a declared MQTT device"),
    ('strike = "dr"', 'strike = "drr"', 'strike = "drr"', "portal[0].strike", "neither a declared MQTT device nor"),
    ('strike = "dr"', 'strike = "board"', 'strike = "board"', "portal[0].strike", "nor `board:channel`"),
    ('strike = "dr"', 'strike = "board:3"', 'strike = "board:3"', "portal[0].strike", "board has channels 1 to 2"),
    ('strike = "dr"', 'strike = "board:01"', 'strike = "board:01"', "portal[0].strike", "nor `board:channel`"),
    ('strike = "dr"', 'strike = "board:1"', ('strike = "board:1"', 2), "portal[1].strike", "the strike of front"),
    (
        'contact = "dr"',
        'contact = "d"',
        'contact = "d"',
        "portal[0].contact",
        "is not a declared device of kind gpio or modbus or mqtt or osdp",
    ),
    (
        'rex = "dr"',
        'rex = "board"',
        'rex = "board"',
        "portal[0].rex",
        "is not a declared device of kind gpio or modbus or mqtt or osdp",
    ),
    (
        '"rd-line"\ngrade',
        '"rd-in"\ngrade',
        ('entry_reader = "rd-in"', 2),
        "portal[1].entry_reader",
        "entry_reader of fr",
    ),
    ('rex = "dr"', 'exit_reader = "rd-in"', 'exit_reader = "rd-in"', "portal[0].exit_reader", "entry_reader of front"),
    ('rex = "dr"', "release_ms = 99999", "release_ms = 99999", "portal[0].release_ms", "<= 30000"),
    (
        'rex = "dr"',
        'lock_type = "OPEN"',
        'lock_type = "OPEN"',
        "portal[0].lock_type",
        "not one of FAIL_SAFE, FAIL_SECURE",
    ),
    ('rex = "dr"', "rex =", "rex =", "is not TOML", "Invalid value, column 6"),
    ('strike = "board:1"\n', "strike =", "strike =", "is not TOML", ""),
    (
        'exit_hardware = "HANDLE"\n',
        "",
        "[[portal]]",
        "portal[0]",
        "`exit_hardware` is missing: say what lets people out",
    ),
    ('"HANDLE"', '"BAR"', 'exit_hardware = "BAR"', "portal[0].exit_hardware", "of SOFTWARE, HANDLE, HARDWIRED_REX"),
    ('"HANDLE"', '"SOFTWARE"', 'exit_hardware = "SOFTWARE"', "portal[0].exit_hardware", "[EXIT_BY_SOFTWARE, docs/lint"),
    ("grade = 1", "grade = 2", "grade = 2", "portal[1].grade", "the way: outside > side > office [GRADE_CONTACT"),
    ("grade = 1", "grade = 5", "grade = 5", "portal[1].grade", "<= 4"),
    ('strike = "dr"', 'strike = "rd-in"', 'strike = "rd-in"', "portal[0].strike", "on the unsecure side"),
    (
        'strike = "dr"',
        'strike = "dr"\nheld_warn_ms = 20000',
        "held_warn_ms = 20000",
        "portal[0].held_warn_ms",
        "less than",
    ),
    (
        'rex = "dr"',
        'counter = "board"',
        'counter = "board"',
        "portal[0].counter",
        "is not a declared device of kind mqtt",
    ),
    ('rex = "dr"', 'reader_link = "CONDUIT"', 'reader_link = "CONDUIT"', "portal[0].reader_link", "the broker's TLS"),
    (
        "grade = 1",
        'reader_link = "ENCRYPTED"',
        'reader_link = "ENCRYPTED"',
        "portal[1].reader_link",
        "of CLEAR, CONDUIT",
    ),
    ('rex = "dr"', 'interlock_with = ["x"]', 'interlock_with = ["x"]', "portal[0].interlock_with", "no portal 'x'"),
    ('rex = "dr"', 'unlock_schedule = "x"', 'unlock_schedule = "x"', "portal[0].unlock_schedule", "no schedule 'x'"),
    (
        'id = "rd-line"\n',
        'id = "rd-line"\nkeypad = true\n',
        "keypad = true",
        "device[2].keypad",
        "pn532 has no `keypad`",
    ),
    ('id = "dr"\n', 'id = "dr"\nkeypad = true\n', "keypad = true", "device[1].keypad", "is no portal's entry_reader"),
    (
        'node = "gate"',
        'node = "gate"\nfire_input = "x"',
        'fire_input = "x"',
        "controller.fire_input",
        "not a declared dev",
    ),
    (
        'schedule = "hours"',
        'min_link = "TLS"',
        'min_link = "TLS"',
        "zone[1].min_link",
        "not one of CLEAR, CONDUIT, ENCRYPTED",
    ),
    ('schedule = "hours"', "raised_factors = 2", ("[[zone]]", 2), "zone[1].raised_outside", "is missing"),
    (
        'schedule = "hours"',
        "apb_ms = 5000",
        "apb_ms = 5000",
        "zone[1].apb_ms",
        "with anti_passback TIMED",
    ),
    ('"sat 09', '"hol 09', "[[schedule]]", "schedule[0].calendar", "is missing: a window for holidays"),
    (
        '"sat 09',
        '"2026-12-28.. sat 09',
        "windows = [",
        "schedule[0].windows",
        "or '2026-12-28..2027-01-03 mon-sun 00:00",
    ),
    ('"sat 09', '"2027-02-28..2027-02-29 sat 09', "windows = [", "schedule[0].windows", "a day that no calendar has"),
    ('"sat 09', '"2027-02-28..2027-02-27 sat 09', "windows = [", "schedule[0].windows", "ends before it begins"),
    ("[[schedule]]", '[[calendar]]\nid = "c"\ndays = [1]\n[[schedule]]', "days = [1]", "calendar[0].days[0]", "`date`"),
    (
        "[[schedule]]",
        '[[calendar]]\nid = "c"\nnational = "X"\n[[schedule]]',
        'national = "X"',
        "calendar[0].national",
        "one of JP",
    ),
    (
        "[[schedule]]",
        '[[walk]]\nid = "w"\none = "front"\nother = "x"\nmin_ms = 9\n[[schedule]]',
        'other = "x"',
        "walk[0].other",
        "there is no portal 'x'",
    ),
]


@pytest.mark.parametrize(("there", "instead", "line", "key", "words"), FAULTS)
def test_a_fault_is_told_with_its_line_its_key_and_what_belongs_there(there, instead, line, key, words):
    """Somebody on a ladder would look for a typing mistake in two hundred lines, or a door would run on it."""
    assert there in GOOD
    text = GOOD.replace(there, instead, 1)
    wanted, nth = line if isinstance(line, tuple) else (line, 1)
    said = complaint(text)
    assert said.startswith(f"site.toml:{line_with(text, wanted, nth)}: "), said
    assert key in said and words in said, said


@pytest.mark.parametrize("section", ["controller", "device", "zone", "portal"])
def test_a_missing_section_is_named(section):
    """An empty building would be armed."""
    document = {key: value for key, value in tomllib.loads(GOOD).items() if key != section}
    text = "\n".join(_written(key, value) for key, value in document.items())
    assert complaint(text) == f"site.toml:1: the file: `{section}` is missing"


def test_a_relay_on_the_network_is_for_simulations_on_this_machine_only():
    """Anybody on the network could press the relay's key (an unauthenticated line)."""
    simulated = GOOD.replace("[mqtt]", "[simulation]\nseed = 1\n\n[mqtt]")
    for host in ("127.0.0.1", "[::1]", "localhost"):
        parse_site(simulated.replace("/dev/ttyUSB1", f"socket://{host}:7001"), PATH)
    for host in ("10.0.0.7", "board", "127.0.0.1.example"):
        assert "to this machine only" in complaint(simulated.replace("/dev/ttyUSB1", f"socket://{host}:7001"))


def test_a_file_that_cannot_be_read_is_told_so(tmp_path):
    """A start would end in a traceback that says nothing to whoever stands before it."""
    path = tmp_path / "site.toml"
    for content, words in (
        (None, "cannot be read: No such file"),
        (b'[controller]\nnode = "\xff"\n', ":2: is not UTF-8"),
    ):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(SiteFileError) as refused:
            load_site(path)
        assert str(path) in str(refused.value) and words in str(refused.value)
    with pytest.raises(SiteFileError, match="cannot be read: Is a directory"):
        load_site(tmp_path)


def test_a_socket_that_no_kernel_takes_is_refused(tmp_path):
    """The doors would be armed and then the program would end, for a path that is too long."""
    with pytest.raises(SiteFileError, match=r"controller\.socket: .* at most 107 bytes"):
        parse_site(GOOD, tmp_path / ("x" * 100) / "site.toml")


def test_paths_are_named_from_the_site_files_folder(tmp_path):
    """A service that starts in another folder would make a second, empty ledger there."""
    text = GOOD.replace("[mqtt]\n", '[mqtt]\nusername = "u"\npassword_file = "keys/mqtt"\nca_file = "/etc/ca.pem"\n')
    site = parse_site(text, tmp_path / "site.toml")
    assert site.state_dir == tmp_path / "state" and site.socket == tmp_path / "controller.sock"
    assert site.mqtt is not None
    assert (site.mqtt.password_file, site.mqtt.ca_file) == (str(tmp_path / "keys" / "mqtt"), "/etc/ca.pem")


def test_a_good_file_says_what_it_says():
    """A relay would hang on another door than the file says, or a door would open at another hour."""
    site = parse_site(GOOD, PATH)
    assert {portal: (strike.device, strike.channel) for portal, strike in site.wiring.strikes.items()} == {
        "front": ("dr", None),
        "side": ("board", 1),
    }
    assert site.wiring.entry_readers == {"rd-in": "front", "rd-line": "side"}
    assert site.wiring.contacts == {"dr": "front"} == site.wiring.rexes
    front, side = site.portals
    assert (front.has_contact, front.has_rex, front.has_exit_reader) == (True, True, False)
    assert (side.has_contact, side.has_rex, side.has_entry_reader) == (False, False, True)
    (hours,) = site.schedules
    assert hours.windows == (
        *(Window(weekday=day, from_min=480, to_min=1200) for day in range(5)),
        Window(weekday=5, from_min=540, to_min=720),
    )
    assert (front.grade, front.exit_hardware, front.relay_in_reader) == (2, ExitHardware.HANDLE, False)


EVERYTHING = (
    GOOD.replace('node = "gate"', 'node = "gate"\nfire_input = "dr"\npower_input = "dr"')
    .replace('id = "rd-in"\n', 'id = "rd-in"\nkeypad = true\n', 1)
    .replace(
        "[[schedule]]",
        """\
[[calendar]]
id = "holidays"
national = "JP"
days = [2026-12-29, 2026-11-23, 2026-12-29]

[[walk]]
id = "round"
one = "front"
other = "side"
min_ms = 20000

[[schedule]]
calendar = "holidays"
""",
        1,
    )
    .replace('"sat 09:00', '"hol 10:00-16:00", "2026-12-28..2027-01-03 sat-sun 00:00-24:00", "sat 09:00')
    .replace(
        'schedule = "hours"',
        """\
company_level = 0
raised_factors = 2
raised_outside = "hours"
attended_counts = true
min_link = "CONDUIT"
anti_passback = "SOFT"
occupancy_min = 2
occupancy_max = 9
min_factors = 2
dual_window_ms = 30000
needs_opener = true
training = ["fire"]
declares_devices = true
visitors_allowed = true
escort_ratio = 2
policy_age_ms_max = 60000
plan_ref = "A-1"
""",
    )
    .replace('rex = "dr"', 'rex = "dr"\ncounter = "dr"\nexit_reader = "rd-out"\nheld_warn_ms = 9000')
    .replace("[[zone]]", '[[device]]\nid = "rd-out"\nkind = "mqtt"\n[[zone]]', 1)
    .replace("grade = 1", 'grade = 3\nreader_link = "CONDUIT"\ncontact = "rd-out"\ninterlock_with = ["front"]')
)
"""Every key that a site may have besides."""


def test_every_key_reaches_its_field():
    """A site would be written with two people at the door, and be run without."""
    site = parse_site(EVERYTHING, PATH)
    (calendar,), (hours,), (walk,) = site.calendars, site.schedules, site.walks
    assert date(2026, 12, 29) in calendar.days and date(2026, 11, 23) in calendar.days
    assert (
        list(calendar.days) == sorted(set(calendar.days)) and len(calendar.days) == len(national_days(National.JP)) + 1
    )
    assert hours.calendar == "holidays" and hours.windows[5] == Window(
        weekday=0, from_min=600, to_min=960, is_for_holidays=True
    )
    bounds = {"from_on": date(2026, 12, 28), "until_on": date(2027, 1, 3)}
    assert hours.windows[6:8] == tuple(Window(weekday=day, from_min=0, to_min=1440, **bounds) for day in (5, 6))
    assert walk == Walk(id="round", one="front", other="side", min_ms=20000)
    office = site.zones[1]
    assert office == Zone(
        id="office", name_ja="執務室", name_en="Office", kind=ZoneKind.CONTROLLED, parent="outside", min_factors=2,
        raised_factors=2, raised_outside="hours", attended_counts=True, min_link=LinkAssurance.CONDUIT,
        anti_passback=AntiPassback.SOFT, occupancy_min=2, occupancy_max=9, dual_window_ms=30000, needs_opener=True,
        training=("fire",), declares_devices=True, visitors_allowed=True, escort_ratio=2, policy_age_ms_max=60000,
        plan_ref="A-1",
    )  # fmt: skip
    front, side = site.portals
    assert (front.held_warn_ms, front.reader_link, side.reader_link) == (
        9000,
        LinkAssurance.CLEAR,
        LinkAssurance.CONDUIT,
    )
    assert side.interlock_with == ("front",) and side.grade == 3
    wiring = site.wiring
    assert wiring.counters == {"dr": "front"}
    assert wiring.tampers == {"rd-in": "front", "dr": "front", "rd-out": "front"}
    assert wiring.fire_inputs == wiring.power_inputs == {"dr"}
    assert wiring.keypads == {"rd-in"}
    assert wiring.links == {
        "rd-in": LinkAssurance.CLEAR, "rd-out": LinkAssurance.CLEAR, "rd-line": LinkAssurance.CONDUIT,
    }  # fmt: skip
    assert {one.code for one in site.warnings} >= {"READER_LINK_SHORT", "INTERLOCK_ONE_WAY"}


@pytest.mark.req("B-15")
def test_a_reader_on_the_broker_is_as_safe_as_the_brokers_line():
    """A zone that asks for an encrypted line would be entered over a plain one."""
    tls = parse_site(GOOD.replace("[mqtt]\n", '[mqtt]\nca_file = "ca.pem"\n'), PATH)
    assert tls.wiring.links == {"rd-in": LinkAssurance.ENCRYPTED, "rd-line": LinkAssurance.CLEAR}
    assert [portal.reader_link for portal in tls.portals] == [LinkAssurance.ENCRYPTED, LinkAssurance.CLEAR]


@pytest.mark.req("A-35")
def test_a_strike_that_hangs_on_its_reader_is_seen_and_refused():
    """Somebody would take the reader off the wall and put two wires together."""
    assert "[RELAY_OUTSIDE" in complaint(GOOD.replace('strike = "dr"', 'strike = "rd-in"'))


@pytest.mark.req("B-03")
def test_a_door_is_closed_on_a_holiday_monday_and_open_the_next():
    """On 勤労感謝の日 the office would stand open to everybody who may work there."""
    site = parse_site(EVERYTHING, PATH)
    (hours,), (calendar,) = site.schedules, site.calendars

    def is_open(*at: int) -> bool:
        return is_within(
            hours, Moment(at=datetime(*at, tzinfo=JST).astimezone(UTC), tick_ms=0), {calendar.id: calendar}
        )

    assert not is_open(2026, 11, 23, 9, 0), "勤労感謝の日, a Monday"
    assert is_open(2026, 11, 23, 10, 0), "hours for holidays"
    assert not is_open(2026, 11, 23, 16, 0)
    assert is_open(2026, 11, 30, 9, 0), "the next Monday"
    assert is_open(2026, 12, 27, 0, 0) is False, "a Sunday before the bounds"
    assert not is_open(2027, 1, 1, 9, 0), "元日"
    assert is_open(2027, 1, 3, 23, 59), "within the bounds, on a Sunday"
    assert not is_open(2027, 1, 10, 23, 59)


def test_the_days_are_those_of_the_library():
    """A substitute holiday would be a working day, for want of `make lock`."""
    from holidays.countries.japan import Japan

    first, last = YEARS
    assert list(national_days(National.JP)) == sorted(Japan(years=range(first, last + 1)))


def test_the_page_of_the_site_file_names_every_key():
    """Somebody would have to read Python to find out that a door can be interlocked."""
    page = (Path(__file__).parents[2] / "docs" / "site-file.md").read_text("utf-8")
    for name, section in typing.get_type_hints(SiteFile).items():
        (kind,) = [one for one in (*typing.get_args(section), section) if hasattr(one, "__struct_fields__")]
        assert f"[{name}]" in page
        missing = [key for key in kind.__struct_fields__ if not re.search(rf"(?m)`{key}\b|^{key} = ", page)]
        assert not missing, (name, missing)


@given(st.text(max_size=200) | st.text(alphabet="[]{}=\"'.#\n abc1", max_size=60))
def test_no_text_makes_it_stumble(text):
    """A half-written file would end the start in a traceback."""
    with pytest.raises(SiteFileError, match=r"site\.toml:\d+: "):
        parse_site(text, PATH)


@given(cut=st.integers(0, len(GOOD)), more=st.text(max_size=8))
def test_no_cut_or_slip_of_the_hand_makes_it_stumble(cut, more):
    """A half-saved file would end the start in a traceback."""
    for text in (GOOD[:cut] + more, GOOD[:cut] + more + GOOD[cut:]):
        try:
            parse_site(text, PATH)
        except SiteFileError as refused:
            said = str(refused)
        else:
            said = "site.toml:"
        assert said.startswith("site.toml:")


TRICKY = '''\
# [controller]
top = 1
[ controller ] # [zone]
note = """
[zone]
kind = 1
"""
'quoted key'.x = 2
list = [
  "kind = 3", # ]
  [1, 2], { kind = 4 },
  ["zone"],
]
kind = 5
[[zone]]
kind = 6
[zone.sub]
kind = 7
[[zone]]
other = \'\'\'
kind = 8\'\'\'
  kind = 9
[[zone.part]]
kind = 10
[[zone.part]]
"kind" = 11
'''


@pytest.mark.parametrize(
    ("key_path", "line"),
    [
        (".top", 2),
        (".controller", 3),
        (".controller.note", 4),
        (".controller.quoted key.x", 8),
        (".controller.list", 9),
        (".controller.list[2].kind", 9),
        (".controller.kind", 14),
        (".zone[0]", 15),
        (".zone[0].kind", 16),
        (".zone[0].sub.kind", 18),
        (".zone[1]", 19),
        (".zone[1].kind", 22),
        (".zone[1].missing", 19),
        (".zone[1].part[0].kind", 24),
        (".zone[1].part[1].kind", 26),
        (".zone[1].part[1].missing.deeper[3]", 25),
        (".nowhere", 1),
        ("", 1),
    ],
)
def test_the_line_of_a_key(key_path, line):
    """The complaint would send somebody to another door's lines."""
    tomllib.loads(TRICKY)
    assert line_of(TRICKY, key_path) == line
    assert line_of(TRICKY.replace("\n", "\r\n"), key_path) == line


def _written(key: str, value: object) -> str:
    rows = value if isinstance(value, list) else [value]
    header = f"[[{key}]]" if isinstance(value, list) else f"[{key}]"
    blocks = [[header, *(f"{name} = {_plain(field)}" for name, field in row.items())] for row in rows]
    return "\n".join(line for block in blocks for line in block)


def _plain(field: object) -> str:
    return str(field).replace("'", '"') if isinstance(field, list | int) else f'"{field}"'


WIRED = """
[controller]
node = "hq"
state_dir = "state"
socket = "c.sock"
fire_input = "io:4"
power_input = "rd-in:2"

[cards]
application = "F53E4B"

[[device]]
id = "bus"
kind = "osdp-bus"
port = "/dev/ttyS0"

[[device]]
id = "rd-in"
kind = "osdp"
bus = "bus"
address = 1
keypad = true
input_count = 2

[[device]]
id = "rd-out"
kind = "pn532"
port = "/dev/ttyS1"

[[device]]
id = "io"
kind = "modbus"
port = "/dev/ttyS2"
unit = 1
channels = 8
input_count = 8
tamper_input = 8

[[device]]
id = "io-2"
kind = "modbus"
port = "/dev/ttyS2"
unit = 2
channels = 2

[[device]]
id = "pi"
kind = "gpio"
relay_pins = [17]
pins = [5]

[[zone]]
id = "outside"
name_ja = "屋外"
name_en = "Outside"
kind = "UNRESTRICTED"

[[zone]]
id = "office"
name_ja = "執務室"
name_en = "Office"
kind = "CONTROLLED"
parent = "outside"
min_link = "ENCRYPTED"
plan_ref = "D-1"

[[portal]]
id = "main"
name_ja = "入口"
name_en = "Entrance"
outer = "outside"
inner = "office"
exit_hardware = "HANDLE"
entry_reader = "rd-in"
exit_reader = "rd-out"
contact = "io:3"
rex = "io:6"
strike = "io:1"

[[portal]]
id = "side"
name_ja = "通用口"
name_en = "Side entrance"
outer = "outside"
inner = "office"
exit_hardware = "HANDLE"
grade = 2
contact = "pi:5"
strike = "pi:17"
"""


@pytest.mark.req("B-09")
def test_a_line_too_full_to_see_short_pulses_is_refused():
    """Somebody would slip through a door between two looks at its contact, on a line with one board too many."""
    boards, portals = "", ""
    for n in range(3, 12):
        boards += f'\n[[device]]\nid = "io-{n}"\nkind = "modbus"\nport = "/dev/ttyS2"\nunit = {n}\n'
        boards += "channels = 2\ninput_count = 8\n"
        portals += f'\n[[portal]]\nid = "p{n}"\nname_ja = "口"\nname_en = "P{n}"\nouter = "outside"\n'
        portals += f'inner = "office"\nexit_hardware = "HANDLE"\ncontact = "io-{n}:1"\nstrike = "io-{n}:1"\n'
    text = WIRED.replace("\n[[zone]]", f"{boards}\n[[zone]]", 1) + portals
    with pytest.raises(SiteFileError, match=r"device\[13\].*more `baud`, or fewer boards"):
        parse_site(text, Path("site.toml"))
    fast = text.replace('kind = "modbus"', 'kind = "modbus"\nbaud = 115200')
    assert len(parse_site(fast, Path("site.toml")).portals) == 11


LOOP = "tamper_input = 8\nloops = [{ input = 3, quiet = [190, 290], active = [440, 570] }]"


@pytest.mark.req("B-09")
def test_a_supervised_loop_is_declared_with_its_bands():
    """A cut wire of a guarded contact would be told as an open leaf, and a bridged one as a closed one."""
    site = parse_site(WIRED.replace("tamper_input = 8", LOOP), Path("site.toml"))
    plans = {one.number: one for one in input_plans(site.devices["io"], site.wiring.inputs["io"])}
    assert [plans[3].level(raw) for raw in (238, 504, 0, 1023)] == ["quiet", "active", "short", "cut"]
    assert plans[4].loop is None


@pytest.mark.parametrize(
    ("there", "instead", "words"),
    [
        ("input = 3", "input = 5", "nothing of this site hangs on input 5 of io"),
        ("440, 570", "280, 570", "needs two bands apart from each other"),
        ("input = 3", "input = 33", "32"),
    ],
)
def test_a_loop_that_cannot_be_is_refused(there, instead, words):
    """Every reading of a guarded contact would be a fault, or none."""
    with pytest.raises(SiteFileError, match=words):
        parse_site(WIRED.replace("tamper_input = 8", LOOP.replace(there, instead)), Path("site.toml"))


def test_boards_and_osdp_readers_are_wired_by_number():
    """A contact on input 3 is taken for another portal's, or for nobody's."""
    wiring = parse_site(WIRED, Path("site.toml")).wiring
    assert wiring.contacts == {"io:3": "main", "pi:5": "side"}
    assert wiring.rexes == {"io:6": "main"}
    assert wiring.fire_inputs == {"io:4"}
    assert wiring.inputs == {
        "io": {3: "contact", 4: "fire", 6: "rex", 8: "tamper"},
        "rd-in": {2: "power"},
        "pi": {5: "contact"},
    }
    assert wiring.tampers == {"rd-in": "main", "io:8": "main"}
    assert (wiring.secured, wiring.challenging) == (
        {"rd-in"},
        {"rd-in": {"pkoc"}, "rd-out": set(CardsSection().schemes)},
    )
    assert {reader: link.name for reader, link in wiring.links.items()} == {"rd-in": "ENCRYPTED", "rd-out": "CLEAR"}
    assert [(one.device, one.channel) for one in wiring.strikes.values()] == [("io", 1), ("pi", 17)]


@pytest.mark.parametrize(
    ("there", "instead", "key", "words"),
    [
        ('bus = "bus"', 'bus = "io"', "device[1].bus", "is not a declared device of kind osdp-bus"),
        ("address = 1", "address = 127", "device[1].address", "126"),
        ("address = 1\n", "", "device[1]", "needs `address`"),
        ("unit = 2", "unit = 1", "device[4].port", "another `unit`"),
        ("unit = 2", "unit = 2\nbaud = 19200", "device[4].port", "the same `baud`"),
        ('port = "/dev/ttyS1"', 'port = "/dev/ttyS0"', "device[2].port", "is the port of bus already"),
        ('contact = "io:3"', 'contact = "io"', "portal[0].contact", "write an input as `io:number`"),
        ('contact = "io:3"', 'contact = "io:9"', "portal[0].contact", "io has inputs 1, 2, 3"),
        ('contact = "io:3"', 'contact = "io:03"', "portal[0].contact", "write an input as"),
        ('contact = "io:3"', 'contact = "io:8"', "portal[0].contact", "already serves as tamper"),
        ('contact = "io:3"', 'contact = "pi:5"', "portal[1].contact", "already serves as contact"),
        ('contact = "pi:5"', 'contact = "io-2:1"', "portal[1].contact", "give it `input_count`"),
        ('entry_reader = "rd-in"', 'entry_reader = "rd-in:1"', "portal[0].entry_reader", "write 'rd-in'"),
        ('strike = "pi:17"', 'strike = "pi:4"', "portal[1].strike", "relay_pins 17"),
        ('strike = "pi:17"', 'strike = "rd-in:1"', "portal[1].strike", "no `channels`"),
        ("pins = [5]", "pins = [5, 17]", "device[5].pins", "not both"),
        ('application = "F53E4B"', 'application = "F53E"', "cards.application", "6 hexadecimal digits"),
        ("[cards]", '[cards]\nschemes = ["mifare_classic"]', "cards.schemes", "is not one of"),
    ],
)
def test_a_fault_of_the_new_wires_is_told_with_what_belongs_there(there, instead, key, words):
    """The installer stands before a wall of boards and the message names none of them."""
    assert there in WIRED
    said = complaint(WIRED.replace(there, instead, 1))
    assert key in said and words in said, said
