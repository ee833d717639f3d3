//! A stage as it is at Cloudflare.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};
use serde_json::Value;

use super::cloudflare::{Account, Forbidden, text};
use super::plan::{Description, binding, consumer, durable_object, kv, queue};
use super::stage::StageConfig;
use crate::project::FUNCTIONS;

/// The routes of as many zones are looked at, beside those of the stage's own: one request each.
const MAX_ZONES: usize = 50;

/// A worker that is there.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) description: Description,
    pub(super) secrets: BTreeSet<String>,
}

/// A route to one of the stage's workers.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) pattern: String,
    pub(super) script: String,
    zone_id: String,
    zone: String,
    id: String,
}

impl Route {
    /// The path of the API that deletes it.
    pub(super) fn path(&self) -> String {
        format!("/zones/{}/workers/routes/{}", self.zone_id, self.id)
    }
}

/// A worker that takes messages from one of the stage's queues.
#[derive(Debug)]
struct Consumer {
    id: String,
    script: String,
    description: String,
}

#[derive(Debug)]
struct Queue {
    id: String,
    consumers: Vec<Consumer>,
}

/// All of a stage that is at Cloudflare.
#[derive(Debug)]
pub(super) struct Deployed {
    pub(super) workers: BTreeMap<&'static str, Worker>,
    pub(super) namespace: Option<String>,
    pub(super) routes: Vec<Route>,
    queues: BTreeMap<String, Queue>,
    /// Lines about what could not be looked at.
    pub(super) notes: Vec<String>,
}

impl Deployed {
    pub(super) fn read(account: &Account, config: &StageConfig) -> Result<Self> {
        let namespaces = account.list(&account.path("/storage/kv/namespaces"))?;
        let title = config.namespace_title();
        let ours = namespaces
            .iter()
            .find(|namespace| text(namespace, "title") == Some(&title));
        let mut deployed = Self {
            workers: BTreeMap::new(),
            namespace: ours
                .and_then(|namespace| text(namespace, "id"))
                .map(str::to_owned),
            routes: Vec::new(),
            queues: BTreeMap::new(),
            notes: Vec::new(),
        };
        deployed.read_queues(account, config)?;
        deployed.read_routes(account, config)?;
        for function in FUNCTIONS {
            deployed.read_worker(account, config, function, &namespaces)?;
        }
        Ok(deployed)
    }

    pub(super) fn has_queue(&self, name: &str) -> bool {
        self.queues.contains_key(name)
    }

    /// The paths of the API that delete the consumers of the queues: a worker that consumes a queue cannot be deleted.
    pub(super) fn consumer_paths(&self, account: &Account) -> Vec<String> {
        let paths = self.queues.values().flat_map(|queue| {
            let path = move |consumer: &Consumer| {
                account.path(&format!("/queues/{}/consumers/{}", queue.id, consumer.id))
            };
            queue.consumers.iter().map(path)
        });
        paths.collect()
    }

    /// The queues, and the path of the API that deletes each.
    pub(super) fn queue_paths(&self, account: &Account) -> Vec<(&str, String)> {
        let paths = self.queues.iter().map(|(name, queue)| {
            let path = account.path(&format!("/queues/{}", queue.id));
            (name.as_str(), path)
        });
        paths.collect()
    }

    fn read_queues(&mut self, account: &Account, config: &StageConfig) -> Result<()> {
        let wanted = config.queues();
        for found in account.list(&account.path("/queues"))? {
            let (Some(name), Some(id)) = (text(&found, "queue_name"), text(&found, "queue_id")) else {
                continue;
            };
            if !wanted.iter().any(|wanted| wanted == name) {
                continue;
            }
            let consumers = found.get("consumers").and_then(Value::as_array);
            let consumers = consumers.into_iter().flatten().filter_map(|found| {
                // A script deployed to an environment is a `service`.
                let script = ["script", "script_name", "service"]
                    .into_iter()
                    .find_map(|member| text(found, member))?;
                let setting = |name| {
                    found
                        .get("settings")
                        .and_then(|settings| settings.get(name)?.as_i64())
                };
                Some(Consumer {
                    id: text(found, "consumer_id")?.to_owned(),
                    script: script.to_owned(),
                    description: consumer(
                        setting("batch_size"),
                        setting("max_wait_time_ms"),
                        setting("max_retries"),
                        text(found, "dead_letter_queue"),
                    ),
                })
            });
            let queue = Queue {
                id: id.to_owned(),
                consumers: consumers.collect(),
            };
            self.queues.insert(name.to_owned(), queue);
        }
        Ok(())
    }

