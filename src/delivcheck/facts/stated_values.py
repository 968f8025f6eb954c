"""What a text states that must be the same in every version of it: amounts of money, dates, codes, order numbers.

Pure functions over one text; the words are in `rules/data/stated-values.toml`. A value that can be read in two ways (1.234,
3/4/2026) has both readings, so that it differs from another only if no reading of the two is the same.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from functools import lru_cache
from itertools import islice

from msgspec import Struct

from ..rulefiles import data

MAX_TEXT = 200_000  # characters of one text that are searched; twice what Gmail shows
MAX_VALUES = 1_000  # of one kind; a newsletter of the corpora states 60 prices
NEAR = 60  # characters after its word in which a code must begin
WINDOW = 40  # characters on either side of a year or a currency sign in which the rest of a date or an amount stands


class Stated(Struct, frozen=True):
    """One value as it is written, with its place in the text and all that it can mean."""

    written: str
    start: int
    end: int
    readings: frozenset[object]


# --- looking for them --------------------------------------------------------------------------------------------

_SHAPES = bytes(ord("9" if chr(code).isdigit() else "A" if chr(code).isupper() else " ") for code in range(128)) + bytes(128)
_RUN = re.compile(rb"9+")


@lru_cache(maxsize=4)  # as in `_words_with_digits`: each is asked four times
def _shape(text: str) -> bytes:
    """An ASCII text with 9 for digits, A for capitals, else blanks: `find` in it takes a tenth of what a pattern does."""
    return text.encode("ascii").translate(_SHAPES)


# --- money -------------------------------------------------------------------------------------------------------

_DIGITS = r"\d{1,3}(?:[., '\u2019\xa0\u202f]\d{3}){1,4}(?:[.,]\d{1,2})?(?![\d])|\d{1,9}(?:[.,]\d{1,2})?(?![\d])"
_SIGN = r"[$€£¥₹₽₩₺₪₫₴₦฿]|(?:US|CA|AU|A|C|NZ|HK|S|R)\$"
_WORD = (
    r"USD|EUR|GBP|CHF|CAD|AUD|NZD|JPY|CNY|INR|SEK|NOK|DKK|PLN|CZK|HUF|RON|BGN|TRY|BRL|MXN|ZAR|SGD|HKD|RUB|UAH|ILS|Euro|zł|Kč|kr"
)
_BLANK = r"[ \xa0\u202f]?"
_MONEY = re.compile(
    rf"(?:(?<!\w)(?:{_SIGN}){_BLANK}|(?<!\w)(?:{_WORD})[ \xa0\u202f])(?P<after>{_DIGITS})"
    rf"|(?<![\w.,])(?P<before>{_DIGITS}){_BLANK}(?:{_SIGN}|(?:{_WORD})\b)"
)
_CURRENCIES = tuple(_WORD.split("|"))
_SMALL_CURRENCIES = tuple(word for word in _CURRENCIES if not word.isupper())
_SMALL_ASCII_CURRENCIES = tuple(word for word in _SMALL_CURRENCIES if word.isascii())
_CAPITALS = re.compile("[A-Z][A-Z]{2}")  # each of the others is three; `re` finds [A-Z]{3} in three times the time
_SIGN_ALONE = re.compile("[$€£¥₹₽₩₺₪₫₴₦฿]")
_SIGN_OR_WORD = re.compile(rf"{_SIGN}|(?<![^\W\d_])(?:{_WORD})(?!\w)")
_NEITHER = re.compile(r"[\W_]+")
_GROUPS = re.compile(r"[ '\u2019\xa0\u202f]")


def amounts_in(text: str) -> Iterator[Stated]:
    """Amounts with a currency before or behind them. Readings are numbers; the currency is not one of them."""
    text = text[:MAX_TEXT]
    mark = _mark_of_money(text)
    for found in _around((sign.span() for sign in mark.finditer(text)), _MONEY, text) if mark is not None else ():
        digits = found["after"] or found["before"]
        yield Stated(found[0].strip(), *found.span(), frozenset({_number(digits)}))


def _mark_of_money(text: str) -> re.Pattern[str] | None:
    """What to look for first: the less that is, the faster. None where there is no amount."""
    is_ascii = text.isascii()  # then the dollar is the only sign
    capitals = b"AAA" in _shape(text) if is_ascii else _CAPITALS.search(text)
    words = _CURRENCIES if capitals else _SMALL_ASCII_CURRENCIES if is_ascii else _SMALL_CURRENCIES
    if any(word in text for word in words):
        return _SIGN_OR_WORD
    return _SIGN_ALONE if not is_ascii or "$" in text else None


def _around(marks: Iterable[tuple[int, int]], whole: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """What matches as a whole around its mark: to try the long pattern at each character would take ten times as long."""
    end = 0
    for first, last in islice(marks, MAX_VALUES):
        if last > end:
            found = whole.search(text, max(end, first - WINDOW), last + WINDOW)
            if found:
                end = found.end()
                yield found


def _number(digits: str) -> Decimal:
    """The number that digits with points and commas are: the last sign is the decimal one, unless three digits follow it."""
    plain = _GROUPS.sub("", digits)
    last = max(plain.rfind("."), plain.rfind(","))
    whole = re.sub(r"[.,]", "", plain[:last]) if last >= 0 else ""
    if last < 0 or len(plain) - last - 1 == 3:  # nobody writes tenths of a cent in a mail
        return Decimal(whole + plain[last + 1 :])
    return Decimal(f"{whole}.{plain[last + 1 :]}")


# --- dates -------------------------------------------------------------------------------------------------------


_YEAR = re.compile(
    r"(?:19|20)(?<!\d..)\d\d(?!\d)"
)  # what stands before is looked at last: the search goes from 1 or 2 to the next


def _years(text: str) -> Iterator[tuple[int, int]]:
    """Where years of four digits stand."""
    if not text.isascii():
        yield from (found.span() for found in _YEAR.finditer(text))
        return
    shape = _shape(text)
    start = shape.find(b"9999")
    while start >= 0:
        run = _RUN.match(shape, start)
        assert run is not None  # the four
        end = run.end()
        if end - start == 4 and text.startswith(("19", "20"), start):
            yield start, end
        start = shape.find(b"9999", end)


@lru_cache(maxsize=1)
def _months() -> dict[str, int]:
    return {name: number for number, names in enumerate(data("stated-values")["months"]["names"], 1) for name in names}


@lru_cache(maxsize=1)
def _dates() -> re.Pattern[str]:
    month = "|".join(sorted(map(re.escape, _months()), key=len, reverse=True))
    return re.compile(
        r"(?<![\w./-])(?P<iso>(\d{4})-(\d{1,2})-(\d{1,2}))(?![\w./-]*\d)"
        r"|(?<![\w./-])(?P<plain>(\d{1,2})([./-])(\d{1,2})\7(\d{4}))(?![\w/-])"
        rf"|(?<!\w)(?P<first>(\d{{1,2}})(?:st|nd|rd|th|\.|er|º)?,? (?:de |of )?({month})\.?,? (?:de )?(\d{{4}}))(?!\d)"
        rf"|(?<!\w)(?P<second>({month})\.? (\d{{1,2}})(?:st|nd|rd|th)?,? (\d{{4}}))(?!\d)",
        re.IGNORECASE,
    )


def dates_in(text: str) -> Iterator[Stated]:
    """Dates with a year of four digits. 3/4/2026 is read both ways."""
    text = text[:MAX_TEXT]
    for found in _around(_years(text), _dates(), text):
        if found["iso"]:
            ways = [(found[2], found[3], found[4])]
        elif found["plain"]:
            ways = [(found[9], found[8], found[6]), (found[9], found[6], found[8])]
        elif found["first"]:
            ways = [(found[13], _months().get(found[12].lower(), 0), found[11])]
        else:
            ways = [(found[17], _months().get(found[15].lower(), 0), found[16])]
        readings = frozenset(day for way in ways if (day := _day(*map(int, way))) is not None)
        if readings:
            yield Stated(found[0], *found.span(), readings)


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


# --- codes and numbers -------------------------------------------------------------------------------------------

# Digits in groups, or letters and digits with a digit among them, hyphens inside. Between word and code may stand "is", a
# colon, a few words or the end of a line: HTML sets a code in a box of its own.
_CODE = re.compile(
    r"(?<![\w-])(?=[A-Z\d])(?:[A-Z]-\d{4,8}|\d{4,8}|\d{3}[ \xa0-]\d{3}|(?=[A-Z-]*\d)[A-Z\d]{5,10}"
    r"|(?=[A-Z]*\d)[A-Z\d]{3,5}-[A-Z\d]{3,5})(?![\w-]|[.,]\d)"
)
_BEFORE_CODE = rf"[^\d.?!]{{0,{NEAR}}}"
_NUMBER = re.compile(r"(?<![\w-])(?=[A-Z\d])(?:[A-Z]{1,6}-?)?\d[\dA-Z-]{3,24}(?!\w)")
_BEFORE_NUMBER = r"(?:[ \xa0]?(?:number|no\.?|nr\.?|id))?[ \xa0]?:?\s{0,4}[#№]?"
_NEVER_BEFORE_NUMBER = ("/", "=", "&", "?")  # neither that nor a word ends so: most numbers of a text stand in its URLs


@lru_cache(maxsize=2)
def _words(kind: str) -> tuple[str, ...]:
    return tuple(sorted(data("stated-values")[kind]["words"], key=len, reverse=True))


@lru_cache(maxsize=2)
def _ascii_words(kind: str) -> tuple[str, ...]:
    """Those that can stand in an ASCII text."""
    return tuple(word for word in _words(kind) if word.isascii())


@lru_cache(maxsize=2)
def _led_to(kind: str, between: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, _words(kind)))})(?!\w){between}\Z", re.IGNORECASE)


def codes_in(text: str) -> Iterator[Stated]:
    """What stands behind a word for a code. The reading is the code without spaces and hyphens."""
    return _named_in(text, "code", _CODE, _BEFORE_CODE)


def speaks_of_code(text: str) -> bool:
    """Whether one of the words for a code occurs."""
    return _mentioned().search(text, 0, MAX_TEXT) is not None


@lru_cache(maxsize=1)
def _mentioned() -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?i:{'|'.join(map(re.escape, _words('code')))})(?!\w)")


def numbers_in(text: str) -> Iterator[Stated]:
    """What stands right behind a word for an order, an invoice and so on, numbers of five characters and more."""
    return _named_in(text, "number", _NUMBER, _BEFORE_NUMBER, _NEVER_BEFORE_NUMBER)


def _named_in(
    text: str, kind: str, value: re.Pattern[str], between: str, never_before: tuple[str, ...] = ()
) -> Iterator[Stated]:
    """The values first, since there are few, then the word before each."""
    text = text[:MAX_TEXT]
    for number, found in enumerate(islice(_with_digit(value, text), MAX_VALUES)):
        if number == FEW_VALUES and not _says(kind, text.lower()):
            return
        before = text[max(0, found.start() - NEAR - WINDOW) : found.start()]
        if before.endswith(never_before):
            continue
        if _says(kind, before.lower()) and _led_to(kind, between).search(before):
            yield Stated(found[0], *found.span(), frozenset({bare(found[0])}))


def _says(kind: str, folded: str) -> bool:
    return any(map(folded.__contains__, (_ascii_words if folded.isascii() else _words)(kind)))


FEW_VALUES = 20  # whose surroundings are asked for the words; to ask the whole text takes about as long
FEW_DIGITS = 60  # characters of text to a word with digits, from which on the words are tried one by one
_DIGIT_FIRST = 12  # characters of a code or a number in which its first digit stands; both patterns have at most ten


def _with_digit(value: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """What `finditer` gives for a pattern of the two above: tried where a word begins that has a digit soon, if few have."""
    starts = _words_with_digits(text)
    if starts is None:
        yield from value.finditer(text)
        return
    end = 0
    for start in starts:
        if start < end:
            continue
        if found := value.match(text, _beginning_of_word(text, start)):
            end = found.end()
            yield found


def _beginning_of_word(text: str, start: int) -> int:
    """Where a word begins that has its first digit there; not further before than a value may."""
    before = text[max(0, start - _DIGIT_FIRST) : start]
    if before.isascii():
        return start - len(before) + len(before.rstrip(_ASCII_LETTERS))
    lead = _WORD_BEFORE.search(before)
    assert lead is not None  # it matches nothing, too
    return start - len(before) + lead.start()


@lru_cache(maxsize=4)  # for codes and for numbers, of the text and of the HTML
def _words_with_digits(text: str) -> tuple[int, ...] | None:
    """Where in each word with digits the first is; None where there are many."""
    few = len(text) // FEW_DIGITS + 1
    found = _of_ascii(text) if text.isascii() else (found.start() for found in _DIGITS_AND_MORE.finditer(text))
    starts = tuple(islice(found, few + 1))
    return starts if len(starts) <= few else None


def _of_ascii(text: str) -> Iterator[int]:
    """Where each word with digits has its first."""
    shape = _shape(text)
    start = shape.find(b"9")
    while start >= 0:
        yield start
        word = _DIGITS_AND_MORE.match(text, start)
        assert word is not None  # the digit
        start = shape.find(b"9", word.end())


_DIGITS_AND_MORE = re.compile(r"\d[\w-]*")
_WORD_BEFORE = re.compile(r"[\w-]*\Z")
_ASCII_LETTERS = "-_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"  # what it finds of ASCII


def bare(text: str) -> str:
    """Letters and digits alone, in lower case: how a code is looked for in another text."""
    return _NEITHER.sub("", text).lower()


def same(one: Stated, other: Stated) -> bool:
    """Whether two values can mean the same. €19 with its 99 cents set small is read as 19 or as 1999: both count as 19.99."""
    if not one.readings.isdisjoint(other.readings):
        return True
    return any(
        isinstance(mine, Decimal) and isinstance(theirs, Decimal) and _loosely(mine, theirs)
        for mine in one.readings
        for theirs in other.readings
    )


def _loosely(mine: Decimal, theirs: Decimal) -> bool:
    whole = mine == int(mine) or theirs == int(theirs)
    return whole and (int(mine) == int(theirs) or str(mine).replace(".", "") == str(theirs).replace(".", ""))
