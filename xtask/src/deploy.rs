//! `cargo xtask deploy`: shared resources once, then the workers in dependency order.

mod stage;

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value, json};

use crate::artifacts;
use crate::process::{self, step};
use crate::project::{FUNCTIONS, Project};
use crate::tokens;
use crate::wrangler;
use stage::{Origin, StageConfig};

/// What a dry run writes where a deployment has an id from Cloudflare.
const PLACEHOLDER_ID: &str = "00000000000000000000000000000000";

/// `wrangler queues create` says so of a queue that is there.
const ALREADY_THERE: [&str; 2] = ["already taken", "already exists"];

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Name of the deployment: part of the name of every worker, queue and namespace.
    #[arg(long, value_name = "NAME")]
    stage: StageName,
    /// Check everything that can be checked offline; create and upload nothing.
    #[arg(long)]
    dry_run: bool,
    /// Serve all functions on this hostname; without it each has a workers.dev name of its own.
    #[arg(long, requires = "zone")]
    hostname: Option<String>,
    /// The Cloudflare zone of the hostname.
    #[arg(long, requires = "hostname")]
    zone: Option<String>,
    /// A setting of all functions, such as `ALLOWED_STREAMS=a,b` (repeatable; remembered).
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = parse_variable)]
    variables: Vec<(String, String)>,
}

pub(crate) fn parse_variable(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').filter(|(name, _)| !name.is_empty());
    parts
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| "write it as NAME=VALUE".to_owned())
}

/// Lower-case letters, digits and hyphens: it becomes part of names on Cloudflare.
#[derive(Debug, Clone, PartialEq, Eq)]
struct StageName(String);

impl FromStr for StageName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fits = !text.is_empty() && text.len() <= 32 && !text.starts_with('-') && !text.ends_with('-');
        if fits
            && text
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        {
            return Ok(Self(text.to_owned()));
        }
        Err("use at most 32 lower-case letters, digits and hyphens".to_owned())
    }
}

pub(crate) fn run(project: &Project, options: &Options) -> Result<()> {
    let stage = &options.stage.0;
    artifacts::cloudflare(project)?;
    let folder = project.root.join(".eventstar/deploy");
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be created", folder.display()))?;
    let mut memory = Memory::read(folder.join(format!("{stage}.json")))?;
    let mut config = StageConfig::new(&wrangler::config(project)?, stage)?;

    let namespace = if options.dry_run {
        memory
            .text("kv_namespace_id")
            .unwrap_or_else(|| PLACEHOLDER_ID.to_owned())
    } else {
        create_resources(project, &mut memory, &config)?
    };
    if let (Some(hostname), Some(zone)) = (&options.hostname, &options.zone) {
        memory.set(
            "origin",
            json!({ "hostname": hostname, "zone": zone }),
            options.dry_run,
        )?;
    }
    for (name, value) in &options.variables {
        let mut variables = memory.variables();
        variables.insert(name.clone(), json!(value));
        memory.set("variables", Value::from(variables), options.dry_run)?;
    }
    config.set_namespace(&namespace);
    config.set_origin(memory.origin().as_ref());
    for (name, value) in &memory.variables() {
        config.set_variable(name, value.as_str().unwrap_or_default());
    }
    let path = folder.join(format!("wrangler.{stage}.toml"));
    fs::write(&path, config.to_toml()?).with_context(|| format!("{} cannot be written", path.display()))?;

    for function in FUNCTIONS {
        step(&format!(
            "{} {}",
            if options.dry_run { "checking" } else { "deploying" },
            config.worker_name(function)
        ));
        let mut command = wrangler::command(project)?;
        command
            .arg("deploy")
            .arg("--config")
            .arg(&path)
            .args(["--env", function]);
        if options.dry_run {
            command
                .arg("--dry-run")
                .arg("--outdir")
                .arg(folder.join("dry-run").join(function));
        } else {
            command
                .arg("--secrets-file")
                .arg(secrets_file(&folder, stage, function)?);
        }
        process::run(&mut command)?;
    }
    let done = if options.dry_run {
        "passed its dry run"
    } else {
        "is deployed"
    };
    println!("\nstage {stage} {done}; its configuration is {}", path.display());
    if !options.dry_run {
        println!(
            "its admin token is in {}",
            folder.join(format!("{stage}.delivery.secrets.json")).display()
        );
    }
    Ok(())
}

/// Creates what is missing of the KV namespace and the queues, and gives the namespace's id.
fn create_resources(project: &Project, memory: &mut Memory, config: &StageConfig) -> Result<String> {
    for queue in config.queues() {
        if memory.has_queue(&queue) {
            continue;
        }
        step(&format!("creating queue {queue}"));
        let created = process::capture(wrangler::command(project)?.args(["queues", "create", &queue]))?;
        let said = process::texts(&created);
        if !created.status.success() && !ALREADY_THERE.iter().any(|words| said.contains(words)) {
            bail!("queue {queue} cannot be created:\n{said}");
        }
        memory.add_queue(&queue)?;
    }
    if let Some(id) = memory.text("kv_namespace_id") {
        return Ok(id);
    }
    let title = config.namespace_title();
    let find = || -> Result<Option<String>> {
        let listed = process::output(wrangler::command(project)?.args(["kv", "namespace", "list"]))?;
        namespace_id(&listed, &title)
    };
    let id = match find()? {
        Some(id) => id,
        None => {
            step(&format!("creating KV namespace {title}"));
            process::output(wrangler::command(project)?.args(["kv", "namespace", "create", &title]))?;
            find()?.with_context(|| {
                format!("KV namespace {title} is not listed after its creation: try again")
            })?
        }
    };
    memory.set("kv_namespace_id", json!(id), false)?;
    Ok(id)
}

