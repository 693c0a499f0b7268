"""How the cells of tables are written."""

import pytest
from markupsafe import Markup, escape

from ingress.console.formats import keep_whole


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("2026-11-20 18:00:00", '<span class="whole">2026-11-20</span> <span class="whole">18:00:00</span>'),
        ("-1,234.50 MXN", '<span class="whole">-1,234.50 MXN</span>'),
        (Markup('<a href="/x">2026-11-20</a>'), '<span class="whole"><a href="/x">2026-11-20</a></span>'),
        ('<a href="/x">2026-11-20</a>', '<span class="whole">&lt;a href=&#34;/x&#34;&gt;2026-11-20&lt;/a&gt;</span>'),
        ("2026-11-20 or so", "2026-11-20 or so"),
        ("<b>", "&lt;b&gt;"),
        (7, "7"),
    ],
)
def test_days_times_and_sums_are_not_broken_within_and_texts_stay_texts(cell: object, shown: str) -> None:
    assert escape(keep_whole(cell)) == shown
