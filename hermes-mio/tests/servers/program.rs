//! Programs of other people.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

/// A program that this machine has, or can have.
#[derive(Clone)]
pub(crate) struct Program {
    path: PathBuf,
    /// Where packages were unpacked whose libraries it may need.
    libraries: Option<PathBuf>,
}

impl Program {
    /// The program of this name: installed, or else from the first of these Debian packages, with
    /// the libraries of the others. `None` where it can't be had.
    pub(crate) fn find(name: &str, packages: &[&str]) -> Option<Self> {
        static FOUND: Mutex<BTreeMap<String, Option<Program>>> = Mutex::new(BTreeMap::new());
        let mut found = FOUND.lock().unwrap();
        let search = || installed(name).or_else(|| unpacked(name, packages));
        found.entry(name.to_owned()).or_insert_with(search).clone()
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        if let Some(libraries) = &self.libraries {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        command
    }
}

fn installed(name: &str) -> Option<Program> {
    let path = std::env::var_os("PATH")?;
    // Where servers are, which are not on everybody's path.
    let more = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    let places = std::env::split_paths(&path).chain(more);
    let path = places.map(|place| place.join(name)).find(|path| path.is_file())?;
    Some(Program { path, libraries: None })
}

/// Below the target directory, once for all: the packages are moved there when they are whole.
fn unpacked(name: &str, packages: &[&str]) -> Option<Program> {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("servers").join(packages[0]);
    if !home.is_dir() {
        let work = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let run = |command: &mut Command| {
            let quiet =
                command.current_dir(work.path()).stdout(Stdio::null()).stderr(Stdio::null());
            quiet.status().is_ok_and(|status| status.success())
        };
        let hurry = ["-o", "Acquire::http::Timeout=10", "-o", "Acquire::Retries=0"];
        if !run(Command::new("apt-get").args(hurry).arg("download").args(packages)) {
            return None;
        }
        for file in std::fs::read_dir(work.path()).unwrap() {
            let file = file.unwrap().path();
            if file.extension().is_some_and(|extension| extension == "deb")
                && !run(Command::new("dpkg").arg("-x").arg(&file).arg("all"))
            {
                return None;
            }
        }
        std::fs::create_dir_all(home.parent().unwrap()).unwrap();
        // Another process may have been faster.
        let _ = std::fs::rename(work.path().join("all"), &home);
    }
    let places = ["usr/sbin", "usr/bin", "sbin", "bin"];
    let path = places.map(|place| home.join(place).join(name)).into_iter().find(|p| p.is_file())?;
    let libraries = home.join(format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH));
    let program = Program { path, libraries: Some(libraries) };
    // It may still lack a library that this machine has not.
    let mut runs = program.command();
    let runs = runs.arg("-v").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    runs.status().ok().filter(|status| status.code() != Some(127)).map(|_| program)
}
