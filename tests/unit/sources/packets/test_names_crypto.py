"""The ciphers under QUIC, against the test vectors of their standards."""

import hashlib

import numpy as np
import numpy.typing as npt
import pytest
from numba import njit

from flowlore.sources.packets.names.aes import encrypt_block, expand_key
from flowlore.sources.packets.names.gcm import open_sealed
from flowlore.sources.packets.names.hkdf import expand_label, hmac_sha256
from flowlore.sources.packets.names.sha256 import sha256

Bytes = npt.NDArray[np.uint8]


@njit
def run_sha256(message, digest):
    sha256(message, message.size, digest)


@njit
def run_hmac(key, message, digest):
    hmac_sha256(key, key.size, message, message.size, digest)


@njit
def run_label(secret, labels, size, result):
    expand_label(secret, labels, 2, labels.size - 3, size, result)


@njit
def run_aes(key, block, target):
    round_keys = np.empty(44, dtype=np.int64)
    expand_key(key, round_keys)
    encrypt_block(round_keys, block, 0, target)


@njit
def run_gcm(key, nonce, header, data, is_whole, plain):
    round_keys = np.empty(44, dtype=np.int64)
    expand_key(key, round_keys)
    stop = data.size - 16 if is_whole else data.size
    return open_sealed(round_keys, nonce, header, header.size, data, 0, stop, is_whole, plain, 0)


def of(text: str) -> Bytes:
    return np.frombuffer(bytes.fromhex(text), dtype=np.uint8).copy()


def room(size: int) -> Bytes:
    return np.zeros(size, dtype=np.uint8)


def constant(text: bytes) -> Bytes:
    """Labels are constants of a module, which Numba takes to be read-only; bytes before and after are not theirs."""
    array = np.frombuffer(text, dtype=np.uint8)
    assert not array.flags.writeable
    return array


@pytest.mark.parametrize(
    ("message", "digest"),
    [
        (b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
        ),
    ],
)
def test_sha256_of_fips_180(message: bytes, digest: str) -> None:
    result = room(32)
    run_sha256(np.frombuffer(message, dtype=np.uint8).copy(), result)
    assert result.tobytes().hex() == digest


@pytest.mark.parametrize("size", [*range(50, 70), 119, 120, 127, 128, 129, 1000])
def test_sha256_at_every_edge_of_a_block(size: int) -> None:
    message = bytes(place % 251 for place in range(size))
    result = room(32)
    run_sha256(np.frombuffer(message, dtype=np.uint8).copy(), result)
    assert result.tobytes() == hashlib.sha256(message).digest()


