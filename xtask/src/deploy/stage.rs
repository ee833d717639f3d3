//! The configuration of one stage, made from `wrangler.toml`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use toml::{Table, Value};

use crate::project::FUNCTIONS;
use crate::wrangler::{self, ROUTES};

/// From the stage's configuration back to the top of the checkout.
const TO_ROOT: &str = "../../";

/// Members that name a worker, wherever they stand.
const WORKER_NAMES: [&str; 2] = ["script_name", "service"];

/// Members that name a queue.
const QUEUE_NAMES: [&str; 2] = ["queue", "dead_letter_queue"];

/// Where all functions answer together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) hostname: String,
    pub(super) zone: String,
}

/// `wrangler.toml` with names, ids and paths of one stage.
#[derive(Debug)]
pub(super) struct StageConfig {
    config: Table,
    stage: String,
    queues: BTreeSet<String>,
    workers: BTreeMap<&'static str, String>,
}

impl StageConfig {
    pub(super) fn new(config: &Table, stage: &str) -> Result<Self> {
        let mut config = config.clone();
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
            let name = format!("{name}-{stage}");
            environment.insert("name".to_owned(), Value::from(name.as_str()));
            workers.insert(function, name);
            if let Some(Value::String(main)) = environment.get_mut("main") {
                main.insert_str(0, TO_ROOT);
            }
            for value in environment.iter_mut().map(|(_, value)| value) {
                rename(value, stage, &mut queues);
            }
        }
        Ok(Self {
            config,
            stage: stage.to_owned(),
            queues,
            workers,
        })
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

    /// Sets a variable of every function.
    pub(super) fn set_variable(&mut self, name: &str, value: &str) {
        for function in FUNCTIONS {
            let Some(environment) = environment_mut(&mut self.config, function) else {
                continue;
            };
            let variables = environment
                .entry("vars")
                .or_insert_with(|| Value::Table(Table::new()));
            if let Some(variables) = variables.as_table_mut() {
                variables.insert(name.to_owned(), Value::from(value));
            }
        }
    }

    /// Gives every function its paths on one hostname, or else a workers.dev name of its own.
    pub(super) fn set_origin(&mut self, origin: Option<&Origin>) {
        let Some(origin) = origin else {
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

    pub(super) fn to_toml(&self) -> Result<String> {
        let text = toml::to_string(&self.config).context("the stage's configuration has no TOML form")?;
        Ok(format!(
            "# Written by `cargo xtask deploy --stage {}`: change wrangler.toml instead.\n\n{text}",
            self.stage
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

    fn written(config: &StageConfig) -> Table {
        config.to_toml().unwrap().parse().unwrap()
    }

    #[test]
    fn everything_with_a_name_has_the_stage_in_it() {
        let config = StageConfig::new(&config(), "a").unwrap();
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
        let mut config = StageConfig::new(&config(), "a").unwrap();
        config.set_namespace("42");
        config.set_variable("ALLOWED_STREAMS", "*");
        config.set_origin(Some(&Origin {
            hostname: "events.example.org".to_owned(),
            zone: "example.org".to_owned(),
        }));
        let written = written(&config);
        for function in FUNCTIONS {
            let environment = &written["env"][function];
            assert_eq!(environment["kv_namespaces"][0]["id"].as_str(), Some("42"));
            assert_eq!(environment["vars"]["ALLOWED_STREAMS"].as_str(), Some("*"));
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
    fn without_a_hostname_every_function_has_a_name_of_its_own() {
        let mut config = StageConfig::new(&config(), "a").unwrap();
        config.set_origin(None);
        assert_eq!(written(&config)["workers_dev"].as_bool(), Some(true));
    }

    #[test]
    fn a_missing_environment_is_named() {
        let mut config = config();
        config["env"].as_table_mut().unwrap().remove("schema");
        let error = StageConfig::new(&config, "a").unwrap_err().to_string();
        assert!(error.contains("[env.schema]"), "{error}");
    }
}
