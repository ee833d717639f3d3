//! Dependencies point one way: pure crates ← ports ← stores ← handlers ← shims → platform crates.

use anyhow::{Context as _, Result};
use serde_json::Value;

/// Crates of the Workers platform.
const CLOUDFLARE_SDK: [&str; 9] = [
    "worker",
    "worker-macros",
    "worker-sys",
    "wasm-bindgen",
    "wasm-bindgen-futures",
    "js-sys",
    "web-sys",
    "serde-wasm-bindgen",
    "wasm-streams",
];

/// Crates of the Spin platform.
const SPIN_SDK: [&str; 8] = [
    "spin-sdk",
    "spin-macro",
    "wasip2",
    "wasip3",
    "wasi",
    "wit-bindgen",
    "wit-bindgen-rt",
    "wasmtime",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layer {
    /// The event platform's rules, without any input or output.
    Pure,
    /// Traits of what a platform offers.
    Ports,
    /// Written once over the ports.
    Stores,
    /// The ports in memory, for tests.
    Memory,
    /// The ports on one platform.
    Cloudflare,
    Spin,
    /// The handlers.
    Function,
    /// Entry points.
    CloudflareShim,
    SpinShim,
    /// The `eventstar` command: it talks HTTP to a running Eventstar, and checks beforehand what that would refuse.
    Command,
    /// Programs of the host that know a running Eventstar only from outside.
    Tool,
    /// Programs that measure a handler over the platform in memory.
    Bench,
}

use Layer::{
    Bench, Cloudflare, CloudflareShim, Command, Function, Memory, Ports, Pure, Spin, SpinShim, Stores, Tool,
};

impl Layer {
    /// The layer of a package of this project.
    fn of(package: &str) -> Option<Self> {
        Some(match package {
            "eventstar-event"
            | "eventstar-kafka-rest"
            | "eventstar-log"
            | "eventstar-schema-compatibility"
            | "eventstar-schema-repository"
            | "eventstar-sse"
            | "eventstar-stream-config"
            | "eventstar-validation"
            | "eventstar-yaml" => Pure,
            "eventstar-ports" => Ports,
            "eventstar-delivery"
            | "eventstar-http-api"
            | "eventstar-kafka-log"
            | "eventstar-log-contract"
            | "eventstar-mediawiki-api"
            | "eventstar-metrics"
            | "eventstar-pages"
            | "eventstar-stores" => Stores,
            "eventstar-platform-memory" => Memory,
            "eventstar-platform-cloudflare" => Cloudflare,
            "eventstar-platform-spin" => Spin,
            "eventstar-cli" => Command,
            "eventstar-tests" | "xtask" => Tool,
            "relay-native" | "validation-native" => Bench,
            _ if package.starts_with("function-") => Function,
            _ if package.ends_with("-cloudflare") => CloudflareShim,
            _ if package.ends_with("-spin") => SpinShim,
            _ => return None,
        })
    }

    /// The layers a layer may build on.
    fn may_use(self) -> &'static [Self] {
        match self {
            Pure => &[Pure],
            Ports => &[Pure],
            Stores => &[Pure, Ports, Stores],
            Memory | Cloudflare | Spin => &[Pure, Ports, Stores],
            Function => &[Pure, Ports, Stores],
            CloudflareShim => &[Pure, Ports, Stores, Function, Cloudflare],
            SpinShim => &[Pure, Ports, Stores, Function, Spin],
            Command => &[Pure],
            Tool => &[Command, Tool],
            Bench => &[Pure, Ports, Stores, Function, Memory],
        }
    }

    /// The layers a layer's tests may use besides.
    fn tests_may_use(self) -> &'static [Self] {
        match self {
            Ports | Stores | Function => &[Memory],
            _ => &[],
        }
    }

    fn may_use_sdk(self, package: &str) -> bool {
        let cloudflare = matches!(self, Cloudflare | CloudflareShim) && CLOUDFLARE_SDK.contains(&package);
        let spin = matches!(self, Spin | SpinShim) && SPIN_SDK.contains(&package);
        cloudflare || spin
    }
}

