//! `cargo xtask deploy`: a stage at Cloudflare as its file says.
//!
//! Nothing is remembered between runs: the file is what is wanted, and Cloudflare is asked for what is there.

mod cloudflare;
mod deployed;
pub(crate) mod destroy;
mod file;
mod plan;
mod secrets;
mod stage;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::json;

use crate::artifacts;
use crate::process::{self, step};
use crate::project::Project;
use crate::tokens;
use crate::wrangler;
use cloudflare::{Account, text};
use deployed::{Deployed, Route};
use file::{Stage, StageName};
use plan::Description;
use secrets::{Outlet, SecretPlan, Wishes};
use stage::StageConfig;

/// The id that a dry run writes: offline nobody knows that of the namespace.
const PLACEHOLDER_ID: &str = "00000000000000000000000000000000";

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The stage to deploy: `stages/NAME.toml` says what it is.
    #[arg(long, value_name = "NAME")]
    stage: StageName,
    /// Check everything that can be checked offline; create and upload nothing.
    #[arg(long)]
    dry_run: bool,
    /// Change what the plan shows, without asking.
    #[arg(long)]
    yes: bool,
    /// Build nothing: deploy what `cargo xtask build` has left.
    #[arg(long)]
    prebuilt: bool,
    /// Set a secret to the value of the environment variable of its name (repeatable).
    #[arg(long = "secret", value_name = "NAME", value_parser = secrets::parse)]
    secrets: Vec<String>,
    /// Make new secrets in place of those in use: all that can be made, or the ones named.
    #[arg(
        long,
        value_name = "NAME,NAME",
        num_args = 0..=1,
        require_equals = true,
        value_delimiter = ',',
        default_missing_value = "ADMIN_TOKEN,PRODUCER_TOKENS",
        value_parser = secrets::parse_made
    )]
    rotate_secrets: Vec<String>,
    /// Write secrets that are made to this new file instead of the terminal.
    #[arg(long, value_name = "FILE")]
    secrets_to: Option<PathBuf>,
}

pub(crate) fn run(project: &Project, options: &Options) -> Result<()> {
    let stage = Stage::read(project, &options.stage)?;
    let config = StageConfig::new(&wrangler::config(project)?, &stage)?;
    let wishes = Wishes {
        given: secrets::given(&options.secrets)?,
        rotated: options.rotate_secrets.clone(),
    };
    if options.prebuilt {
        require_built(project, &stage)?;
    } else {
        artifacts::cloudflare(project)?;
    }
    let mut deployment = Deployment {
        project,
        stage,
        config,
    };
    if options.dry_run {
        return deployment.dry_run();
    }
    let account = Account::connect(project, deployment.stage.account.as_deref())?;
    let deployed = Deployed::read(&account, &deployment.config)?;
    let has = deployed
        .workers
        .iter()
        .map(|(function, worker)| (*function, worker.secrets.clone()));
    let secrets = SecretPlan::new(&deployment.stage.functions, &has.collect(), &wishes)?;
    deployment.show(&account, &deployed, &secrets)?;
    let outlet = match secrets.made.is_empty() {
        true => None,
        false => Some(Outlet::new(options.secrets_to.as_deref())?),
    };
    if !options.yes {
        plan::ask("Change this? Only `yes` does:", "yes", "--yes")?;
    }
    deployment.apply(&account, &deployed)?;
    if let Some(outlet) = outlet {
        outlet.write(&deployment.stage.name, &secrets.made)?;
    }
    deployment.set_secrets(&account, &secrets)?;
    println!("\nthe stage {} is deployed:", deployment.stage.name);
    deployment.show_addresses(&account)
}

fn require_built(project: &Project, stage: &Stage) -> Result<()> {
    let config = wrangler::config(project)?;
    for function in &stage.functions {
        let script = wrangler::main_script(project, &config, function)?;
        if !script.is_file() {
            bail!(
                "{} does not exist: run `cargo xtask build`, or leave out --prebuilt",
                script.display()
            );
        }
    }
    Ok(())
}

