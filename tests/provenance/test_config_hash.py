from runback.provenance.config_hash import text_hash


def test_the_hash_is_sha256_of_the_utf8_text():
    # `printf 'abc' | sha256sum`; FIPS 180-4's first example
    assert text_hash("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert text_hash("ü") != text_hash("u")
