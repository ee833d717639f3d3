//! Two `workerd serve`, without wrangler's proxies: the intake worker with a KV filled as the registry fills it and the
//! object that keeps metrics, and the worker that does nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use toml::Value;

use super::events::Content;
use super::{Contest, Running, create};
use crate::artifacts::{self, Platform, Worker};
use crate::process::{self, step};
use crate::project::Project;
use crate::server::{self, Launch, Server};
use crate::tokens::Tokens;
use crate::{tools, wrangler};

/// The worker that does nothing.
const NOOP_PACKAGE: &str = "noop-cloudflare";

pub(super) fn start(project: &Project, content: &Content, folder: &Path) -> Result<Contest> {
    artifacts::cloudflare(project)?;
    let noop = Worker {
        name: "cloudflare/noop".to_owned(),
        package: NOOP_PACKAGE.to_owned(),
        folder: project.root.join("benches").join(NOOP_PACKAGE),
        script: project.root.join("build/cloudflare/noop/index.js"),
    };
    artifacts::build_workers(project, std::slice::from_ref(&noop))?;

    let config = wrangler::config(project)?;
    publish(project, content, &config, folder)?;
    let script = |name| wrangler::main_script(project, &config, name);
    let scripts = [
        ("noop", noop.script),
        ("intake", script("intake")?),
        ("delivery", script("delivery")?),
    ];
    copy_workers(folder, &scripts)?;
    // In memory, workerd gives objects no SQL.
    let objects = folder.join("objects");
    create(&objects)?;
    let compatibility = compatibility(&config)?;
    // Each worker has a process of its own, so that its memory can be told.
    step("starting workerd serve, once for each worker");
    Ok(Contest {
        noop: serve(project, folder, "noop", &|port| noop_config(&compatibility, port))?,
        intake: serve(project, folder, "intake", &|port| {
            intake_config(&compatibility, &objects, port)
        })?,
    })
}

/// Writes what a KV answers once schemas and streams are published, and the worker that answers it.
pub(super) fn publish(
    project: &Project,
    content: &Content,
    config: &toml::Table,
    folder: &Path,
) -> Result<()> {
    let state = folder.join("state");
    create(&state)?;
    fs::write(
        folder.join("values.json"),
        published_values(project, content, config, &state)?,
    )?;
    fs::copy(
        project.root.join("xtask/assets/kv-service.mjs"),
        folder.join("kv-service.mjs"),
    )?;
    Ok(())
}

/// Copies built workers to where the configuration looks for them, each under its name there.
pub(super) fn copy_workers(folder: &Path, scripts: &[(&str, PathBuf)]) -> Result<()> {
    for (name, script) in scripts {
        fs::copy(script, folder.join(format!("{name}.js")))?;
        fs::copy(
            script.with_file_name("index_bg.wasm"),
            folder.join(format!("{name}.wasm")),
        )?;
    }
    Ok(())
}

/// Starts `workerd serve` with a configuration for the port it is given.
pub(super) fn serve(
    project: &Project,
    folder: &Path,
    name: &str,
    config: &dyn Fn(u16) -> String,
) -> Result<Running> {
    let port = server::free_port()?;
    let path = folder.join(format!("{name}.capnp"));
    fs::write(&path, config(port)).with_context(|| format!("{} cannot be written", path.display()))?;
    let mut command = Command::new(project.root.join("node_modules/workerd/bin/workerd"));
    command
        .arg("serve")
        .arg(&path)
        .env("PATH", tools::path_with_node(project)?);
    let mut server = Server::spawn(command)?;
    server.wait_until_listening(port)?;
    Ok(Running { server, port })
}

/// All keys and values of KV after schemas and streams were published, as JSON.
fn published_values(
    project: &Project,
    content: &Content,
    config: &toml::Table,
    state: &Path,
) -> Result<String> {
    step("publishing schemas and streams");
    let tokens = Tokens::of(state)?;
    let launch = Launch {
        platform: Platform::Workerd,
        port: server::free_port()?,
        state,
        tokens: &tokens,
        allowed_streams: "*",
        sink: None,
        counts: false,
        variables: &[],
    };
    let mut server = Server::start(project, &launch)?;
    server.wait_until_healthy(&launch.base_url())?;
    content.publish(&launch.base_url(), &tokens.admin)?;
    drop(server);

    let namespaces = wrangler::environment(config, "intake")?
        .get("kv_namespaces")
        .and_then(Value::as_array);
    let id = namespaces
        .and_then(|all| all.first()?.get("id")?.as_str())
        .context("intake has no KV namespace")?;
    let mut command = Command::new(tools::node(project));
    command
        .arg(project.root.join("xtask/assets/read-kv.mjs"))
        .arg(state.join("kv"))
        .arg(id);
    process::output(
        command
            .current_dir(&project.root)
            .env("PATH", tools::path_with_node(project)?),
    )
}

