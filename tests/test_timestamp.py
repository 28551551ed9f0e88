"""Timestamps: which count, and that one that does not count changes nothing."""

import hashlib
import json
import multiprocessing
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path
from subprocess import CalledProcessError

import pytest
import rfc8785
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID
from support.tsa import DAY, STAMPING, Authority, dripping, moved_by, serving, with_status

from wmx import Claim, OwnerKey, Watermark, verify
from wmx._internal.der import with_certificates_in_order
from wmx.errors import CannotRunError, IntegrityError, UsageError
from wmx.protocol.stamped import MAX_TIMESTAMPS
from wmx.protocol.timestamp import (
    Query,
    asserted_stamp,
    asserted_stamps,
    date_claim,
    load_roots,
    trusted_stamp,
)
from wmx.protocol.tsa import ask_authority
from wmx.verification.store import Store

KEY = OwnerKey.generate()
WATERMARK = Watermark.new(KEY, shape=(8, 8, 1), classes=10, n=30)
CLAIM = WATERMARK.claim
SIGNATURE = CLAIM.envelope.signature


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tsa"))


@pytest.fixture(scope="module")
def stamp(authority: Authority) -> bytes:
    return authority.stamp(SIGNATURE)


@pytest.fixture(scope="module")
def dated(stamp: bytes) -> Claim:
    return CLAIM.with_timestamps([stamp])


@pytest.fixture(scope="module")
def chained(authority: Authority) -> list[bytes]:
    """Stamps as ``openssl ts -reply -chain`` makes them, with the others in either order."""
    authority.add_signer("link", usage=(), is_authority=True)
    authority.add_signer("last", issuer="link")
    orders = (("link", "root"), ("root", "link"))
    return [authority.stamp(SIGNATURE, "last", chain=order) for order in orders]


def why_not(response: bytes, authority: Authority, claim: Claim = CLAIM) -> str:
    """Return why a response does not count, after asserting that it does not."""
    dating = date_claim(claim.with_timestamps([response]), load_roots(authority.roots))
    assert not dating.is_trusted
    (reason,) = dating.refused
    return reason


# what counts


def test_a_stamp_under_a_given_root_dates_the_claim(authority: Authority, dated: Claim) -> None:
    dating = date_claim(dated, load_roots(authority.roots))
    assert dating.time is not None
    assert abs(datetime.now(UTC) - dating.time) < timedelta(minutes=5)
    assert dating.authority == "CN=root"
    assert dating.refused == ()


@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
def test_every_digest_of_the_sha_2_family_will_do(authority: Authority, digest: str) -> None:
    stamped = CLAIM.with_timestamps([authority.stamp(SIGNATURE, digest=digest)])
    assert date_claim(stamped, load_roots(authority.roots)).is_trusted


def test_of_equally_exact_stamps_the_earliest_trusted_one_counts(
    authority: Authority, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path, "stranger")
    untrusted = stranger.stamp(SIGNATURE)
    first = authority.stamp(SIGNATURE)
    time.sleep(1.1)  # stamps are to the second
    second = authority.stamp(SIGNATURE)
    for order in ([second, untrusted, first], [first, second, untrusted]):
        dating = date_claim(CLAIM.with_timestamps(order), load_roots(authority.roots))
        assert dating.time == trusted_stamp(first, CLAIM, load_roots(authority.roots))[0]
        assert dating.time < trusted_stamp(second, CLAIM, load_roots(authority.roots))[0]
        assert len(dating.refused) == 1


def test_a_later_stamp_that_is_exact_counts_before_an_earlier_one_that_may_be_off(
    authority: Authority, tmp_path: Path
) -> None:
    """The claim provably existed within a second of the later one, a minute after the earlier."""
    exact = Authority(tmp_path, "exact")
    exact.state_accuracy("secs:1")
    earlier = authority.stamp(SIGNATURE)
    time.sleep(1.1)  # stamps are to the second
    later = exact.stamp(SIGNATURE)
    roots = [*load_roots(authority.roots), *load_roots(exact.roots)]
    for order in ([earlier, later], [later, earlier]):
        dating = date_claim(CLAIM.with_timestamps(order), roots)
        assert dating.time == trusted_stamp(later, CLAIM, roots)[0]
        assert dating.time > trusted_stamp(earlier, CLAIM, roots)[0]
        assert (dating.authority, dating.accuracy) == ("CN=exact", timedelta(seconds=1))


