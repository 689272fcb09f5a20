"""Numbers that a word before them names: telephones and ids that nothing else tells from any other number."""

from __future__ import annotations

import re
from collections.abc import Iterator

from audit.finders.telephones import UNIT

Span = tuple[int, int]

#: A number that a word may name: groups with at least one digit each.
_NUMBER = re.compile(r"(?ai)(?<![0-9a-z])[a-z]{0,6}[0-9][0-9a-z]{0,24}(?:[ ./-][a-z]{0,2}[0-9][0-9a-z]{0,12}){0,7}")
_TELEPHONE = re.compile(r"[0-9][0-9 ./-]*[0-9]")
#: A name does not reach across these: another number, one that was found and blanked, the end of a sentence.
_BREAK = re.compile(r"[0-9,;\n?!\0]")
_WORD = re.compile(r"[^\W\d_]+")
_REACH, _MIN_CHARACTERS = 40, 6


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _phrases(text: str) -> frozenset[str]:
    return frozenset(text.split(", "))


_TELEPHONES = _words(
    "tel tél telephone téléphone phone mobile mobil móvil movil cell cellphone fax whatsapp telefon telefono teléfono"
    " telefone telefoon handy celular cellulare gsm puh puhelin tlf tlp tfno komórka mobiltelefon telefonnummer"
    " handynummer mobilnummer rufnummer тел телефон τηλ hp msisdn"
)
_IDS = _words(
    # The United Kingdom, Ireland, North America, Australia
    "ssn itin tin nino nhs pps ppsn sin tfn medicare passport"
    # German, French, Spanish, Italian, Portuguese, Dutch
    " reisepass steuerid idnr identifikationsnummer steuernummer sozialversicherungsnummer svnr personalausweis ahv"
    " passeport nir insee pasaporte dni nie nif curp rfc rut cuit cuil passaporto fiscale cpf"
    " paspoort bsn burgerservicenummer rijksregisternummer"
    # The north and the east of Europe, Turkey
    " passnummer personnummer personnumber cpr fødselsnummer hetu henkilötunnus kennitala isikukood pesel číslo cislo"
    " rč cnp egn егн oib jmbg emso amka kimlik tckn снилс инн"
    # Asia, Africa
    " aadhaar aadhar pan nric hkid rrn cnic mykad nin bvn"
)
#: Names of two words, each of which alone means something else.
_PAIRS = _phrases(
    "my number, steuer id, personal number, social security, national insurance, national id, national identity"
    ", identity card, id card, tax id, tax number, numéro fiscal, numero fiscal, driving licence, driver license"
    ", s license, s licence, drivers license, sécurité sociale"
)
#: Words that may stand between the name and the number.
_FILLERS = _words(
    "no nr num number numbers nummer numéro numero número id code card is was my mine the at on me of under ist est es"
    " è är er n nº"
)


def labelled(text: str, start: int, end: int) -> Iterator[Span]:
    """Numbers that are called an id or a telephone and that begin in `text[start:end]`."""
    at = start
    while (match := _NUMBER.search(text, at)) and match.start() < end:
        at = match.end()
        if at - match.start() < _MIN_CHARACTERS:
            continue
        name = _name(text[max(0, match.start() - _REACH) : match.start()])
        if name and (stop := _end(match, name)):
            yield match.start(), stop


def _end(match: re.Match[str], name: str) -> int | None:
    if name == "telephone":
        number = _TELEPHONE.match(match.string, *match.span())
        is_long_enough = number and 6 <= sum(map(str.isdigit, number[0])) <= 15
        return number.end() if number and is_long_enough and not UNIT.match(match.string, number.end()) else None
    digits = sum(map(str.isdigit, match[0]))
    return match.end() if digits >= 4 and sum(map(str.isalnum, match[0])) >= 6 else None


def _name(before: str) -> str | None:
    """The kind that the words directly before a number give it: `id`, `telephone` or None."""
    words = _WORD.findall(_BREAK.split(before)[-1].lower())
    while words:
        word = words.pop()
        if " ".join((*words[-1:], word)) in _PAIRS or word in _IDS:
            return "id"
        if word in _TELEPHONES:
            return "telephone"
        if word not in _FILLERS:
            return None
    return None
