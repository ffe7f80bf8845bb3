//! The rules of the house that a compiler does not keep: which way dependencies point, licences, reasons, unsafe code
//! (here); the sizes of files, folders and structs (`sizes`); the words of comments (`words`); that documents name what
//! exists (`documents`), and their table of folders what the manifests say (`architecture`). What is left from before a rule is listed in `allowed`, with its count: the lists may only
//! shrink. `make check` runs all of it.

mod allowed;
mod architecture;
mod documents;
mod sizes;
mod words;

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a crate may depend on: only crates of a lower level, and never the other plane.
fn level(folder: &str) -> Option<(u8, &'static str)> {
    Some(match folder {
        "common/clock" | "common/heap" | "common/local-socket" | "common/stats" => (0, "common"),
        "common/contract" | "common/config" => (1, "common"),
        "common/shm" => (2, "common"),
        "signaling/sip-wire" => (1, "signaling"),
        "signaling/sip-core" | "signaling/sdp-core" | "signaling/media-control" => (2, "signaling"),
        "signaling/session" => (3, "signaling"),
        "signaling/engine" | "signaling/transport" | "signaling/shard-core" => (4, "signaling"),
        "signaling/signald" => (5, "signaling"),
        "mediaplane/rtp-wire" | "mediaplane/audio" => (1, "mediaplane"),
        "mediaplane/media-core" => (2, "mediaplane"),
        "mediaplane/uring" => (3, "mediaplane"),
        "mediaplane/mediad" => (5, "mediaplane"),
        "sim" => (6, "both"),
        "" => (6, "both"),
        "loadtest" => (6, "both"),
        "bench" | "cli" | "examples/database_decision" => (7, "both"),
        _ => return None,
    })
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root())
        .output()
        .expect("cargo metadata runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or("")
}

/// The folder of a workspace crate, relative to the root.
fn folder(package: &Value) -> String {
    let manifest = Path::new(text(package, "manifest_path"));
    let folder = manifest.parent().and_then(|folder| folder.strip_prefix(root()).ok());
    folder.expect("workspace crates live in the tree").to_string_lossy().into_owned()
}

fn workspace(metadata: &Value) -> Vec<&Value> {
    list(metadata, "packages").iter().filter(|package| package["source"].is_null()).collect()
}

#[test]
fn dependencies_point_one_way() {
    let metadata = metadata();
    let mut wrong = Vec::new();
    for package in workspace(&metadata) {
        let from = folder(package);
        let (from_level, from_plane) = level(&from).unwrap_or_else(|| panic!("{from}: give it a level in tests/house"));
        for dependency in list(package, "dependencies") {
            let Some(path) = dependency["path"].as_str() else { continue };
            // A test may look at anything; what ships may not.
            if text(dependency, "kind") == "dev" {
                continue;
            }
            let to = Path::new(path).strip_prefix(root()).expect("in the tree").to_string_lossy().into_owned();
            let (to_level, to_plane) = level(&to).unwrap_or_else(|| panic!("{to}: give it a level in tests/house"));
            let same_plane = from_plane == to_plane || from_plane == "both" || to_plane == "common";
            if to_level >= from_level || !same_plane {
                wrong.push(format!("{from} -> {to}"));
            }
        }
    }
    assert!(wrong.is_empty(), "dependencies that point the wrong way: {wrong:#?}");
}

#[test]
fn the_library_has_nothing_of_a_command_line() {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--locked",
            "--package",
            "ringplane",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ])
        .current_dir(root())
        .output()
        .expect("cargo tree runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).expect("names of crates are text");
    let crates: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(crates.contains("ringplane-signald") && crates.contains("tokio"), "not the library's tree:\n{tree}");
    // They read command lines, take signals, print log lines and choose the allocator: a program does that for itself.
    let of_programs = ["clap", "signal-hook", "tracing-subscriber", "mimalloc"];
    let found: Vec<_> = of_programs.into_iter().filter(|name| crates.contains(name)).collect();
    assert!(found.is_empty(), "the library depends on what belongs to the executable: {found:?}");
}

