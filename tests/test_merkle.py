"""The Merkle tree: the published vectors of RFC 6962 and the recursion of its text."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wmx.protocol.merkle import audit_paths, head_from_path, leaf_hash, node_hash, tree_head

# the leaves and roots of the reference implementation's tests (certificate-transparency)
LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


@pytest.mark.parametrize("size", range(1, 9))
def test_the_roots_of_the_published_vectors(size: int) -> None:
    assert tree_head([leaf_hash(leaf) for leaf in LEAVES[:size]]).hex() == ROOTS[size - 1]


def test_the_empty_tree() -> None:
    assert tree_head([]) == hashlib.sha256(b"").digest()


def recursive(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word for word."""
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + recursive(leaves[:k]) + recursive(leaves[k:])).digest()


@given(st.lists(st.binary(max_size=5), min_size=1, max_size=70))
def test_the_tree_is_that_of_the_recursion(leaves: list[bytes]) -> None:
    assert tree_head([leaf_hash(leaf) for leaf in leaves]) == recursive(leaves)


def test_leaves_and_nodes_cannot_be_taken_for_each_other() -> None:
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    assert node_hash(left, right) != leaf_hash(left + right)


# audit paths


@given(st.integers(1, 70), st.integers(0, 69))
def test_an_audit_path_leads_to_the_head_from_its_own_place_alone(size: int, index: int) -> None:
    leaves = [leaf_hash(bytes([number])) for number in range(size)]
    index %= size
    (path,) = audit_paths(leaves, [index])
    head = tree_head(leaves)
    assert head_from_path(leaves[index], index, size, path) == head
    for other in range(size):
        if other != index:
            assert head_from_path(leaves[index], other, size, path) != head
    assert head_from_path(leaf_hash(b"other"), index, size, path) != head
    assert head_from_path(leaves[index], index, size, [*path, leaves[0]]) is None
    if path:
        assert head_from_path(leaves[index], index, size, path[:-1]) is None
        changed = [path[0][:-1] + bytes([path[0][-1] ^ 1]), *path[1:]]
        assert head_from_path(leaves[index], index, size, changed) != head


def test_the_audit_paths_of_the_rfc() -> None:
    """RFC 6962, section 2.1.3: the tree of seven leaves."""
    a, b, c, d, e, f, j = (leaf_hash(leaf) for leaf in LEAVES[:7])
    g, h, i = node_hash(a, b), node_hash(c, d), node_hash(e, f)
    k, m = node_hash(g, h), node_hash(i, j)
    assert audit_paths([a, b, c, d, e, f, j], [0, 3, 4, 6]) == [
        [b, h, m],
        [c, g, m],
        [f, j, k],
        [i, k],
    ]
