//! A real browser, driven as a person would: Chromium through ChromeDriver's WebDriver protocol.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

pub(crate) struct Browser {
    driver: Child,
    port: u16,
    session: String,
    /// Chromium's own files.
    _profile: tempfile::TempDir,
}

impl Browser {
    /// `None`, with a line that says so, if Chromium or ChromeDriver is not on this machine.
    pub(crate) fn start(test: &str) -> Option<Self> {
        let found = ["chromium", "chromedriver"].map(|program| {
            Command::new(program)
                .arg("--version")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .is_ok()
        });
        if found != [true; 2] {
            // Not by `eprintln!`: what a test prints is shown only where it fails.
            let why = "it wants chromium and chromedriver (Debian's chromium-driver)";
            let _ = writeln!(std::io::stderr(), "browser: {test} is left out: {why}");
            return None;
        }
        let profile = tempfile::tempdir().unwrap();
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines
            .map_while(Result::ok)
            .find_map(|line| {
                let port = line.split_once("successfully on port ")?.1;
                port.trim_end_matches('.').parse().ok()
            })
            .expect("ChromeDriver names its port");
        let mut browser = Browser { driver, port, session: String::new(), _profile: profile };
        let data = format!("--user-data-dir={}", browser._profile.path().display());
        let args = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1400,800",
            &data,
        ];
        let options = json!({"goog:chromeOptions": {"args": args, "binary": "/usr/bin/chromium"}});
        let answer = browser.post("/session", &json!({"capabilities": {"alwaysMatch": options}}));
        browser.session = answer["sessionId"].as_str().expect("a session").to_owned();
        Some(browser)
    }

    pub(crate) fn open(&self, url: &str) {
        self.command("url", &json!({"url": url}));
    }

    /// The value of a function's body in the page.
    pub(crate) fn eval(&self, body: &str) -> Value {
        self.command("execute/sync", &json!({"script": body, "args": []}))
    }

    /// Types on the keyboard, into what has the focus.
    pub(crate) fn keys(&self, keys: &str) {
        let strokes = keys.chars().flat_map(|key| {
            ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key.to_string()}))
        });
        let strokes: Vec<Value> = strokes.collect();
        let keyboard = json!({"type": "key", "id": "keyboard", "actions": strokes});
        self.command("actions", &json!({"actions": [keyboard]}));
    }

    /// Clicks at a place in the window.
    pub(crate) fn click(&self, x: i64, y: i64) {
        let actions = json!([
            {"type": "pointerMove", "duration": 0, "x": x, "y": y},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]);
        let mouse = json!({"type": "pointer", "id": "mouse", "actions": actions});
        self.command("actions", &json!({"actions": [mouse]}));
    }

    fn command(&self, command: &str, body: &Value) -> Value {
        self.post(&format!("/session/{}/{command}", self.session), body)
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let body = body.to_string();
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).unwrap();
        // ChromeDriver does not close a connection, whatever it is asked.
        let mut answer = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            answer.read_line(&mut line).unwrap();
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        answer.read_exact(&mut body).unwrap();
        let value = serde_json::from_slice::<Value>(&body).unwrap()["value"].clone();
        assert!(value["error"].is_null(), "{path}: {value}");
        value
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // ChromeDriver ends its browser when it is asked to, not when it is killed. It answers nobody
        // who names another host.
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) {
            let session = &self.session;
            let _ = write!(stream, "DELETE /session/{session} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
            let _ = stream.read(&mut [0]);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