#[test]
fn licences_are_permissive() {
    const PERMISSIVE: [&str; 15] = [
        "MIT",
        "MIT-0",
        "Apache-2.0",
        "Apache-2.0 WITH LLVM-exception",
        "BSD-1-Clause",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "ISC",
        "Zlib",
        "CC0-1.0",
        "Unlicense",
        "0BSD",
        "Unicode-3.0",
        "BSL-1.0",
        "CDLA-Permissive-2.0",
    ];
    let permits = |licence: &str| {
        let licence = licence.replace('/', " OR ").replace(['(', ')'], "");
        licence.split(" OR ").any(|way| way.split(" AND ").all(|part| PERMISSIVE.contains(&part.trim())))
    };
    assert!(
        permits("MIT OR GPL-3.0") && permits("MIT/Apache-2.0") && !permits("GPL-2.0") && !permits("MIT AND GPL-2.0")
    );
    let metadata = metadata();
    let by_file = ["rsip", "rsip-derives"]; // MIT by their licence files, without a `license` field
    let wrong: Vec<_> = list(&metadata, "packages")
        .iter()
        .filter(|package| !permits(text(package, "license")) && !by_file.contains(&text(package, "name")))
        .map(|package| format!("{}: {}", text(package, "name"), text(package, "license")))
        .collect();
    assert!(wrong.is_empty(), "licences that we do not take: {wrong:#?}");
}

#[test]
fn every_outside_dependency_has_its_reason() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("the manifest is there");
    let section = manifest.split("[workspace.dependencies]").nth(1).expect("it has the section");
    let section = section.split("\n[").next().expect("split gives at least one piece");
    let ours = |line: &str| line.contains("path = ");
    let bare: Vec<_> = section
        .lines()
        .filter(|line| line.contains('=') && !line.starts_with('#') && !ours(line) && !line.contains(" # "))
        .collect();
    assert!(bare.is_empty(), "say in a comment why we carry: {bare:#?}");
}

/// A Rust file of the tree, tests and examples in folders of their own left out.
struct Source {
    /// Relative to the root of the tree.
    path: String,
    text: String,
}

impl Source {
    /// The folder of its crate: what stands before `src`, or `src` itself for the crate at the root.
    fn crate_folder(&self) -> &str {
        self.path.split_once("/src/").map_or("src", |(folder, _)| folder)
    }
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    collect(root().to_path_buf(), &mut found);
    assert!(found.len() > 20, "only {} files found: the search is broken", found.len());
    found
}

fn collect(folder: PathBuf, found: &mut Vec<Source>) {
    for entry in std::fs::read_dir(&folder).expect("a folder of the tree").flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() && !matches!(name.as_str(), "target" | "tests" | "benches" | "examples" | "fuzz" | ".git") {
            collect(path, found);
        } else if name.ends_with(".rs") {
            let text = std::fs::read_to_string(&path).expect("source is text");
            let path = path.strip_prefix(root()).expect("in the tree").to_string_lossy().into_owned();
            found.push(Source { path, text });
        }
    }
}

/// The places that break a rule more often than `allowed` lets them, and entries of `allowed` that nothing needs any more.
/// `found` has a place, how much of it there is and what to print about it.
fn beyond(allowed: &[(&str, usize)], limit: usize, found: Vec<(String, usize, String)>) -> Vec<String> {
    let limit_of = |place: &str| allowed.iter().find(|(name, _)| *name == place).map_or(limit, |(_, count)| *count);
    let is_needed = |name: &str| found.iter().any(|(place, count, _)| place == name && *count > limit);
    let mut wrong: Vec<String> = allowed
        .iter()
        .filter(|(name, _)| !is_needed(name))
        .map(|(name, _)| format!("{name}: keeps the rule now, take it out of tests/house/allowed.rs"))
        .collect();
    for (place, count, about) in &found {
        if *count > limit_of(place) {
            wrong.push(format!("{place}: {count}, allowed {}{about}", limit_of(place)));
        }
    }
    wrong
}

#[test]
fn unsafe_code_stays_in_its_rooms() {
    let rooms = ["common/heap", "common/shm", "mediaplane/uring"];
    // Vector instructions, beside plain code that a test compares them with, in a crate that denies everything else.
    let kernels = [("mediaplane/audio", "mediaplane/audio/src/codec/g722/sse2.rs")];
    for source in sources().iter().filter(|source| source.text.contains("(unsafe_code, reason")) {
        assert!(kernels.iter().any(|(_, path)| *path == source.path), "{} may not be unsafe", source.path);
    }
    let metadata = metadata();
    for package in workspace(&metadata) {
        let folder = folder(package);
        for name in ["lib.rs", "main.rs"] {
            let path = root().join(&folder).join("src").join(name);
            let Ok(source) = std::fs::read_to_string(&path) else { continue };
            let forbids = source.contains("#![forbid(unsafe_code)]");
            let is_kernels = kernels.iter().any(|(crate_folder, _)| *crate_folder == folder);
            let denies = is_kernels && source.contains("#![deny(unsafe_code)]");
            assert!(forbids || denies || rooms.contains(&folder.as_str()), "{} may not be unsafe", path.display());
        }
    }
}
