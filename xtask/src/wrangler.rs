//! The top-level `wrangler.toml`: one environment for each function.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};
use toml::{Table, Value};

use crate::project::Project;
use crate::tools;

/// Paths of each function on the shared origin, `*` at the end standing for any rest, a query string included.
pub(crate) const ROUTES: [(&str, &[&str]); 5] = [
    (
        "delivery",
        &["/admin/*", "/metrics*", "/healthz*", "/readyz*", "/delivery/*"],
    ),
    ("schema", &["/repositories*", "/schema/*"]),
    (
        "stream-config",
        &["/w/api.php*", "/v1/stream-configs*", "/stream-config/*"],
    ),
    (
        "intake",
        &[
            "/v1/events*",
            "/v2/events*",
            "/v1/_test/*",
            "/beacon/event*",
            "/event.gif*",
            "/eventbus/*",
            "/evt-103e/*",
            "/ins-502b/*",
            "/intake/*",
        ],
    ),
    ("sse-relay", &["/*"]),
];

/// The configuration as written.
pub(crate) fn config_path(project: &Project) -> PathBuf {
    project.root.join("wrangler.toml")
}

/// The configuration as a table.
pub(crate) fn config(project: &Project) -> Result<Table> {
    let path = config_path(project);
    let text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    text.parse()
        .with_context(|| format!("{} is not valid TOML", path.display()))
}

/// The environment of one function.
pub(crate) fn environment<'a>(config: &'a Table, function: &str) -> Result<&'a Table> {
    let environment = config
        .get("env")
        .and_then(|all| all.get(function))
        .and_then(Value::as_table);
    environment.with_context(|| format!("wrangler.toml has no [env.{function}]: add it"))
}

/// The script a function's environment names: what worker-build writes.
pub(crate) fn main_script(project: &Project, config: &Table, function: &str) -> Result<PathBuf> {
    let main = environment(config, function)?.get("main").and_then(Value::as_str);
    let main = main.with_context(|| format!("wrangler.toml has no `main` in [env.{function}]: add it"))?;
    Ok(project.root.join(main))
}

/// The pinned wrangler.
pub(crate) fn command(project: &Project) -> Result<Command> {
    let mut command = Command::new(tools::node(project));
    command
        .arg(project.root.join("node_modules/wrangler/bin/wrangler.js"))
        .current_dir(&project.root);
    command
        .env("WRANGLER_SEND_METRICS", "false")
        .env("WRANGLER_HIDE_BANNER", "true")
        .env("PATH", tools::path_with_node(project)?);
    Ok(command)
}
