//! The files that the rules look at.
//!
//! Owns: reading the repository and the manifests of its crates. Refuses to know: the rules.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The repository's files, without those that `.gitignore` names.
pub(crate) struct Tree {
    files: BTreeMap<String, String>,
}

impl Tree {
    pub(crate) fn read() -> Self {
        let package = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let root = package.parent().expect("the package is inside the repository");
        let ignored = fs::read_to_string(root.join(".gitignore")).expect("the repository has a .gitignore");
        let mut tree = Self { files: BTreeMap::new() };
        tree.add(root, root, &ignored.lines().collect::<Vec<_>>());
        tree
    }

    fn add(&mut self, root: &Path, folder: &Path, ignored: &[&str]) {
        for entry in fs::read_dir(folder).expect("a folder of the repository can be read") {
            let path = entry.expect("an entry of the repository can be read").path();
            let name =
                path.strip_prefix(root).expect("it lies under the root").to_str().expect("names are UTF-8").to_owned();
            let last = name.rsplit('/').next().unwrap_or_default();
            let matches = |rule: &str| match rule.strip_prefix('/') {
                Some(anchored) => anchored.trim_end_matches('/') == name,
                None => rule.trim_end_matches('/') == last,
            };
            if last == ".git" || ignored.iter().any(|rule| matches(rule)) {
                continue;
            }
            if path.is_dir() {
                self.add(root, &path, ignored);
            } else {
                // Files that are not text have nothing that these rules look for.
                let text = String::from_utf8(fs::read(&path).expect("a file of the repository can be read"));
                self.files.insert(name, text.unwrap_or_default());
            }
        }
    }

    pub(crate) fn text(&self, path: &str) -> &str {
        self.files.get(path).map_or("", String::as_str)
    }

    /// A file, or a folder that has files.
    pub(crate) fn has(&self, path: &str) -> bool {
        let inside = |file: &String| file.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
        self.files.contains_key(path) || self.files.keys().any(inside)
    }

    pub(crate) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Rust that people write: golden files are what the generator wrote.
    pub(crate) fn rust_sources(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts().filter(|(path, _)| path.ends_with(".rs") && !path.contains("/golden/"))
    }

    pub(crate) fn members(&self) -> Vec<String> {
        let root: toml::Table = self.text("Cargo.toml").parse().expect("cargo read it before us");
        let members = root["workspace"]["members"].as_array().expect("the workspace lists its members");
        members.iter().filter_map(|member| member.as_str().map(str::to_owned)).collect()
    }

    pub(crate) fn manifests(&self) -> BTreeMap<String, toml::Table> {
        let mut found = BTreeMap::new();
        for member in self.members() {
            let manifest: toml::Table =
                self.text(&format!("{member}/Cargo.toml")).parse().expect("cargo read it before us");
            let name = manifest["package"]["name"].as_str().expect("a package has a name").to_owned();
            found.insert(name, manifest);
        }
        found
    }
}
