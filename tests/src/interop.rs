//! The client on real sockets, against WebSocket servers that nobody here wrote: Python's
//! `websockets` and Node's `ws`, at the versions that `tests/interop/` pins.
//!
//! A [`Library`] is one of the two, installed below `target/interop/` when it is first needed. A
//! [`Server`] is a process that runs it. A [`Harness`] is a server with a client that talks to it.
//! A scenario gets the library, and [`against_both!`](crate::against_both) makes two tests of it.
//! If there is no Python, or no Node, or no registry to install its library from, those tests are
//! left out, and say so. With `CI` in the environment, an installation that fails is a failure.
//!
//! # The servers
//!
//! Both speak as much of the gateway's language as a scenario needs. They answer the first message
//! of a connection with `session-init`, resume the session that it asks for, and echo every `chat`
//! with its sender and a counter, `n`, over all connections. What goes beyond that is done to
//! order, on `{"type":"do","what":…}`, which does not count as a message:
//!
//! | `what` | with | then |
//! | --- | --- | --- |
//! | `close` | `code`, `reason` | a closing handshake |
//! | `abort` | `reset` | the transport ends without one, by FIN or by RST |
//! | `ping` | `data` | a Ping |
//! | `binary` | `bytes` | a binary message |
//! | `large` | `unit`, `times` | a chat whose text is so many units |
//! | `burst` | `count` | that many chats, numbered from 1 |
//! | `traffic` | | a report of the bytes that the connection has carried, both ways |
//! | `fragments` | `text`, `size`, `pings` | a chat in fragments of `size` bytes, with a Ping after each |
//!
//! They are given `port`, `authorization` (without it an upgrade is answered with 401),
//! `subprotocols`, `tls` (`cert` and `key`, PEM) and `deflate` (the parameters of permessage-deflate
//! by their names, which they then accept), and report what they see as JSON lines: first
//! `{"port":…,"version":…}`, then `{"saw":…}` with `open`, `reject`, `message`, `ping`, `pong` (data in
//! hexadecimal), `traffic` or `close`.
//! They end when their standard input does, which is when the test ends, however it ends.

mod harness;
mod install;
mod server;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

pub use harness::{Harness, chat, config, resume};
pub use server::Server;

/// Whose server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Python's `websockets`.
    Python,
    /// Node's `ws`.
    Node,
}

impl Language {
    /// The interpreter, if this machine has one.
    fn find(self) -> Option<&'static str> {
        let names: &[&str] = match self {
            Language::Python => &["python3", "python"],
            Language::Node => &["node", "nodejs"],
        };
        names.iter().copied().find(|name| {
            let mut command = Command::new(name);
            command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null());
            command.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
        })
    }
}

/// A library on the server's side, ready to run.
#[derive(Clone, Debug)]
pub struct Library {
    language: Language,
    interpreter: &'static str,
    /// Where the library's modules are.
    modules: PathBuf,
    version: &'static str,
}

impl Library {
    /// The library, installed below the directory `target`. The work is done once per process, and
    /// if another process has done it, not at all.
    ///
    /// # Errors
    ///
    /// If the language is missing, or if the installer failed, with the installer's words.
    ///
    /// # Panics
    ///
    /// If the installer failed and `CI` is in the environment: tests are not left out there.
    pub fn get(language: Language, target: &Path) -> Result<&'static Library, &'static str> {
        type Cell = OnceLock<Result<Library, String>>;
        static PYTHON: Cell = OnceLock::new();
        static NODE: Cell = OnceLock::new();

        let cell = match language {
            Language::Python => &PYTHON,
            Language::Node => &NODE,
        };
        let library = cell.get_or_init(|| {
            let Some(interpreter) = language.find() else {
                return Err(format!("there is no {language:?} on this machine"));
            };
            let library = install::install(language, interpreter, &target.join("interop"));
            library.map_err(|problem| {
                let problem = format!("the server for {language:?} can't be installed: {problem}");
                assert!(std::env::var_os("CI").is_none(), "{problem}");
                problem
            })
        });
        library.as_ref().map_err(String::as_str)
    }
}

/// Plays a scenario, or says that it can't. `scratch` is Cargo's directory for the files of tests;
/// the one above it is where everything built is.
pub fn play(language: Language, scratch: &str, scenario: fn(&'static Library)) {
    let target = Path::new(scratch).parent().expect("it is in the target directory");
    match Library::get(language, target) {
        Ok(library) => scenario(library),
        Err(why) => {
            let thread = std::thread::current();
            let test = thread.name().unwrap_or("a test");
            // Not by `eprintln!`: what a test prints is shown only where it fails. And that nobody
            // may be listening is no reason to fail.
            let _ = writeln!(std::io::stderr(), "interop: {test} is left out: {why}");
        }
    }
}

/// Makes two tests of each scenario, `python::NAME` and `node::NAME`.
#[macro_export]
macro_rules! against_both {
    (@ $module:ident, $language:ident, $($scenario:ident),+) => {
        mod $module {
            use $crate::interop::{Language, play};
            $(
                #[test]
                fn $scenario() {
                    play(Language::$language, env!("CARGO_TARGET_TMPDIR"), super::$scenario);
                }
            )+
        }
    };
    ($($scenario:ident),+ $(,)?) => {
        $crate::against_both!(@ python, Python, $($scenario),+);
        $crate::against_both!(@ node, Node, $($scenario),+);
    };
}