@pytest.mark.parametrize(
    ("key", "message", "code"),
    [  # RFC 4231, cases 1 and 2
        ("0b" * 20, b"Hi There".hex(), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        (
            b"Jefe".hex(),
            b"what do ya want for nothing?".hex(),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
    ],
)
def test_hmac_of_rfc_4231(key: str, message: str, code: str) -> None:
    result = room(32)
    run_hmac(of(key), of(message), result)
    assert result.tobytes().hex() == code


def test_hkdf_of_rfc_5869() -> None:
    """Case 1: the extraction, and the first block of the expansion."""
    key, block = room(32), room(32)
    run_hmac(of("000102030405060708090a0b0c"), of("0b" * 22), key)
    assert key.tobytes().hex() == "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5"
    run_hmac(key, of("f0f1f2f3f4f5f6f7f8f9" + "01"), block)
    assert block.tobytes().hex() == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"


INITIAL_SALT = "38762cf7f55934b34d179ae6a4c80cadccbb7f0a"
INITIAL_SALT_2 = "0dede3def700a6db819381be6e269dcbf9bd2ed9"


@pytest.mark.parametrize(
    ("salt", "labels", "secret", "key", "nonce", "mask_key"),
    [
        (  # RFC 9001, A.1
            INITIAL_SALT,
            (b"quic key", b"quic iv", b"quic hp"),
            "c00cf151ca5be075ed0ebfb5c80323c42d6b7db67881289af4008f1f6c357aea",
            "1f369613dd76d5467730efcbe3b1a22d",
            "fa044b2f42a3fd3b46fb255c",
            "9f50449e04a0e810283a1e9933adedd2",
        ),
        (  # RFC 9369, A.1
            INITIAL_SALT_2,
            (b"quicv2 key", b"quicv2 iv", b"quicv2 hp"),
            "14ec9d6eb9fd7af83bf5a668bc17a7e283766aade7ecd0891f70f9ff7f4bf47b",
            "8b1a0bc121284290a29e0971b5cd045d",
            "91f73e2351d8fa91660e909f",
            "45b95e15235d6f45a6b19cbcb0294ba9",
        ),
    ],
)
def test_initial_keys_of_quic(
    salt: str, labels: tuple[bytes, ...], secret: str, key: str, nonce: str, mask_key: str
) -> None:
    initial, client, result = room(32), room(32), room(32)
    run_hmac(of(salt), of("8394c8f03e515708"), initial)
    run_label(initial, constant(b"..tls13 client in."), 32, client)
    assert client.tobytes().hex() == secret
    for label, wanted in zip(labels, (key, nonce, mask_key), strict=True):
        run_label(client, constant(b"..tls13 " + label + b"."), len(wanted) // 2, result)
        assert result.tobytes().hex()[: len(wanted)] == wanted


@pytest.mark.parametrize(
    ("key", "block", "sealed"),
    [  # FIPS 197, appendices B and C.1; RFC 9001, A.2 (the mask of the header)
        ("2b7e151628aed2a6abf7158809cf4f3c", "3243f6a8885a308d313198a2e0370734", "3925841d02dc09fbdc118597196a0b32"),
        ("000102030405060708090a0b0c0d0e0f", "00112233445566778899aabbccddeeff", "69c4e0d86a7b0430d8cdb78070b4c55a"),
        ("9f50449e04a0e810283a1e9933adedd2", "d1b1c98dd7689fb8ec11d242b123dc9b", "437b9aec36be423400cdd115d9db3241"),
    ],
)
def test_aes_of_fips_197(key: str, block: str, sealed: str) -> None:
    result = room(16)
    run_aes(of(key), of(block), result)
    assert result.tobytes().hex() == sealed


GCM_CASES = [  # the cases 2 and 4 of the specification of GCM
    ("00" * 16, "00" * 12, "", "00" * 16, "0388dace60b6a392f328c2b971b2fe78", "ab6e47d42cec13bdf53a67b21257bddf"),
    (
        "feffe9928665731c6d6a8f9467308308",
        "cafebabefacedbaddecaf888",
        "feedfacedeadbeeffeedfacedeadbeefabaddad2",
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
        "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
        "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
        "5bc94fbc3221a5db94fae95ae7121a47",
    ),
]


@pytest.mark.parametrize(("key", "nonce", "header", "plain", "sealed", "tag"), GCM_CASES)
def test_gcm_opens_what_the_specification_sealed(
    key: str, nonce: str, header: str, plain: str, sealed: str, tag: str
) -> None:
    result = room(len(plain) // 2 + 5)
    assert run_gcm(of(key), of(nonce), of(header), of(sealed + tag), True, result) == len(plain) // 2
    assert result.tobytes().hex() == plain + "00" * 5


@pytest.mark.parametrize(("key", "nonce", "header", "plain", "sealed", "tag"), GCM_CASES)
def test_gcm_refuses_what_was_changed(key: str, nonce: str, header: str, plain: str, sealed: str, tag: str) -> None:
    result = room(len(plain) // 2)
    changed = of(sealed + tag)
    for place in (0, len(changed) - 17, len(changed) - 1):
        changed[place] ^= 1
        assert run_gcm(of(key), of(nonce), of(header), changed, True, result) == -1
        changed[place] ^= 1
    assert not result.any()


def test_gcm_without_its_end_gives_the_beginning() -> None:
    key, nonce, header, plain, sealed, _ = GCM_CASES[1]
    result = room(64)
    assert run_gcm(of(key), of(nonce), of(header), of(sealed[:60]), False, result) == 30
    assert result.tobytes()[:30].hex() == plain[:60]
