//! The identity listener: where identity providers, employers, vendors and people call; and the token paths of SDKs.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context;
use axum::{Router, body::Body};
use bytes::Bytes;
use control::Control;
use federation::{Plane, token};
use fetch::Client;
use gateway::{Answering, Aside, Checked, OwnKeys, OwnTokens, TlsSettings};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use jose::Jwks;
use rustls::{ServerConfig, crypto::aws_lc_rs, server::ResolvesServerCert, sign::CertifiedKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use terms::Clock;
use tokio::{
    net::TcpListener,
    runtime::{Handle, Runtime},
    sync::watch,
};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use super::listener::{self, Serving};
use crate::config::{FederationConfig, Meant};

/// The longest answer of a token path, in bytes: a key set.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// The sources of word about people, before anything of them is served.
pub(super) struct Identity {
    plane: Plane,
    config: FederationConfig,
    issuer: String,
}

impl Identity {
    /// Opens what the configuration names; nothing if it names none. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// Which part cannot be opened and why.
    pub(super) fn open(
        meant: &Meant,
        checked: &Checked,
        control: &Control,
        clock: &Arc<dyn Clock>,
        client: &Client,
    ) -> anyhow::Result<Option<Self>> {
        let Some(config) = &meant.federation else { return Ok(None) };
        let issuer = checked.external_origin().context("`server.external_origin` is not set")?.to_owned();
        let resource = checked.resource().unwrap_or(&issuer);
        let settings = config.settings(&meant.data_dir, &issuer, resource)?;
        let plane = Plane::open(control, clock, client, settings)?;
        Ok(Some(Self { plane, config: config.clone(), issuer }))
    }

    /// Returns the tokens of our own, for the gateway.
    pub(super) fn own_tokens(&self) -> OwnTokens {
        OwnTokens { issuer: self.issuer.clone(), keys: Arc::new(TokenKeys(self.plane.clone())) }
    }

    /// Returns who answers the token paths that SDKs ask of the gateway, on threads of `runtime`.
    pub(super) fn token_paths(&self, runtime: &Runtime) -> Arc<dyn Aside> {
        Arc::new(TokenPaths { router: self.plane.token_router(), runtime: runtime.handle().clone() })
    }

    /// Listens, does what nobody asks for, and takes settings from administrators.
    ///
    /// # Errors
    ///
    /// Those of [`IdentityServer::start`].
    pub(super) fn serve(self, runtime: &Runtime, control: &Control) -> anyhow::Result<IdentityServer> {
        let server = IdentityServer::start(runtime, &self.config, self.plane.router())?;
        runtime.spawn(self.plane.clone().run());
        control.attach_sources(Arc::new(self.plane));
        Ok(server)
    }
}

/// The keys of our own tokens.
#[derive(Debug)]
struct TokenKeys(Plane);

impl OwnKeys for TokenKeys {
    fn now(&self) -> Jwks {
        self.0.token_keys()
    }

    fn version(&self) -> u64 {
        self.0.token_keys_version()
    }
}

/// The identity listener.
pub(super) struct IdentityServer {
    address: SocketAddr,
    stop: watch::Sender<bool>,
}

impl IdentityServer {
    /// Binds the address of `config` and serves `router` there until [`IdentityServer::stop`].
    ///
    /// # Errors
    ///
    /// The operating system's error with the address, or what is wrong with the certificate.
    fn start(runtime: &Runtime, config: &FederationConfig, router: Router) -> anyhow::Result<Self> {
        let (listen, per_address) = (config.listen, config.connections_per_address);
        let tls = config.tls.as_ref().map(acceptor).transpose()?;
        let listener = runtime.block_on(TcpListener::bind(listen)).with_context(|| {
            format!("cannot listen on {listen} for identity: stop what uses it, or change `federation.listen`")
        })?;
        let address = listener.local_addr().context("the identity listener has no address")?;
        let (stop, stopped) = watch::channel(false);
        runtime.spawn(listener::accept(listener, Serving { tls, router, per_address, stop: stopped }));
        Ok(Self { address, stop })
    }

    /// Returns where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no further connections and ends those that wait; what was asked is answered.
    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
    }
}

