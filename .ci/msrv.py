"""Compares the rust-version of every package in `cargo metadata` (standard input) with ours."""
import json
import sys

metadata = json.load(sys.stdin)


def version(text):
    return tuple(int(part) for part in (text.split(".") + ["0", "0"])[:3])


members = set(metadata["workspace_members"])
(ours,) = {p["rust_version"] for p in metadata["packages"] if p["id"] in members}
newer = [
    f"{p['name']} {p['version']} needs Rust {p['rust_version']}"
    for p in metadata["packages"]
    if p["rust_version"] and version(p["rust_version"]) > version(ours)
]
print("\n".join(newer) or f"all {len(metadata['packages'])} packages build with Rust {ours}, as they say")
sys.exit(bool(newer))
