//! Building the WASM artefacts of both platforms, and their sizes.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use std::{fs, thread};

use anyhow::{Context as _, Result, bail};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::names::without_names;
use crate::process::{self, step};
use crate::project::{FUNCTIONS, Project};
use crate::{tools, wrangler};

/// Beside a built worker: what it was built from.
const STAMP: &str = ".inputs";

/// Without wasm-opt: it takes minutes for all workers, and saves 2 % of the large ones' compressed size, 7 % of the smallest.
const WORKER_BUILD_OPTIONS: [&str; 2] = ["--release", "--no-opt"];

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Build for this platform only.
    #[arg(long)]
    host: Option<Platform>,
}

/// A platform artefacts are built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Platform {
    /// Cloudflare Workers.
    #[value(alias = "cloudflare")]
    Workerd,
    /// Spin.
    Spin,
}

/// What is deployed for one function on one platform.
#[derive(Debug)]
pub(crate) struct Artifact {
    /// `cloudflare/intake`.
    pub(crate) name: String,
    /// The files that make it up.
    pub(crate) files: Vec<PathBuf>,
}

/// Raw and compressed bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) raw: u64,
    pub(crate) gzip: u64,
}

impl Artifact {
    /// The sizes of all files together; each is compressed by itself, as platforms do.
    pub(crate) fn size(&self) -> Result<Size> {
        let mut size = Size { raw: 0, gzip: 0 };
        for file in &self.files {
            let bytes = fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(&bytes)?;
            size.raw += bytes.len() as u64;
            size.gzip += encoder.finish()?.len() as u64;
        }
        Ok(size)
    }
}

pub(crate) fn run(project: &Project, options: &Options) -> Result<()> {
    let artifacts = build(project, options.host)?;
    println!("\n{:<28} {:>12} {:>12}", "artefact", "raw", "gzip");
    for artifact in artifacts {
        let size = artifact.size()?;
        println!(
            "{:<28} {:>12} {:>12}",
            artifact.name,
            kilobytes(size.raw),
            kilobytes(size.gzip)
        );
    }
    Ok(())
}

pub(crate) fn kilobytes(bytes: u64) -> String {
    format!("{}.{} kB", bytes / 1000, bytes % 1000 / 100)
}

/// Builds for one platform, or for both.
pub(crate) fn build(project: &Project, platform: Option<Platform>) -> Result<Vec<Artifact>> {
    let mut artifacts = Vec::new();
    if platform != Some(Platform::Spin) {
        artifacts.extend(cloudflare(project)?);
    }
    if platform != Some(Platform::Workerd) {
        artifacts.extend(spin(project)?);
    }
    Ok(artifacts)
}

/// One worker to build: a shim crate and the script its configuration names.
#[derive(Debug)]
pub(crate) struct Worker {
    /// The artefact's name.
    pub(crate) name: String,
    /// The cargo package.
    pub(crate) package: String,
    /// Its folder.
    pub(crate) folder: PathBuf,
    /// The script to write.
    pub(crate) script: PathBuf,
}

/// Builds the workers of all functions.
pub(crate) fn cloudflare(project: &Project) -> Result<Vec<Artifact>> {
    let config = wrangler::config(project)?;
    let mut workers = Vec::new();
    for function in FUNCTIONS {
        workers.push(Worker {
            name: format!("cloudflare/{function}"),
            package: format!("{function}-cloudflare"),
            folder: project.root.join("functions").join(function).join("cloudflare"),
            script: wrangler::main_script(project, &config, function)?,
        });
    }
    build_workers(project, &workers)
}

/// Builds workers with worker-build, leaving those alone whose inputs have not changed.
pub(crate) fn build_workers(project: &Project, workers: &[Worker]) -> Result<Vec<Artifact>> {
    tools::for_cloudflare(project)?;
    step("building for Cloudflare Workers");
    let packages: Vec<String> = workers
        .iter()
        .map(|worker| format!("--package={}", worker.package))
        .collect();
    let mut cargo = project.cargo();
    cargo
        .args([
            "build",
            "--lib",
            "--release",
            "--target",
            tools::CLOUDFLARE_TARGET,
        ])
        .args(&packages);
    process::run(with_wasm_settings(&mut cargo))?;

    let mut stale = Vec::new();
    for worker in workers {
        let inputs = inputs(project, worker)?;
        let built = fs::read_to_string(stamp(worker)?).is_ok_and(|built_from| built_from == inputs);
        if !built || !worker.script.is_file() {
            stale.push(worker);
        }
    }
    bundle(project, &packages, &stale)?;
    workers.iter().map(artifact).collect()
}

fn artifact(worker: &Worker) -> Result<Artifact> {
    let folder = out_dir(worker)?;
    Ok(Artifact {
        name: worker.name.clone(),
        files: vec![worker.script.clone(), folder.join("index_bg.wasm")],
    })
}

fn out_dir(worker: &Worker) -> Result<&Path> {
    worker
        .script
        .parent()
        .context("`main` in wrangler.toml is not in a folder")
}

fn stamp(worker: &Worker) -> Result<PathBuf> {
    Ok(out_dir(worker)?.join(STAMP))
}

