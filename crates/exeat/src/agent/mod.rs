//! `exeat agent`: lends unmodified SDKs a key of their own, so that nobody else can use the tokens they call with.
//!
//! SDKs send a bearer secret and can do no better. The agent listens on the loopback address, takes a secret that only
//! this user can read in place of a token, and passes the call on with a token that is bound to the agent's key and a
//! proof for this one request (RFC 9449). The key stays the same across restarts; the local secret and tokens are made
//! anew.

mod files;
mod forward;
mod grant;
mod headers;
mod upstream;

#[cfg(test)]
mod tests;

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use anyhow::{Context, ensure};
use axum::Router;
use clap::Args;
use terms::{Clock, SystemClock};
use tokio::{net::TcpListener, runtime::Builder};

use crate::{commands::Exit, output};

use files::Folder;
use forward::Agent;
use grant::{Evidence, Grants};
use upstream::Gateway;

/// What the agent is told.
#[derive(Clone, Debug, Args)]
pub(crate) struct AgentOptions {
    /// The gateway as its clients reach it: `https://host`, or `http://127.0.0.1:port` for trying it out.
    #[arg(long, env = "EXEAT_GATEWAY", value_name = "URL")]
    gateway: String,
    /// Where the SDKs call; a loopback address.
    #[arg(long, default_value = "127.0.0.1:8085")]
    listen: SocketAddr,
    /// Where the agent's key and its local secret are kept, readable by this user alone; `$XDG_STATE_HOME/exeat-agent` or
    /// `~/.local/state/exeat-agent` unless given.
    #[arg(long, env = "EXEAT_AGENT_DIR", value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The file of a token of the identity provider, a Kubernetes service account or a CI job; read anew at each exchange.
    #[arg(long, value_name = "FILE", conflicts_with = "api_key_file", required_unless_present_any = ["api_key_file", "thumbprint"])]
    identity_token_file: Option<PathBuf>,
    /// The rule by which the identity token stands for a workload; without one it stands for the person it names.
    #[arg(long, value_name = "ID", requires = "identity_token_file")]
    federation_rule: Option<String>,
    /// The file of an API key that is bound to this agent's key.
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    /// Certificates to trust besides those of the system, in PEM form, for a gateway with a certificate of one's own.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Prints the thumbprint of the agent's key, to which an API key can be bound, and ends.
    #[arg(long)]
    thumbprint: bool,
}

/// Runs the agent until a signal ends it.
///
/// # Errors
///
/// What cannot be read, made or reached, and what to do.
pub(crate) fn run(options: &AgentOptions, format: output::Format) -> anyhow::Result<Exit> {
    ensure!(options.listen.ip().is_loopback(), "`--listen` must be a loopback address: whoever reaches it can call");
    let folder = match &options.dir {
        Some(dir) => Folder::open(dir)?,
        None => Folder::open(&files::usual()?)?,
    };
    if options.thumbprint {
        output::answer(format, &serde_json::json!({ "jkt": folder.thumbprint() }))?;
        return Ok(Exit::Done);
    }
    let runtime = Builder::new_multi_thread().worker_threads(2).thread_name("agent").enable_all().build();
    runtime.context("cannot start the threads of the agent")?.block_on(serve(options, folder, format))
}

/// Holds the port before there is a secret, so that the one announced is never sent to somebody else's listener.
async fn serve(options: &AgentOptions, folder: Folder, format: output::Format) -> anyhow::Result<Exit> {
    let listener = TcpListener::bind(options.listen).await;
    let listener = listener
        .with_context(|| format!("cannot listen on {}: stop what uses it, or change `--listen`", options.listen))?;
    let (gateway, grants) = (gateway(options)?, grants(options, &folder)?);
    grants.current(&gateway).await?;
    let secret = folder.new_secret()?;
    let agent = Agent::new(secret.clone(), grants, gateway);
    announce(format, listener.local_addr()?, &folder)?;
    let ended = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    let served = axum::serve(listener, router(agent)).with_graceful_shutdown(ended).await;
    folder.forget(&secret);
    served.context("the agent's listener ended")?;
    Ok(Exit::Done)
}

fn router(agent: Agent) -> Router {
    Router::new().fallback(forward::forward).with_state(agent)
}

fn gateway(options: &AgentOptions) -> anyhow::Result<Gateway> {
    Gateway::parse(&options.gateway, options.ca_file.as_deref())
}

fn grants(options: &AgentOptions, folder: &Folder) -> anyhow::Result<Grants> {
    let evidence = match (&options.identity_token_file, &options.api_key_file) {
        (Some(file), _) => Evidence::IdentityToken { file: file.clone(), rule: options.federation_rule.clone() },
        (None, Some(file)) => Evidence::ApiKey { file: file.clone() },
        (None, None) => anyhow::bail!("say who calls: `--identity-token-file` or `--api-key-file`"),
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    Ok(Grants::new(evidence, folder.key(), clock))
}

fn announce(format: output::Format, address: SocketAddr, folder: &Folder) -> anyhow::Result<()> {
    let secret = folder.secret_file();
    let secret = secret.display();
    let (openai, anthropic) = (format!("http://{address}/v1"), format!("http://{address}"));
    let told = serde_json::json!({
        "OPENAI_BASE_URL": openai, "ANTHROPIC_BASE_URL": anthropic, "secret_file": secret.to_string(),
        "jkt": folder.thumbprint(),
    });
    if format == output::Format::Json {
        return Ok(output::answer(format, &told)?);
    }
    output::line(&format!(
        "export OPENAI_BASE_URL={openai} OPENAI_API_KEY=\"$(cat {secret})\"\n\
         export ANTHROPIC_BASE_URL={anthropic} ANTHROPIC_API_KEY=\"$(cat {secret})\""
    ))?;
    Ok(())
}
