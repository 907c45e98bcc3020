//! The solver: a program of its own, spoken to in SMT-LIB over its standard input, and never left behind.

use std::{
    env, fs,
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    pin::Pin,
    process::Stdio,
    task::{Context, Poll},
    time::Duration,
};

use cedar_policy_symcc::{
    SmtLibScript,
    solver::{Decision, DecisionWithModel, Solver, SolverError},
};
use rustix::process::{Pid, Signal, kill_process_group};
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, BufWriter},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::{Fault, proofs::SolverIdentity};

/// More than any answer to a question about our rules takes; a longer one is not an answer.
const ANSWER_MAX: u64 = 16 * 1024 * 1024;
const VERSION_MAX: u64 = 4 * 1024;
const VERSION_WAIT: Duration = Duration::from_secs(5);

/// Finds the program: a path with a directory as it is, a bare name on `PATH`.
///
/// # Errors
///
/// [`Fault::NoSolver`]: there is no such program, or it may not be executed.
pub(crate) fn find(wanted: &Path) -> Result<PathBuf, Fault> {
    let missing = |why: &str| Fault::NoSolver { solver: wanted.to_owned(), why: why.to_owned() };
    if wanted.components().count() > 1 {
        return is_program(wanted).then(|| wanted.to_owned()).ok_or_else(|| missing("no such program"));
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let mut found = env::split_paths(&path).map(|folder| folder.join(wanted)).filter(|file| is_program(file));
    found.next().ok_or_else(|| missing("not found on PATH"))
}

fn is_program(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// Says which program answers: its name, what it says of its version, and the digest of its file.
///
/// # Errors
///
/// [`Fault::NoSolver`]: the file cannot be read or run.
pub(crate) async fn identify(binary: &Path, limit: Duration) -> Result<SolverIdentity, Fault> {
    let unusable = |error: io::Error| Fault::NoSolver { solver: binary.to_owned(), why: error.to_string() };
    let name = binary.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let sha256 = digest_of(binary).map_err(unusable)?;
    Ok(SolverIdentity { name, version: version_of(binary, limit.min(VERSION_WAIT)).await.map_err(unusable)?, sha256 })
}

fn digest_of(file: &Path) -> io::Result<String> {
    let mut file = fs::File::open(file)?;
    let (mut hash, mut piece) = (Sha256::new(), vec![0; 64 * 1024]);
    loop {
        let read = file.read(&mut piece)?;
        let Some(new) = piece.get(..read).filter(|new| !new.is_empty()) else {
            return Ok(hex(&hash.finalize()));
        };
        hash.update(new);
    }
}

/// Returns the first line that the program prints when asked for its version; empty if it prints none in time.
async fn version_of(binary: &Path, limit: Duration) -> io::Result<String> {
    let mut command = Command::new(binary);
    command.arg("--version").stdin(Stdio::null());
    let mut process = Group::spawn(&mut command)?;
    let mut line = String::new();
    if let Some(output) = process.child.stdout.take() {
        let mut output = BufReader::new(output.take(VERSION_MAX));
        let read = tokio::time::timeout(limit, output.read_line(&mut line)).await;
        if !matches!(read, Ok(Ok(_))) {
            line.clear();
        }
    }
    process.end().await;
    Ok(line.trim().to_owned())
}

/// A program and whatever it started, in a process group of their own.
struct Group {
    child: Child,
}

impl Group {
    fn spawn(command: &mut Command) -> io::Result<Self> {
        command.stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0).kill_on_drop(true);
        Ok(Self { child: command.spawn()? })
    }

    /// Kills the group and waits until its first process is gone.
    async fn end(&mut self) {
        self.kill();
        let gone: io::Result<_> = self.child.wait().await;
        debug_assert!(gone.is_ok(), "a child that was killed can be waited for");
    }

    fn kill(&self) {
        // The number is not yet another process's: nobody has waited for the child as long as it has an id.
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(id) = id {
            // Fails only if all of them are gone already.
            kill_process_group(id, Signal::KILL).ok();
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A running solver.
pub(crate) struct Process {
    group: Group,
    input: Tee,
    output: BufReader<ChildStdout>,
}

impl Process {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// The operating system's, if the program cannot be run.
    pub(crate) fn start(binary: &Path) -> io::Result<Self> {
        let mut command = Command::new(binary);
        command.args(["--lang", "smt"]).stdin(Stdio::piped());
        let mut group = Group::spawn(&mut command)?;
        let (Some(input), Some(output)) = (group.child.stdin.take(), group.child.stdout.take()) else {
            return Err(io::Error::other("its pipes are missing"));
        };
        let input = Tee { to: BufWriter::new(input), hash: Sha256::new(), asked: 0 };
        Ok(Self { group, input, output: BufReader::new(output) })
    }

    /// Kills it and waits until it is gone.
    pub(crate) async fn end(&mut self) {
        self.group.end().await;
    }

    /// Returns what was written since the last time, and begins anew.
    pub(crate) fn take_trace(&mut self) -> Trace {
        let asked = std::mem::take(&mut self.input.asked);
        let hash = std::mem::replace(&mut self.input.hash, Sha256::new());
        Trace { smt_sha256: hex(&hash.finalize()), asked }
    }

    async fn read_line(&mut self, text: &mut String) -> Result<usize, SolverError> {
        let room = ANSWER_MAX.saturating_sub(text.len() as u64);
        let read = (&mut self.output).take(room).read_line(text).await?;
        if read == 0 {
            return Err(SolverError::Solver("it ended, or its answer is too long".to_owned()));
        }
        Ok(read)
    }

    /// Reads a model: from a line `(` to a line `)`.
    async fn read_model(&mut self) -> Result<String, SolverError> {
        let mut model = String::new();
        self.read_line(&mut model).await?;
        if model.trim() != "(" {
            return Err(misanswered(&model));
        }
        loop {
            let read = self.read_line(&mut model).await?;
            let line = model.len().checked_sub(read).and_then(|at| model.get(at..));
            if line.is_some_and(|line| line.trim() == ")") {
                return Ok(model);
            }
        }
    }
}

impl Solver for Process {
    fn smtlib_input(&mut self) -> &mut (dyn AsyncWrite + Unpin + Send) {
        &mut self.input
    }

    async fn enable_models(&mut self) -> Result<(), SolverError> {
        Ok(self.input.set_option("produce-models", "true").await?)
    }

    async fn check_sat(&mut self) -> Result<Decision, SolverError> {
        self.input.asked += 1;
        self.input.check_sat().await?;
        self.input.flush().await?;
        let mut answer = String::new();
        self.read_line(&mut answer).await?;
        match answer.trim() {
            "sat" => Ok(Decision::Sat),
            "unsat" => Ok(Decision::Unsat),
            "unknown" => Ok(Decision::Unknown),
            _ => Err(misanswered(&answer)),
        }
    }

    async fn check_sat_with_model(&mut self) -> Result<DecisionWithModel, SolverError> {
        match self.check_sat().await? {
            Decision::Unsat => Ok(DecisionWithModel::Unsat),
            Decision::Unknown => Ok(DecisionWithModel::Unknown),
            Decision::Sat => {
                self.input.get_model().await?;
                self.input.flush().await?;
                Ok(DecisionWithModel::Sat { model: self.read_model().await? })
            }
        }
    }
}

fn misanswered(answer: &str) -> SolverError {
    SolverError::UnrecognizedSolverOutput(answer.trim().chars().take(200).collect())
}

/// What was written to a solver.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Trace {
    /// The SHA-256 of every byte, in hexadecimal.
    pub(crate) smt_sha256: String,
    /// How many questions it was.
    pub(crate) asked: u32,
}

impl Trace {
    pub(crate) fn nothing() -> Self {
        Self { smt_sha256: hex(&Sha256::digest(b"")), asked: 0 }
    }
}

/// Hashes what passes through it on the way to the solver.
struct Tee {
    to: BufWriter<ChildStdin>,
    hash: Sha256,
    asked: u32,
}

impl AsyncWrite for Tee {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.to).poll_write(context, bytes);
        if let Poll::Ready(Ok(count)) = &written {
            self.hash.update(bytes.get(..*count).unwrap_or(bytes));
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.to).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.to).poll_shutdown(context)
    }
}

/// Writes bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