def test_what_a_stamp_may_be_off_is_the_authoritys_word_or_a_minute(
    dated: Claim, tmp_path: Path, authority: Authority
) -> None:
    assert date_claim(dated, load_roots(authority.roots)).accuracy == timedelta(minutes=1)
    exact = Authority(tmp_path)
    exact.state_accuracy("secs:2, millisecs:500, microsecs:100")
    stamped = CLAIM.with_timestamps([exact.stamp(SIGNATURE)])
    accuracy = date_claim(stamped, load_roots(exact.roots)).accuracy
    assert accuracy == timedelta(seconds=2, milliseconds=500, microseconds=100)


def test_a_certificate_that_expires_after_the_stamp_does_no_harm(authority: Authority) -> None:
    authority.add_signer("brief", end=timedelta(seconds=2))
    response = authority.stamp(SIGNATURE, "brief")
    time.sleep(2.1)
    assert date_claim(CLAIM.with_timestamps([response]), load_roots(authority.roots)).is_trusted


def test_a_signer_under_an_intermediate_that_the_stamp_carries(authority: Authority) -> None:
    authority.add_signer("middle", usage=(), is_authority=True)
    authority.add_signer("under-middle", issuer="middle")
    response = authority.stamp_as(SIGNATURE, "under-middle", "middle")
    dating = date_claim(CLAIM.with_timestamps([response]), load_roots(authority.roots))
    assert dating.refused == ()
    assert dating.authority == "CN=middle"


def test_the_certificates_of_a_stamp_stand_in_any_order(
    authority: Authority, chained: list[bytes]
) -> None:
    """The signer comes first, so one of two orders of the others is not that of DER, or both."""
    assert any(with_certificates_in_order(response) != response for response in chained)
    for response in chained:
        dating = date_claim(CLAIM.with_timestamps([response]), load_roots(authority.roots))
        assert dating.refused == ()
        assert dating.authority == "CN=link"


def test_a_stamp_is_kept_as_it_came_and_openssl_agrees(
    authority: Authority, chained: list[bytes]
) -> None:
    kept = Claim.from_bytes(CLAIM.with_timestamps(chained).to_bytes()).timestamps
    assert sorted(kept) == sorted(chained)
    for response in kept:
        authority.verify(SIGNATURE, response)


def test_with_a_trusted_stamp_64_bits_are_asked_for_and_else_128(
    authority: Authority, dated: Claim, tmp_path: Path
) -> None:
    marked = replace(WATERMARK, claim=dated)

    def knows_thirty(inputs: object) -> object:
        return marked.labels

    trusted = verify(knows_thirty, marked, roots=load_roots(authority.roots))
    assert trusted.required_bits == 64
    assert 64 <= trusted.bits < 128
    assert trusted.verified
    stranger = Authority(tmp_path, "stranger")
    for roots in ((), load_roots(stranger.roots)):
        verdict = verify(knows_thirty, marked, roots=roots)
        assert verdict.required_bits == 128
        assert verdict.bits < 128
        assert not verdict.verified
        assert verdict.dating.refused
    assert (
        verify(knows_thirty, marked, min_bits=100, roots=load_roots(authority.roots)).required_bits
        == 100
    )


# what does not


def test_without_roots_nothing_counts(dated: Claim) -> None:
    dating = date_claim(dated, ())
    assert not dating.is_trusted
    assert "no root certificates" in dating.refused[0]


