"""Names of people: what a capitalised pair of words, or the value of a name field, is worth.

The gazetteers lie in `signatures/lists` (`names`), read once and never per request. A full name in running text needs a
known given name in front; behind a label or a salutation it is enough that nothing speaks against it.
"""

from __future__ import annotations

import re
from functools import cache
from hashlib import sha256

from sluice import config

PARTICLES = frozenset(
    """
    van von de da do dos das del della di du la le el al bin ibn ben der den ter ten zu zur af av y e i st mc
    """.split()  # noqa: SIM905 - words read better as words
)
TITLES = frozenset(
    """
    mr mrs ms miss mx dr prof sir dame lord lady rev fr herr frau hr m mme mlle sr sra srta dott
    """.split()  # noqa: SIM905 - as above
)

NOT_NAMES = frozenset(
    """
    january february march april may june july august september october november december monday tuesday wednesday
    thursday friday saturday sunday street avenue road lane drive boulevard court square place park hill lake river
    university college school institute academy hospital clinic church airport station center centre tower building
    house hotel museum library bridge county city town state island islands beach bay valley mountain mountains north
    south east west northern southern eastern western central upper lower new old great united national international
    federal republic kingdom union america american british english french german european africa asia europe world
    inc llc ltd gmbh corp corporation company group holdings partners foundation association society committee council
    ministry department office agency bureau bank fund trust insurance services service systems software technologies
    solutions consulting engineering team project program programme plan award prize cup league championship series
    model theory theorem algorithm method effect law act disease syndrome rule test scale index equation distribution
    the and or of for in on at to from with by not is are was were be this that these those his her their our your my
    i you he she it we they who what when where why how please thanks thank hello hi dear hey best kind regards
    sincerely user users admin administrator customer customers client clients patient patients employee employees
    manager director president chairman chief officer secretary minister king queen prince professor doctor nurse
    teacher engineer developer analyst assistant agent support sales marketing finance legal human resources account
    accounts order invoice ticket request response error warning note notes page section chapter table figure appendix
    day days night week month year years season spring summer autumn fall winter morning evening
    none null unknown anonymous test example sample demo default undefined true false yes no na n/a tbd name first last
    full middle given family surname username title phone email address date birth gender age value string number id
    code api server database client cluster studio pro plus max mini cloud web app mobile desktop windows linux
    java python javascript react angular node docker google microsoft amazon apple facebook oracle
    optional required str string int float bool bytes dict tuple union literal callable sequence iterable mapping object
    show get set add list all any new open closed pending active status type key data info file path
    """.split()  # noqa: SIM905 - words read better as words
)
"""Words that make a capitalised row of words a place, an organisation, a heading or a field, and no person."""

_WORD = re.compile(r"[^\W\d_](?:[^\W\d_]|['’.-])*")
_THING = re.compile(
    r"\s?(?:Street|St\.|Avenue|Ave|Road|Rd|Lane|Drive|Blvd|Boulevard|Square|Park|Airport|University|College|School"
    r"|Hospital|Institute|Foundation|Inc|LLC|Ltd|GmbH|Corp|Company|& (?:Co|Sons)|Award|Prize|Bridge|County|Center"
    r"|Centre|Building|Tower|Theorem|Theory|Effect|Syndrome|Disease|Museum|Library|Church|Cup|Day|Hotel|Group|Bank)\b"
)


GAZETTEERS = ("given-names", "ambiguous-names", "family-names")


@cache
def names(which: str) -> frozenset[str]:
    """The lower-case names of a gazetteer: `given-names`, `ambiguous-names` or `family-names`."""
    text = (config.signatures_dir() / "lists" / f"{which}.txt").read_text("utf-8")
    return frozenset(word for line in text.splitlines() if not line.startswith("#") for word in line.split())


@cache
def digest() -> str:
    """SHA-256 of the gazetteers: another name in them changes findings."""
    lists = [sorted(names(which)) for which in GAZETTEERS]
    return sha256("\n".join(word for words in lists for word in words).encode()).hexdigest()


def full_name(value: str, behind: str) -> bool:
    """A known given name, perhaps more, then a family name that is known or at least no ordinary word.

    `behind` is the text that follows: `John Hancock Building` is no person.
    """
    words = _WORD.findall(value)
    if len(words) < 2 or _THING.match(behind):
        return False
    lowered = [w.lower().rstrip(".") for w in words]
    first, last = lowered[0].split("-"), lowered[-1].split("-")[-1]
    if last in NOT_NAMES or any(w in NOT_NAMES for w in lowered[1:]):
        return False
    if names("given-names").isdisjoint(first):
        return not names("ambiguous-names").isdisjoint(first) and last in names("family-names")
    return last in names("family-names") or last in names("given-names") or len(last) >= 4


def labelled_name(value: str) -> bool:
    """A value that its label calls a name: one to five words, none of which is a word that no name has."""
    words = [w.lower().rstrip(".") for w in _WORD.findall(value)]
    words = [w for w in words if w not in TITLES and w not in PARTICLES]
    if not 1 <= len(words) <= 5 or any(w in NOT_NAMES for w in words):
        return False
    return any(len(w) > 1 for w in words) and not (value.isupper() and len(value) < 3)


def announced_name(value: str) -> bool:
    """A labelled name of two words, or of one that is in a gazetteer: `name: Widget` is code."""
    return labelled_name(value) and (len(_WORD.findall(value)) > 1 or known_name(value))


def known_name(value: str) -> bool:
    """A labelled name of which at least one word is in a gazetteer: for labels that other things have too."""
    if not labelled_name(value):
        return False
    words = {w.lower() for w in _WORD.findall(value)}
    return any(not words.isdisjoint(names(which)) for which in GAZETTEERS)
