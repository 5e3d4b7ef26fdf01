//! Two network namespaces with a link between them on which real packets get lost, and which is
//! pulled.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::process::Hermes;
use crate::program::Program;
use crate::{chat, number, skip};

/// Two namespaces, `near` and `far`, and the link between them. Gone when this is dropped.
struct Link {
    ip: Program,
    nft: Program,
    near: String,
    far: String,
}

const NEAR: &str = "10.77.0.1";
const FAR: &str = "10.77.0.2";
const FAR_V6: &str = "fd77::2";

impl Link {
    /// `None`, and said so, where this machine or its rights don't allow it.
    fn make() -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = |side: &str| format!("hermes-{}-{number}-{side}", std::process::id());
        let libraries = ["nftables", "libnftables1", "libnftnl11", "libjansson4", "libmnl0"];
        let Some(ip) = Program::find("ip", &["iproute2", "libbpf1", "libmnl0"]) else {
            skip("there is no ip(8), nor a Debian package of it");
            return None;
        };
        let Some(nft) = Program::find("nft", &libraries) else {
            skip("there is no nft(8), nor a Debian package of it");
            return None;
        };
        let link = Link { ip, nft, near: name("near"), far: name("far") };
        if !link.ip(&["netns", "add", &link.near]) {
            skip("this user may not make a network namespace");
            return None;
        }
        // From here on it may all be done, or else something is wrong.
        let all = [
            &["netns", "add", &link.far][..],
            &["-n", &link.near, "link", "set", "lo", "up"],
            &["-n", &link.far, "link", "set", "lo", "up"],
            &[
                "-n", &link.near, "link", "add", "wire", "type", "veth", "peer", "wire", "netns",
                &link.far,
            ],
            &["-n", &link.near, "addr", "add", &format!("{NEAR}/24"), "dev", "wire"],
            &["-n", &link.far, "addr", "add", &format!("{FAR}/24"), "dev", "wire"],
            &["-n", &link.near, "addr", "add", "fd77::1/64", "dev", "wire", "nodad"],
            &["-n", &link.far, "addr", "add", &format!("{FAR_V6}/64"), "dev", "wire", "nodad"],
            &["-n", &link.near, "link", "set", "wire", "up"],
            &["-n", &link.far, "link", "set", "wire", "up"],
        ];
        for args in all {
            assert!(link.ip(args), "ip {args:?}");
        }
        Some(link)
    }

    fn ip(&self, args: &[&str]) -> bool {
        let mut command = self.ip.command();
        let quiet = command.args(args).stdout(Stdio::null()).stderr(Stdio::null());
        quiet.status().is_ok_and(|status| status.success())
    }

    /// A command in a namespace.
    fn within(&self, side: &str) -> Command {
        let mut command = self.ip.command();
        command.args(["netns", "exec", side]);
        command
    }

    fn hermes(&self, side: &str, args: &[&str]) -> Hermes {
        let mut command = self.within(side);
        command.arg(env!("CARGO_BIN_EXE_hermes")).args(args);
        Hermes::spawn(command)
    }

    /// Has each packet to this side go by this rule of nft's. (Packets that get lost are netem's
    /// trade, which fewer kernels have.) `false`, and said so, where the kernel can't do that.
    fn filter(&self, side: &str, rule: &str) -> bool {
        let rules = format!(
            "table inet hermes {{ chain input {{ type filter hook input priority 0; iifname wire {rule}; }}; }}"
        );
        // By its path: `ip netns exec` looks for it where we would.
        let nft = self.nft.command();
        let mut command = self.within(side);
        command.arg(nft.get_program()).arg(rules);
        command.envs(nft.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let done = command.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
        if !done {
            skip(&format!("this kernel does not know {rule:?}"));
        }
        done
    }

    fn set_wire(&self, state: &str) {
        assert!(self.ip(&["-n", &self.far, "link", "set", "wire", state]));
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.ip(&["netns", "del", &self.near]);
        self.ip(&["netns", "del", &self.far]);
    }
}

/// A tenth of all packets gets lost, each way. Nobody notices: it takes a little longer.
#[test]
fn a_link_that_loses_packets_loses_no_message() {
    const MESSAGES: u32 = 600;
    let Some(link) = Link::make() else { return };
    let lose = "numgen random mod 100 < 10 drop";
    if !link.filter(&link.near, lose) || !link.filter(&link.far, lose) {
        return;
    }
    let gateway = link.hermes(&link.far, &["gateway", &format!("{FAR}:8080"), "--echo"]);
    gateway.until(|line| line["gateway"] == "listening");
    let mut client = link.hermes(&link.near, &["connect", &format!("ws://{FAR}:8080/"), "--stats"]);
    for n in 0..MESSAGES {
        client.say(&chat(n));
    }
    for n in 0..MESSAGES {
        let message = gateway.until(|line| line["gateway"] == "message");
        assert_eq!(number(&message), Some(n.into()));
        assert_eq!(client.event("chat-message")["detail"]["n"], n);
    }
    let (status, lines, errors) = client.end();
    assert!(status.success(), "{errors}");
    let stats: Value = serde_json::from_str(lines.last().unwrap()).unwrap();
    assert_eq!(stats["stats"]["opened"], 1, "{stats}");
}