def test_wrong_roots(stamp: bytes, tmp_path: Path) -> None:
    assert "unable to get local issuer" in why_not(stamp, Authority(tmp_path, "other"))
    twin = Authority(tmp_path / "twin", "root")  # the right name, another key
    assert "not trusted" in why_not(stamp, twin)


@pytest.mark.parametrize(
    ("name", "start", "end"), [("expired", -2 * DAY, -DAY), ("early", DAY, 2 * DAY)]
)
def test_a_certificate_that_was_not_valid_at_the_time(
    authority: Authority, name: str, start: timedelta, end: timedelta
) -> None:
    authority.add_signer(name, start=start, end=end)
    assert "certificate" in why_not(authority.stamp_as(SIGNATURE, name), authority)


def test_a_root_that_was_not_valid_at_the_time(tmp_path: Path) -> None:
    old = Authority(tmp_path, lifetime=-timedelta(hours=1))
    assert "expired" in why_not(old.stamp(SIGNATURE), old)


def test_a_signer_under_an_intermediate_that_the_stamp_lacks(authority: Authority) -> None:
    authority.add_signer("lacking", usage=(), is_authority=True)
    authority.add_signer("under-lacking", issuer="lacking")
    bare = authority.stamp(SIGNATURE, "under-lacking")
    assert "unable to get local issuer" in why_not(bare, authority)
    with_another = authority.stamp_as(SIGNATURE, "under-lacking", "tsa")
    assert "unable to get local issuer" in why_not(with_another, authority)


@pytest.mark.parametrize("usage", [(), STAMPING])
def test_a_signer_under_a_certificate_that_may_sign_no_others(
    authority: Authority, usage: tuple[x509.ObjectIdentifier, ...]
) -> None:
    """Whoever the root has certified for anything could make stampers of his own."""
    authority.add_signer("no-authority", usage=usage, is_authority=False)
    authority.add_signer("made-by-it", issuer="no-authority")
    response = authority.stamp_as(SIGNATURE, "made-by-it", "no-authority")
    assert "invalid CA certificate" in why_not(response, authority)


@pytest.mark.parametrize(
    ("usage", "critical"),
    [
        ((), True),
        ((ExtendedKeyUsageOID.CLIENT_AUTH,), True),
        ((*STAMPING, ExtendedKeyUsageOID.CODE_SIGNING), True),
        ((ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,), True),
        (STAMPING, False),
    ],
)
def test_a_certificate_for_another_use(
    authority: Authority, usage: tuple[object, ...], critical: bool
) -> None:
    authority.add_signer("other-use", usage=usage, critical=critical)
    assert "purpose" in why_not(authority.stamp_as(SIGNATURE, "other-use"), authority)


def test_a_decoy_of_the_right_use_beside_the_certificate_that_signed(
    authority: Authority, tmp_path: Path
) -> None:
    """Who holds any certificate under the root may add one of its name and number for stamping."""
    decoys = Authority(tmp_path, "root")
    decoys.add_signer("decoy", serial=7777)
    (authority.folder / "decoy.pem").write_bytes((tmp_path / "decoy.pem").read_bytes())
    authority.add_signer("server", usage=(ExtendedKeyUsageOID.SERVER_AUTH,), serial=7777)
    why_not(authority.stamp_as(SIGNATURE, "server", "decoy"), authority)


def test_a_stamp_of_another_claim(authority: Authority) -> None:
    other = Watermark.new(KEY, shape=(8, 8, 1), classes=10, n=5).claim
    reason = why_not(authority.stamp(other.envelope.signature), authority)
    assert "something else than this claim's signature" in reason
    assert "something else" in why_not(authority.stamp(CLAIM.envelope.payload), authority)


def test_a_broken_digest(authority: Authority) -> None:
    assert "expected SHA-256" in why_not(authority.stamp(SIGNATURE, digest="sha1"), authority)


def test_a_truncated_stamp_at_every_length(authority: Authority, stamp: bytes) -> None:
    roots = load_roots(authority.roots)
    for length in range(0, len(stamp)):
        with pytest.raises(IntegrityError):
            trusted_stamp(stamp[:length], CLAIM, roots)


