//! Servers of this program as processes of their own: the stub and the relay.

use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    thread,
};

use anyhow::Context;
use tokio::{net::TcpListener, task::LocalSet};

use crate::report::say;

/// A child process that runs this program. Killed when dropped; ends by itself when this process is gone.
#[derive(Debug)]
pub(crate) struct Own {
    child: Child,
    address: SocketAddr,
}

impl Own {
    /// Starts this program with other arguments and reads the address that it says it listens on.
    ///
    /// # Errors
    ///
    /// It cannot be started, or said no address.
    pub(crate) fn start(arguments: &[&str]) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("this program's own path is not known")?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start `{}`", arguments.join(" ")))?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let address = line.trim().parse();
        let address = address.with_context(|| format!("`{}` said no address: `{line}`", arguments.join(" ")))?;
        Ok(Self { child, address })
    }

    /// Returns its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// In the child: listens on a free port of loopback, says where, and serves until standard input ends.
///
/// # Errors
///
/// The operating system's error.
pub(crate) fn serve<F>(server: impl FnOnce(TcpListener) -> F + Send + 'static) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>> + 'static,
{
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    say(&listener.local_addr()?.to_string());
    thread::Builder::new().name("serve".to_owned()).spawn(move || run(listener, server))?;
    std::io::stdin().read_to_end(&mut Vec::new()).map(drop).context("standard input broke")
}

/// Runs a server on a runtime of this thread.
///
/// # Errors
///
/// The operating system's error, or the server's.
pub(crate) fn run<F>(listener: std::net::TcpListener, server: impl FnOnce(TcpListener) -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>> + 'static,
{
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async move { server(TcpListener::from_std(listener)?).await })
}
