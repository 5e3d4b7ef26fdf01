"""Runs the Autobahn test suite against hermes-mio/examples/autobahn.rs: python3 .ci/autobahn.py

$AUTOBAHN is the folder with the suite's install.sh, by default ../shared/autobahn. Without the
installer nothing is tested, and a line on standard error says so. The installation and the reports are
below target/autobahn.
"""
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time

root = pathlib.Path(__file__).resolve().parent.parent
suite = pathlib.Path(os.environ.get("AUTOBAHN", root.parent / "shared" / "autobahn"))
home = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", root / "target")).resolve() / "autobahn"

# RFC 6455 §7.1.7: an endpoint that fails a connection processes nothing more. In these cases the suite
# sends a good message and a violation together. Hermes reads both before the application sees the
# first, so the Close frame (1002) leaves before the answer, which is never sent: non-strict. If TCP
# delivers the two apart, the answer leaves first: OK.
MAY_BE_NON_STRICT = {"3.2", "3.3", "3.4", "4.1.3", "4.1.4", "4.1.5", "4.2.3", "4.2.4", "4.2.5", "5.15"}


def main():
    if not (suite / "install.sh").exists():
        print(f"SKIPPED: there is no Autobahn test suite at {suite}, so nothing was tested", file=sys.stderr)
        return 0
    subprocess.run([suite / "install.sh", home / "suite"], check=True)
    build = ["cargo", "build", "--release", "-p", "hermes-mio", "--all-features", "--example", "autobahn"]
    subprocess.run(build, cwd=root, check=True)

    shutil.rmtree(home / "reports", ignore_errors=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"ws://127.0.0.1:{port}"
    # Groups 12 and 13 are permessage-deflate's.
    without = [] if has_deflate() else ["12.*", "13.*"]
    spec = {"url": url, "outdir": "reports", "cases": ["*"], "exclude-cases": without, "exclude-agent-cases": {}}
    (home / "spec.json").write_text(json.dumps(spec))
    log = home / "server.log"
    with log.open("w") as out:
        command = [home / "suite/bin/wstest", "-m", "fuzzingserver", "-u", "0", "-s", "spec.json"]
        server = subprocess.Popen(command, cwd=home, stdout=out, stderr=subprocess.STDOUT)
    try:
        wait_for(port, server)
        subprocess.run([home.parent / "release/examples/autobahn", url, "Hermes"], check=True)
    finally:
        server.kill()
        server.wait()

    index = home / "reports/index.json"
    subprocess.run([sys.executable, suite / "summary.py", index, "Hermes"], check=False)
    cases = json.loads(index.read_text())["Hermes"]
    wrong = [case for case, verdict in cases.items() if not is_fine(case, verdict)]
    if wrong or "Traceback" in log.read_text():
        print(f"FAILED: {' '.join(wrong) or log}; {home}/reports has the details", file=sys.stderr)
        return 1
    return 0


def is_fine(case, verdict):
    how, close = verdict["behavior"], verdict["behaviorClose"]
    is_fine = how in ("OK", "INFORMATIONAL") or how == "NON-STRICT" and case in MAY_BE_NON_STRICT
    return is_fine and close in ("OK", "INFORMATIONAL")


def has_deflate():
    metadata = subprocess.run(
        ["cargo", "metadata", "--no-deps", "--format-version", "1"], cwd=root, check=True, stdout=subprocess.PIPE
    )
    packages = {package["name"]: package for package in json.loads(metadata.stdout)["packages"]}
    return "deflate" in packages["hermes-mio"]["features"]


def wait_for(port, server):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.1)
    sys.exit(f"the suite's server does not listen; see {home}/server.log")


sys.exit(main())