def test_a_refusal_of_the_authority(authority: Authority) -> None:
    refusal = bytes.fromhex("3005 3003 020102".replace(" ", ""))
    assert "did not grant" in why_not(refusal, authority)


def test_any_flipped_bit_leaves_the_time_as_it_was_or_no_time(
    authority: Authority, stamp: bytes, chained: list[bytes]
) -> None:
    """CMS leaves bytes free; none of them may move the date."""
    roots = load_roots(authority.roots)
    for response in (stamp, *chained):
        true = trusted_stamp(response, CLAIM, roots)
        for position in range(len(response)):
            changed = bytearray(response)
            changed[position] ^= 1 << position % 8
            try:
                found = trusted_stamp(bytes(changed), CLAIM, roots)
            except IntegrityError:
                continue
            assert found[0] == true[0]


# the policy of docs/protocol.md, section 7: digests, keys, accuracy, time, status

WEAK_KEYS = {
    "RSA of 1024 bits": lambda: rsa.generate_private_key(65537, 1024),
    "DSA of 2048 bits": lambda: dsa.generate_private_key(2048),
    "EC of 192 bits": lambda: ec.generate_private_key(ec.SECP192R1()),
    "EC of 224 bits": lambda: ec.generate_private_key(ec.SECP224R1()),
}
STRONG_KEYS = {
    "RSA of 2048 bits": lambda: rsa.generate_private_key(65537, 2048),
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
}
ROLES = ("signer", "link", "root")
Keys = dict[str, CertificateIssuerPrivateKeyTypes]


def chain_of(folder: Path, keys: Keys, digests: dict[str, str]) -> tuple[Authority, bytes]:
    """An authority with a link between root and signer, and a stamp by it.

    Args:
        keys: by role, where they are not the usual ones.
        digests: by role, of the signature of its certificate.
    """
    authority = Authority(folder, key=keys.get("root"), digest=digests.get("root", "sha256"))
    for role, issuer in (("link", ""), ("signer", "link")):
        authority.add_signer(
            role,
            usage=STAMPING if role == "signer" else (),
            issuer=issuer,
            is_authority=role == "link",
            key=keys.get(role),
            digest=digests.get(role, "sha256"),
        )
    return authority, authority.stamp_as(SIGNATURE, "signer", "link")


@pytest.mark.parametrize("name", STRONG_KEYS)
def test_every_strong_key_will_do_where_it_can_sign(tmp_path: Path, name: str) -> None:
    roles = ROLES[1:] if name == "Ed25519" else ROLES  # with which OpenSSL signs no token
    authority, response = chain_of(tmp_path, {role: STRONG_KEYS[name]() for role in roles}, {})
    assert date_claim(CLAIM.with_timestamps([response]), load_roots(authority.roots)).is_trusted
    authority.verify(SIGNATURE, response)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", WEAK_KEYS)
def test_a_weak_key_anywhere_in_the_chain(tmp_path: Path, name: str, role: str) -> None:
    """Whoever finds the private key makes stamps of any date, as long as the root is trusted."""
    authority, response = chain_of(tmp_path, {role: WEAK_KEYS[name]()}, {})
    authority.verify(SIGNATURE, response)  # the rule is ours
    kind, _, bits, _ = name.split()
    reason = why_not(response, authority)
    if (name, role) == ("DSA of 2048 bits", "signer"):
        assert "signed by DSA" in reason
    else:
        assert f"CN={role} has" in reason
        assert kind in reason
        assert f"{int(bits):,} bits" in reason or kind == "DSA"