/// Reads the certificate: TLS 1.2 too, since identity providers may have nothing newer.
pub(super) fn acceptor(settings: &TlsSettings) -> anyhow::Result<TlsAcceptor> {
    let (chain, key) = (&settings.cert_chain, &settings.key);
    let certificates = CertificateDer::pem_file_iter(chain).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = certificates.with_context(|| format!("cannot read `{}`", chain.display()))?;
    let private = PrivateKeyDer::from_pem_file(key).with_context(|| format!("cannot read `{}`", key.display()))?;
    let provider = aws_lc_rs::default_provider();
    let certified = CertifiedKey::from_der(certificates, private, &provider)
        .with_context(|| format!("`{}` is not the key of `{}`", key.display(), chain.display()))?;
    let resolver: Arc<dyn ResolvesServerCert> = Arc::new(rustls::sign::SingleCertAndKey::from(certified));
    let builder = ServerConfig::builder_with_provider(Arc::new(provider)).with_safe_default_protocol_versions();
    let mut config = builder.context("TLS cannot be set up")?.with_no_client_auth().with_cert_resolver(resolver);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Answers the token paths that SDKs ask of the gateway, on threads of its own.
#[derive(Debug)]
struct TokenPaths {
    router: Router,
    runtime: Handle,
}

impl Aside for TokenPaths {
    fn answer(&self, request: Request<Bytes>, client: gateway::Client) -> Answering {
        let router = self.router.clone();
        let mut request = request.map(Body::from);
        let gateway::Client { address, certificate } = client;
        request.extensions_mut().insert(token::Presenter { address: Some(address), certificate });
        // Whoever stops waiting drops the set, and with it the work.
        let mut answering = tokio::task::JoinSet::new();
        answering.spawn_on(async move { whole(router.oneshot(request).await).await }, &self.runtime);
        Box::pin(async move { answering.join_next().await.and_then(Result::ok).unwrap_or_else(unavailable) })
    }
}

async fn whole(answered: Result<Response<Body>, std::convert::Infallible>) -> Response<Bytes> {
    let Ok(response) = answered;
    let (head, body) = response.into_parts();
    match Limited::new(body, ANSWER_BYTES_MAX).collect().await {
        Ok(body) => Response::from_parts(head, body.to_bytes()),
        Err(_) => unavailable(),
    }
}

fn unavailable() -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use axum::routing::get;
    use tokio::sync::mpsc;

    use super::*;

    /// Answers never; `begun` is told once it was asked, and closed once nobody works on the answer any more.
    fn never(begun: mpsc::Sender<()>) -> Router {
        let wait = move || async move {
            let _ = begun.send(()).await;
            std::future::pending::<()>().await;
        };
        Router::new().route("/never", get(wait)).route("/now", get(|| async { "here" }))
    }

    fn ask(paths: &TokenPaths, path: &str) -> Answering {
        let client = gateway::Client { address: IpAddr::from([192, 0, 2, 7]), certificate: None };
        paths.answer(Request::get(path).body(Bytes::new()).unwrap(), client)
    }

    #[test]
    fn nobody_works_on_an_answer_for_which_nobody_waits_any_more() {
        let runtime = Runtime::new().unwrap();
        let (begun, mut asked) = mpsc::channel(1);
        let paths = TokenPaths { router: never(begun), runtime: runtime.handle().clone() };
        let answering = ask(&paths, "/never");
        assert_eq!(asked.blocking_recv(), Some(()));
        drop(paths);
        drop(answering);
        assert_eq!(asked.blocking_recv(), None);
    }

    #[test]
    fn an_answer_is_made_on_threads_of_the_runtime_and_handed_over_whole() {
        let runtime = Runtime::new().unwrap();
        let (begun, _asked) = mpsc::channel(1);
        let paths = TokenPaths { router: never(begun), runtime: runtime.handle().clone() };
        let waiting = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let answer = waiting.block_on(ask(&paths, "/now"));
        assert_eq!((answer.status(), answer.into_body()), (StatusCode::OK, Bytes::from_static(b"here")));
    }
}