/// The id of a namespace in what `wrangler kv namespace list` writes: JSON, possibly after notices.
fn namespace_id(listed: &str, title: &str) -> Result<Option<String>> {
    let start = listed
        .match_indices('[')
        .map(|(at, _)| at)
        .find(|at| *at == 0 || listed.get(..*at).is_some_and(|before| before.ends_with('\n')));
    let json = start.and_then(|at| listed.get(at..)).unwrap_or_default();
    let namespaces: Vec<Value> = serde_json::from_str(json.trim())
        .with_context(|| format!("wrangler listed no namespaces:\n{listed}"))?;
    let found = namespaces
        .iter()
        .find(|namespace| namespace.get("title").is_some_and(|found| found == title));
    Ok(found
        .and_then(|namespace| namespace.get("id").and_then(Value::as_str))
        .map(str::to_owned))
}

/// The secrets of one function: made at the first deployment, the same for ever after.
fn secrets_file(folder: &Path, stage: &str, function: &str) -> Result<PathBuf> {
    let kept = folder.join(format!("{stage}.secrets"));
    fs::create_dir_all(&kept).with_context(|| format!("{} cannot be created", kept.display()))?;
    let tokens = tokens::Tokens::of(&kept)?;
    let mut secrets = Map::from_iter([("ADMIN_TOKEN".to_owned(), json!(tokens.admin))]);
    if function == "intake" {
        secrets.insert(
            "PRODUCER_TOKENS".to_owned(),
            json!(format!("producer={}", tokens.producer)),
        );
    }
    let path = folder.join(format!("{stage}.{function}.secrets.json"));
    tokens::write_private(&path, &Value::from(secrets).to_string())?;
    Ok(path)
}

/// What was created for a stage, remembered between deployments.
struct Memory {
    path: PathBuf,
    members: Map<String, Value>,
}

impl Memory {
    fn read(path: PathBuf) -> Result<Self> {
        let members = match fs::read_to_string(&path) {
            Ok(text) => {
                serde_json::from_str(&text).with_context(|| format!("{} is not valid", path.display()))?
            }
            Err(_) => Map::new(),
        };
        Ok(Self { path, members })
    }

    fn text(&self, member: &str) -> Option<String> {
        self.members
            .get(member)
            .and_then(Value::as_str)
            .map(str::to_owned)
    }

    fn origin(&self) -> Option<Origin> {
        let part = |name| self.members.get("origin")?.get(name)?.as_str().map(str::to_owned);
        Some(Origin {
            hostname: part("hostname")?,
            zone: part("zone")?,
        })
    }

    fn variables(&self) -> Map<String, Value> {
        self.members
            .get("variables")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default()
    }

    fn queues(&self) -> Vec<Value> {
        self.members
            .get("queues")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    }

    fn has_queue(&self, queue: &str) -> bool {
        self.queues().iter().any(|known| known == queue)
    }

    fn add_queue(&mut self, queue: &str) -> Result<()> {
        let mut queues = self.queues();
        queues.push(json!(queue));
        self.set("queues", Value::from(queues), false)
    }

    fn set(&mut self, member: &str, value: Value, is_dry_run: bool) -> Result<()> {
        self.members.insert(member.to_owned(), value);
        if is_dry_run {
            return Ok(());
        }
        let text = serde_json::to_string_pretty(&self.members)?;
        fs::write(&self.path, text).with_context(|| format!("{} cannot be written", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stage_names_fit_into_worker_names() {
        assert!("staging-2".parse::<StageName>().is_ok());
        for bad in ["", "-a", "a-", "A", "a_b", "a.b", &"a".repeat(33)] {
            assert!(bad.parse::<StageName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_namespace_is_found_by_its_title() {
        let listed = "a notice [with brackets]\n[\n  {\"id\": \"1\", \"title\": \"other\"},\n  {\"id\": \"2\", \"title\": \"eventstar-a\"}\n]\n";
        assert_eq!(namespace_id(listed, "eventstar-a").unwrap().as_deref(), Some("2"));
        assert_eq!(namespace_id("[]", "eventstar-a").unwrap(), None);
        assert!(namespace_id("not logged in", "eventstar-a").is_err());
    }

    #[test]
    fn what_was_created_is_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        let mut memory = Memory::read(path.clone()).unwrap();
        memory.add_queue("events").unwrap();
        memory.set("kv_namespace_id", json!("1"), false).unwrap();
        memory
            .set("origin", json!({ "hostname": "h", "zone": "z" }), true)
            .unwrap();
        assert!(memory.origin().is_some());
        let memory = Memory::read(path).unwrap();
        assert!(memory.has_queue("events") && !memory.has_queue("other"));
        assert_eq!(memory.text("kv_namespace_id").as_deref(), Some("1"));
        assert!(memory.origin().is_none(), "a dry run changes nothing");
    }
}