/// Checks the declared dependencies of every package in `cargo metadata --no-deps`.
pub(super) fn check(metadata: &Value) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for package in metadata
        .get("packages")
        .and_then(Value::as_array)
        .context("cargo metadata lists no packages")?
    {
        let name = package.get("name").and_then(Value::as_str).unwrap_or_default();
        let Some(layer) = Layer::of(name) else {
            problems.push(format!(
                "{name} is in no layer: add it in xtask/src/tidy/layers.rs"
            ));
            continue;
        };
        for dependency in package
            .get("dependencies")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let on = dependency.get("name").and_then(Value::as_str).unwrap_or_default();
            let is_for_tests = dependency.get("kind").and_then(Value::as_str) == Some("dev");
            let is_own = dependency["path"].is_string();
            problems.extend(problem(name, layer, on, is_own, is_for_tests));
        }
    }
    Ok(problems)
}

fn problem(name: &str, layer: Layer, on: &str, is_own: bool, is_for_tests: bool) -> Option<String> {
    if is_own {
        let below = Layer::of(on)?;
        let allowed =
            layer.may_use().contains(&below) || is_for_tests && layer.tests_may_use().contains(&below);
        return (!allowed).then(|| format!("{name} ({layer:?}) may not depend on {on} ({below:?})"));
    }
    let is_sdk = CLOUDFLARE_SDK.contains(&on) || SPIN_SDK.contains(&on);
    (is_sdk && !layer.may_use_sdk(on)).then(|| {
        format!("{name} ({layer:?}) may not depend on {on}: only platform crates and shims name a platform")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problems(package: &str, dependency: Value) -> Vec<String> {
        check(&json!({ "packages": [{ "name": package, "dependencies": [dependency] }] })).unwrap()
    }

    fn own(name: &str) -> Value {
        json!({ "name": name, "kind": null, "path": "/" })
    }

    fn tests_only(name: &str) -> Value {
        json!({ "name": name, "kind": "dev", "path": "/" })
    }

    fn foreign(name: &str) -> Value {
        json!({ "name": name, "kind": null, "path": null })
    }

    #[test]
    fn dependencies_point_down() {
        assert!(problems("function-intake", own("eventstar-ports")).is_empty());
        assert!(problems("intake-spin", own("eventstar-platform-spin")).is_empty());
        assert!(problems("function-intake", tests_only("eventstar-platform-memory")).is_empty());
        assert!(problems("eventstar-cli", own("eventstar-validation")).is_empty());
        for (package, dependency) in [
            ("eventstar-event", own("eventstar-ports")),
            ("eventstar-ports", own("eventstar-stores")),
            ("function-intake", own("eventstar-platform-memory")),
            ("function-intake", own("function-schema")),
            ("function-intake", tests_only("eventstar-platform-spin")),
            ("intake-spin", own("eventstar-platform-cloudflare")),
            ("eventstar-tests", own("eventstar-event")),
        ] {
            assert_eq!(
                problems(package, dependency.clone()).len(),
                1,
                "{package} {dependency}"
            );
        }
    }

    #[test]
    fn only_platform_crates_and_shims_name_a_platform() {
        assert!(problems("intake-cloudflare", foreign("worker")).is_empty());
        assert!(problems("eventstar-platform-spin", foreign("spin-sdk")).is_empty());
        assert!(problems("function-intake", foreign("http")).is_empty());
        assert_eq!(problems("function-intake", foreign("worker")).len(), 1);
        assert_eq!(problems("intake-cloudflare", foreign("spin-sdk")).len(), 1);
        assert_eq!(problems("eventstar-event", foreign("js-sys")).len(), 1);
    }

    #[test]
    fn a_new_package_needs_a_layer() {
        assert_eq!(problems("something-new", foreign("http")).len(), 1);
    }
}
