//! `cargo xtask destroy`: deletes all of a stage.

use anyhow::{Result, bail};

use super::cloudflare::Account;
use super::deployed::Deployed;
use super::file::{Stage, StageName};
use super::stage::StageConfig;
use super::{delete_worker, plan};
use crate::process::step;
use crate::project::{FUNCTIONS, Project};
use crate::{tools, wrangler};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The stage to delete.
    #[arg(long, value_name = "NAME")]
    stage: StageName,
    /// Delete without asking: the name of the stage once more.
    #[arg(long, value_name = "NAME")]
    yes: Option<StageName>,
}

pub(crate) fn run(project: &Project, options: &Options) -> Result<()> {
    if options.yes.as_ref().is_some_and(|yes| *yes != options.stage) {
        bail!("nothing was deleted: --yes names another stage than --stage");
    }
    let stage = Stage::read(project, &options.stage)?;
    let config = StageConfig::new(&wrangler::config(project)?, &stage)?;
    if !tools::node(project).is_file() {
        tools::npm_packages(project)?;
    }
    let account = Account::connect(project, stage.account.as_deref())?;
    let deployed = Deployed::read(&account, &config)?;

    println!(
        "To delete of the stage {} in the account {}:\n",
        stage.name,
        account.id()
    );
    for route in &deployed.routes {
        println!("- route {}", route.pattern);
    }
    // Delivery last: the others are bound to its Durable Objects.
    let workers: Vec<_> = FUNCTIONS
        .into_iter()
        .rev()
        .filter(|function| deployed.workers.contains_key(function))
        .collect();
    for function in &workers {
        let kept = if *function == "delivery" {
            ", with all events and schemas stored in it"
        } else {
            ""
        };
        println!("- worker {}{kept}", config.worker_name(function));
    }
    let queues = deployed.queue_paths(&account);
    for (queue, _) in &queues {
        println!("- queue {queue}, with all messages that wait in it");
    }
    let title = config.namespace_title();
    if deployed.namespace.is_some() {
        println!("- KV namespace {title}");
    }
    for note in &deployed.notes {
        println!("! {note}");
    }
    if deployed.routes.is_empty() && workers.is_empty() && queues.is_empty() && deployed.namespace.is_none() {
        println!("nothing: it is not deployed");
        return Ok(());
    }
    if options.yes.is_none() {
        let question = format!(
            "Nobody can bring this back. To delete it, type the name of the stage ({}):",
            stage.name
        );
        plan::ask(&question, &stage.name, &format!("--yes {}", stage.name))?;
    }

    for route in &deployed.routes {
        step(&format!("deleting route {}", route.pattern));
        account.delete(&route.path())?;
    }
    for path in deployed.consumer_paths(&account) {
        account.delete(&path)?;
    }
    for function in workers {
        delete_worker(project, &account, config.worker_name(function))?;
    }
    for (queue, path) in queues {
        step(&format!("deleting queue {queue}"));
        account.delete(&path)?;
    }
    if let Some(id) = &deployed.namespace {
        step(&format!("deleting KV namespace {title}"));
        account.delete(&account.path(&format!("/storage/kv/namespaces/{id}")))?;
    }
    println!("\nthe stage {} is deleted; its file stays", stage.name);
    Ok(())
}
