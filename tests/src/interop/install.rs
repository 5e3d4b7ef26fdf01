//! Pinned libraries, from the registries of their languages into the target directory.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};
use std::{process, thread};

use super::{Language, Library};

const REQUIREMENTS: &str = include_str!("../../interop/requirements.txt");
const PACKAGE: &str = include_str!("../../interop/package.json");
const PACKAGE_LOCK: &str = include_str!("../../interop/package-lock.json");

/// An installer takes seconds. One that has not ended by now never will.
const PATIENCE: Duration = Duration::from_secs(300);

/// A lock of this age was left behind: who holds one renews it all the time.
const ABANDONED: Duration = Duration::from_secs(10);

/// Installs the pinned version into a directory of its own, unless it is there: a directory with
/// the version's name is complete.
pub(super) fn install(
    language: Language,
    interpreter: &'static str,
    home: &Path,
) -> Result<Library, String> {
    let (name, version) = match language {
        Language::Python => ("websockets", pinned(REQUIREMENTS, "websockets==", ' ')),
        Language::Node => ("ws", pinned(PACKAGE, "\"ws\": \"", '"')),
    };
    let done = home.join(format!("{name}-{version}"));
    if !done.is_dir() {
        install_into(&done, language, interpreter)?;
    }
    let modules = match language {
        Language::Python => done.join("lib"),
        Language::Node => done.join("node_modules"),
    };
    Ok(Library { language, interpreter, modules, version })
}

/// What stands in `text` between `before` and `after`.
fn pinned(text: &'static str, before: &str, after: char) -> &'static str {
    let (_, rest) = text.split_once(before).expect("the version is pinned like this");
    rest.split(after).next().unwrap_or(rest)
}

/// Everything happens in a directory beside `done`, which gets its name last. So neither two
/// processes nor an interrupted one can make a mess; the lock only spares them the double work.
fn install_into(done: &Path, language: Language, interpreter: &str) -> Result<(), String> {
    let problem = |error: io::Error| format!("{}: {error}", done.display());
    if let Some(home) = done.parent() {
        fs::create_dir_all(home).map_err(problem)?;
    }
    let lock = Lock::take(beside(done, "lock")).map_err(problem)?;
    if done.is_dir() {
        return Ok(());
    }
    let work = beside(done, &process::id().to_string());
    // A process of long ago may have had our number.
    let _ = fs::remove_dir_all(&work);
    fs::create_dir(&work).map_err(problem)?;
    let job = Job { work: &work, lock: &lock };
    let result = match language {
        Language::Python => job.install_websockets(interpreter),
        Language::Node => job.install_ws(),
    };
    let result = result.and_then(|()| match fs::rename(&work, done) {
        Err(error) if !done.is_dir() => Err(problem(error)),
        _ => Ok(()),
    });
    let _ = fs::remove_dir_all(&work);
    result
}

/// The path with another extension behind it.
fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(".");
    path.push(extension);
    path.into()
}

/// An installation under way.
struct Job<'a> {
    work: &'a Path,
    lock: &'a Lock,
}

impl Job<'_> {
    /// With the machine's own pip, or else with the one of a virtual environment. Debian has both
    /// in packages of their own. The library goes into a plain directory either way: an
    /// environment could not be renamed.
    fn install_websockets(&self, python: &str) -> Result<(), String> {
        let pip = self.run(Command::new(python).args(["-m", "pip", "--version"]));
        let venv = self.work.join("venv");
        let python = match pip {
            Ok(()) => PathBuf::from(python),
            Err(no_pip) => {
                self.run(Command::new(python).args(["-m", "venv"]).arg(&venv)).map_err(
                    |no_venv| {
                        format!(
                            "Python has neither pip nor what a virtual environment needs. On \
                             Debian, install python3-venv or python3-pip.\n{no_pip}\n{no_venv}"
                        )
                    },
                )?;
                let (directory, file) =
                    if cfg!(windows) { ("Scripts", "python.exe") } else { ("bin", "python") };
                venv.join(directory).join(file)
            }
        };
        self.write("requirements.txt", REQUIREMENTS)?;
        let mut pip = Command::new(python);
        pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input"]);
        pip.args(["--require-hashes", "--only-binary=:all:", "--no-deps"]);
        // A setting of the user's would be at odds with `--target`.
        pip.args(["--target", "lib", "-r", "requirements.txt"]).env("PIP_USER", "0");
        self.run(&mut pip)?;
        // It has done its work, if it was made at all.
        let _ = fs::remove_dir_all(&venv);
        Ok(())
    }

    fn install_ws(&self) -> Result<(), String> {
        self.write("package.json", PACKAGE)?;
        self.write("package-lock.json", PACKAGE_LOCK)?;
        let mut npm = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" });
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
        self.run(&mut npm)
    }

    fn write(&self, name: &str, content: &str) -> Result<(), String> {
        let path = self.work.join(name);
        fs::write(&path, content).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Runs a command to its end, and renews the lock meanwhile. The error has all it printed.
    fn run(&self, command: &mut Command) -> Result<(), String> {
        let log = self.work.join("log");
        let result = self.run_with_log(command, &log);
        let problem = match result {
            Ok(None) => return Ok(()),
            Ok(Some(problem)) => problem,
            Err(error) => error.to_string(),
        };
        let printed = fs::read(&log).unwrap_or_default();
        Err(format!("{command:?}: {problem}\n{}", String::from_utf8_lossy(&printed)))
    }

    fn run_with_log(&self, command: &mut Command, log: &Path) -> io::Result<Option<String>> {
        let log = File::create(log)?;
        command.current_dir(self.work).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let mut child = command.spawn()?;
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if let Some(status) = child.try_wait()? {
                return Ok((!status.success()).then(|| status.to_string()));
            }
            self.lock.renew();
            thread::sleep(Duration::from_millis(20));
        }
        child.kill()?;
        child.wait()?;
        Ok(Some(format!("not done after {PATIENCE:?}")))
    }
}

/// A file that is there while somebody installs. (`File::lock` needs a newer Rust than the
/// workspace does.)
struct Lock {
    path: PathBuf,
    file: File,
}

impl Lock {
    /// Waits until nobody else has it.
    fn take(path: PathBuf) -> io::Result<Lock> {
        loop {
            match File::create_new(&path) {
                Ok(file) => return Ok(Lock { path, file }),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
            let renewed = fs::metadata(&path).and_then(|metadata| metadata.modified());
            let age = renewed.ok().and_then(|at| at.elapsed().ok());
            if age.is_some_and(|age| age > ABANDONED) {
                let _ = fs::remove_file(&path);
            } else {
                thread::sleep(Duration::from_millis(50));
            }
        }
    }

    fn renew(&self) {
        // At worst somebody does the same work, beside us.
        let _ = self.file.set_modified(SystemTime::now());
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
