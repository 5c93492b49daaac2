"""The words in seeded records."""

from typing import Final

FIRST_NAMES: Final = """
    Ada Amélie Anwar Astrid Beatriz Björn Chidi Chloé Dafydd Danièle Elif Eoghan Fatima François Grace Günter Hana
    Ingrid Ioana Jürgen José Kateřina Kofi Lena Łukasz María Mehmet Miguel Nguyệt Niamh Olena Oskar Priya Renée
    Rhys Sigrún Siobhán Søren Tomás Ülkü Vít Wanjiru Xóchitl Yuki Zoë Željko 美咲 伟 Дмитро محمد
""".split()  # noqa: SIM905 - as a list it is a page long

LAST_NAMES: Final = """
    Achebe Ångström Brown Çelik Dvořák Evans Fitzgerald García Gruber Hansen Horvat Ivanova Jones Kowalska Kjær
    Lévy McKenzie Müller Nakamura Novák Nguyễn O'Brien Okonkwo Ólafsdóttir Patel Quispe Rossi Şahin Schröder
    Smith-Łaski Taylor Ünal Vargas Williams Yılmaz Zieliński 田中 王 Шевченко الهاشمي
""".split()  # noqa: RUF001, SIM905 - as a list it is a page long

JOB_TITLES: Final = (
    "Account Executive",
    "Crew Lead (Nights)",
    "Data Analyst",
    "Häuserverwalter",
    "Head of People & Culture",
    "Nurse, Band 6",
    "Store Manager",
    "Support Engineer",
)

DEPARTMENTS: Final = ("Sales", "Operations", "People", "Finance & Legal", "Forschung", "Support")

TIME_ZONES: Final = ("Europe/London", "Europe/Paris", "America/New_York", "Asia/Tokyo", "Africa/Nairobi")

LANGUAGES: Final = ("en-gb", "en-us", "de-de", "fr-fr", "pl-pl", "ja-jp")

TAGS: Final = (
    "leadership",
    "health-and-safety",
    "data protection",
    "C++",
    "coaching/mentoring",
    "Führung",
    "sales",
    "negotiation",
    "first aid",
    "excel",
    "onboarding",
    "diversity & inclusion",
)

CONTENT_TYPES: Final = """
    article assessment broadcast cmi5 elearning event file pathway question quiz scorm url video mixed course
""".split()  # noqa: SIM905 - as a list it is a page long

CONTENT_TITLES: Final = (
    "Fire safety at work",
    "Anti-bribery essentials",
    "Willkommen im Team",
    "GDPR in ten minutes",
    "Giving feedback <that lands>",
    "Manual handling & lifting",
    "Négocier avec confiance",
    "Spreadsheets: beyond SUM()",
)

ACTIVITY_TYPES: Final = """
    viewed completed passed pinned unpinned liked unliked commented commentdeleted shared progressed registered
    followed unfollowed started resumed searched found loggedin loggedout reacted
""".split()  # noqa: SIM905 - as a list it is a page long

CATEGORIES: Final = ("Structured learning", "Self-directed", "Conference", "Peer review", "Coaching & mentoring")

SKILL_LEVELS: Final = (("Beginner", 1024), ("Intermediate", 2048), ("Expert", 4096))
