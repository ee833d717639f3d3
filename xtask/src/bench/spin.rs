//! Two `spin up`: the application as deployed with a sink that drops everything, and the component that does nothing.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::events::Content;
use super::{Contest, Running, create};
use crate::artifacts::{self, Platform};
use crate::process::step;
use crate::project::Project;
use crate::server::{self, Launch, Server};
use crate::tokens::Tokens;

/// The component that does nothing.
const NOOP_PACKAGE: &str = "noop-spin";

pub(super) fn start(project: &Project, content: &Content, folder: &Path) -> Result<Contest> {
    artifacts::spin(project)?;
    let noop = artifacts::build_components(project, &[NOOP_PACKAGE.to_owned()])?;
    let noop = noop.first().context("no component was built")?;
    let contest = Contest {
        noop: start_noop(project, noop, &folder.join("noop"))?,
        intake: start_intake(project, content, &folder.join("intake"))?,
    };
    Ok(contest)
}

fn start_noop(project: &Project, component: &Path, state: &Path) -> Result<Running> {
    create(state)?;
    let manifest = state.join("spin.toml");
    fs::write(&manifest, noop_manifest(component))
        .with_context(|| format!("{} cannot be written", manifest.display()))?;
    let port = server::free_port()?;
    step("starting spin with the component that does nothing");
    let mut server = Server::spawn(server::spin_up(project, &manifest, port, state))?;
    // It answers every path.
    server.wait_until_healthy(&format!("http://127.0.0.1:{port}"))?;
    Ok(Running { server, port })
}

fn start_intake(project: &Project, content: &Content, state: &Path) -> Result<Running> {
    create(state)?;
    let tokens = Tokens::of(state)?;
    let port = server::free_port()?;
    let launch = Launch {
        platform: Platform::Spin,
        port,
        state,
        tokens: &tokens,
        allowed_streams: "*",
        sink: Some("null"),
        counts: false,
        variables: &[],
    };
    step("starting spin with the functions");
    let mut server = Server::start(project, &launch)?;
    server.wait_until_healthy(&launch.base_url())?;
    step("publishing schemas and streams");
    content.publish(&launch.base_url(), &tokens.admin)?;
    Ok(Running { server, port })
}

fn noop_manifest(component: &Path) -> String {
    let source = toml::Value::from(component.to_string_lossy().as_ref());
    format!(
        "spin_manifest_version = 2\n\n[application]\nname = \"noop\"\n\n\
         [[trigger.http]]\nroute = \"/...\"\ncomponent = \"noop\"\n\n[component.noop]\nsource = {source}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_sends_everything_to_the_component() {
        let manifest = noop_manifest(Path::new("/cache/tar\"get/noop_spin.wasm"));
        let manifest: toml::Table = manifest.parse().unwrap();
        assert_eq!(
            manifest["component"]["noop"]["source"].as_str(),
            Some("/cache/tar\"get/noop_spin.wasm")
        );
        assert_eq!(manifest["trigger"]["http"][0]["route"].as_str(), Some("/..."));
    }
}
