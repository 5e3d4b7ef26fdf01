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
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self::spawn_as_is(command)
    }

    /// With the command's own streams. Those that are not piped here are the test's to read.
    pub(crate) fn spawn_as_is(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        // The command holds the child's ends of the streams.
        drop(command);
        let lines = child.stdout.take().map_or_else(|| mpsc::channel().1, read);
        let errors = child.stderr.take().map_or_else(|| mpsc::channel().1, read);
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

    pub(crate) fn say_bytes(&mut self, bytes: &[u8]) {
        self.input.as_mut().unwrap().write_all(bytes).unwrap();
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
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not end: {lines:#?}");
            thread::sleep(Duration::from_millis(5));
        };
        let errors: Vec<String> = self.errors.iter().collect();
        (status, lines, errors.join("\n"))
    }

    /// Sends a signal, by the name that `kill` knows.
    #[cfg(unix)]
    pub(crate) fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// Waits for its end, while its input stays open.
    pub(crate) fn wait(mut self) -> (ExitStatus, Vec<String>, String) {
        let input = self.input.take();
        let end = self.end();
        drop(input);
        end
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
