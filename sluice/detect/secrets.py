"""What can be proven of a credential from its own characters and the few that stand before it.

Checksums of wallets (BIP-39, Base58Check, Bech32, StrKey), the range of an elliptic-curve key, and the judgement of a
value whose vendor has given it no form: forty characters of hexadecimal are a key behind `VENDOR_TOKEN=` and a commit
behind `commit`. Pure functions of strings; `validators` gives them their names.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import NamedTuple

from sluice.detect import passwords
from sluice.detect.seedwords import PLACE

_CREDENTIAL = re.compile(
    r"(?i)key|token|secret|passw|pwd|passphrase|credential|bearer|license|licence|auth(?!or)|private|dsn\b"
    r"|(?:^|[^a-z])(?:pat|cred|creds|sid)(?:[^a-z]|$)|access|webhook|api\\{0,3}[\"']?\s{0,3}[=:]"
)
"""A word that says that a credential follows."""
_OTHERWISE = re.compile(
    r"""(?ix)
    (?: sha-?\d{0,3} | md5 | checksum | digest | hash(?:es|sum)? | commit | revision | etag | integrity | fingerprint
      | trace | span | build | version | tag | blob | tree | parent | image | layer | nonce | salt | iv | cursor
      | transaction | txn? | block | signature | merge | cherry.?pick | locale? | snapshot | device | nextPage\w*
      | (?:request|correlation|trace|span|session|build|image|message|event|job|run|task|order|user|account|project
          |org|organi[sz]ation|team|tenant|client|app|application|customer|workspace|page|object|node|id)[_\ -]?u?u?id
      | uuid | guid | \bu?id | public[_\ -]?key\w* | public[_\ -]?token | publishable\w* | [cx]srf\w{0,12}
      | (?<![a-z])(?:next[_-]?)?(?:next|page|continuation|sync|cancellation)[_-]?token | site[_\ -]?key )
    ["'`\s:=@#(>,\\|-]{0,5}$
    | [#@]$ | /(?:commit|blob|tree|raw|archive|sha256)s?/$ | \bsha\d{1,3}[:-]$ | key[_\s-]{0,2}id["'`\s:=,>]{0,5}$
    """
)
"""What says that the value behind it is something else."""
_SERVICES = frozenset(
    """
    abuseipdb abyssale access account accuweather adzuna aeroworkflow airbrake airship airtable alconost alegra
    aletheiaapi algolia alienvault allsports amadeus ambee amplitude anypoint apacta api2cart apideck apiflash
    apilayer apimatic apimetrics apitemplate appcues appointedd appsynergy apptivo asana atera atlassian auth0
    autodesk autoklose aviationstack axonaut aylien azure backblaze bamboohr beebole besnappy betterstack
    billomat binance bitbar bitcoinaverage bitfinex bitly bitmex bittrex blazemeter blitapp blocknative borgbase
    braintree brandfetch browserless browserstack browshot bscscan buddyns bugherd bugsnag bulksms bunny
    buttercms bybit calendarific calorieninja campayn capsulecrm captaindata carboninterface caspio censys
    chartmogul chatfuel checklyhq clarifai clearbit cliengo clinchpad clockify cloudelements cloudflare
    cloudimage cloudinary cloudmersive cloudplan cloudsmith cloverly clustdoc codacy codeberg codeclimate
    codecov codequiry cohere coinapi coinbase coinlayer commercejs companyhub confluence confluent contentful
    contentstack convertkit countrylayer coveralls craftmypdf crowdin cryptocompare currencycloud currencyfreaks
    currencylayer currencyscoop customer dareboost datadog deepai deepgram deepseek detectify detectlanguage
    diffbot diggernaut discourse dnscheck docparser docusign dronahq droneci duply dwolla dynalist dyspatch
    enablex etherscan ethplorer eventbrite exchangerate exchangerates exportsdk extractorapi faceplusplus
    fastforex fastly fetchrss financialmodelingprep findl finicity finnhub flickr flightapi flightstats flowflu
    forgejo formsite foursquare freemius freshbooks freshdesk freshworks fxmarket geckoboard geoapify geocodify
    getemails getgeoapi getresponse getsandbox gitea gitter glassnode graphhopper greenhouse gtmetrix gumroad
    gyazo happyscribe hasura hcloud hellosign helpscout heroku hetzner hiveage holidayapi honeycomb html2pdf
    hwcloud hypertrack iconfinder iexcloud imagekit imagga insightly instamojo intercom interseller intrinio
    intuit invoiceocean ip2location ipgeolocation ipifi ipquality ipstack iterable jotform jumpcloud jupiterone
    klipfolio knapsackpro kraken kucoin kylas lakera lambdatest languagelayer launchdarkly leadfeeder lemlist
    linenotify linkpreview linode liveagent loadmill logdna loggly loginradius lokalise looker loyverse
    lunchmoney madkudu magicbell mailboxlayer mailerlite mailjet mailtrap mapquest marketstack mattermost
    mavenlink maxmind meaningcloud mediastack meistertask meraki mesibo messagebird metaapi mezmo mindmeister
    mistral mixmax mixpanel monkeylearn moonclerk moosend moralis nasdaq nethunt netsuite neutrinoapi newsapi
    newscatcher nexmo nftport nicereply numverify nutritionix nylas nytimes oanda omnisend onelogin onepagecrm
    onfleet oopspam opencagedata openuv openweather opsgenie optimizely ossrh overloop owlbot packagecloud
    pagerduty pandadoc paralleldots partnerstack pastebin paydirtapp paymoapp paymongo paypal pdflayer pdfshift
    peopledatalabs pinata pinecone pipedream pipedrive pixabay plaid planviewleankit planyo plivo pollsapi
    poloniex positionstack postageapp postmark powrbot private prodpad proxycrawl purestake pushbullet qcloud
    qualaroo quandl qubole rapidapi raygun reachmail rebrandly redhat repairshopr replyio restpack ringcentral
    ritekit rocketreach route4me rownd runrunit salescookie salesflare salesmate sambanova saucelabs scaleway
    scalr scrapeowl scraperapi scraperbox scrapestack scraping scrapingant screenshotlayer securitytrails
    segment selectpdf semgrep sendbird serper serphouse serpstack sherpadesk shodan shotstack shutterstock
    signalwire signaturit signupgenius sigopt simfin simplesat simvoly siteleaf skrapp skybiometry smartystreets
    snipcart solarwinds sonatype sparkpost spoonacular sportsmonk squarespace sslmate statuscake statuspage
    statuspal stitchdata storage storecove stormboard stormglass storyblok sugester surveybot surveysparrow
    survicate tatum taxjar teamgate technicalanalysisapi testingbot textmagic theoddsapi thinkific thousandeyes
    ticketmaster tiingo timecamp tmetric todoist together toggl tokeet tomtom tradier transferwise travelpayouts
    trello twelvedata twilio tyntec typetalk unsplash upcdatabase uplead uploadcare upwave urlscan userstack
    vatlayer verimail veriphone versioneye virustotal visualcrossing vonage voodoosms vouchery vpnapi vultr
    walkscore wandb weatherbit weatherstack webflow webscraper webscraping websitepulse weights wepay whoxy
    wistia worksnaps workstack worldcoinindex worldweather youneedabudget yousign zendesk zenrows zenscrape
    zenserp zerobounce zerotier zipapi zipcodeapi zipcodebase zonka
    """.split()  # noqa: SIM905 - names read better as names
)
"""Services whose name stands for nothing else: what is assigned to it is its key (`postmark: "..."`)."""
_DIRECT = re.compile(
    r"(?i)(?:^|[^a-z0-9])([a-z0-9]{5,24})\\{0,3}[\"'`]?(?:\s{0,3}(?::?=|=>|:|\s-)\s{0,3}\\{0,3}[\"'`]?|\s{1,3}[\"'`])$"
)
_ENDS = tuple(
    """
    sha md5 checksum digest hash hashes hashsum commit revision etag integrity fingerprint trace span build version tag
    blob tree parent image layer nonce salt iv cursor transaction tx txn block signature merge pick local locale
    snapshot device id guid
    """.split()  # noqa: SIM905 - words read better as words
) + tuple(
    word + joint + what
    for joint in ("", "_", "-", " ")
    for words, what in ((("next", "page", "continuation", "sync", "cancellation"), "token"), (("site",), "key"))
    for word in words
)
_WITHIN = ("nextpage", "public", "publish", "csrf", "xsrf")
_SIGNS = "\"'`:=@#(>,\\|- \t\r\n\x0b\x0c\x1c\x1d\x1e\x1f"
_SIGNS_LAST = frozenset("#@/:-\n")
"""What no text is without that `_OTHERWISE` matches: a search in it costs 17 microseconds, and hardly ever succeeds."""
_NEAR = 64
_HEX = re.compile(r"[0-9a-f]+|[0-9A-F]+")
_UUID = re.compile(r"(?i)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
RIPPLE58 = "rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz"
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BECH32_CONSTANTS = frozenset({1, 0x2BC830A3})
"""BIP-173 and BIP-350."""
CURVE_ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
"""Order of secp256k1 (SEC 2): a private key lies below it."""


class Seed(NamedTuple):
    """What the words at the beginning of a text make: where the last of them ends, whether the checksum holds, and
    whether it is a published vector (entropy of one repeated byte)."""

    end: int
    checked: bool
    published: bool


def issued(value: str, before: str) -> bool:
    """True when a value of no form is a credential: made by a machine, and announced as one by what stands before it.

    `before` is the text that ends where the value begins; 64 characters of it are looked at.
    """
    near = before[-_NEAR:]
    if not announced(near) or otherwise(near) or passwords.reference(value):
        return False
    return random(value)


def announced(before: str) -> bool:
    """True when the words before a value say that a credential follows, or it is assigned to the name of a service."""
    if _CREDENTIAL.search(before) is not None:
        return True
    direct = _DIRECT.search(before)
    return direct is not None and direct[1].lower() in _SERVICES


def otherwise(before: str) -> bool:
    """True when the words before a value say that it is something else: a commit, a checksum, an identifier."""
    near = before[-_NEAR:]
    if near.isascii() and near[-1:] not in _SIGNS_LAST:  # then it ends in one of a few words, or holds one
        words = near.lower().rstrip(_SIGNS)
        if not words.endswith(_ENDS) and not words[-1:].isdigit() and not any(w in words for w in _WITHIN):
            return False
    return _OTHERWISE.search(near) is not None


def random(value: str) -> bool:
    """True for letters and digits without words in them: UUID, hexadecimal of 20 or more, or mixed characters."""
    if _UUID.fullmatch(value):
        return len(set(value)) >= 10
    digits = sum(c.isdigit() for c in value)
    if _HEX.fullmatch(value):
        return len(value) >= 20 and digits < len(value) and len(set(value)) >= 9
    if digits == len(value) or passwords.wordlike(value) or (not digits and not passwords.scrambled(value)):
        return False
    return len(set(value)) >= min(10, len(value) // 2) and passwords.entropy(value) >= (3.0 if len(value) < 24 else 3.3)


def unspoken(value: str) -> bool:
    """True when one of the groups in a value cannot be said: four small letters are a word as often as a password."""
    return any(not set(group) & set("aeiouy") for group in value.split())


# ---------------------------------------------------------------------------------------------------- wallets


def seed_phrase(text: str) -> Seed | None:
    """BIP-39 at the beginning of a text: 12, 15, 18, 21 or 24 words of the English list, whatever stands between them.

    The longest count whose checksum holds. Without one, the longest count there is, unless a phrase with a checksum
    begins a few words further on: `seed` and `phrase` are words of the list too.
    """
    places: list[int] = []
    ends: list[int] = []
    for match in re.finditer(r"[A-Za-z]+", re.sub(r"\\+[nrt]", lambda m: " " * len(m[0]), text)):
        place = PLACE.get(match[0].lower())
        if place is None or len(places) == _MOST + _LEAD:
            break
        places.append(place)
        ends.append(match.end())
    if seed := _checked(places, ends):
        return seed
    counts = [n for n in _COUNTS if n <= len(places)]
    if not counts or len(set(places[: counts[0]])) <= 6:
        return None
    if any(_checked(places[lead:], ends[lead:]) for lead in range(1, _LEAD + 1)):
        return None
    return Seed(ends[counts[0] - 1], False, False)


_MOST, _COUNTS, _LEAD = 24, (24, 21, 18, 15, 12), 4


def _checked(places: list[int], ends: list[int]) -> Seed | None:
    """The longest phrase at the beginning whose checksum holds: entropy, then its SHA-256 a thirty-third as long."""
    for count in _COUNTS:
        if count <= len(places):
            bits = "".join(f"{p:011b}" for p in places[:count])
            size = count * 32 // 3
            entropy = int(bits[:size], 2).to_bytes(size // 8)
            if f"{sha256(entropy).digest()[0]:08b}"[: count // 3] == bits[size:]:
                return Seed(ends[count - 1], True, len(set(entropy)) == 1)
    return None


def base58check(value: str, alphabet: str = BASE58) -> bytes | None:
    """The payload of a Base58Check text (version byte and all), or None when its checksum does not hold."""
    number = 0
    for char in value:
        digit = alphabet.find(char)
        if digit < 0:
            return None
        number = number * 58 + digit
    zeros = len(value) - len(value.lstrip(alphabet[0]))
    raw = bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8)
    payload, check = raw[:-4], raw[-4:]
    return payload if payload and sha256(sha256(payload).digest()).digest()[:4] == check else None


def bech32(value: str) -> bool:
    """True when the checksum of a Bech32 or Bech32m text holds (BIP-173, BIP-350)."""
    prefix, one, data = value.lower().rpartition("1")
    if not one or not prefix or any(c not in _BECH32 for c in data):
        return False
    symbols = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix] + [_BECH32.index(c) for c in data]
    check = 1
    for symbol in symbols:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ symbol
        for i, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= generator if top >> i & 1 else 0
    return check in _BECH32_CONSTANTS


def strkey(raw: bytes) -> bool:
    """True when the CRC-16 of a decoded Stellar key holds (SEP-23): XMODEM, little-endian, over all before it."""
    check = 0
    for byte in raw[:-2]:
        check ^= byte << 8
        for _ in range(8):
            check = (check << 1 ^ 0x1021 if check & 0x8000 else check << 1) & 0xFFFF
    return raw[-2:] == check.to_bytes(2, "little")


def curve_key(value: str) -> bool:
    """True when 64 hexadecimal digits are a private key of secp256k1 somebody could have."""
    body = value.lower().removeprefix("0x")
    return len(body) == 64 and len(set(body)) >= 9 and 0 < int(body, 16) < CURVE_ORDER
