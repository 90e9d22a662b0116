"""Task ids are UUIDs that do not come twice."""

from __future__ import annotations

from itertools import islice
from uuid import RFC_4122, UUID

from progresshub.registry.ids import DRAWN, ids


def test_an_id_is_a_random_uuid_in_its_usual_spelling() -> None:
    for text in islice(ids(), 3 * DRAWN):
        found = UUID(text)

        assert (found.version, found.variant, str(found)) == (4, RFC_4122, text)


def test_every_digit_varies_but_those_that_say_what_it_is() -> None:
    digits = list(zip(*(text.replace("-", "") for text in islice(ids(), 4 * DRAWN)), strict=True))

    assert [len(set(seen)) for seen in digits] == [16] * 12 + [1] + [16] * 3 + [4] + [16] * 15


def test_ids_of_two_servers_and_of_many_draws_differ() -> None:
    found = [*islice(ids(), 10 * DRAWN), *islice(ids(), 10 * DRAWN)]

    assert len(set(found)) == len(found)