/// One run for one stage.
struct Deployment<'a> {
    project: &'a Project,
    stage: Stage,
    config: StageConfig,
}

impl Deployment<'_> {
    /// The command that uploads a function with the configuration at `path`.
    fn upload(&self, path: &Path, function: &str) -> Result<Command> {
        let mut command = wrangler::command(self.project)?;
        command
            .arg("deploy")
            .arg("--config")
            .arg(path)
            .args(["--env", function]);
        Ok(command)
    }

    fn dry_run(&mut self) -> Result<()> {
        self.config.set_namespace(PLACEHOLDER_ID);
        let path = self.write()?;
        for function in &self.stage.functions {
            step(&format!("checking {}", self.config.worker_name(function)));
            let out = path.with_file_name("dry-run").join(function);
            let mut command = self.upload(&path, function)?;
            process::run(command.arg("--dry-run").arg("--outdir").arg(out))?;
        }
        println!(
            "\nthe stage {} passed its dry run; its configuration is {}",
            self.stage.name,
            path.display()
        );
        Ok(())
    }

    /// Prints what will change.
    fn show(&self, account: &Account, deployed: &Deployed, secrets: &SecretPlan) -> Result<()> {
        println!("The stage {} in the account {}:\n", self.stage.name, account.id());
        let mut is_unchanged = deployed.workers.len() == self.stage.functions.len();
        let mut resource = |is_there, name: String| {
            is_unchanged &= is_there;
            match is_there {
                true => println!("  {name}: there"),
                false => println!("+ {name}: is created"),
            }
        };
        resource(
            deployed.namespace.is_some(),
            plan::kv(&self.config.namespace_title()),
        );
        for queue in self.config.queues() {
            resource(deployed.has_queue(&queue), plan::queue(&queue));
        }
        for (function, worker) in &deployed.workers {
            if !self.stage.functions.contains(function) {
                println!(
                    "- worker {}: is deleted, with {}",
                    self.config.worker_name(function),
                    members(&worker.description)
                );
            }
        }
        for function in &self.stage.functions {
            let name = self.config.worker_name(function);
            let before = deployed.workers.get(function);
            let nothing = Description::new();
            let description = before.map_or(&nothing, |worker| &worker.description);
            let mut lines = plan::changes(description, &self.config.describe(function)?);
            lines.extend(secrets.lines.get(function).into_iter().flatten().cloned());
            is_unchanged &= lines.is_empty();
            match before {
                None => println!("+ worker {name}: is created"),
                Some(_) if lines.is_empty() => {
                    println!("  worker {name}: unchanged, but its code is uploaded")
                }
                Some(_) => println!("~ worker {name}: is changed, and its code is uploaded"),
            }
            lines.iter().for_each(|line| println!("    {line}"));
        }
        for note in &deployed.notes {
            println!("! {note}");
        }
        if is_unchanged {
            println!("\nnothing changes but the code");
        }
        Ok(())
    }

    /// Creates what is missing, uploads the workers, and takes away what the file no longer has.
    fn apply(&mut self, account: &Account, deployed: &Deployed) -> Result<()> {
        for queue in self
            .config
            .queues()
            .iter()
            .filter(|queue| !deployed.has_queue(queue))
        {
            step(&format!("creating queue {queue}"));
            account.create(&account.path("/queues"), &json!({ "queue_name": queue }))?;
        }
        let namespace = match &deployed.namespace {
            Some(id) => id.clone(),
            None => {
                let title = self.config.namespace_title();
                step(&format!("creating KV namespace {title}"));
                let created = account.create(
                    &account.path("/storage/kv/namespaces"),
                    &json!({ "title": title }),
                )?;
                text(&created, "id")
                    .context("the new KV namespace has no id")?
                    .to_owned()
            }
        };
        self.config.set_namespace(&namespace);
        let path = self.write()?;
        for function in &self.stage.functions {
            let name = self.config.worker_name(function);
            step(&format!("deploying {name}"));
            let mut command = self.upload(&path, function)?;
            account
                .run(&mut command, "")
                .with_context(|| format!("{name} is not deployed"))?;
        }
        for route in deployed.routes.iter().filter(|route| !self.has_route(route)) {
            step(&format!("deleting route {}", route.pattern));
            account.delete(&route.path())?;
        }
        for function in deployed.workers.keys().rev() {
            if !self.stage.functions.contains(function) {
                delete_worker(self.project, account, self.config.worker_name(function))?;
            }
        }
        Ok(())
    }

    fn has_route(&self, route: &Route) -> bool {
        let ours = |function: &&&str| self.config.worker_name(function) == route.script;
        let function = self.stage.functions.iter().find(ours);
        let described = function.and_then(|function| self.config.describe(function).ok());
        described.is_some_and(|described| described.contains_key(&format!("route {}", route.pattern)))
    }

    fn set_secrets(&self, account: &Account, secrets: &SecretPlan) -> Result<()> {
        for function in secrets.order() {
            let Some(changes) = secrets.changes.get(function) else {
                continue;
            };
            let name = self.config.worker_name(function);
            step(&format!("setting the secrets of {name}"));
            let mut command = wrangler::command(self.project)?;
            command.args(["secret", "bulk", "--name", name]);
            account
                .run(&mut command, &json!(changes).to_string())
                .with_context(|| {
                    format!("the secrets of {name} are not set, and new ones are not in use everywhere")
                })?;
        }
        Ok(())
    }

    /// Writes the configuration that wrangler reads. It holds no secret.
    fn write(&self) -> Result<PathBuf> {
        let folder = self.project.root.join(".eventstar/deploy");
        fs::create_dir_all(&folder).with_context(|| format!("{} cannot be created", folder.display()))?;
        let path = folder.join(format!("wrangler.{}.toml", self.stage.name));
        tokens::write_private(&path, &self.config.to_toml()?)?;
        Ok(path)
    }

    fn show_addresses(&self, account: &Account) -> Result<()> {
        if let Some(origin) = &self.stage.origin {
            println!("  https://{}", origin.hostname);
            return Ok(());
        }
        let account = account
            .get(&account.path("/workers/subdomain"))?
            .unwrap_or_default();
        let subdomain = text(&account, "subdomain").unwrap_or_default();
        for function in &self.stage.functions {
            println!(
                "  https://{}.{subdomain}.workers.dev",
                self.config.worker_name(function)
            );
        }
        Ok(())
    }
}

