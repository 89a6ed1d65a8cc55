"""Names and places in many scripts, for sample people. All of them are common names; none is a person."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A town."""

    city: str
    state: str
    postal_code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Land:
    """A country with its people."""

    country: str
    places: tuple[Place, ...]
    first_names: Mapping[str, str]  #: name -> how it is written in an e-mail address
    last_names: tuple[str, ...]


def _land(
    country: str, places: tuple[tuple[str, str, str], ...], first_names: Mapping[str, str], last_names: str
) -> Land:
    return Land(
        country=country,
        places=tuple(Place(city=city, state=state, postal_code=code) for city, state, code in places),
        first_names=first_names,
        last_names=tuple(last_names.split()),
    )


LANDS = (
    _land(
        "Hrvatska",
        (("Zagreb", "Grad Zagreb", "10000"), ("Šibenik", "Šibensko-kninska", "22000"), ("Čakovec", "", "40000")),
        {"Ana": "ana", "Željko": "zeljko", "Đurđica": "durdica", "Ćiro": "ciro"},
        "Horvat Kovačević Šimić Đurić Žagar",
    ),
    _land(
        "Türkiye",
        (("İstanbul", "Marmara", "34000"), ("Iğdır", "Doğu Anadolu", "76000")),
        {"İpek": "ipek", "Çağla": "cagla", "Ömer": "omer", "Işık": "isik"},
        "Yılmaz Öztürk Şahin Çelik",
    ),
    _land(
        "Polska",
        (("Łódź", "łódzkie", "90-001"), ("Kraków", "małopolskie", "30-001")),
        {"Łukasz": "lukasz", "Małgorzata": "malgorzata", "Żaneta": "zaneta"},
        "Wójcik Kamiński Dąbrowska Żurek",
    ),
    _land(
        "Ísland",
        (("Reykjavík", "Höfuðborgarsvæðið", "101"), ("Ísafjörður", "Vestfirðir", "400")),
        {"Þórdís": "thordis", "Ægir": "aegir", "Guðrún": "gudrun"},
        "Jónsdóttir Þorsteinsson Björnsson",
    ),
    _land(
        "Việt Nam",
        (("Hà Nội", "", "100000"), ("Đà Nẵng", "", "550000")),
        {"Nguyệt": "nguyet", "Đức": "duc", "Phượng": "phuong"},
        "Nguyễn Trần Phạm Đặng",
    ),
    _land(
        "Україна",
        (("Київ", "Київська", "01001"), ("Львів", "Львівська", "79000")),
        {"Олена": "olena", "Євген": "yevhen", "Юрій": "yuriy"},
        "Шевченко Їжакевич Ґалаґан",
    ),
    _land(
        "Ελλάδα",
        (("Αθήνα", "Αττική", "104 31"), ("Θεσσαλονίκη", "Μακεδονία", "546 21")),
        {"Ελένη": "eleni", "Γιώργος": "giorgos", "Άννα": "anna"},
        "Παπαδόπουλος Νικολάου Ιωαννίδης",
    ),
    _land(
        "مصر",
        (("القاهرة", "القاهرة", "11511"), ("الإسكندرية", "الإسكندرية", "21500")),
        {"فاطمة": "fatima", "محمد": "mohamed", "أحمد": "ahmed"},
        "حسن إبراهيم السيد",
    ),
    _land(
        "ישראל",
        (("תל אביב-יפו", "מחוז תל אביב", "61000"), ("חיפה", "מחוז חיפה", "31000")),
        {"נועה": "noa", "דוד": "david", "שירה": "shira"},
        "כהן לוי מזרחי",
    ),
    _land(
        "भारत",
        (("मुंबई", "महाराष्ट्र", "400001"), ("दिल्ली", "दिल्ली", "110001")),
        {"प्रिया": "priya", "अर्जुन": "arjun", "लक्ष्मी": "lakshmi"},
        "शर्मा पटेल सिंह",
    ),
    _land(
        "中国",
        (("北京市", "北京", "100000"), ("广州市", "广东省", "510000")),
        {"伟": "wei", "秀英": "xiuying", "静": "jing"},
        "王 李 张 欧阳",
    ),
    _land(
        "日本",
        (("東京都", "関東", "100-0001"), ("札幌市", "北海道", "060-0001")),
        {"さくら": "sakura", "太郎": "taro", "ユキ": "yuki"},
        "佐藤 鈴木 渡邉",
    ),
    _land(
        "대한민국",
        (("서울특별시", "", "04524"), ("부산광역시", "", "47545")),
        {"서연": "seoyeon", "민준": "minjun", "지우": "jiwoo"},
        "김 이 박",
    ),
    _land(
        "ประเทศไทย",
        (("กรุงเทพมหานคร", "", "10100"), ("เชียงใหม่", "เชียงใหม่", "50000")),
        {"สมชาย": "somchai", "น้ำฝน": "namfon"},
        "ใจดี ทองคำ ศรีสุข",
    ),
    _land(
        "საქართველო",
        (("თბილისი", "", "0105"), ("ბათუმი", "აჭარა", "6000")),
        {"ნინო": "nino", "გიორგი": "giorgi"},
        "ბერიძე კაპანაძე",
    ),
    _land(
        "United States",
        (("San José", "California", "95101"), ("Hāna", "Hawaiʻi", "96713"), ("Erie", "Pennsylvania", "16501")),
        {"Zoë": "zoe", "Mary Ann": "mary.ann", "Jean-Luc": "jean-luc", "👩‍🚀 Kim": "kim"},
        "O'Neil Nuñez Smith D’Angelo",
    ),
)  # fmt: skip
