//! Fresh credentials from a shell command.

use std::process;

use hermes_proto::{Credentials, Url};

/// Fresh credentials, from a command. What it prints is secret; what it complains of is not.
pub(super) fn fetch(command: &str, url: &Url) -> Result<Credentials, String> {
    let output = shell(command)
        .env("HERMES_URL", url.as_str())
        .stdin(process::Stdio::null())
        .output()
        .map_err(|error| format!("the command can't be run: {error}"))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        let complaint = complaint.lines().rfind(|line| !line.trim().is_empty());
        let complaint = complaint.map(|line| format!(": {}", line.trim())).unwrap_or_default();
        return Err(format!("the command failed ({}){complaint}", output.status));
    }
    let text = String::from_utf8(output.stdout).map_err(|_| "the command printed no text")?;
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
