//! Peers that pass through what they do not read: nginx, haproxy, Envoy.

use std::fmt::Write as _;

use super::{Kind, Place, Recipe, tools::Installed};

/// Connections a proxy may hold, each with one to the upstream: what 20,000 file descriptors allow.
const CONNECTIONS: u32 = 9_900;

/// nginx with one worker, which hands on each piece of an answer at once.
pub(super) fn nginx(place: &Place<'_>) -> anyhow::Result<Recipe> {
    let installed = Installed::find(place.tools, Kind::Nginx)?;
    let config = place.write("nginx.conf", &nginx_config(place))?;
    let mut command = installed.debian("usr/sbin/nginx")?;
    command.arg("-p").arg(place.folder).arg("-e").arg(place.folder.join("error.log")).arg("-c").arg(config);
    Ok(Recipe::transparent(command, installed.version))
}

/// haproxy with one thread, which does not hold back small pieces.
pub(super) fn haproxy(place: &Place<'_>) -> anyhow::Result<Recipe> {
    let installed = Installed::find(place.tools, Kind::Haproxy)?;
    let config = place.write("haproxy.cfg", &haproxy_config(place))?;
    let mut command = installed.debian("usr/sbin/haproxy")?;
    command.arg("-db").arg("-f").arg(config);
    Ok(Recipe::transparent(command, installed.version))
}

/// Envoy with one worker thread, without an access log, limits out of the way.
pub(super) fn envoy(place: &Place<'_>) -> anyhow::Result<Recipe> {
    let installed = Installed::find(place.tools, Kind::Envoy)?;
    let config = place.write("envoy.json", &envoy_config(place).to_string())?;
    let mut command = installed.python("envoy/_bin/envoy")?;
    command.args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "error", "-c"]).arg(config);
    Ok(Recipe::transparent(command, installed.version))
}

fn nginx_config(place: &Place<'_>) -> String {
    let Place { folder, address, upstream, .. } = place;
    let folder = folder.display();
    let mut text = format!(
        "daemon off; worker_processes 1; worker_rlimit_nofile {files}; pid {folder}/pid;\n\
         events {{ worker_connections {files}; }}\n\
         http {{ access_log off; keepalive_requests 100000000; keepalive_timeout 1h;\n\
         client_body_buffer_size 1m; client_max_body_size 64m; proxy_max_temp_file_size 0;\n",
        files = 2 * CONNECTIONS
    );
    for name in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name}_temp_path {folder}/{name};");
    }
    text += &format!(
        "upstream u {{ server {upstream}; keepalive 1024; }}\n\
         server {{ listen {address}; location / {{ proxy_pass http://u; proxy_http_version 1.1;\n\
         proxy_set_header Connection \"\"; proxy_buffering off; proxy_read_timeout 1h; }} }} }}\n"
    );
    text
}

fn haproxy_config(place: &Place<'_>) -> String {
    let Place { address, upstream, .. } = place;
    format!(
        "global\n  nbthread 1\n  maxconn {CONNECTIONS}\n\
         defaults\n  mode http\n  option http-no-delay\n  http-reuse always\n  timeout connect 5s\n  \
         timeout client 1h\n  timeout server 1h\n\
         frontend f\n  bind {address}\n  default_backend b\n\
         backend b\n  server u {upstream}\n"
    )
}

fn envoy_config(place: &Place<'_>) -> serde_json::Value {
    let address = |of: std::net::SocketAddr| serde_json::json!({"socket_address": {"address": of.ip().to_string(), "port_value": of.port()}});
    let limit = 1_000_000;
    serde_json::json!({"static_resources": {
        "listeners": [{
            "name": "l", "address": address(place.address),
            "filter_chains": [{"filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                    "stat_prefix": "l", "stream_idle_timeout": "0s",
                    "route_config": {"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [
                        {"match": {"prefix": "/"}, "route": {"cluster": "u", "timeout": "0s"}}]}]},
                    "http_filters": [{
                        "name": "envoy.filters.http.router",
                        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
                    }],
                },
            }]}],
        }],
        "clusters": [{
            "name": "u", "type": "STATIC", "connect_timeout": "5s",
            "circuit_breakers": {"thresholds": [{
                "max_connections": limit, "max_pending_requests": limit, "max_requests": limit,
            }]},
            "load_assignment": {"cluster_name": "u", "endpoints": [
                {"lb_endpoints": [{"endpoint": {"address": address(place.upstream)}}]}]},
        }],
    }})
}
