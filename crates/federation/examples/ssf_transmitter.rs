//! Tells receivers what happens to one invented person, over a control plane in a temporary folder, for other programs to
//! try: OAuth tokens, streams, pushes and polls as in the product, and a hook by which something can be made to happen.
//!
//! ```text
//! cargo run -p federation --example ssf_transmitter
//! ```
//!
//! Prints one line of JSON with the URLs and the credentials of three receivers, and serves until it is stopped. The
//! address of this machine may be pushed to, which a product would not allow.

#[path = "common/mod.rs"]
mod common;
#[path = "ssf_transmitter/trigger.rs"]
mod trigger;
#[path = "ssf_transmitter/world.rs"]
mod world;

use std::io::Write;

use anyhow::{Context, Result};
use axum::routing::post;
use federation::token;
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir().context("cannot make a folder")?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.context("cannot listen")?;
    let origin = format!("http://{}", listener.local_addr().context("cannot listen")?);
    let world = world::World::open(folder.path(), &origin)?;
    let harness = world.token_client("harness", &["ssf.read", "ssf.manage"])?;
    let reader = world.token_client("reader", &["ssf.read"])?;
    let other = world.secret_client("other", "umbra")?;
    let ready = json!({
        "issuer": origin,
        "token_url": format!("{origin}/oauth/token"),
        "trigger": format!("{origin}/trigger"),
        "client_id": "harness", "client_secret": harness,
        "reader": { "client_id": "reader", "client_secret": reader },
        "other": { "token": other },
        "subject": { "format": "email", "email": world::ADDRESS },
        "events": trigger::EVENTS,
    });
    let app = world
        .transmitter
        .router()
        .merge(token::router(world.tokens.clone()))
        .route("/trigger", post(trigger::trigger).with_state(world.clone()));
    writeln!(std::io::stdout(), "{ready}").context("cannot write")?;
    tokio::spawn(world.transmitter.clone().run(std::future::pending()));
    axum::serve(listener, app).await.context("cannot serve")
}
