//! Fresh credentials from a shell command.

use std::process;
use std::time::Duration;

use hermes_proto::{Credentials, Url};

use super::shell::{self, Ended};

/// Characters of a command's complaint that are shown.
const MAX_COMPLAINT: usize = 200;

/// Fresh credentials, from a command. Its standard output is secret; the last line of its standard
/// error is not.
pub(super) fn fetch(command: &str, url: &Url, timeout: Duration) -> Result<Credentials, String> {
    let mut shell = shell(command);
    shell.env("HERMES_URL", url.as_str());
    let Ended { status, stdout, stderr } = shell::run(&mut shell, timeout)?;
    if !status.success() {
        let complaint = String::from_utf8_lossy(&stderr);
        let complaint = complaint.lines().rfind(|line| !line.trim().is_empty());
        let printable = |line: &str| {
            let line = line.trim().chars().filter(|char| !char.is_control());
            line.take(MAX_COMPLAINT).collect::<String>()
        };
        let complaint = complaint.map(|line| format!(": {}", printable(line)));
        return Err(format!("the command failed ({status}){}", complaint.unwrap_or_default()));
    }
    let text = String::from_utf8(stdout).map_err(|_| "the command printed no text")?;
    let mut credentials = Credentials::default();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        if let Some(token) = line.strip_prefix("session-token ") {
            credentials.token = Some(token.trim().to_owned());
        } else {
            let header = header(line).map_err(|_| {
                format!("line {number} of the command's is no `NAME: VALUE`, nor a `session-token`")
            })?;
            credentials.headers.push(header);
        }
    }
    Ok(credentials)
}

#[cfg(not(windows))]
fn shell(command: &str) -> process::Command {
    let mut shell = process::Command::new("sh");
    shell.args(["-c", command]);
    shell
}

#[cfg(windows)]
fn shell(command: &str) -> process::Command {
    use std::os::windows::process::CommandExt;
    let mut shell = process::Command::new("cmd");
    // As it is: cmd has quoting rules of its own.
    shell.arg("/C").raw_arg(command);
    shell
}

/// `Name: value`.
pub(super) fn header(line: &str) -> Result<(String, String), String> {
    let (name, value) = line
        .split_once(':')
        .ok_or_else(|| "a header is written as --header 'Name: value'".to_string())?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}
