//! The configuration of one stage, made from `wrangler.toml`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use toml::{Table, Value};

use super::file::{Origin, Stage};
use super::plan::{self, Description};
use crate::project::FUNCTIONS;
use crate::wrangler::{self, ROUTES};

/// From the stage's configuration back to the top of the checkout.
const TO_ROOT: &str = "../../";

/// Members that name a worker, wherever they stand.
const WORKER_NAMES: [&str; 2] = ["script_name", "service"];

/// Members that name a queue.
const QUEUE_NAMES: [&str; 2] = ["queue", "dead_letter_queue"];

/// `wrangler.toml` with names, ids and paths of one stage.
#[derive(Debug)]
pub(super) struct StageConfig {
    config: Table,
    stage: String,
    queues: BTreeSet<String>,
    workers: BTreeMap<&'static str, String>,
    origin: Option<Origin>,
}

impl StageConfig {
    pub(super) fn new(config: &Table, stage: &Stage) -> Result<Self> {
        let mut config = config.clone();
        let name_of_stage = stage.name.as_str();
        // The artefacts are built already.
        config.remove("build");
        let mut queues = BTreeSet::new();
        let mut workers = BTreeMap::new();
        for function in FUNCTIONS {
            wrangler::environment(&config, function)?;
            let environment =
                environment_mut(&mut config, function).context("wrangler.toml has no environments")?;
            environment.remove("build");
            let name = environment.get("name").and_then(Value::as_str);
            let name =
                name.with_context(|| format!("wrangler.toml has no `name` in [env.{function}]: add it"))?;
            let name = format!("{name}-{name_of_stage}");
            environment.insert("name".to_owned(), Value::from(name.as_str()));
            workers.insert(function, name);
            if let Some(Value::String(main)) = environment.get_mut("main") {
                main.insert_str(0, TO_ROOT);
            }
            for value in environment.iter_mut().map(|(_, value)| value) {
                rename(value, name_of_stage, &mut queues);
            }
        }
        let mut config = Self {
            config,
            stage: stage.name.clone(),
            queues,
            workers,
            origin: stage.origin.clone(),
        };
        config.set_origin();
        for (function, name, value) in &stage.variables {
            config.set_variable(function, name, value);
        }
        Ok(config)
    }

    /// The queues the workers send to and consume.
    pub(super) fn queues(&self) -> Vec<String> {
        self.queues.iter().cloned().collect()
    }

    pub(super) fn namespace_title(&self) -> String {
        format!("eventstar-{}", self.stage)
    }

    pub(super) fn worker_name(&self, function: &str) -> &str {
        self.workers.get(function).map_or("", String::as_str)
    }

    /// Binds every function to the same KV namespace.
    pub(super) fn set_namespace(&mut self, id: &str) {
        for function in FUNCTIONS {
            let namespaces = environment_mut(&mut self.config, function)
                .and_then(|environment| environment.get_mut("kv_namespaces"))
                .and_then(Value::as_array_mut);
            for namespace in namespaces.into_iter().flatten().filter_map(Value::as_table_mut) {
                namespace.insert("id".to_owned(), Value::from(id));
            }
        }
    }

    fn set_variable(&mut self, function: &str, name: &str, value: &str) {
        let Some(environment) = environment_mut(&mut self.config, function) else {
            return;
        };
        let variables = environment
            .entry("vars")
            .or_insert_with(|| Value::Table(Table::new()));
        if let Some(variables) = variables.as_table_mut() {
            variables.insert(name.to_owned(), Value::from(value));
        }
    }

    /// Gives every function its paths on one hostname, or else a workers.dev name of its own.
    fn set_origin(&mut self) {
        let Some(origin) = &self.origin else {
            self.config.insert("workers_dev".to_owned(), Value::from(true));
            return;
        };
        for (function, paths) in ROUTES {
            let routes = paths.iter().map(|path| {
                let mut route = Table::new();
                route.insert(
                    "pattern".to_owned(),
                    Value::from(format!("{}{path}", origin.hostname)),
                );
                route.insert("zone_name".to_owned(), Value::from(origin.zone.as_str()));
                Value::Table(route)
            });
            if let Some(environment) = environment_mut(&mut self.config, function) {
                environment.insert("routes".to_owned(), Value::Array(routes.collect()));
            }
        }
    }

    /// The zone of the stage's hostname.
    pub(super) fn zone(&self) -> Option<&str> {
        self.origin.as_ref().map(|origin| origin.zone.as_str())
    }

