//! Listens to transmitters of security events over a control plane in a folder, for other programs to try.
//!
//! ```text
//! cargo run -p federation --example ssf_receiver [FOLDER]
//! ```
//!
//! Without a folder it uses one that goes with it. Prints one line of JSON with its URL and those of the two hooks that the
//! harness in `tests/ssf` asks, and serves until it is stopped: `drive` has it manage a stream, and `observe` begins a live
//! call of somebody and tells when it was cut.

#[path = "common/mod.rs"]
mod common;
#[path = "ssf_receiver/drive.rs"]
mod drive;
#[path = "ssf_receiver/observe.rs"]
mod observe;
#[path = "ssf_receiver/world.rs"]
mod world;

use std::{io::Write, path::PathBuf, sync::Arc};

use anyhow::{Context, Result};
use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse, routing::post};

use world::World;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let temporary = tempfile::tempdir().context("cannot make a folder")?;
    let folder = std::env::args_os().nth(1).map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.context("cannot listen")?;
    let url = format!("http://{}", listener.local_addr().context("cannot listen")?);
    let world = Arc::new(World::open(&folder, &url)?);
    tokio::spawn(world.receiver.clone().run());
    let ready = serde_json::json!({
        "url": url, "drive": format!("{url}/drive"), "observe": format!("{url}/observe"),
    });
    writeln!(std::io::stdout(), "{ready}").context("cannot write")?;
    let hooks = Router::new().route("/drive", post(drive)).route("/observe", post(observe));
    let router = world.receiver.router().merge(hooks.with_state(world));
    axum::serve(listener, router).await.context("cannot serve")
}

async fn drive(State(world): State<Arc<World>>, Json(asked): Json<drive::Asked>) -> impl IntoResponse {
    answer(world.drive(&asked).await)
}

async fn observe(State(world): State<Arc<World>>, Json(asked): Json<observe::Asked>) -> impl IntoResponse {
    answer(world.observe(asked).await)
}

/// What was done is told as JSON; what could not be done, as 502 with the reason.
fn answer(done: Result<serde_json::Value>) -> impl IntoResponse {
    match done {
        Ok(done) => (StatusCode::OK, Json(done)),
        Err(error) => (StatusCode::BAD_GATEWAY, Json(serde_json::json!({ "error": format!("{error:#}") }))),
    }
}
