//! Peers that read what they relay: TensorZero, LiteLLM, Portkey.

use std::process::Command;

use anyhow::Context;
use http::{HeaderName, HeaderValue, header::AUTHORIZATION};

use super::{Kind, Place, Recipe, tools::Installed};

/// LiteLLM's only key; it has no database to look others up in.
const LITELLM_KEY: &str = "sk-bench";

/// Keeps a Node server that names no host on loopback.
const LOOPBACK: &str = "const net = require('node:net');\n\
    const listen = net.Server.prototype.listen;\n\
    net.Server.prototype.listen = function (port, ...rest) {\n\
    \x20 const options = typeof port === 'object' ? port : { port };\n\
    \x20 const done = rest.filter((argument) => typeof argument === 'function');\n\
    \x20 return listen.call(this, { ...options, host: '127.0.0.1' }, ...done);\n\
    };\n";

/// Starts the gateway that the Python package of TensorZero carries, says where it listens, and waits.
const TENSORZERO: &str = "import os, sys, threading, tensorzero\n\
    gateway = tensorzero._start_http_gateway(\n\
    \x20   config_file=sys.argv[1], clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False)\n\
    with open(sys.argv[2] + '.new', 'w') as file:\n\
    \x20   file.write(gateway.base_url)\n\
    os.rename(sys.argv[2] + '.new', sys.argv[2])\n\
    threading.Event().wait()\n";

/// TensorZero's gateway, one thread of its runtime, without observability; it chooses its own port on loopback.
pub(super) fn tensorzero(place: &Place<'_>) -> anyhow::Result<Recipe> {
    let installed = Installed::find(place.tools, Kind::TensorZero)?;
    let config = place.write("tensorzero.toml", &tensorzero_config(place))?;
    let script = place.write("start.py", TENSORZERO)?;
    let mut command = installed.command("bin/python")?;
    let address = place.folder.join("address");
    command.arg(script).arg(config).arg(&address);
    command.env("TENSORZERO_DISABLE_PSEUDONYMOUS_USAGE_ANALYTICS", "1").env("TOKIO_WORKER_THREADS", "1");
    Ok(Recipe {
        path: "/openai/v1/chat/completions",
        model: "tensorzero::model_name::mock",
        says_where: Some(address),
        ..Recipe::transparent(command, installed.version)
    })
}

/// LiteLLM's proxy with one worker and one key.
pub(super) fn litellm(place: &Place<'_>) -> anyhow::Result<Recipe> {
    let installed = Installed::find(place.tools, Kind::Litellm)?;
    let config = place.write("litellm.yaml", &litellm_config(place).to_string())?;
    let mut command = installed.command("bin/litellm")?;
    command.args(["--host", "127.0.0.1", "--num_workers", "1", "--telemetry", "False"]);
    command.args(["--port", &place.address.port().to_string(), "--config"]).arg(config);
    command.env("LITELLM_LOCAL_MODEL_COST_MAP", "True").env("LITELLM_LOG", "ERROR");
    let key = HeaderValue::from_str(&format!("Bearer {LITELLM_KEY}"))?;
    Ok(Recipe { headers: vec![(AUTHORIZATION, key)], ..Recipe::transparent(command, installed.version) })
}

/// Portkey's gateway; on Node 20 it relays unary answers only.
pub(super) fn portkey(place: &Place<'_>) -> anyhow::Result<Recipe> {
    let installed = Installed::find(place.tools, Kind::Portkey)?;
    let server = installed.root.join("node_modules/@portkey-ai/gateway/build/start-server.js");
    let mut command = Command::new("node");
    command.arg("--require").arg(place.write("loopback.cjs", LOOPBACK)?).arg(server);
    command.args(["--headless", &format!("--port={}", place.address.port())]).env("NODE_ENV", "production");
    let host = HeaderValue::from_str(&format!("http://{}/v1", place.upstream)).context("the upstream's address")?;
    let headers = vec![
        (HeaderName::from_static("x-portkey-provider"), HeaderValue::from_static("openai")),
        (HeaderName::from_static("x-portkey-custom-host"), host),
        (AUTHORIZATION, HeaderValue::from_static("Bearer sk-mock")),
    ];
    Ok(Recipe { headers, streams: false, ..Recipe::transparent(command, installed.version) })
}

fn tensorzero_config(place: &Place<'_>) -> String {
    let upstream = place.upstream;
    format!(
        "[gateway]\nobservability.enabled = false\n\n\
         [models.mock]\nrouting = [\"openai\"]\n\n\
         [models.mock.providers.openai]\ntype = \"openai\"\nmodel_name = \"mythos-5\"\n\
         api_base = \"http://{upstream}/v1\"\napi_key_location = \"none\"\n"
    )
}

/// JSON is YAML too.
fn litellm_config(place: &Place<'_>) -> serde_json::Value {
    let base = format!("http://{}/v1", place.upstream);
    serde_json::json!({
        "model_list": [{
            "model_name": "mythos-5",
            "litellm_params": {"model": "openai/mythos-5", "api_base": base, "api_key": "sk-mock"},
        }],
        "general_settings": {"master_key": LITELLM_KEY},
    })
}