/// The compatibility date and flags of the deployment, as workerd's configuration has them.
pub(super) fn compatibility(config: &toml::Table) -> Result<String> {
    let date = config
        .get("compatibility_date")
        .and_then(Value::as_str)
        .context("no compatibility_date")?;
    let flags = config
        .get("compatibility_flags")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let flags: Vec<String> = flags
        .filter_map(Value::as_str)
        .map(|flag| format!("\"{flag}\""))
        .collect();
    Ok(format!(
        "compatibilityDate = \"{date}\", compatibilityFlags = [{}],",
        flags.join(", ")
    ))
}

fn noop_config(compatibility: &str, port: u16) -> String {
    services(&[("noop", port)], &["noop"], "") + &worker("noop", compatibility, "")
}

fn intake_config(compatibility: &str, objects: &Path, port: u16) -> String {
    let intake = "bindings = [(name = \"KV\", kvNamespace = \"kv\"), (name = \"SINK\", text = \"null\"), \
         (name = \"METRICS\", durableObjectNamespace = (className = \"MetricsObject\", serviceName = \"delivery\"))],";
    let delivery = "durableObjectNamespaces = [(className = \"MetricsObject\", uniqueKey = \"metrics\", enableSql = true)],\n  \
         durableObjectStorage = (localDisk = \"objects\"),";
    [
        services(&[("intake", port)], &["intake", "delivery", "kv"], &disk(objects)),
        worker("intake", compatibility, intake),
        worker("delivery", compatibility, delivery),
        kv_worker(compatibility),
    ]
    .concat()
}

/// The service that keeps the objects.
pub(super) fn disk(objects: &Path) -> String {
    format!(
        "    (name = \"objects\", disk = (path = {:?}, writable = true)),\n",
        objects.to_string_lossy()
    )
}

/// The worker that KV bindings talk to.
pub(super) fn kv_worker(compatibility: &str) -> String {
    format!(
        "const kv :Workerd.Worker = (\n  modules = [\n    (name = \"kv-service.mjs\", esModule = embed \"kv-service.mjs\"),\n    \
         (name = \"values.json\", json = embed \"values.json\"),\n  ],\n  {compatibility}\n);\n"
    )
}

/// The beginning of a configuration: the workers that listen with their ports, all workers, and what else they use.
pub(super) fn services(listening: &[(&str, u16)], workers: &[&str], others: &str) -> String {
    let services: Vec<String> = workers
        .iter()
        .map(|name| format!("    (name = \"{name}\", worker = .{name}),\n"))
        .collect();
    let sockets: Vec<String> = listening
        .iter()
        .map(|(name, port)| {
            format!(
                "    (name = \"{name}\", address = \"127.0.0.1:{port}\", http = (), service = \"{name}\"),\n"
            )
        })
        .collect();
    format!(
        "using Workerd = import \"/workerd/workerd.capnp\";\n\nconst config :Workerd.Config = (\n  services = [\n{}{others}  ],\n  \
         sockets = [\n{}  ],\n);\n\n",
        services.concat(),
        sockets.concat()
    )
}

pub(super) fn worker(name: &str, compatibility: &str, settings: &str) -> String {
    format!(
        "const {name} :Workerd.Worker = (\n  modules = [\n    (name = \"index.js\", esModule = embed \"{name}.js\"),\n    \
         (name = \"index_bg.wasm\", wasm = embed \"{name}.wasm\"),\n  ],\n  {compatibility}\n  {settings}\n);\n\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configurations_have_the_date_of_the_deployment() {
        let config = "compatibility_date = \"2026-01-01\"\ncompatibility_flags = [\"a\", \"b\"]\n"
            .parse()
            .unwrap();
        let compatibility = compatibility(&config).unwrap();
        assert_eq!(
            compatibility,
            "compatibilityDate = \"2026-01-01\", compatibilityFlags = [\"a\", \"b\"],"
        );
        let noop = noop_config(&compatibility, 1001);
        assert!(
            noop.contains("127.0.0.1:1001") && noop.contains(&compatibility),
            "{noop}"
        );
        let intake = intake_config(&compatibility, Path::new("/state/objects"), 1002);
        assert!(
            intake.contains("disk = (path = \"/state/objects\", writable = true)"),
            "{intake}"
        );
        assert!(intake.contains("127.0.0.1:1002"), "{intake}");
        assert_eq!(intake.matches(&compatibility).count(), 3);
        assert!(intake.contains("(name = \"SINK\", text = \"null\")"), "{intake}");
    }
}