@pytest.mark.parametrize("role", ["signer", "link"])
@pytest.mark.parametrize(
    ("digest", "key"),
    [
        ("md5", "RSA of 2048 bits"),
        ("sha1", "RSA of 2048 bits"),
        ("sha1", "P-384"),
        ("sha224", "RSA of 2048 bits"),
    ],
)
def test_a_certificate_signed_over_a_weak_digest(
    tmp_path: Path, role: str, digest: str, key: str
) -> None:
    """Two certificates with one digest can be made, and one of them signed."""
    keys = {role: STRONG_KEYS[key]() for role in ("link", "root")}
    authority, response = chain_of(tmp_path, keys, {role: digest})
    authority.verify(SIGNATURE, response)
    reason = why_not(response, authority)
    assert f"CN={role}" in reason
    assert digest.upper().replace("SHA", "SHA-") in reason


def test_the_roots_own_signature_does_not_count(tmp_path: Path) -> None:
    """It proves nothing: the verifier gave that certificate."""
    authority, response = chain_of(tmp_path, {}, {"root": "sha1"})
    assert date_claim(CLAIM.with_timestamps([response]), load_roots(authority.roots)).is_trusted
    authority.verify(SIGNATURE, response)
    carried = authority.stamp_as(SIGNATURE, "signer", "link", "root")
    assert date_claim(CLAIM.with_timestamps([carried]), load_roots(authority.roots)).is_trusted


def test_a_weak_certificate_that_the_chain_does_not_need(authority: Authority) -> None:
    authority.add_signer("idle", usage=(), is_authority=True, key=WEAK_KEYS["EC of 192 bits"]())
    response = authority.stamp_as(SIGNATURE, "tsa", "idle")
    assert date_claim(CLAIM.with_timestamps([response]), load_roots(authority.roots)).is_trusted


def test_a_weak_twin_of_a_certificate_is_not_taken_in_its_place(tmp_path: Path) -> None:
    """A link was certified twice, long ago over SHA-1: the chain goes over the other one."""
    authority, _ = chain_of(tmp_path, {}, {})
    (tmp_path / "twin.pem").write_bytes((tmp_path / "link.pem").read_bytes())
    (tmp_path / "twin.key").write_bytes((tmp_path / "link.key").read_bytes())
    authority.sign_again("twin", "root", "sha1")
    both = authority.stamp_as(SIGNATURE, "signer", "twin", "link")
    assert date_claim(CLAIM.with_timestamps([both]), load_roots(authority.roots)).is_trusted
    assert "SHA-1" in why_not(authority.stamp_as(SIGNATURE, "signer", "twin"), authority)


@pytest.mark.parametrize(
    ("digest", "key"),
    [
        ("md5", "RSA of 2048 bits"),
        ("sha1", "RSA of 2048 bits"),
        ("sha224", "RSA of 2048 bits"),
        ("sha1", "P-384"),
        ("sha224", "P-384"),
    ],
)
def test_a_signature_over_a_weak_digest(tmp_path: Path, digest: str, key: str) -> None:
    """The imprint is SHA-256; the attributes that hold its place are hashed by something else."""
    authority = Authority(tmp_path)
    authority.add_signer("hasty", key=STRONG_KEYS[key]())
    response = authority.stamp_as(SIGNATURE, "hasty", digest=digest)
    assert f"signed over {digest.upper().replace('SHA', 'SHA-')}" in why_not(response, authority)


@pytest.mark.parametrize("digest", ["sha384", "sha512"])
def test_a_signature_over_a_larger_digest(authority: Authority, digest: str) -> None:
    response = authority.stamp_as(SIGNATURE, "tsa", digest=digest)
    assert date_claim(CLAIM.with_timestamps([response]), load_roots(authority.roots)).is_trusted
    authority.verify(SIGNATURE, response)


@pytest.mark.parametrize(
    ("accuracy", "counts"),
    [("secs:3600", True), ("secs:3600, microsecs:1", False), ("secs:100000000", False)],
)
def test_an_authority_that_may_be_off_by_years_dates_nothing(
    tmp_path: Path, accuracy: str, counts: bool
) -> None:
    """It would lower the bar to 64 bits for a claim that may be younger than the model."""
    vague = Authority(tmp_path)
    vague.state_accuracy(accuracy)
    response = vague.stamp(SIGNATURE)
    vague.verify(SIGNATURE, response)
    if counts:
        assert date_claim(CLAIM.with_timestamps([response]), load_roots(vague.roots)).is_trusted
    else:
        assert "may be off by" in why_not(response, vague)