    /// All that a function's worker is given, but its code and its secrets.
    pub(super) fn describe(&self, function: &str) -> Result<Description> {
        let environment = wrangler::environment(&self.config, function)?;
        let at = |path: &[&str]| {
            let mut found = environment.get(*path.first()?)?;
            for member in path.get(1..)? {
                found = found.get(*member)?;
            }
            Some(found)
        };
        let entries = |path| at(path).and_then(Value::as_array).into_iter().flatten();
        let text = |entry: &Value, name: &str| {
            entry
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let mut all = Description::new();
        for (name, value) in at(&["vars"]).and_then(Value::as_table).into_iter().flatten() {
            all.insert(
                format!("variable {name}"),
                format!("{:?}", value.as_str().unwrap_or_default()),
            );
        }
        for entry in entries(&["kv_namespaces"]) {
            all.insert(
                plan::binding(&text(entry, "binding")),
                plan::kv(&self.namespace_title()),
            );
        }
        for entry in entries(&["durable_objects", "bindings"]) {
            let script = entry.get("script_name").and_then(Value::as_str);
            let script = script.unwrap_or_else(|| self.worker_name(function));
            let object = plan::durable_object(&text(entry, "class_name"), script);
            all.insert(plan::binding(&text(entry, "name")), object);
        }
        for entry in entries(&["queues", "producers"]) {
            all.insert(
                plan::binding(&text(entry, "binding")),
                plan::queue(&text(entry, "queue")),
            );
        }
        for entry in entries(&["queues", "consumers"]) {
            let number = |name| entry.get(name).and_then(Value::as_integer);
            let wait_ms = number("max_batch_timeout").map(|seconds| seconds.saturating_mul(1000));
            let dead_letters = entry.get("dead_letter_queue").and_then(Value::as_str);
            let consumer = plan::consumer(
                number("max_batch_size"),
                wait_ms,
                number("max_retries"),
                dead_letters,
            );
            all.insert(format!("consumer of {}", text(entry, "queue")), consumer);
        }
        for entry in entries(&["routes"]) {
            all.insert(
                format!("route {}", text(entry, "pattern")),
                format!("zone {}", text(entry, "zone_name")),
            );
        }
        if self.origin.is_none() {
            all.insert("workers.dev".to_owned(), "on".to_owned());
        }
        if let Some(limit) = at(&["limits", "cpu_ms"]).and_then(Value::as_integer) {
            all.insert("CPU limit".to_owned(), format!("{limit} ms"));
        }
        if let Some(date) = self.config.get("compatibility_date").and_then(Value::as_str) {
            all.insert("compatibility date".to_owned(), date.to_owned());
        }
        Ok(all)
    }

    pub(super) fn to_toml(&self) -> Result<String> {
        let text = toml::to_string(&self.config).context("the stage's configuration has no TOML form")?;
        Ok(format!(
            "# Written by `cargo xtask deploy --stage {stage}`: change stages/{stage}.toml or wrangler.toml instead.\n\n{text}",
            stage = self.stage
        ))
    }
}

fn environment_mut<'a>(config: &'a mut Table, function: &str) -> Option<&'a mut Table> {
    config.get_mut("env")?.get_mut(function)?.as_table_mut()
}