fn members(description: &Description) -> String {
    description.keys().cloned().collect::<Vec<_>>().join(", ")
}

fn delete_worker(project: &Project, account: &Account, name: &str) -> Result<()> {
    step(&format!("deleting {name}"));
    let mut command = wrangler::command(project)?;
    command.args(["delete", "--name", name, "--force"]);
    account
        .run(&mut command, "")
        .with_context(|| format!("{name} is not deleted"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn rotated(more: &[&str]) -> Vec<String> {
        let words = ["deploy", "--stage", "a"].iter().chain(more);
        Line::try_parse_from(words).unwrap().options.rotate_secrets
    }

    #[test]
    fn all_secrets_that_can_be_made_are_rotated_or_those_named() {
        assert!(rotated(&[]).is_empty());
        assert_eq!(rotated(&["--rotate-secrets"]), ["ADMIN_TOKEN", "PRODUCER_TOKENS"]);
        assert_eq!(
            rotated(&["--rotate-secrets=PRODUCER_TOKENS", "--yes"]),
            ["PRODUCER_TOKENS"]
        );
        let words = [
            "deploy",
            "--stage",
            "a",
            "--rotate-secrets=KAFKA_REST_AUTHORIZATION",
        ];
        assert!(Line::try_parse_from(words).is_err());
    }
}