/// Runs worker-build for each, two at a time.
fn bundle(project: &Project, packages: &[String], stale: &[&Worker]) -> Result<()> {
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..2.min(stale.len()) {
            scope.spawn(|| {
                while let Some(worker) = stale.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) = worker_build(project, packages, worker)
                        && let Ok(mut failures) = failures.lock()
                    {
                        failures.push(format!("{error:#}"));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap_or_default();
    if !failures.is_empty() {
        bail!("{}", failures.join("\n"));
    }
    Ok(())
}

fn worker_build(project: &Project, packages: &[String], worker: &Worker) -> Result<()> {
    let started = Instant::now();
    let stamp = stamp(worker)?;
    if stamp.exists() {
        fs::remove_file(&stamp).with_context(|| format!("{} cannot be removed", stamp.display()))?;
    }
    let modules = project.root.join("node_modules/.bin");
    let mut command = Command::new(project.cache.join("bin/worker-build"));
    command
        .current_dir(&worker.folder)
        .args(WORKER_BUILD_OPTIONS)
        .arg("--out-dir")
        .arg(out_dir(worker)?);
    // The same packages as in our own build before: else cargo chooses other features and compiles again.
    command.args(packages);
    command.env("ESBUILD_BIN", modules.join("esbuild"));
    command.env("WASM_BINDGEN_BIN", project.cache.join("bin/wasm-bindgen"));
    command.env("PATH", tools::path_with_node(project)?);
    process::output(with_wasm_settings(&mut command))?;
    let module = out_dir(worker)?.join("index_bg.wasm");
    let named = fs::read(&module).with_context(|| format!("{} cannot be read", module.display()))?;
    fs::write(&module, without_names(&named)?)
        .with_context(|| format!("{} cannot be written", module.display()))?;
    // As they are now: worker-build runs cargo again, and somebody may have changed a file meanwhile.
    fs::write(&stamp, inputs(project, worker)?)
        .with_context(|| format!("{} cannot be written", stamp.display()))?;
    eprintln!(
        "    {} bundled in {:.0} s",
        worker.name,
        started.elapsed().as_secs_f32()
    );
    Ok(())
}

/// What worker-build sets for its own cargo: macros expand to other code without it.
pub(crate) fn with_wasm_settings(command: &mut Command) -> &mut Command {
    command.env("WASM_BINDGEN_USE_JS_SYS", "1")
}

/// What a worker is built from: the module cargo wrote, and the tools that turn it into a worker.
fn inputs(project: &Project, worker: &Worker) -> Result<String> {
    let name = format!("{}.wasm", worker.package.replace('-', "_"));
    let wasm = project
        .target()?
        .join(tools::CLOUDFLARE_TARGET)
        .join("release")
        .join(name);
    let wasm = fs::read(&wasm).with_context(|| format!("{} cannot be read", wasm.display()))?;
    let lock =
        fs::read(project.root.join("package-lock.json")).context("package-lock.json cannot be read")?;
    let versions = format!(
        "{} {}",
        project.locked_version("worker")?,
        project.locked_version("wasm-bindgen")?
    );
    Ok(format!(
        "without names {} {versions} {}",
        tools::sha256(&wasm),
        tools::sha256(&lock)
    ))
}

/// Builds the components of all functions.
pub(crate) fn spin(project: &Project) -> Result<Vec<Artifact>> {
    let packages = FUNCTIONS.map(|function| format!("{function}-spin"));
    let components = build_components(project, &packages)?;
    Ok(FUNCTIONS
        .iter()
        .zip(components)
        .map(|(function, component)| Artifact {
            name: format!("spin/{function}"),
            files: vec![component],
        })
        .collect())
}

/// Builds Spin components, and gives where cargo has put each.
pub(crate) fn build_components(project: &Project, packages: &[String]) -> Result<Vec<PathBuf>> {
    tools::rust_target(project, tools::SPIN_TARGET)?;
    step("building for Spin");
    let mut cargo = project.cargo();
    cargo.args(["build", "--release", "--target", tools::SPIN_TARGET]);
    process::run(cargo.args(packages.iter().map(|package| format!("--package={package}"))))?;
    let folder = project.target()?.join(tools::SPIN_TARGET).join("release");
    Ok(packages
        .iter()
        .map(|package| folder.join(format!("{}.wasm", package.replace('-', "_"))))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_add_up_over_the_files() {
        let dir = tempfile::tempdir().unwrap();
        let files = vec![dir.path().join("a"), dir.path().join("b")];
        fs::write(&files[0], [0; 100_000]).unwrap();
        fs::write(&files[1], b"x").unwrap();
        let size = Artifact {
            name: "a".to_owned(),
            files,
        }
        .size()
        .unwrap();
        assert_eq!(size.raw, 100_001);
        assert!(size.gzip < 1000, "{size:?}");
    }

    #[test]
    fn bytes_are_shown_in_kilobytes() {
        assert_eq!(kilobytes(1_234_567), "1234.5 kB");
        assert_eq!(kilobytes(99), "0.0 kB");
    }
}
