//! A command that is run to its exit, and no longer than it may.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A command that has exited.
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

/// Bytes of a command's output. Credentials have a few KiB.
const MAX_OUTPUT: usize = 1 << 20;

/// Between two looks at a command that does not say anything.
const TICK: Duration = Duration::from_millis(10);

/// Runs a command without input to its exit, with its output up to then. A process that it leaves
/// behind may keep the pipes. On Unix, a command that takes too long is killed with all processes that
/// it has started.
pub(super) fn run(command: &mut Command, timeout: Duration) -> Result<Ended, String> {
    let deadline = Instant::now().checked_add(timeout);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    let mut child =
        command.spawn().map_err(|error| format!("the command can't be run: {error}"))?;
    let outcome = run_to_exit(&mut child, deadline);
    // The id of a command that has exited may be another's.
    if outcome.is_err() && matches!(child.try_wait(), Ok(None)) {
        kill(&mut child);
    }
    outcome
}

fn run_to_exit(child: &mut Child, deadline: Option<Instant>) -> Result<Ended, String> {
    let failed = |error| format!("the command can't be waited for: {error}");
    let pipes = (Pipe::new(child.stdout.take()), Pipe::new(child.stderr.take()));
    let (mut stdout, mut stderr) = (pipes.0.map_err(failed)?, pipes.1.map_err(failed)?);
    loop {
        let status = child.try_wait().map_err(failed)?;
        // After the look at the exit, so that all output before it is read.
        stdout.read().and_then(|()| stderr.read()).map_err(failed)?;
        if stdout.bytes.len().max(stderr.bytes.len()) > MAX_OUTPUT {
            return Err("the command printed more than 1 MiB".to_owned());
        }
        if let Some(status) = status {
            return Ok(Ended { status, stdout: stdout.bytes, stderr: stderr.bytes });
        }
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Err("the command took too long, and was killed".to_owned());
        }
        std::thread::sleep(TICK);
    }
}

#[cfg(unix)]
fn kill(child: &mut Child) {
    use rustix::process::{Pid, Signal, kill_process_group};

    // It leads its group, whose id is its own until it is waited for.
    if let Some(group) = Pid::from_raw(child.id().cast_signed()) {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait();
}

#[cfg(not(unix))]
fn kill(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// A pipe that is read without waiting.
#[cfg(unix)]
struct Pipe<R> {
    pipe: Option<R>,
    bytes: Vec<u8>,
}

#[cfg(unix)]
impl<R: Read + std::os::fd::AsFd> Pipe<R> {
    fn new(pipe: Option<R>) -> std::io::Result<Self> {
        if let Some(pipe) = &pipe {
            rustix::io::ioctl_fionbio(pipe, true)?;
        }
        Ok(Pipe { pipe, bytes: Vec::new() })
    }

    /// Reads the bytes that wait, and no more than may come in all.
    fn read(&mut self) -> std::io::Result<()> {
        let Some(pipe) = &mut self.pipe else { return Ok(()) };
        let room = (MAX_OUTPUT + 1).saturating_sub(self.bytes.len());
        match pipe.take(room as u64).read_to_end(&mut self.bytes) {
            Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    }
}

/// A pipe that a thread reads: Windows' can't be read without waiting.
#[cfg(not(unix))]
struct Pipe {
    received: std::sync::mpsc::Receiver<Vec<u8>>,
    bytes: Vec<u8>,
}

#[cfg(not(unix))]
impl Pipe {
    fn new(pipe: Option<impl Read + Send + 'static>) -> std::io::Result<Self> {
        let (sender, received) = std::sync::mpsc::channel();
        std::thread::Builder::new().spawn(move || {
            let (mut pipe, mut buffer) = (pipe, [0; 4096]);
            while let Some(Ok(n @ 1..)) = pipe.as_mut().map(|pipe| pipe.read(&mut buffer)) {
                if sender.send(buffer[..n].to_vec()).is_err() {
                    return;
                }
            }
        })?;
        Ok(Pipe { received, bytes: Vec::new() })
    }

    fn read(&mut self) -> std::io::Result<()> {
        // The thread may be behind by as much as it takes to pass a write on.
        while let Ok(bytes) = self.received.recv_timeout(TICK) {
            self.bytes.extend(bytes);
        }
        Ok(())
    }
}
