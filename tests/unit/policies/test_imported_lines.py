"""A stranger is introduced as they would be if the line were weighed against nothing."""

from hypothesis import given
from hypothesis import strategies as st

from policies.imported_lines import MAX_DEVICES, introduce, weigh
from policies.profile_changes import ProfileEdit
from schemas import ids
from schemas.profile import unpack_words
from schemas.recipient_events import ImportedDevice, ImportedRecipient, ImportedWish

words = st.sampled_from(["", "a", "b"])
wishes = st.lists(
    st.builds(
        ImportedWish,
        st.sampled_from(["email", "push", "sms"]),
        st.none() | st.booleans(),
        st.sampled_from(["22:00-07:00", "23:00-06:00"]),
        st.none() | st.integers(0, 9),
    ),
    unique_by=lambda wish: wish.channel,
).map(tuple)
devices = st.lists(
    st.builds(ImportedDevice, st.just("d"), st.sampled_from(["t1", "t2"]), st.just("ios")),
    max_size=MAX_DEVICES,
).map(tuple)
lines = st.builds(
    ImportedRecipient,
    st.just("ann"),
    st.integers(1, 3),
    email=words,
    phone=words,
    name=words,
    locale=words,
    timezone=words,
    wishes=wishes,
    types=st.dictionaries(st.sampled_from(["news", "likes"]), st.booleans()),
    devices=devices,
)


def hash_of(channel: str, address: str) -> bytes:
    return ids.address_hash(b"key", channel, address)


@given(lines)
def test_an_introduction_is_what_weighing_comes_to(line: ImportedRecipient) -> None:
    edit = ProfileEdit(None, hash_of)
    assert edit.by("import", line.occurred_ms)
    weigh(edit, line)
    weighed = edit.profile()

    introduced = introduce(line, hash_of)

    profile = introduced.profile
    assert unpack_words(profile.packed_words) == unpack_words(weighed.packed_words)
    assert profile.wishes == weighed.wishes
    plain = ("name", "locale", "email", "phone", "devices", "suppressions", "deleted_ms")
    for field in plain:
        assert getattr(profile, field) == getattr(weighed, field)
    assert sorted(introduced.opted_out) == sorted(edit.opted_out)
    held = [each for each in (profile.email, profile.phone, *profile.devices) if each is not None]
    assert [each.address_hash for is_claim, each in edit.moves if is_claim] == [
        each.hash for each in held
    ]
