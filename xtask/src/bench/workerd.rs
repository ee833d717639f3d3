//! `workerd serve` with the intake worker, the worker that does nothing, a KV filled as the registry fills it, and the
//! object that keeps metrics.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use eventstar_cli::{Admin, SchemaRepository, StreamConfigFile};
use toml::Value;

use crate::artifacts::Platform;
use crate::process::{self, step};
use crate::project::Project;
use crate::server::{self, Launch, Server};
use crate::tokens::Tokens;
use crate::{tools, wrangler};

const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A running `workerd serve`; dropping it stops it.
pub(super) struct Workerd {
    child: Child,
    noop: u16,
    intake: u16,
}

impl Workerd {
    pub(super) fn start(project: &Project, folder: &Path) -> Result<Self> {
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| format!("{} cannot be removed", folder.display()))?;
        }
        let state = folder.join("state");
        fs::create_dir_all(&state).with_context(|| format!("{} cannot be created", folder.display()))?;
        let config = wrangler::config(project)?;
        fs::write(
            folder.join("values.json"),
            published_values(project, &config, &state)?,
        )?;
        fs::copy(
            project.root.join("xtask/assets/kv-service.mjs"),
            folder.join("kv-service.mjs"),
        )?;
        for name in ["noop", "intake", "delivery"] {
            let script = match name {
                "noop" => project.root.join("build/cloudflare/noop/index.js"),
                _ => wrangler::main_script(project, &config, name)?,
            };
            fs::copy(&script, folder.join(format!("{name}.js")))?;
            fs::copy(
                script.with_file_name("index_bg.wasm"),
                folder.join(format!("{name}.wasm")),
            )?;
        }
        let (noop, intake) = (server::free_port()?, server::free_port()?);
        let capnp = folder.join("config.capnp");
        fs::write(&capnp, capnp_config(&config, noop, intake)?)?;
        step("starting workerd serve");
        let mut command = Command::new(project.root.join("node_modules/workerd/bin/workerd"));
        command
            .arg("serve")
            .arg(&capnp)
            .stdin(Stdio::null())
            .env("PATH", tools::path_with_node(project)?);
        let child = command.spawn().context("workerd cannot be started")?;
        let mut workerd = Self { child, noop, intake };
        workerd.wait_until_listening()?;
        Ok(workerd)
    }

    /// Each worker with the URL to post to.
    pub(super) fn urls(&self) -> [(&'static str, String); 2] {
        let url = |port| format!("http://127.0.0.1:{port}/v1/events");
        [("noop", url(self.noop)), ("intake", url(self.intake))]
    }

    fn wait_until_listening(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        for port in [self.noop, self.intake] {
            while TcpStream::connect(("127.0.0.1", port)).is_err() {
                if let Some(status) = self.child.try_wait()? {
                    bail!("workerd ended at once ({status}): what it wrote above says why");
                }
                if Instant::now() > deadline {
                    bail!("workerd does not listen on port {port}");
                }
                thread::sleep(Duration::from_millis(50));
            }
        }
        Ok(())
    }
}

impl Drop for Workerd {
    fn drop(&mut self) {
        // It keeps nothing that a kill could harm.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// All keys and values of KV after the examples were published, as JSON.
fn published_values(project: &Project, config: &toml::Table, state: &Path) -> Result<String> {
    step("publishing the examples");
    let tokens = Tokens::of(state)?;
    let port = server::free_port()?;
    let launch = Launch {
        platform: Platform::Workerd,
        port,
        state,
        tokens: &tokens,
        allowed_streams: "*",
    };
    let mut server = Server::start(project, &launch)?;
    server.wait_until_healthy(&launch.base_url())?;
    let admin = Admin::new(&launch.base_url(), &tokens.admin)?;
    let examples = project.root.join("examples");
    let schemas = SchemaRepository::read(&examples.join("schemas/jsonschema"))?;
    admin.publish_schemas("examples", &schemas, &mut |_| {})?;
    admin.publish_streams(&StreamConfigFile::read(&examples.join("streams.yaml"))?)?;
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

fn capnp_config(config: &toml::Table, noop: u16, intake: u16) -> Result<String> {
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
    let compatibility = format!(
        "compatibilityDate = \"{date}\", compatibilityFlags = [{}],",
        flags.join(", ")
    );
    let mut text = "using Workerd = import \"/workerd/workerd.capnp\";\n\n".to_owned();
    let _ = writeln!(
        text,
        "const config :Workerd.Config = (\n  services = [\n    (name = \"noop\", worker = .noop),\n    \
         (name = \"intake\", worker = .intake),\n    (name = \"delivery\", worker = .delivery),\n    (name = \"kv\", worker = .kv),\n  ],\n  sockets = [\n    \
         (name = \"noop\", address = \"127.0.0.1:{noop}\", http = (), service = \"noop\"),\n    \
         (name = \"intake\", address = \"127.0.0.1:{intake}\", http = (), service = \"intake\"),\n  ],\n);\n"
    );
    let intake = "bindings = [(name = \"KV\", kvNamespace = \"kv\"), (name = \"SINK\", text = \"null\"), \
         (name = \"METRICS\", durableObjectNamespace = (className = \"MetricsObject\", serviceName = \"delivery\"))],";
    let delivery = "durableObjectNamespaces = [(className = \"MetricsObject\", uniqueKey = \"metrics\", enableSql = true)],\n  \
         durableObjectStorage = (inMemory = void),";
    for (name, settings) in [("noop", ""), ("intake", intake), ("delivery", delivery)] {
        let _ = writeln!(
            text,
            "const {name} :Workerd.Worker = (\n  modules = [\n    (name = \"index.js\", esModule = embed \"{name}.js\"),\n    \
             (name = \"index_bg.wasm\", wasm = embed \"{name}.wasm\"),\n  ],\n  {compatibility}\n  {settings}\n);\n"
        );
    }
    let _ = writeln!(
        text,
        "const kv :Workerd.Worker = (\n  modules = [\n    (name = \"kv-service.mjs\", esModule = embed \"kv-service.mjs\"),\n    \
         (name = \"values.json\", json = embed \"values.json\"),\n  ],\n  {compatibility}\n);"
    );
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_has_both_workers_with_the_date_of_the_deployment() {
        let config = "compatibility_date = \"2026-01-01\"\n".parse().unwrap();
        let text = capnp_config(&config, 1001, 1002).unwrap();
        assert!(
            text.contains("127.0.0.1:1001") && text.contains("127.0.0.1:1002"),
            "{text}"
        );
        assert_eq!(text.matches("compatibilityDate = \"2026-01-01\"").count(), 4);
        assert!(text.contains("(name = \"SINK\", text = \"null\")"), "{text}");
    }
}