def test_a_stamp_of_the_future_beyond_what_clocks_are_apart(authority: Authority) -> None:
    def stamp_in(amount: timedelta) -> bytes:
        return authority.stamp_as(SIGNATURE, "tsa", change=moved_by(amount))

    roots = load_roots(authority.roots)
    for amount in (-timedelta(hours=5), timedelta(minutes=4)):
        assert date_claim(CLAIM.with_timestamps([stamp_in(amount)]), roots).is_trusted
    reason = why_not(stamp_in(timedelta(minutes=30)), authority)
    assert "lies in the future" in reason


def test_what_is_granted_with_modifications_is_granted(authority: Authority, stamp: bytes) -> None:
    modified = with_status(stamp, 1)
    authority.verify(SIGNATURE, modified)
    roots = load_roots(authority.roots)
    dating = date_claim(CLAIM.with_timestamps([modified]), roots)
    assert dating.time == date_claim(CLAIM.with_timestamps([stamp]), roots).time
    query = Query.of(CLAIM)
    query.check_answer(with_status(authority.answer(query.request), 1))


@pytest.mark.parametrize("status", [2, 3, 4, 5, 6, 127])
def test_a_token_that_comes_with_any_other_status(
    authority: Authority, stamp: bytes, status: int
) -> None:
    response = with_status(stamp, status)
    with pytest.raises(CalledProcessError):
        authority.verify(SIGNATURE, response)
    assert "did not grant" in why_not(response, authority)


def test_a_stamp_that_breaks_the_rules_is_not_even_kept(authority: Authority) -> None:
    """Whatever roots will be given later, it cannot count."""
    for response in (
        authority.stamp_as(SIGNATURE, "tsa", digest="sha1"),
        authority.stamp_as(SIGNATURE, "tsa", change=moved_by(timedelta(minutes=30))),
    ):
        with pytest.raises(IntegrityError):
            asserted_stamp(response, CLAIM)


# the claim file


def test_a_dated_claim_survives_its_file_and_keeps_its_name(dated: Claim, stamp: bytes) -> None:
    again = Claim.from_bytes(dated.to_bytes())
    assert again == dated
    assert again.timestamps == (stamp,)
    assert again.digest == CLAIM.digest
    assert again.with_timestamps([stamp]) == again


def test_no_byte_of_a_dated_claim_file_can_be_changed(dated: Claim) -> None:
    file = dated.to_bytes()
    for position in range(len(file)):
        changed = bytearray(file)
        changed[position] ^= 1 << position % 8
        with pytest.raises(IntegrityError):
            Claim.from_bytes(bytes(changed))


@pytest.mark.parametrize(
    "change",
    [
        lambda stamps: stamps.clear(),
        lambda stamps: stamps.append(stamps[0]),
        lambda stamps: stamps.append("x"),
        lambda stamps: stamps[0].pop("sha256"),
        lambda stamps: stamps[0].pop("response"),
        lambda stamps: stamps[0].update(more=1),
        lambda stamps: stamps[0].update(response=""),
        lambda stamps: stamps[0].update(response=7),
    ],
)
def test_a_malformed_list_of_timestamps(dated: Claim, change: object) -> None:
    document = json.loads(dated.to_bytes())
    change(document["timestamps"])
    with pytest.raises(IntegrityError):
        Claim.from_bytes(rfc8785.dumps(document))


@pytest.mark.parametrize("value", [None, 1, {}, "", [[]], True])
def test_timestamps_of_another_type(dated: Claim, value: object) -> None:
    document = json.loads(dated.to_bytes()) | {"timestamps": value}
    with pytest.raises(IntegrityError):
        Claim.from_bytes(rfc8785.dumps(document))


