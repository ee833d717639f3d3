//! Installing what the build needs: WASM targets, npm packages, and two programs compiled by cargo.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use anyhow::{Context as _, Result, bail};

use crate::process::{self, step};
use crate::project::Project;

pub(crate) const CLOUDFLARE_TARGET: &str = "wasm32-unknown-unknown";
pub(crate) const SPIN_TARGET: &str = "wasm32-wasip2";

/// Where the npm packages were installed from, so that a changed lock file is noticed.
const NPM_STAMP: &str = "node_modules/.eventstar";

/// Makes sure that a WASM target is installed.
pub(crate) fn rust_target(project: &Project, target: &str) -> Result<()> {
    let mut rustc = Command::new("rustc");
    let folder = process::output(rustc.current_dir(&project.root).args([
        "--print",
        "target-libdir",
        "--target",
        target,
    ]))?;
    if Path::new(folder.trim()).is_dir() {
        return Ok(());
    }
    step(&format!("installing the Rust target {target}"));
    if process::find("rustup").is_none() {
        bail!(
            "the Rust target {target} is missing and rustup is not on PATH: install Rust from https://rustup.rs"
        );
    }
    process::run(
        Command::new("rustup")
            .current_dir(&project.root)
            .args(["target", "add", target]),
    )
}

/// Makes sure that the npm packages of the lock file are installed.
pub(crate) fn npm_packages(project: &Project) -> Result<()> {
    let read = |name: &str| {
        fs::read_to_string(project.root.join(name)).with_context(|| format!("{name} cannot be read"))
    };
    let wanted = sha256(format!("{}{}", read("package.json")?, read("package-lock.json")?).as_bytes());
    let stamp = project.root.join(NPM_STAMP);
    if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    for program in ["node", "npm"] {
        if process::find(program).is_none() {
            bail!(
                "`{program}` is not on PATH: install Node.js 20 or later (with npm) from https://nodejs.org"
            );
        }
    }
    step("installing npm packages (wrangler, workerd, Node.js, esbuild; about 350 MB)");
    // The engines the packages ask for are met by the Node among them, not by the one that runs npm.
    process::run(Command::new("npm").current_dir(&project.root).args([
        "ci",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
    ]))?;
    let node = node(project);
    let works = Command::new(&node)
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !works {
        bail!(
            "the npm package `node` has no working program: allow install scripts (`npm config delete ignore-scripts`), remove node_modules and try again"
        );
    }
    fs::write(&stamp, wanted).context("node_modules cannot be written")
}

/// A program on crates.io.
#[derive(Debug)]
pub(crate) struct CargoProgram<'a> {
    pub(crate) package: &'a str,
    pub(crate) program: &'a str,
    pub(crate) version: &'a str,
}

/// Makes sure that a program is installed in exactly this version, and gives its path.
pub(crate) fn cargo_program(project: &Project, wanted: &CargoProgram) -> Result<PathBuf> {
    let CargoProgram {
        package,
        program,
        version,
    } = wanted;
    let path = project.cache.join("bin").join(program);
    let has_version = |path: &Path| {
        let found = process::output(Command::new(path).arg("--version")).unwrap_or_default();
        found.split_whitespace().any(|word| word == *version)
    };
    if path.is_file() && has_version(&path) {
        return Ok(path);
    }
    step(&format!(
        "compiling {package} {version} into {} (minutes, once)",
        project.cache.display()
    ));
    let build = project.cache.join("tools-build");
    let install = |locked: &[&str]| {
        let mut cargo = project.cargo();
        cargo
            .args(["install", "--force", "--version", version, package])
            .args(locked);
        process::run(
            cargo
                .arg("--root")
                .arg(&project.cache)
                .env("CARGO_TARGET_DIR", &build)
                // Without the lock, take what this compiler can compile.
                .env("CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS", "fallback"),
        )
    };
    // The lock a program is published with can name versions that a mirror of the registry does not have.
    install(&["--locked"]).or_else(|_| {
        step(&format!(
            "compiling {package} {version} again, without its lock file"
        ));
        install(&[])
    })?;
    if !has_version(&path) {
        bail!(
            "{} does not report version {version}: remove it and try again",
            path.display()
        );
    }
    fs::remove_dir_all(&build).with_context(|| format!("{} cannot be removed", build.display()))?;
    Ok(path)
}

/// Everything needed to build and run on Workers.
pub(crate) fn for_cloudflare(project: &Project) -> Result<()> {
    rust_target(project, CLOUDFLARE_TARGET)?;
    npm_packages(project)?;
    for (package, program, crate_of) in [
        ("worker-build", "worker-build", "worker"),
        ("wasm-bindgen-cli", "wasm-bindgen", "wasm-bindgen"),
    ] {
        // Each works with exactly the version of the crate it belongs to.
        let version = &project.locked_version(crate_of)?;
        cargo_program(
            project,
            &CargoProgram {
                package,
                program,
                version,
            },
        )?;
    }
    Ok(())
}

/// The pinned Node.
pub(crate) fn node(project: &Project) -> PathBuf {
    project.root.join("node_modules/node/bin/node")
}

/// PATH with the pinned Node in front: the programs of npm packages start `node` by name.
pub(crate) fn path_with_node(project: &Project) -> Result<OsString> {
    let own = project.root.join("node_modules/node/bin");
    let rest = env::var_os("PATH").unwrap_or_default();
    env::join_paths([own].into_iter().chain(env::split_paths(&rest))).context("PATH cannot be extended")
}

/// A digest as hexadecimal text.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
