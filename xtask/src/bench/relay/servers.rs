//! The servers that are measured: the relay with the functions before it, and the one it is compared with.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::artifacts::{self, Platform};
use crate::bench::events::Content;
use crate::bench::{create, workerd};
use crate::process::step;
use crate::project::Project;
use crate::server::{self, Launch, Server};
use crate::tokens::Tokens;
use crate::{tools, wrangler};

use super::STREAM;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Contestant {
    Workerd,
    Spin,
    Node,
}

impl Contestant {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Workerd => "workerd",
            Self::Spin => "spin",
            Self::Node => "node",
        }
    }
}

/// A running server; dropping it stops it.
pub(super) struct Origin {
    pub(super) server: Server,
    /// Where events are posted.
    pub(super) intake: u16,
    /// Where they are read.
    pub(super) relay: u16,
}

/// What it takes to start a server, as often as wanted.
pub(super) struct Servers<'a> {
    project: &'a Project,
    contestant: Contestant,
    content: Content,
    /// What the server keeps and is configured by.
    folder: PathBuf,
    /// Compatibility date and flags, for `workerd`.
    compatibility: String,
}

/// Builds what is needed, unless it is `prebuilt`.
pub(super) fn prepare(project: &Project, contestant: Contestant, prebuilt: bool) -> Result<Servers<'_>> {
    let host = match contestant {
        Contestant::Workerd => Some(Platform::Workerd),
        Contestant::Spin => Some(Platform::Spin),
        Contestant::Node => None,
    };
    if let Some(host) = host.filter(|_| !prebuilt) {
        artifacts::build(project, Some(host))?;
    }
    let folder = project
        .root
        .join(".eventstar/bench-relay")
        .join(contestant.name());
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("{} cannot be removed", folder.display()))?;
    }
    create(&folder)?;
    let mut servers = Servers {
        project,
        contestant,
        content: Content::examples(&project.root.join("examples"))?,
        folder,
        compatibility: String::new(),
    };
    if contestant == Contestant::Workerd {
        servers.prepare_workerd()?;
    }
    Ok(servers)
}

impl Servers<'_> {
    pub(super) fn start(&self) -> Result<Origin> {
        match self.contestant {
            Contestant::Workerd => self.start_workerd(),
            Contestant::Spin => self.start_spin(),
            Contestant::Node => self.start_node(),
        }
    }

    fn prepare_workerd(&mut self) -> Result<()> {
        let config = wrangler::config(self.project)?;
        let scripts = [
            ("intake", "intake"),
            ("relay", "sse-relay"),
            ("delivery", "delivery"),
        ]
        .map(|(name, function)| Ok((name, wrangler::main_script(self.project, &config, function)?)));
        let scripts = scripts.into_iter().collect::<Result<Vec<_>>>()?;
        workerd::copy_workers(&self.folder, &scripts)?;
        workerd::publish(self.project, &self.content, &config, &self.folder)?;
        self.compatibility = workerd::compatibility(&config)?;
        Ok(())
    }

    fn start_workerd(&self) -> Result<Origin> {
        // Logs that were written before would not be empty.
        let objects = self.folder.join("objects");
        if objects.exists() {
            fs::remove_dir_all(&objects)?;
        }
        create(&objects)?;
        let relay = server::free_port()?;
        let running = workerd::serve(self.project, &self.folder, "relay", &|intake| {
            workerd_config(&self.compatibility, &objects, intake, relay)
        })?;
        Ok(Origin {
            server: running.server,
            intake: running.port,
            relay,
        })
    }

    fn start_spin(&self) -> Result<Origin> {
        let tokens = Tokens::of(&self.folder)?;
        let port = server::free_port()?;
        let launch = Launch {
            platform: Platform::Spin,
            port,
            state: &self.folder,
            tokens: &tokens,
            allowed_streams: "*",
            sink: None,
            counts: false,
            variables: &[],
        };
        step("starting spin with the functions");
        let mut server = Server::start(self.project, &launch)?;
        server.wait_until_healthy(&launch.base_url())?;
        self.content.publish(&launch.base_url(), &tokens.admin)?;
        Ok(Origin {
            server,
            intake: port,
            relay: port,
        })
    }

    fn start_node(&self) -> Result<Origin> {
        let port = server::free_port()?;
        let mut command = Command::new(tools::node(self.project));
        command
            .arg(self.project.root.join("xtask/assets/sse-server.mjs"))
            .args([&port.to_string(), STREAM]);
        let mut server = Server::spawn(command)?;
        server.wait_until_listening(port)?;
        Ok(Origin {
            server,
            intake: port,
            relay: port,
        })
    }
}

fn workerd_config(compatibility: &str, objects: &Path, intake: u16, relay: u16) -> String {
    let object = |binding: &str, class: &str| {
        format!(
            "(name = \"{binding}\", durableObjectNamespace = (className = \"{class}\", serviceName = \"delivery\")), "
        )
    };
    let objects_of = [
        object("STREAM_LOG", "StreamLogObject"),
        object("REGISTRY", "RegistryObject"),
        object("METRICS", "MetricsObject"),
    ]
    .concat();
    let bindings =
        |more: &str| format!("bindings = [(name = \"KV\", kvNamespace = \"kv\"), {objects_of}{more}],");
    let namespace =
        |class: &str| format!("(className = \"{class}\", uniqueKey = \"{class}\", enableSql = true), ");
    let namespaces = ["StreamLogObject", "RegistryObject", "MetricsObject"]
        .map(namespace)
        .concat();
    let delivery = format!(
        "durableObjectNamespaces = [{namespaces}],\n  durableObjectStorage = (localDisk = \"objects\"),"
    );
    let sockets = [("intake", intake), ("relay", relay)];
    [
        workerd::services(
            &sockets,
            &["intake", "relay", "delivery", "kv"],
            &workerd::disk(objects),
        ),
        workerd::worker("intake", compatibility, &bindings("")),
        workerd::worker(
            "relay",
            compatibility,
            &bindings("(name = \"ALLOWED_STREAMS\", text = \"*\")"),
        ),
        workerd::worker("delivery", compatibility, &delivery),
        workerd::kv_worker(compatibility),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intake_and_relay_share_the_objects_of_delivery() {
        let config = workerd_config(
            "compatibilityDate = \"2026-01-01\",",
            Path::new("/state"),
            1001,
            1002,
        );
        assert!(
            config.contains("(name = \"intake\", address = \"127.0.0.1:1001\""),
            "{config}"
        );
        assert!(
            config.contains("(name = \"relay\", address = \"127.0.0.1:1002\""),
            "{config}"
        );
        let binding =
            "durableObjectNamespace = (className = \"StreamLogObject\", serviceName = \"delivery\")";
        assert_eq!(config.matches(binding).count(), 2, "{config}");
        assert_eq!(config.matches("compatibilityDate").count(), 4);
    }
}
