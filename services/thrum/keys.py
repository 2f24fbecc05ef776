"""Ed25519 keys, through libsodium only: the one verifier of the project.

libsodium refuses keys of small order and encodings that are not canonical; other verifiers accept a
universal forgery for them. Nothing here reads or writes a key file; that is `nest.identity`.
"""

from nacl import bindings
from nacl.exceptions import BadSignatureError

SEED_BYTES = bindings.crypto_sign_SEEDBYTES
PUBLIC_BYTES = bindings.crypto_sign_PUBLICKEYBYTES
SIGNATURE_BYTES = bindings.crypto_sign_BYTES


class SigningKey:
    """A private key. It never shows itself: not in `repr`, not in an error."""

    __slots__ = ("_secret", "public")

    public: bytes
    """The 32 bytes others verify with."""

    def __init__(self, public: bytes, secret: bytes) -> None:
        self.public = public
        self._secret = secret

    @classmethod
    def from_seed(cls, seed: bytes) -> "SigningKey":
        """The key of a 32-byte seed; raises `ValueError` for any other length."""
        if len(seed) != SEED_BYTES:
            raise ValueError(f"a seed has {SEED_BYTES} bytes, got {len(seed)}")
        return cls(*bindings.crypto_sign_seed_keypair(seed))

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature of `message`."""
        signed: bytes = bindings.crypto_sign(message, self._secret)
        return signed[:SIGNATURE_BYTES]

    def __repr__(self) -> str:
        return f"SigningKey(public={self.public.hex()})"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a signing key does not leave its process")


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` is by the holder of `public` over `message`.

    False for everything malformed too: wrong lengths, keys of small order, keys and signatures that
    are not in canonical form.
    """
    if len(public) != PUBLIC_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        bindings.crypto_sign_open(signature + message, public)
    except BadSignatureError:
        return False
    return True
