//! A server's process.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use serde_json::{Value, json};

use super::harness::PATIENCE;
use super::{Language, Library};

/// A server's process. It ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    library: &'static Library,
    options: Value,
    port: u16,
    process: Child,
    incoming: Receiver<Value>,
    /// What was reported and not taken yet.
    reports: VecDeque<Value>,
}

impl Server {
    /// A server that listens on a free port of the loopback interface.
    pub fn start(library: &'static Library) -> Self {
        Self::with(library, json!({}))
    }

    /// The same, with options other than the default.
    pub fn with(library: &'static Library, options: Value) -> Self {
        let mut all = json!({
            "port": 0, "authorization": null, "subprotocols": null, "tls": null, "deflate": null
        });
        for (name, value) in options.as_object().into_iter().flatten() {
            all[name] = value.clone();
        }
        let (process, incoming) = spawn(library, &all);
        let reports = VecDeque::new();
        let mut server = Server { library, options: all, port: 0, process, incoming, reports };
        server.wait_until_it_listens();
        server
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        let scheme = if self.options["tls"].is_null() { "ws" } else { "wss" };
        format!("{scheme}://127.0.0.1:{}/interop?a=b", self.port)
    }

    /// Ends it, in the midst of whatever it does.
    pub fn kill(&mut self) {
        self.process.kill().expect("the process is ours");
        self.process.wait().expect("the process is ours");
        // To the end: nothing of this process is left for the next one.
        self.reports.extend(self.incoming.iter());
    }

    /// Starts it again after a [`kill`](Self::kill), on the same port, and with nothing in its
    /// memory.
    pub fn restart(&mut self) {
        self.options["port"] = self.port.into();
        (self.process, self.incoming) = spawn(self.library, &self.options);
        self.wait_until_it_listens();
    }

    /// The oldest report of this kind that was not taken yet, if there is one.
    pub fn report(&mut self, saw: &str) -> Option<Value> {
        self.reports.extend(self.incoming.try_iter());
        let index = self.reports.iter().position(|report| report["saw"] == saw)?;
        self.reports.remove(index)
    }

    /// How it ended, if it did.
    pub(super) fn ended(&mut self) -> Option<String> {
        let status = self.process.try_wait().expect("the process is ours")?;
        Some(status.to_string())
    }

    fn wait_until_it_listens(&mut self) {
        let first = self.incoming.recv_timeout(PATIENCE).expect("it starts, and says so first");
        assert_eq!(first["version"], self.library.version, "it runs on what is pinned");
        let port = first["port"].as_u64().and_then(|port| port.try_into().ok());
        self.port = port.expect("a port");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Starts the process, and a thread that hears what it reports.
fn spawn(library: &Library, options: &Value) -> (Child, Receiver<Value>) {
    let (script, variable) = match library.language {
        Language::Python => ("python_server.py", "PYTHONPATH"),
        Language::Node => ("node_server.mjs", "NODE_PATH"),
    };
    let script = format!("{}/interop/{script}", env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(library.interpreter);
    command.arg(script).arg(options.to_string()).env(variable, &library.modules);
    // Its complaints are for people: they go where ours go.
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut process = command.spawn().expect("the interpreter was there a moment ago");

    let (reporter, incoming) = mpsc::channel();
    let output = BufReader::new(process.stdout.take().expect("it is piped"));
    thread::spawn(move || {
        for line in output.lines() {
            let line = line.expect("reports are UTF-8");
            // A process that was killed may leave half a line.
            let Ok(report) = serde_json::from_str(&line) else { return };
            if reporter.send(report).is_err() {
                return;
            }
        }
    });
    (process, incoming)
}
