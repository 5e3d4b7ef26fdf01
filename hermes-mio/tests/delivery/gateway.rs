//! A gateway process, and its log.

use super::*;

/// A gateway process, and what it says.
pub(crate) struct Gateway {
    pub(crate) addr: SocketAddr,
    pub(crate) child: Child,
    pub(crate) orders: Arc<Mutex<ChildStdin>>,
    pub(crate) news: Arc<News>,
}

#[derive(Default)]
pub(crate) struct News {
    pub(crate) log: Mutex<Log>,
    pub(crate) changed: Condvar,
}

/// Its standard output.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) addr: Option<SocketAddr>,
    /// Who connected.
    pub(crate) peers: Vec<String>,
    pub(crate) disconnected: u64,
    /// Which connection, and which message.
    pub(crate) messages: Vec<(u64, u64)>,
    /// Which run of a client sent each of them, if it says so; 0 otherwise.
    pub(crate) runs: Vec<u64>,
    /// Reports, and how many messages the latest one counts.
    pub(crate) snapshots: (u64, u64),
    pub(crate) ended: bool,
}

impl Gateway {
    pub(crate) fn start(sessions: Option<&Path>) -> Self {
        Self::start_with(|command| {
            if let Some(file) = sessions {
                command.arg("--sessions").arg(file);
            }
        })
    }

    pub(crate) fn start_with(arguments: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hermes"));
        command.args(["gateway", "127.0.0.1:0"]);
        arguments(&mut command);
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = pipes.spawn().unwrap();
        let orders = Arc::new(Mutex::new(child.stdin.take().unwrap()));
        let news = Arc::new(News::default());
        thread::spawn({
            let (news, output) = (Arc::clone(&news), child.stdout.take().unwrap());
            move || news.read(output)
        });
        let log = news.wait("it listens", |log| log.addr.is_some() || log.ended);
        let addr = log.addr.expect("a gateway listens");
        drop(log);
        Gateway { addr, child, orders, news }
    }

    pub(crate) fn target(&self) -> Target {
        Target { addr: self.addr, witness: None }
    }

    /// Nothing that it says is passed on before its log has shown all that it had received by then.
    pub(crate) fn witnessed(&self) -> Target {
        let (orders, news) = (Arc::clone(&self.orders), Arc::clone(&self.news));
        let witness = move || {
            let (before, _) = news.log.lock().unwrap().snapshots;
            if orders.lock().unwrap().write_all(b"metrics\n").is_err() {
                return false;
            }
            let has_logged = |log: &Log| {
                let (snapshots, counted) = log.snapshots;
                snapshots > before && log.messages.len() as u64 >= counted
            };
            let log = news.wait("its log", |log| has_logged(log) || log.ended);
            has_logged(&log)
        };
        Target { addr: self.addr, witness: Some(Arc::new(witness)) }
    }

    /// What arrived: on which connection, and which message.
    pub(crate) fn messages(&self) -> Vec<(u64, u64)> {
        self.news.log.lock().unwrap().messages.clone()
    }

    #[cfg(unix)]
    pub(crate) fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// Ends it without a warning, and hears what it had said.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        drop(self.news.wait("its end", |log| log.ended));
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // A test that failed leaves nothing behind; a stopped process dies too.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl News {
    pub(crate) fn wait(&self, what: &str, wanted: impl Fn(&Log) -> bool) -> MutexGuard<'_, Log> {
        let log = self.log.lock().unwrap();
        let (log, timeout) =
            self.changed.wait_timeout_while(log, PATIENCE, |log| !wanted(log)).unwrap();
        assert!(!timeout.timed_out(), "in vain: {what}");
        log
    }

    pub(crate) fn read(&self, output: ChildStdout) {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        while output.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            // The last one may be torn.
            if line.pop() == Some(b'\n') {
                self.log.lock().unwrap().note(std::str::from_utf8(&line).unwrap());
                self.changed.notify_all();
            }
            line.clear();
        }
        self.log.lock().unwrap().ended = true;
        self.changed.notify_all();
    }
}

impl Log {
    pub(crate) fn note(&mut self, line: &str) {
        // Read by hand: there are many of them.
        if let Some(message) = line.strip_prefix(r#"{"gateway":"message","conn":"#) {
            let (conn, rest) = number(message);
            let (_, text) = rest.split_once(r#"\"n\":"#).expect(line);
            let (n, rest) = number(text);
            // Whole: the text ends with its number, or with an id that was added to it.
            let whole = [format!(r#"{n}\"}}"}}"#), format!(r#"-{n}\"}}"}}"#)];
            let is_whole = whole.iter().any(|end| rest.ends_with(end));
            assert!(rest.contains(r#"\"type\":\"tick\""#) && is_whole, "{line}");
            let run = text.split_once(r#"\"run\":"#).map_or(0, |(_, run)| number(run).0);
            self.messages.push((conn, n));
            self.runs.push(run);
            return;
        }
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        match line["gateway"].as_str().unwrap() {
            "listening" => self.addr = Some(line["addr"].as_str().unwrap().parse().unwrap()),
            "connected" => self.peers.push(line["peer"].as_str().unwrap().to_string()),
            "disconnected" => self.disconnected += 1,
            "metrics" => {
                self.snapshots =
                    (self.snapshots.0 + 1, line["metrics"]["messages"].as_u64().unwrap());
            }
            _ => {}
        }
    }
}

/// The number at the beginning.
pub(crate) fn number(text: &str) -> (u64, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap();
    (text[..end].parse().unwrap(), &text[end..])
}