def test_a_claim_holds_so_many_timestamps_and_no_more() -> None:
    many = [hashlib.sha256(bytes([i])).digest() for i in range(MAX_TIMESTAMPS)]
    assert len(Claim.from_bytes(CLAIM.with_timestamps(many).to_bytes()).timestamps) == 16
    with pytest.raises(UsageError, match="at most 16"):
        CLAIM.with_timestamps([*many, b"more"])


def keep_eight(claim: bytes, store: str, who: str, start: Barrier) -> None:
    """Keep eight stamps in the store's copy of a claim, one by one."""
    held = Claim.from_bytes(claim)
    start.wait(60)
    for number in range(8):
        Store(store).keep_asked_for(held, f"{who} {number}".encode())


def test_processes_at_once_lose_no_stamp(tmp_path: Path) -> None:
    Store(tmp_path).add(CLAIM)
    context = multiprocessing.get_context("spawn")
    arguments, start = (CLAIM.to_bytes(), str(tmp_path)), context.Barrier(2)
    processes = [context.Process(target=keep_eight, args=(*arguments, who, start)) for who in "ab"]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    (kept,) = Store(tmp_path).claims()
    assert sorted(kept.timestamps) == [f"{who} {i}".encode() for who in "ab" for i in range(8)]


def test_a_claim_that_cannot_be_locked(tmp_path: Path) -> None:
    CLAIM.save(tmp_path / "claim.json")
    (tmp_path / ".claim.json.lock").mkdir()
    with pytest.raises(CannotRunError, match="cannot lock"):
        CLAIM.update(tmp_path / "claim.json", lambda kept: kept.with_timestamps([b"stamp"]))


def test_what_a_stamp_asserts_is_shown_and_damage_is_said(dated: Claim) -> None:
    (asserted,) = asserted_stamps(dated)
    assert asserted.endswith("by an authority under CN=root")
    assert "damaged" in asserted_stamps(CLAIM.with_timestamps([b"junk"]))[0]


# asking


def test_the_answer_of_an_authority_over_http(authority: Authority) -> None:
    query = Query.of(CLAIM)
    with serving(authority) as url:
        response = ask_authority(url, query.request)
    query.check_answer(response)
    assert trusted_stamp(response, CLAIM, load_roots(authority.roots))


@pytest.mark.usefixtures("chained")
def test_the_answer_of_an_authority_that_adds_its_chain(authority: Authority) -> None:
    query = Query.of(CLAIM)
    for chain in (["link", "root"], ["root", "link"]):
        query.check_answer(authority.answer(query.request, "last", chain))


def test_an_answer_to_another_request_is_refused(authority: Authority) -> None:
    response = authority.answer(Query.of(CLAIM).request)
    with pytest.raises(IntegrityError, match="nonce"):
        Query.of(CLAIM).check_answer(response)


def test_an_authority_that_cannot_be_asked() -> None:
    with pytest.raises(UsageError, match="http"):
        ask_authority("file:///etc/passwd", b"")
    with pytest.raises(CannotRunError, match="did not answer"):
        ask_authority("http://127.0.0.1:9/", b"")
    with serving(b"\0" * 100_000) as url, pytest.raises(CannotRunError, match="answered more"):
        ask_authority(url, b"")


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nX-Drip: ", id="headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n", id="body"),
    ],
)
def test_an_authority_that_drips_its_answer_holds_nobody_beyond_the_deadline(start: bytes) -> None:
    began = time.monotonic()
    with dripping(start) as url, pytest.raises(CannotRunError, match=r"within 0\.3 seconds"):
        ask_authority(url, b"", seconds=0.3)
    assert time.monotonic() - began < 2


def test_files_that_are_no_roots(tmp_path: Path) -> None:
    (tmp_path / "roots.pem").write_text("nothing\n")
    with pytest.raises(IntegrityError, match="PEM"):
        load_roots(tmp_path / "roots.pem")
    with pytest.raises(CannotRunError, match="no such file"):
        load_roots(tmp_path / "gone.pem")