    fn read_routes(&mut self, account: &Account, config: &StageConfig) -> Result<()> {
        let own = config.zone();
        let zones = match account.list(&format!("/zones?account.id={}", account.id())) {
            Err(error) if own.is_none() && error.is::<Forbidden>() => {
                self.notes
                    .push("routes were not looked at: the API token may not list zones".to_owned());
                return Ok(());
            }
            zones => zones?,
        };
        if own.is_some_and(|own| !zones.iter().any(|zone| text(zone, "name") == Some(own))) {
            bail!(
                "the zone {} is not in the account, or the API token lacks the right \"Zone › Zone › Read\" in it",
                own.unwrap_or_default()
            );
        }
        let (ours, others): (Vec<_>, Vec<_>) = zones.iter().partition(|zone| text(zone, "name") == own);
        if others.len() > MAX_ZONES {
            self.notes.push(format!(
                "routes in {} zones were not looked at",
                others.len() - MAX_ZONES
            ));
        }
        for zone in ours.into_iter().chain(others.into_iter().take(MAX_ZONES)) {
            let (Some(id), Some(name)) = (text(zone, "id"), text(zone, "name")) else {
                continue;
            };
            let routes = match account.list(&format!("/zones/{id}/workers/routes")) {
                Err(error) if own != Some(name) && error.is::<Forbidden>() => {
                    self.notes.push(format!(
                        "routes in {name} were not looked at: the API token may not list them"
                    ));
                    continue;
                }
                routes => routes?,
            };
            for route in &routes {
                if let (Some(route_id), Some(pattern), Some(script)) =
                    (text(route, "id"), text(route, "pattern"), text(route, "script"))
                    && FUNCTIONS
                        .iter()
                        .any(|function| config.worker_name(function) == script)
                {
                    self.routes.push(Route {
                        pattern: pattern.to_owned(),
                        script: script.to_owned(),
                        zone_id: id.to_owned(),
                        zone: name.to_owned(),
                        id: route_id.to_owned(),
                    });
                }
            }
        }
        Ok(())
    }

    fn read_worker(
        &mut self,
        account: &Account,
        config: &StageConfig,
        function: &'static str,
        namespaces: &[Value],
    ) -> Result<()> {
        let name = config.worker_name(function);
        let path = account.path(&format!("/workers/scripts/{name}"));
        let Some(settings) = account.get(&format!("{path}/settings"))? else {
            return Ok(());
        };
        let mut description = Description::new();
        let mut secrets = BTreeSet::new();
        for found in settings
            .get("bindings")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let member = |member| text(found, member).unwrap_or_default();
            let (name_of_binding, kind) = (member("name"), member("type"));
            let (key, value) = match kind {
                "secret_text" | "secret_key" => {
                    secrets.insert(name_of_binding.to_owned());
                    continue;
                }
                "plain_text" => (
                    format!("variable {name_of_binding}"),
                    format!("{:?}", member("text")),
                ),
                "kv_namespace" => {
                    let id = member("namespace_id");
                    let known = namespaces
                        .iter()
                        .find(|namespace| text(namespace, "id") == Some(id));
                    let title = known.and_then(|namespace| text(namespace, "title")).unwrap_or(id);
                    (binding(name_of_binding), kv(title))
                }
                "durable_object_namespace" => {
                    let script = text(found, "script_name").unwrap_or(name);
                    (
                        binding(name_of_binding),
                        durable_object(member("class_name"), script),
                    )
                }
                "queue" => (binding(name_of_binding), queue(member("queue_name"))),
                other => (binding(name_of_binding), other.to_owned()),
            };
            description.insert(key, value);
        }
        if let Some(date) = text(&settings, "compatibility_date") {
            description.insert("compatibility date".to_owned(), date.to_owned());
        }
        if let Some(limit) = settings.pointer("/limits/cpu_ms").and_then(Value::as_i64) {
            description.insert("CPU limit".to_owned(), format!("{limit} ms"));
        }
        let subdomain = account.get(&format!("{path}/subdomain"))?.unwrap_or_default();
        if subdomain.get("enabled") == Some(&Value::Bool(true)) {
            description.insert("workers.dev".to_owned(), "on".to_owned());
        }
        for route in self.routes.iter().filter(|route| route.script == name) {
            description.insert(format!("route {}", route.pattern), format!("zone {}", route.zone));
        }
        for (queue, found) in &self.queues {
            for found in found.consumers.iter().filter(|consumer| consumer.script == name) {
                description.insert(format!("consumer of {queue}"), found.description.clone());
            }
        }
        self.workers.insert(function, Worker { description, secrets });
        Ok(())
    }
}
