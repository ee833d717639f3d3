//! `jsonschema-tools`, installed from npm beside what cargo builds.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use crate::process::{self, step};
use crate::project::Project;
use crate::tools;

const VERSION: &str = "1.3.0";

/// Runs the tests that repositories import from `jsonschema-tools`.
const MOCHA: &str = "10.8.2";

/// The test file of a repository, as Wikimedia's have it.
const TESTS: &str = "require('@wikimedia/jsonschema-tools').tests.all({ logLevel: 'warn' });\n";

/// An installation.
pub(super) struct Original {
    node: PathBuf,
    folder: PathBuf,
}

impl Original {
    /// Installs it, unless it is there.
    pub(super) fn install(project: &Project) -> Result<Self> {
        let folder = project.target()?.join(format!("jsonschema-tools-{VERSION}"));
        let tests = folder.join("repository.test.js");
        if !tests.is_file() {
            step(&format!(
                "installing jsonschema-tools {VERSION} and mocha {MOCHA}"
            ));
            fs::create_dir_all(&folder).with_context(|| format!("{} cannot be created", folder.display()))?;
            let npm = [
                "install",
                "--no-save",
                "--no-audit",
                "--no-fund",
                "--loglevel=error",
            ];
            process::run(
                Command::new("npm")
                    .args(npm)
                    .arg("--prefix")
                    .arg(&folder)
                    .arg(format!("@wikimedia/jsonschema-tools@{VERSION}"))
                    .arg(format!("mocha@{MOCHA}"))
                    .current_dir(&folder),
            )?;
            // Last, so that what was interrupted is installed again.
            fs::write(&tests, TESTS).with_context(|| format!("{} cannot be written", tests.display()))?;
        }
        let node = tools::node(project);
        let works = Command::new(&node)
            .arg("--version")
            .stdout(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        Ok(Self {
            node: if works { node } else { PathBuf::from("node") },
            folder,
        })
    }

    /// Without the repository's path, which the original cannot take.
    pub(super) fn materialize_all(&self, repository: &Path) -> Command {
        let mut command = self.run(
            "@wikimedia/jsonschema-tools/scripts/jsonschema-tools.js",
            repository,
        );
        command.arg("materialize-all");
        command
    }

    pub(super) fn tests(&self, repository: &Path) -> Command {
        let mut command = self.run("mocha/bin/mocha.js", repository);
        command.args(["--reporter", "dot", "--timeout", "60000"]);
        command.arg(self.folder.join("repository.test.js"));
        command
    }

    fn run(&self, script: &str, repository: &Path) -> Command {
        let mut command = Command::new(&self.node);
        command.arg(self.folder.join("node_modules").join(script));
        command.current_dir(repository);
        command
    }
}
