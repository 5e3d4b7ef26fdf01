//! `hermes connect` through servers and networks that nobody here wrote: nginx with TLS in front of
//! the gateway, tinyproxy, microsocks, and Linux' own network namespaces with packets that get lost.
//!
//! Programs that this machine does not have come from its Debian packages, unpacked below `target/`;
//! nothing is installed. Where they can't be had, or the rights are missing, a test says so and is
//! left out.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]
#![cfg(all(feature = "cli", feature = "tls", target_os = "linux"))]

mod namespaces;
mod nginx;
#[path = "../common/process.rs"]
mod process;
mod program;
mod proxies;

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use process::PATIENCE;
use serde_json::{Value, json};

/// A process that ends with its test, and listens on a port of its own.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// Starts what `command` makes for a port that is free, most likely; else tries again.
    fn start(command: impl Fn(u16) -> Command) -> Self {
        for _ in 0..10 {
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let port = free.local_addr().unwrap().port();
            drop(free);
            let mut command = command(port);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let mut server = Server { child: command.spawn().unwrap(), port };
            if server.listens() {
                return server;
            }
        }
        panic!("it does not start");
    }

    /// Waits until it does, or has ended.
    fn listens(&mut self) -> bool {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() {
                return true;
            }
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            // Nobody tells us when it is up.
            thread::sleep(Duration::from_millis(10));
        }
        false
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Says that this test is left out. Not by `eprintln!`: what a test prints is shown only where it
/// fails.
fn skip(why: &str) {
    let thread = thread::current();
    let test = thread.name().unwrap_or("a test");
    let _ = writeln!(std::io::stderr(), "servers: {test} is left out: {why}");
}

fn chat(n: u32) -> String {
    json!({"type": "chat", "text": format!("message {n}"), "n": n}).to_string()
}

/// The number of a message that the gateway reports.
fn number(line: &Value) -> Option<u64> {
    let text: Value = serde_json::from_str(line["text"].as_str()?).ok()?;
    text["n"].as_u64()
}
