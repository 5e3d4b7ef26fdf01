//! The `hermes` command as a process.
#![allow(dead_code)] // Each test file uses a part of it.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longer than anything here takes on a slow machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A `hermes` process whose standard output is read line by line.
pub(crate) struct Hermes {
    pub(crate) child: Child,
    input: Option<ChildStdin>,
    lines: mpsc::Receiver<String>,
    errors: mpsc::Receiver<String>,
}

impl Hermes {
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hermes"));
        command.args(args).env_remove("HERMES_WS_URL");
        Self::spawn(command)
    }

    /// The same, by a command that comes down to it.
    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = read(child.stdout.take().unwrap());
        let errors = read(child.stderr.take().unwrap());
        Hermes { input: child.stdin.take(), child, lines, errors }
    }

    pub(crate) fn gateway(addr: &str) -> (Self, String) {
        let gateway = Hermes::start(&["gateway", addr]);
        let listening = gateway.until(|line| line["gateway"] == "listening");
        (gateway, listening["addr"].as_str().unwrap().to_string())
    }

    pub(crate) fn say(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        input.write_all(line.as_bytes()).unwrap();
        input.write_all(b"\n").unwrap();
    }

    /// Gives a gateway an order, and waits until it was carried out.
    pub(crate) fn order(&mut self, order: &str) {
        self.say(order);
        self.say("metrics");
        self.until(|line| line["gateway"] == "metrics");
    }

    /// Reads standard error until a line has this in it.
    pub(crate) fn complaint(&self, what: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let patience = deadline.saturating_duration_since(Instant::now());
            let line = self.errors.recv_timeout(patience).unwrap_or_else(|_| panic!("no {what:?}"));
            if line.contains(what) {
                return line;
            }
        }
    }

    /// Reads on until a line that is `wanted`.
    pub(crate) fn until(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        loop {
            let patience = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(patience) else {
                let errors: Vec<String> = self.errors.try_iter().collect();
                panic!("in vain: {seen:#?}, {errors:#?}");
            };
            let line: Value = serde_json::from_str(&line).unwrap();
            if wanted(&line) {
                return line;
            }
            seen.push(line);
        }
    }

    pub(crate) fn event(&self, name: &str) -> Value {
        self.until(|line| line["event"] == name)
    }

    /// Ends its input, and waits for its end.
    pub(crate) fn end(mut self) -> (ExitStatus, Vec<String>, String) {
        self.input = None;
        // The channels end with the process, or else the patience does.
        let mut lines = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        while let Ok(line) =
            self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            lines.push(line);
        }
        assert!(Instant::now() < deadline, "it does not end: {lines:#?}");
        let errors: Vec<String> = self.errors.iter().collect();
        (self.child.wait().unwrap(), lines, errors.join("\n"))
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Hermes {
    fn drop(&mut self) {
        // A test that failed leaves nothing behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(from: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (lines, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