/// The heartbeat notices in time what TCP would not for a quarter of an hour. What was said to the
/// link before that, and what is said while it is down, arrives once it is up again.
#[test]
fn a_link_that_is_pulled_is_noticed_and_nothing_is_lost() {
    const INTERVAL: Duration = Duration::from_secs(1);
    const TIMEOUT: Duration = Duration::from_secs(2);
    let Some(link) = Link::make() else { return };
    let gateway = link.hermes(&link.far, &["gateway", &format!("{FAR}:8080")]);
    gateway.until(|line| line["gateway"] == "listening");
    let url = format!("ws://{FAR}:8080/");
    let settings = [
        &format!("heartbeat_interval_ms={}", INTERVAL.as_millis()),
        &format!("heartbeat_timeout_ms={}", TIMEOUT.as_millis()),
        "backoff_cap_ms=1000",
        "connect_timeout_ms=2000",
        "max_attempts=null",
        "delivery=at-least-once",
        "plaintext_session=allow",
    ];
    let settings = settings.iter().flat_map(|setting| ["--set", setting]);
    let args: Vec<&str> = ["connect", &url, "--stats"].into_iter().chain(settings).collect();
    let mut client = link.hermes(&link.near, &args);
    client.say(&chat(0));
    gateway.until(|line| number(line) == Some(0));

    link.set_wire("down");
    let begin = Instant::now();
    client.say(&chat(1));
    let end = client.event("ws-disconnected");
    assert_eq!(end["detail"]["cause"], "timeout", "{end}");
    assert_eq!(end["detail"]["stage"], "heartbeat", "{end}");
    // Twice the time is for a machine that has other things to do.
    assert!(begin.elapsed() < (INTERVAL + TIMEOUT) * 2, "{:?}", begin.elapsed());
    client.say(&chat(2));

    link.set_wire("up");
    let resumed = gateway.until(|line| line["gateway"] == "resumed")["conn"].clone();
    client.say(&chat(3));
    let (status, lines, errors) = client.end();
    assert!(status.success(), "{errors}");
    let stats: Value = serde_json::from_str(lines.last().unwrap()).unwrap();
    assert_eq!(stats["stats"]["rewritten"], 1, "{stats}");
    // The system may still bring what was said to the old connection; to the old one.
    let mut arrived = Vec::new();
    loop {
        let line = gateway.until(|line| line["conn"] == resumed);
        match line["gateway"].as_str() {
            Some("disconnected") => break,
            _ => arrived.extend(number(&line)),
        }
    }
    assert_eq!(arrived, [1, 2, 3]);
}

/// A gateway whose IPv6 address answers nobody: the packets go out, and nothing comes back.
#[test]
fn ipv4_takes_over_where_ipv6_leads_nowhere() {
    let Some(link) = Link::make() else { return };
    let gateway = link.hermes(&link.far, &["gateway", "0.0.0.0:8080"]);
    gateway.until(|line| line["gateway"] == "listening");
    if !link.filter(&link.far, "meta nfproto ipv6 tcp dport 8080 drop") {
        return;
    }
    let known = format!("gateway.test:8080:{FAR_V6},{FAR}");
    let args = ["connect", "ws://gateway.test:8080/", "--resolve", &known, "-v"];
    let begin = Instant::now();
    let client = link.hermes(&link.near, &args);
    client.event("ws-connected");
    // The head start of IPv6.
    assert!(begin.elapsed() >= Duration::from_millis(250));
    let (status, _, errors) = client.end();
    assert!(status.success(), "{errors}");
}

/// Where both lead there, IPv6 is taken, which comes first. It has time: addresses that are so new
/// are not at once known to each other.
#[test]
fn ipv6_is_taken_where_it_leads_there() {
    let Some(link) = Link::make() else { return };
    let gateway = link.hermes(&link.far, &["gateway", "[::]:8080"]);
    gateway.until(|line| line["gateway"] == "listening");
    let known = format!("gateway.test:8080:{FAR_V6},{FAR}");
    let url = "ws://gateway.test:8080/";
    let args = ["connect", url, "--resolve", &known, "--attempt-delay", "10000"];
    let client = link.hermes(&link.near, &args);
    let peer = gateway.until(|line| line["gateway"] == "connected")["peer"].clone();
    assert!(peer.as_str().unwrap().starts_with("[fd77::1]"), "{peer}");
    assert!(client.end().0.success());
}