/// Puts the stage into the name of every worker and queue named below a value, noting the queues.
fn rename(value: &mut Value, stage: &str, queues: &mut BTreeSet<String>) {
    match value {
        Value::Table(table) => {
            for (member, value) in table.iter_mut() {
                match value {
                    Value::String(name) if WORKER_NAMES.contains(&member.as_str()) => {
                        name.push_str(&format!("-{stage}"));
                    }
                    Value::String(name) if QUEUE_NAMES.contains(&member.as_str()) => {
                        *name = queue_name(name, stage);
                        queues.insert(name.clone());
                    }
                    other => rename(other, stage, queues),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, stage, queues)),
        _ => {}
    }
}

/// The stage goes before the last part: delivery tells its queues apart by how their names end.
fn queue_name(name: &str, stage: &str) -> String {
    match name.split_once('-') {
        Some((project, queue)) => format!("{project}-{stage}-{queue}"),
        None => format!("{stage}-{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Table {
        let mut text = "compatibility_date = \"2026-01-01\"\n[build]\ncommand = \"x\"\n".to_owned();
        for function in FUNCTIONS {
            text.push_str(&format!(
                "[env.{function}]\nname = \"eventstar-{function}\"\nmain = \"build/{function}/index.js\"\n\
                 kv_namespaces = [{{ binding = \"KV\", id = \"local\" }}]\n"
            ));
        }
        text.push_str(
            "[[env.intake.durable_objects.bindings]]\nname = \"STREAM_LOG\"\nclass_name = \"StreamLogObject\"\n\
             script_name = \"eventstar-delivery\"\n[[env.intake.queues.producers]]\nbinding = \"EVENTS\"\n\
             queue = \"eventstar-events\"\n[[env.delivery.queues.consumers]]\nqueue = \"eventstar-events\"\n\
             dead_letter_queue = \"eventstar-dead-letters\"\n",
        );
        text.parse().unwrap()
    }

    fn stage(origin: bool) -> Stage {
        Stage {
            name: "a".to_owned(),
            account: None,
            origin: origin.then(|| Origin {
                hostname: "events.example.org".to_owned(),
                zone: "example.org".to_owned(),
            }),
            functions: FUNCTIONS.to_vec(),
            variables: vec![
                ("intake", "TOPIC_PREFIX".to_owned(), "a.".to_owned()),
                ("intake", "TOPIC_PREFIX".to_owned(), "b.".to_owned()),
            ],
        }
    }

    fn written(config: &StageConfig) -> Table {
        config.to_toml().unwrap().parse().unwrap()
    }

    #[test]
    fn everything_with_a_name_has_the_stage_in_it() {
        let config = StageConfig::new(&config(), &stage(false)).unwrap();
        assert_eq!(
            config.queues(),
            ["eventstar-a-dead-letters", "eventstar-a-events"]
        );
        assert_eq!(config.worker_name("delivery"), "eventstar-delivery-a");
        let written = written(&config);
        let intake = &written["env"]["intake"];
        assert_eq!(intake["name"].as_str(), Some("eventstar-intake-a"));
        assert_eq!(intake["main"].as_str(), Some("../../build/intake/index.js"));
        let object = &intake["durable_objects"]["bindings"][0];
        assert_eq!(object["script_name"].as_str(), Some("eventstar-delivery-a"));
        assert_eq!(
            object["name"].as_str(),
            Some("STREAM_LOG"),
            "bindings keep their names"
        );
        assert_eq!(
            intake["queues"]["producers"][0]["queue"].as_str(),
            Some("eventstar-a-events")
        );
        assert!(!written.contains_key("build"));
    }

    #[test]
    fn all_functions_share_one_namespace_and_one_hostname() {
        let mut config = StageConfig::new(&config(), &stage(true)).unwrap();
        config.set_namespace("42");
        let written = written(&config);
        for function in FUNCTIONS {
            let environment = &written["env"][function];
            assert_eq!(environment["kv_namespaces"][0]["id"].as_str(), Some("42"));
            let route = &environment["routes"][0];
            assert!(
                route["pattern"]
                    .as_str()
                    .unwrap()
                    .starts_with("events.example.org/")
            );
            assert_eq!(route["zone_name"].as_str(), Some("example.org"));
        }
    }

    #[test]
    fn a_function_has_the_variables_that_the_stage_gives_it() {
        let config = StageConfig::new(&config(), &stage(true)).unwrap();
        let written = written(&config);
        assert_eq!(
            written["env"]["intake"]["vars"]["TOPIC_PREFIX"].as_str(),
            Some("b.")
        );
        assert!(written["env"]["schema"].get("vars").is_none());
    }

    #[test]
    fn without_a_hostname_every_function_has_a_name_of_its_own() {
        let config = StageConfig::new(&config(), &stage(false)).unwrap();
        assert_eq!(written(&config)["workers_dev"].as_bool(), Some(true));
        assert_eq!(config.describe("schema").unwrap()["workers.dev"], "on");
    }

    #[test]
    fn a_description_has_all_that_a_worker_is_given() {
        let config = StageConfig::new(&config(), &stage(true)).unwrap();
        let intake = config.describe("intake").unwrap();
        let shown: Vec<_> = intake
            .iter()
            .filter(|(name, _)| !name.starts_with("route "))
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        assert_eq!(
            shown,
            [
                "binding EVENTS: queue eventstar-a-events",
                "binding KV: KV namespace eventstar-a",
                "binding STREAM_LOG: StreamLogObject of eventstar-delivery-a",
                "compatibility date: 2026-01-01",
                "variable TOPIC_PREFIX: \"b.\"",
            ]
        );
        assert_eq!(intake["route events.example.org/v1/events*"], "zone example.org");
        let delivery = config.describe("delivery").unwrap();
        assert_eq!(
            delivery["consumer of eventstar-a-events"],
            "default messages or default ms, default retries, then eventstar-a-dead-letters"
        );
    }

    #[test]
    fn a_missing_environment_is_named() {
        let mut config = config();
        config["env"].as_table_mut().unwrap().remove("schema");
        let error = StageConfig::new(&config, &stage(false)).unwrap_err().to_string();
        assert!(error.contains("[env.schema]"), "{error}");
    }
}
